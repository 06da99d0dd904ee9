//! The numerical work of each stage: reads the artefacts of its inputs, computes, writes its files
//! into a folder that the orchestrator publishes, and returns what it measured.

use crate::beam::{Batches, BeamSearch, Realised, Walker};
use crate::libtorch::{self, DeviceError};
use crate::policy::Policy;
use crate::training::{self, EpochReport, TrainingError};
use advrec::agent::rollout::{CUTOFF, RolloutError};
use advrec::agent::weights::{self, Weights, WeightsError};
use advrec::agent::{AgentParams, Algorithm, Environment, HOPS, Rollout};
use advrec::attack::AttackParams;
use advrec::data::{Dataset, Rows};
use advrec::embed::{self, Embeddings, TransEParams};
use advrec::kg::graph::GraphParams;
use advrec::kg::{EntityType, Graph};
use advrec::metrics::ranking;
use advrec::metrics::statistics;
use advrec::plan::{Metric, Stage, StageKind};
use advrec::run::serve::stop_requested;
use advrec::store::Manifest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use thiserror::Error;

/// Why a stage failed.
#[derive(Debug, Error)]
pub enum StageError {
    #[error("the stage's parameters are not of its kind: {0}")]
    Params(#[from] serde_json::Error),
    #[error("the stage has no input `{0}`")]
    NoInput(&'static str),
    #[error("could not read {path}: {source}")]
    Manifest { path: PathBuf, source: std::io::Error },
    #[error("users {first}..{end} are asked for, the dataset has {count}")]
    Users { first: u32, end: u32, count: u32 },
    #[error("a random walk has no network to attack; only `attack: none` goes with it")]
    NothingToAttack,
    #[error("attack `{0}` is not in this program")]
    UnknownAttack(String),
    #[error("a stage of kind `{0}` is not computed by a worker")]
    NotComputed(StageKind),
    #[error("stopped as asked")]
    Stopped,
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Data(Box<dyn std::error::Error + Send + Sync>),
}

/// Hears how far a stage is: done, total, and a note such as the last loss.
pub type OnProgress<'a> = dyn FnMut(u64, u64, String) + Send + 'a;

/// A stage with the folders of its inputs' artefacts and the folder to write to.
pub struct Work<'a> {
    pub stage: &'a Stage,
    pub inputs: &'a BTreeMap<String, PathBuf>,
    pub scratch: &'a Path,
}

impl Work<'_> {
    fn input(&self, role: &'static str) -> Result<&Path, StageError> {
        self.inputs.get(role).map(PathBuf::as_path).ok_or(StageError::NoInput(role))
    }

    fn params<T: DeserializeOwned>(&self) -> Result<T, StageError> {
        Ok(serde_json::from_value(Value::Object(self.stage.params.clone()))?)
    }

    fn dataset(&self) -> Result<Dataset, StageError> {
        Dataset::load(self.input("dataset")?).map_err(boxed)
    }

    fn graph(&self) -> Result<Graph, StageError> {
        Graph::load(self.input("graph")?).map_err(boxed)
    }

    fn embeddings(&self, graph: &Graph) -> Result<Embeddings, StageError> {
        let file = self.input("embedding")?.join(embed::embeddings::FILE);
        Embeddings::load(&file, &graph.space).map_err(boxed)
    }

    /// Parameters of the agent that is an input, from its manifest.
    fn agent_params(&self) -> Result<AgentParams, StageError> {
        let path = self.input("agent")?.join(advrec::store::artefact::MANIFEST);
        let text = std::fs::read(&path)
            .map_err(|source| StageError::Manifest { path: path.clone(), source })?;
        let manifest: Manifest = serde_json::from_slice(&text)?;
        Ok(serde_json::from_value(Value::Object(manifest.stage.params))?)
    }
}

/// Breaks off where the orchestrator has asked to stop.
fn go_on() -> ControlFlow<()> {
    if stop_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> StageError {
    StageError::Data(Box::new(error))
}

/// Computes a stage.
///
/// # Errors
/// If its parameters or inputs do not fit, its files cannot be written, or its device is not there.
pub fn execute(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    match work.stage.kind {
        StageKind::Graph => graph(work),
        StageKind::Embedding => embedding(work, progress),
        StageKind::Agent => agent(work, progress),
        StageKind::Rollout => rollout(work, progress),
        StageKind::Ranking => ranking_of_rollout(work),
        StageKind::Direct => direct(work),
        kind @ (StageKind::Dataset | StageKind::Noop) => Err(StageError::NotComputed(kind)),
    }
}

fn graph(work: &Work<'_>) -> Result<Vec<Metric>, StageError> {
    let params: GraphParams = work.params()?;
    let graph = Graph::build(&work.dataset()?, &params).map_err(boxed)?;
    graph.save(work.scratch).map_err(boxed)?;
    let n = graph.node_count() as u64;
    Ok(vec![
        Metric::new("nodes", "all", n as f64, n),
        Metric::new("directed_edges", "all", graph.edge_count() as f64, n),
    ])
}

fn embedding(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    let params: TransEParams = work.params()?;
    let (dataset, graph) = (work.dataset()?, work.graph()?);
    let (embeddings, metrics) = embed::train(&dataset, &graph, &params, &mut |report| {
        tracing::info!(epoch = report.epoch, loss = report.loss, items = report.items);
        progress(report.epoch, params.epochs, format!("loss {:.4}", report.loss));
        go_on()
    })
    .map_err(|e| match e {
        embed::TransEError::Stopped { .. } => StageError::Stopped,
        e => boxed(e),
    })?;
    embeddings.save(work.scratch).map_err(boxed)?;
    Ok(metrics)
}

fn agent(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    let params: AgentParams = work.params()?;
    if params.algorithm == Algorithm::RandomWalk {
        return Ok(Vec::new());
    }
    let device = libtorch::device()?;
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let environment = Environment::new(&graph, &embeddings, &params).with_rewards();
    let start = Instant::now();
    let (weights, metrics) =
        training::train(&environment, &params, device, &mut |report: EpochReport| {
            let users = graph.space.count(EntityType::User) as f64;
            let speed = users * report.epoch as f64 / start.elapsed().as_secs_f64();
            let EpochReport { epoch, reward, policy_loss, value_loss, entropy } = report;
            tracing::info!(epoch, reward, policy_loss, value_loss, entropy, speed);
            let note = format!("reward {reward:.4}, {speed:.0} episodes/s");
            progress(report.epoch, params.epochs, note);
            go_on()
        })
        .map_err(|e| match e {
            TrainingError::Stopped { .. } => StageError::Stopped,
            e => e.into(),
        })?;
    weights.save(work.scratch)?;
    Ok(metrics)
}

/// Parameters of a rollout beside the attack's.
#[derive(Clone, Debug, Deserialize)]
struct RolloutParams {
    users: Users,
    topk: [usize; HOPS],
    dropout_at_eval: bool,
}

/// `"all"` or `"A..B"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct Users(String);

impl Users {
    fn range(&self, graph: &Graph) -> Result<std::ops::Range<u32>, StageError> {
        let count = graph.space.count(EntityType::User) as u32;
        let bounds =
            self.0.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
        let range = bounds.unwrap_or(0..count);
        if range.end > count {
            return Err(StageError::Users { first: range.start, end: range.end, count });
        }
        Ok(range)
    }
}

fn rollout(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    let params: RolloutParams = work.params()?;
    let attack: AttackParams = work.params()?;
    let agent = work.agent_params()?;
    if attack.attack != "none" && advrec::attack::spec(&attack.attack).is_none() {
        return Err(StageError::UnknownAttack(attack.attack));
    }
    let walker = match agent.algorithm {
        Algorithm::RandomWalk if attack.attack != "none" => {
            return Err(StageError::NothingToAttack);
        }
        Algorithm::RandomWalk => Walker::RandomWalk,
        _ => {
            let weights = Weights::load(&work.input("agent")?.join(weights::FILE))?;
            Walker::Network(Policy::new(&weights, agent.dropout, libtorch::device()?))
        }
    };
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let environment = Environment::new(&graph, &embeddings, &agent);
    let users = params.users.range(&graph)?;
    let total = users.len() as u64;
    let search = BeamSearch {
        environment: &environment,
        topk: params.topk,
        seed: attack.seed,
        attack,
        dropout_at_eval: params.dropout_at_eval,
        batches: Batches::default(),
    };
    let start = Instant::now();
    let done = AtomicU64::new(0);
    let progress = Mutex::new(progress);
    let (rollout, realised) = search.run(users, &walker, &|n| {
        let done = done.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
        let speed = done as f64 / start.elapsed().as_secs_f64();
        if n > 0
            && let Ok(mut progress) = progress.lock()
        {
            progress(done, total, format!("{speed:.0} users/s"));
        }
        go_on()
    });
    if stop_requested() {
        return Err(StageError::Stopped);
    }
    tracing::info!(users = total, seconds = start.elapsed().as_secs_f64(), "beam search done");
    rollout.save(work.scratch)?;
    Ok(rollout_metrics(&rollout, &realised))
}

fn rollout_metrics(rollout: &Rollout, realised: &Realised) -> Vec<Metric> {
    let users = rollout.users.len() as u64;
    let mut metrics = vec![
        Metric::new("states", "all", realised.steps as f64, users),
        Metric::new("paths", "all", rollout.paths.len() as f64, users),
    ];
    let attacked = realised.attacked();
    if realised.steps > 0 {
        let frequency = attacked as f64 / realised.steps as f64;
        metrics.push(Metric::new("realised_frequency", "all", frequency, realised.steps));
    }
    if attacked == 0 {
        return metrics;
    }
    let flips = realised.flipped as f64 / attacked as f64;
    metrics.push(Metric::new("flip_rate", "all", flips, attacked));
    for (name, sizes) in
        [("l0", &realised.l0), ("l1", &realised.l1), ("l2", &realised.l2), ("linf", &realised.linf)]
    {
        let sizes: Vec<f64> = sizes.iter().map(|&x| x.into()).collect();
        let figures = [
            ("mean", statistics::mean(&sizes)),
            ("median", statistics::percentile(&sizes, 0.5)),
            ("p95", statistics::percentile(&sizes, 0.95)),
        ];
        for (figure, value) in figures {
            let value = value.map(|v| Metric::new(format!("{name}_{figure}"), "all", v, attacked));
            metrics.extend(value);
        }
    }
    let unmoved = realised.l2.iter().filter(|&&x| x == 0.0).count() as f64 / attacked as f64;
    metrics.push(Metric::new("unperturbed_share", "all", unmoved, attacked));
    metrics
}

fn ranking_of_rollout(work: &Work<'_>) -> Result<Vec<Metric>, StageError> {
    let graph = work.graph()?;
    let rollout = Rollout::load_lists(work.input("rollout")?)?;
    let mut lists = Rows::new();
    for i in 0..rollout.users.len() {
        lists.push(rollout.list(i).iter().copied());
    }
    // A rollout's users are a range (see `Users`).
    let first = rollout.users.first().copied().unwrap_or(0);
    let users = first..first + rollout.users.len() as u32;
    Ok(ranking::ranking(users, &lists, &graph.test_products, CUTOFF).metrics())
}

/// Parameters of the `direct` recommender.
#[derive(Clone, Debug, Deserialize)]
struct DirectParams {
    users: Users,
    cutoff: usize,
}

fn direct(work: &Work<'_>) -> Result<Vec<Metric>, StageError> {
    let params: DirectParams = work.params()?;
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let users = params.users.range(&graph)?;
    let lists = embed::direct::recommend(&embeddings, &graph, users.clone(), params.cutoff);
    Ok(ranking::ranking(users, &lists, &graph.test_products, params.cutoff).metrics())
}
