//! The stages of detection (SPEC section 8): a detector is trained on rollouts, tested on others, and
//! keeps flagged paths out of recommendation lists.

use crate::detector::{self, Detector, Scores};
use crate::libtorch;
use crate::work::{OnProgress, StageError, Work, boxed, go_on};
use advrec::agent::recommendation::recommend;
use advrec::agent::rollout::CUTOFF;
use advrec::agent::{AgentParams, Environment, Rollout};
use advrec::data::Rows;
use advrec::data::arrays::{ArrayFile, Arrays, ArraysError};
use advrec::detect::{DetectorParams, Label, Part, Samples, Source, Test};
use advrec::embed::Embeddings;
use advrec::kg::Graph;
use advrec::metrics::classification::{self, RESAMPLES, Scored};
use advrec::metrics::ranking;
use advrec::plan::Metric;
use advrec::run::serve::stop_requested;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use thiserror::Error;

/// File beside a detector with the users whose paths it has seen.
const USERS_FILE: &str = "users.safetensors";
/// File of a test with the probability, label and user of each path, and points of both curves: threshold,
/// false-positive rate, true-positive rate (recall), precision.
const SCORES_FILE: &str = "scores.safetensors";
/// Probability from which a path is flagged.
const THRESHOLD: f32 = 0.5;

/// Why the scores of a test could not be written.
#[derive(Debug, Error)]
pub enum FileError {
    #[error("could not write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("could not encode {path}: {reason}")]
    Encoding { path: PathBuf, reason: String },
}

/// Trains the stage's detector.
pub fn train(work: &Work<'_>, progress: &mut OnProgress<'_>) -> Result<Vec<Metric>, StageError> {
    let params: DetectorParams = work.params()?;
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let load = |role| Rollout::load(work.input(role)?, &graph.space).map_err(StageError::from);
    let clean = load("clean")?;
    let same = work.stage.input("clean") == work.stage.input("attacked");
    let attacked = if same { Rollout::default() } else { load("attacked")? };
    let noise = match work.inputs.contains_key("noise") {
        true => Some(load("noise")?),
        false => None,
    };
    // Every step of the attacked rollout is attacked: both rules of labels say the same.
    let (negative, positive) = match same {
        true => Source::halves(&clean, params.seed),
        false => (Source::clean(&clean), Source::attacked(&attacked, Label::Rollout)),
    };
    let noise = noise.as_ref().map(Source::clean);
    let part = Part::take(&negative, &positive, noise.as_ref(), &params)?;
    let device = libtorch::device()?;
    let mut checkpoint = work.checkpoint(device, params.epochs, progress);
    let on_epoch = &mut |report: detector::EpochReport| {
        let detector::EpochReport { epoch, train_loss, validation_loss, validation_auroc, .. } =
            report;
        tracing::info!(epoch, train_loss, validation_loss, validation_auroc);
        progress(epoch, params.epochs, format!("validation loss {validation_loss:.4}"));
        go_on()
    };
    let (detector, mut metrics) =
        detector::resume(&params, &part, &embeddings, device, &mut checkpoint, on_epoch)
            .map_err(|error| if stop_requested() { StageError::Stopped } else { error.into() })?;
    detector::save(detector.as_ref(), work.scratch)?;
    let mut users = Arrays::default();
    users.add("users", &part.users);
    users.write(&work.scratch.join(USERS_FILE)).map_err(boxed)?;
    for (name, samples) in [("training", &part.training), ("validation", &part.validation)] {
        let attacked = samples.labels.iter().filter(|&&label| label).count();
        let n = samples.len() as u64;
        metrics.push(Metric::new("paths", name, n as f64, n));
        metrics.push(Metric::new("attacked_paths", name, attacked as f64, n));
    }
    let users = part.users.len() as u64;
    metrics.push(Metric::new("users", "all", users as f64, users));
    Ok(metrics)
}

/// A detector that is an input, with its parameters.
pub fn load(
    work: &Work<'_>,
    embeddings: &Embeddings,
) -> Result<(DetectorParams, Box<dyn Detector>), StageError> {
    let params: DetectorParams = work.params_of("detector")?;
    let device = libtorch::device()?;
    let detector = detector::load(&params, work.input("detector")?, embeddings, device)?;
    Ok((params, detector))
}

/// Parameters of a test.
#[derive(Clone, Debug, Deserialize)]
struct TestParams {
    label: Label,
    test_paths: u64,
    seed: u64,
}

/// Tests a detector on paths of users that it has not been trained on.
pub fn test(work: &Work<'_>) -> Result<Vec<Metric>, StageError> {
    let params: TestParams = work.params()?;
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let (_, detector) = load(work, &embeddings)?;
    let trained = load_users(work.input("detector")?).map_err(boxed)?;
    let clean = Rollout::load(work.input("clean")?, &graph.space)?;
    let test = if work.stage.input("clean") == work.stage.input("attacked") {
        let (first, second) = Source::halves(&clean, params.seed);
        Test::take(&first, &second, &trained, params.test_paths as usize, params.seed)?
    } else {
        let attacked = Rollout::load(work.input("attacked")?, &graph.space)?;
        let (clean, attacked) = (Source::clean(&clean), Source::attacked(&attacked, params.label));
        Test::take(&clean, &attacked, &trained, params.test_paths as usize, params.seed)?
    };
    let Test { samples, users } = test;
    let scores = detector.scores(&samples.paths);
    let scored = Scored { scores: &scores.decision, labels: &samples.labels, users: &users };
    let mut metrics = classification::classify(&scored, RESAMPLES, params.seed).metrics();
    metrics.extend(by_step(&scores, &samples));
    save_scores(&scored, work.scratch)?;
    Ok(metrics)
}

/// Which step gives the attack away: the AUROC of each step's probability, and the mean attention that
/// clean and attacked paths get there.
fn by_step(scores: &Scores, samples: &Samples) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let column = |values: &[f32], step: usize| -> Vec<f32> {
        values.iter().skip(step).step_by(scores.length).copied().collect()
    };
    for step in 0..scores.length {
        let split = || format!("step/{}", step + 1);
        if !scores.steps.is_empty() {
            let auroc = classification::auroc(&column(&scores.steps, step), &samples.labels);
            let n = samples.len() as u64;
            metrics.extend(auroc.map(|auroc| Metric::new("auroc", split(), auroc, n)));
        }
        for (name, wanted) in [("attention_clean", false), ("attention_attacked", true)] {
            let weights = column(&scores.attention, step);
            let of = weights.iter().zip(&samples.labels).filter(|(_, label)| **label == wanted);
            let of: Vec<f64> = of.map(|(&weight, _)| weight.into()).collect();
            let mean = advrec::metrics::statistics::mean(&of);
            metrics.extend(mean.map(|mean| Metric::new(name, split(), mean, of.len() as u64)));
        }
    }
    metrics
}

/// Ranking metrics of a rollout from whose lists the flagged paths are left out: the next best product
/// takes the place of one that only flagged paths lead to.
pub fn ranking_without_flagged(work: &Work<'_>) -> Result<Vec<Metric>, StageError> {
    let graph = work.graph()?;
    let embeddings = work.embeddings(&graph)?;
    let (_, detector) = load(work, &embeddings)?;
    let agent: AgentParams = work.params_of("agent")?;
    let environment = Environment::new(&graph, &embeddings, &agent);
    let rollout = Rollout::load(work.input("rollout")?, &graph.space)?;
    let flagged: Vec<bool> =
        detector.scores(&rollout.paths).decision.iter().map(|&p| p >= THRESHOLD).collect();
    let mut metrics = rejecting(&graph, &environment, &rollout, &flagged);
    let share = flagged.iter().filter(|&&flagged| flagged).count() as f64;
    let n = flagged.len() as u64;
    metrics.push(Metric::new("rejected_share", "all", share / n.max(1) as f64, n));
    Ok(metrics)
}

fn rejecting(
    graph: &Graph,
    environment: &Environment<'_>,
    rollout: &Rollout,
    flagged: &[bool],
) -> Vec<Metric> {
    let mut lists = Rows::new();
    for bounds in rollout.offsets.windows(2) {
        let kept: Vec<usize> =
            (bounds[0] as usize..bounds[1] as usize).filter(|&i| !flagged[i]).collect();
        let paths: Vec<_> = kept.iter().map(|&i| rollout.paths[i]).collect();
        let probabilities: Vec<f32> = kept.iter().map(|&i| rollout.probabilities[i]).collect();
        let list = recommend(environment, &paths, &probabilities, CUTOFF);
        lists.push(list.iter().map(|recommended| recommended.product));
    }
    ranking::ranking(rollout.user_range(), &lists, &graph.test_products, CUTOFF).metrics()
}

/// The users that a detector has seen, ascending.
fn load_users(dir: &FilePath) -> Result<Vec<u32>, ArraysError> {
    ArrayFile::open(&dir.join(USERS_FILE))?.read("users")
}

fn save_scores(scored: &Scored<'_>, dir: &FilePath) -> Result<(), FileError> {
    let n = scored.scores.len();
    let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let labels = scored.labels.iter().map(|&label| u8::from(label)).collect();
    let users = scored.users.iter().flat_map(|user| user.to_le_bytes()).collect();
    let curve = classification::curve(scored, classification::CURVE_POINTS);
    let points: Vec<f32> = curve
        .iter()
        .flat_map(|p| [p.threshold, p.fpr as f32, p.tpr as f32, p.precision as f32])
        .collect();
    write(
        dir.join(SCORES_FILE),
        &[
            ("curve", Dtype::F32, vec![curve.len(), 4], floats(&points)),
            ("scores", Dtype::F32, vec![n], floats(scored.scores)),
            ("labels", Dtype::U8, vec![n], labels),
            ("users", Dtype::U32, vec![n], users),
        ],
    )
}

fn write(path: PathBuf, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Result<(), FileError> {
    let format = |e: safetensors::SafeTensorError| FileError::Encoding {
        path: path.clone(),
        reason: e.to_string(),
    };
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(format)?));
    }
    let encoded = safetensors::serialize(views, None).map_err(format)?;
    let written = fs::write(&path, encoded);
    written.map_err(|source| FileError::Write { path, source })
}
