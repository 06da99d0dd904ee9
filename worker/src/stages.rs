//! The numerical work of each stage: reads the artefacts of its inputs, computes, writes its files
//! into a folder that the orchestrator publishes, and returns what it measured.

use crate::attacker::Attacker;
use crate::beam::{Batches, BeamSearch, Walker};
use crate::detection;
use crate::libtorch;
use crate::policy::Policy;
use crate::realised::Realised;
use crate::training::{self, EpochReport, TrainingError};
use crate::work::{OnProgress, StageError, Work, boxed, go_on};
use advrec::agent::calibration;
use advrec::agent::rollout::CUTOFF;
use advrec::agent::weights::{self, Weights};
use advrec::agent::{AgentParams, Algorithm, Environment, HOPS, Rollout};
use advrec::attack::{self, AttackParams, timing};
use advrec::data::Rows;
use advrec::drift::{self, DriftParams, PathInput};
use advrec::embed::{self, TransEParams};
use advrec::kg::graph::GraphParams;
use advrec::kg::{EntityType, Graph};
use advrec::metrics::ranking;
use advrec::plan::{Findings, Metric, StageKind};
use advrec::run::serve::stop_requested;
use serde::Deserialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tch::Device;

/// Computes a stage.
///
/// # Errors
/// If its parameters or inputs do not fit, its files cannot be written, or its device is not there.
pub fn execute(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Findings, StageError> {
    let metrics = match work.stage.kind {
        StageKind::Graph => graph(work),
        StageKind::Embedding => embedding(work, progress),
        StageKind::Agent => agent(work, progress),
        StageKind::Calibration => calibration(work, progress),
        StageKind::Rollout => rollout(work, progress),
        StageKind::Drift => return drift(work, progress),
        StageKind::Detector => detection::train(work, progress),
        StageKind::Detection => detection::test(work),
        StageKind::Ranking if work.inputs.contains_key("detector") => {
            detection::ranking_without_flagged(work)
        }
        StageKind::Ranking => ranking_of_rollout(work),
        StageKind::Direct => direct(work),
        kind @ (StageKind::Dataset | StageKind::Noop) => Err(StageError::NotComputed(kind)),
    };
    metrics.map(Findings::from)
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
    let mut checkpoint = work.checkpoint(Device::Cpu, params.epochs, progress);
    let (embeddings, metrics) =
        embed::resume(&dataset, &graph, &params, &mut checkpoint, &mut |report| {
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
    let first = match params.hardening() {
        Some(_) => Weights::load(&work.input("agent")?.join(weights::FILE))?,
        None => training::start(&environment, &params),
    };
    let mut checkpoint = work.checkpoint(device, params.epochs, progress);
    let done = checkpoint.epoch();
    let on_epoch = &mut |report: EpochReport| {
        let users = graph.space.count(EntityType::User) as f64;
        let speed =
            users * report.epoch.saturating_sub(done) as f64 / start.elapsed().as_secs_f64();
        let EpochReport { epoch, reward, policy_loss, value_loss, entropy } = report;
        tracing::info!(epoch, reward, policy_loss, value_loss, entropy, speed);
        let note = format!("reward {reward:.4}, {speed:.0} episodes/s");
        progress(report.epoch, params.epochs, note);
        go_on()
    };
    let (weights, metrics) = training::resume(
        &first,
        &environment,
        &params,
        device,
        &mut checkpoint,
        &stop_requested,
        on_epoch,
    )
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

/// Beam search of the stage's agent under its attack; an attacker that calibrates leaves it clean.
fn walk(
    work: &Work<'_>,
    attack: &AttackParams,
    attacker: impl FnOnce(Option<Policy>, bool) -> Attacker,
    progress: &mut OnProgress<'_>,
) -> Result<(Rollout, Realised, usize), StageError> {
    let params: RolloutParams = work.params()?;
    let agent = work.params_of::<AgentParams>("agent")?;
    if attack.attack != "none" && attack::spec(&attack.attack).is_none() {
        return Err(StageError::UnknownAttack(attack.attack.clone()));
    }
    let walker = match agent.algorithm {
        Algorithm::RandomWalk if attack.attack != "none" => {
            return Err(StageError::NothingToAttack);
        }
        Algorithm::RandomWalk => Walker::RandomWalk,
        _ => Walker::Network(work.policy("agent", &agent)?),
    };
    let surrogate = match work.inputs.contains_key("surrogate") {
        true => Some(work.policy("surrogate", &work.params_of("surrogate")?)?),
        false => None,
    };
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let evaded = match work.inputs.contains_key("detector") {
        true => Some(detection::load(work, &embeddings)?.1),
        false => None,
    };
    let attacker = attacker(surrogate, params.dropout_at_eval).evading(evaded);
    let environment = Environment::new(&graph, &embeddings, &agent);
    let users = params.users.range(&graph)?;
    let total = users.len() as u64;
    let search = BeamSearch {
        environment: &environment,
        topk: params.topk,
        seed: attack.seed,
        dropout_at_eval: params.dropout_at_eval,
        batches: Batches::default(),
    };
    let start = Instant::now();
    let done = AtomicU64::new(0);
    let progress = Mutex::new(progress);
    let (rollout, realised) = search.run(users, &walker, &attacker, &|n| {
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
    Ok((rollout, realised, environment.state_dim()))
}

fn calibration(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    // A rule that needs no attack is calibrated without one.
    let attack: AttackParams = work.params()?;
    let calibrating =
        |surrogate, dropout| Attacker::new(attack.clone(), None, surrogate, dropout).calibrating();
    let (_, realised, _) = walk(work, &attack, calibrating, progress)?;
    Ok(calibration::save(work.scratch, realised.scores)?)
}

fn rollout(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    let params: RolloutParams = work.params()?;
    let attack: AttackParams = work.params()?;
    let threshold = match (attack.frequency, work.inputs.contains_key("calibration")) {
        (Some(frequency), true) => {
            let scores = calibration::load(work.input("calibration")?)?;
            Some(timing::threshold(&scores, frequency))
        }
        _ => attack.threshold,
    };
    let attacker =
        |surrogate, dropout| Attacker::new(attack.clone(), threshold, surrogate, dropout);
    let (rollout, realised, dim) = walk(work, &attack, attacker, progress)?;
    rollout.save(work.scratch)?;
    let users = rollout.users.len() as u64;
    let mut metrics = vec![
        Metric::new("states", "all", realised.steps() as f64, users),
        Metric::new("paths", "all", rollout.paths.len() as f64, users),
        // Numbers of an agent that draws dropout at evaluation mean less: a flag of reports.
        Metric::new("randomised_victim", "all", f64::from(params.dropout_at_eval), users),
    ];
    if let Some(threshold) = threshold.filter(|t| t.is_finite()) {
        metrics.push(Metric::new("threshold", "all", threshold, realised.steps()));
    }
    let spec = attack::spec(&attack.attack).map(|spec| (spec, attack.epsilon()));
    metrics.extend(realised.metrics(spec, dim));
    Ok(metrics)
}

/// Parameters of a comparison.
#[derive(Clone, Debug, Deserialize)]
struct ComparisonParams {
    input: PathInput,
    paths: usize,
    permutation_paths: usize,
    permutations: usize,
    bandwidth_pairs: usize,
    seed: u64,
}

fn drift(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Findings, StageError> {
    let ComparisonParams { input, paths, permutation_paths, permutations, bandwidth_pairs, seed } =
        work.params()?;
    let params = DriftParams { paths, permutation_paths, permutations, bandwidth_pairs, seed };
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let (first, second) = (work.input("rollout")?, work.input("other")?);
    let first = Rollout::load(first, &graph.space)?;
    // Of one rollout, two halves; of two, the paths of the users that both have.
    let (x, y, users) = if work.stage.input("rollout") == work.stage.input("other") {
        let whole = drift::paths::sequences(&first, first.user_range(), input);
        let (x, y) = drift::halves(&whole, seed);
        (x, y, first.users.len() as u64)
    } else {
        let second = Rollout::load(second, &graph.space)?;
        let (a, b) = (first.user_range(), second.user_range());
        let common = a.start.max(b.start)..a.end.min(b.end);
        let of = |rollout| drift::paths::sequences(rollout, common.clone(), input);
        (of(&first), of(&second), common.len() as u64)
    };
    let vectors = drift::paths::vectors(&embeddings, input);
    let progress = Mutex::new(progress);
    let drift = drift::compare(&x, &y, &vectors, &params, &|done, total| {
        if let Ok(mut progress) = progress.lock() {
            progress(done as u64, total as u64, String::new());
        }
        go_on()
    })
    .map_err(|error| if stop_requested() { StageError::Stopped } else { error.into() })?;
    let start = Instant::now();
    let projection = Some(drift::project(&x, &y, &vectors, &params)?);
    tracing::info!(seconds = start.elapsed().as_secs_f64(), "projection done");
    Ok(Findings { metrics: drift.metrics(users), projection })
}

fn ranking_of_rollout(work: &Work<'_>) -> Result<Vec<Metric>, StageError> {
    let graph = work.graph()?;
    let rollout = Rollout::load_lists(work.input("rollout")?)?;
    let mut lists = Rows::new();
    for i in 0..rollout.users.len() {
        lists.push(rollout.list(i).iter().copied());
    }
    Ok(ranking::ranking(rollout.user_range(), &lists, &graph.test_products, CUTOFF).metrics())
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
