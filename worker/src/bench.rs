//! Speed on this machine, by the same code that stages run: items a second of the embedding,
//! episodes a second of training, users a second of beam search.

use crate::attacker::Attacker;
use crate::beam::{Batches, BeamSearch, Walker};
use crate::libtorch;
use crate::policy::Policy;
use crate::training;
use crate::work::StageError;
use advrec::agent::{AgentParams, Environment};
use advrec::attack::AttackParams;
use advrec::data::Dataset;
use advrec::embed::{self, TransEParams};
use advrec::kg::graph::GraphParams;
use advrec::kg::{EntityType, Graph};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the embedding is trained.
const EMBEDDING_TIME: Duration = Duration::from_secs(10);

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub what: String,
    pub count: u64,
    pub unit: &'static str,
    pub seconds: f64,
    pub per_second: f64,
}

/// Measures on a dataset's artefact; `users` bounds the beam searches, `report` hears each figure.
///
/// # Errors
/// If the dataset cannot be read or a device cannot be used.
pub fn run(dataset: &Path, users: u32, report: &mut dyn FnMut(&Figure)) -> Result<(), StageError> {
    let boxed = |e: Box<dyn std::error::Error + Send + Sync>| StageError::Data(e);
    let mut note = |what: String, unit, count: u64, seconds: f64| {
        report(&Figure { what, count, unit, seconds, per_second: count as f64 / seconds });
    };
    let start = Instant::now();
    let dataset = Dataset::load(dataset).map_err(|e| boxed(e.into()))?;
    note(
        "reading the dataset".into(),
        "train pairs",
        dataset.train.len() as u64,
        start.elapsed().as_secs_f64(),
    );

    let start = Instant::now();
    let graph = Graph::build(&dataset, &GraphParams::default()).map_err(|e| boxed(e.into()))?;
    note("graph".into(), "edges", graph.edge_count() as u64, start.elapsed().as_secs_f64());

    let params = TransEParams { epochs: 1, ..TransEParams::default() };
    let speed = embed::transe::measure(&dataset, &graph, &params, EMBEDDING_TIME)
        .map_err(|e| boxed(e.into()))?;
    let seconds = speed.wall.as_secs_f64();
    note("embedding".into(), "items", speed.items, seconds);
    let (embeddings, _) =
        embed::train(&dataset, &graph, &TransEParams { epochs: 0, ..params }, &mut |_| {
            ControlFlow::Continue(())
        })
        .map_err(|e| boxed(e.into()))?;

    let device = libtorch::device()?;
    let params = AgentParams { epochs: 1, ..AgentParams::default() };
    let start = Instant::now();
    let environment = Environment::new(&graph, &embeddings, &params).with_rewards();
    let all = graph.space.count(EntityType::User) as u64;
    note("preparing rewards".into(), "users", all, start.elapsed().as_secs_f64());
    let start = Instant::now();
    let (weights, _) =
        training::train(&environment, &params, device, &mut |_| ControlFlow::Continue(()))?;
    note("agent, one epoch".into(), "episodes", all, start.elapsed().as_secs_f64());

    let walker = Walker::Network(Policy::new(&weights, 0.0, device));
    let users = users.min(all as u32);
    for attack in
        ["none", "noise_linf", "fgsm_l1", "fgsm_l2", "fgsm_linf", "jsma", "deepfool", "pgd_linf"]
    {
        let params = AttackParams { epsilon: Some(0.1), ..AttackParams::of(attack) };
        let attacker = Attacker::new(params, None, None, false);
        let start = Instant::now();
        let search = BeamSearch {
            environment: &environment,
            topk: [25, 5, 1],
            seed: 0,
            dropout_at_eval: false,
            batches: Batches::default(),
        };
        search.run(0..users, &walker, &attacker, &|_| ControlFlow::Continue(()));
        note(
            format!("beam search, attack {attack}"),
            "users",
            users.into(),
            start.elapsed().as_secs_f64(),
        );
    }
    Ok(())
}
