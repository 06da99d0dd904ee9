//! The detectors: what they learn and what they cannot; that scores, files and training repeat to the
//! last bit; what is refused.

use advrec::agent::Path;
use advrec::detect::{Decay, Decision, DetectorParams, Method, Part, Samples};
use advrec::drift::PathInput;
use advrec::embed::Embeddings;
use advrec::kg::NodeSpace;
use advrec::plan::{Metric, Stage, StageKind};
use advrec::random::{Purpose, generator};
use advrec::store::checkpoint::{self, Checkpoint, Origin};
use advrec_worker::detector::{self, Detector, DetectorError, EpochReport, Scores};
use rand::Rng;
use rayon::ThreadPoolBuilder;
use std::ops::ControlFlow;
use tch::{Device, Tensor};

const METHODS: [Method; 6] = [
    Method::GruAttention,
    Method::Gru,
    Method::Logistic,
    Method::KernelDensity,
    Method::Mahalanobis,
    Method::Lid,
];

/// Nodes of the made-up world; attacked paths prefer the second half.
const NODES: u32 = 60;
const DIMENSION: usize = 6;

fn embeddings() -> Embeddings {
    tch::set_num_threads(1);
    let mut rng = generator(5, Purpose::Synthesis, [0, 0, 0]);
    let space = NodeSpace::new([NODES, 0, 0, 0, 0, 0]);
    let entities = (0..NODES as usize * DIMENSION)
        .map(|i| rng.random_range(-1.0..1.0) + if i / DIMENSION < 30 { 0.0 } else { 0.8 })
        .collect();
    let mut relations: Vec<f32> = (0..9 * DIMENSION).map(|_| rng.random_range(-1.0..1.0)).collect();
    relations[8 * DIMENSION..].fill(0.0);
    Embeddings { space, dimension: DIMENSION, entities, relations }
}

/// Paths of which every other is attacked; one that is takes nodes of the second half, a clean one
/// those of the first, each hop with this probability and otherwise any.
fn samples(n: usize, strength: f64, place: u64) -> Samples {
    let mut rng = generator(5, Purpose::Synthesis, [1, place, 0]);
    let mut samples = Samples::default();
    for i in 0..n {
        let attacked = i % 2 == 1;
        let mut path = Path::start(rng.random_range(0..NODES));
        for _ in 0..3 {
            let nodes = match (rng.random_bool(strength), attacked) {
                (false, _) => 0..NODES,
                (true, false) => 0..NODES / 2,
                (true, true) => NODES / 2..NODES,
            };
            path = path.step(rng.random_range(0..9), rng.random_range(nodes));
        }
        samples.paths.push(path);
        samples.labels.push(attacked);
    }
    samples
}

fn part(training: usize, validation: usize, strength: f64) -> Part {
    Part {
        training: samples(training, strength, 0),
        validation: samples(validation, strength, 1),
        ..Part::default()
    }
}

fn params(method: Method) -> DetectorParams {
    DetectorParams {
        method,
        hidden: 8,
        epochs: 2,
        batch: 200,
        learning_rate: 5e-3,
        ..DetectorParams::default()
    }
}

fn train(
    params: &DetectorParams,
    part: &Part,
) -> Result<(Box<dyn Detector>, Vec<Metric>), DetectorError> {
    detector::train(params, part, &embeddings(), Device::Cpu, &mut |_| ControlFlow::Continue(()))
}

fn made(params: &DetectorParams, part: &Part) -> (Box<dyn Detector>, Vec<Metric>) {
    train(params, part).unwrap_or_else(|error| panic!("{error}"))
}

fn failure(params: &DetectorParams, part: &Part) -> DetectorError {
    train(params, part).err().expect("no detector")
}

fn values(metrics: &[Metric], name: &str) -> Vec<f64> {
    metrics.iter().filter(|m| m.name == name).map(|m| m.value).collect()
}

fn bits(scores: &Scores) -> Vec<u32> {
    [&scores.decision, &scores.steps, &scores.attention]
        .into_iter()
        .flatten()
        .map(|x| x.to_bits())
        .collect()
}

/// Weights and scores as bits, and the metrics.
fn outcome(params: &DetectorParams, part: &Part) -> (Vec<u8>, Vec<u32>, Vec<Metric>) {
    let (detector, metrics) = made(params, part);
    let dir = tempfile::tempdir().unwrap();
    detector::save(&*detector, dir.path()).unwrap();
    let file = std::fs::read(dir.path().join(detector::FILE)).unwrap();
    (file, bits(&detector.scores(&part.validation.paths)), metrics)
}

#[test]
fn every_method_learns_what_is_easy() {
    let part = part(1600, 800, 0.9);
    for method in METHODS {
        let params = DetectorParams { epochs: 15, ..params(method) };
        let (detector, metrics) = made(&params, &part);
        let auroc = values(&metrics, "validation_auroc").into_iter().fold(0.0, f64::max);
        // Of the dimension around a path the shift of the clusters says less.
        let least = if method == Method::Lid { 0.75 } else { 0.95 };
        assert!(auroc > least, "{method:?}: {auroc}");
        // The metric is what whoever scores the same paths finds.
        let scores = detector.scores(&part.validation.paths);
        assert!(scores.decision.iter().all(|p| (0.0..=1.0).contains(p)), "{method:?}");
        let found = detector::curve::auroc(&scores.decision, &part.validation.labels).unwrap();
        assert!(values(&metrics, "validation_auroc").contains(&found), "{method:?}");
        assert!(metrics.iter().all(|m| m.value.is_finite() && m.n > 0));
    }
}

#[test]
fn no_method_learns_random_labels() {
    let part = part(1600, 1600, 0.0);
    for method in METHODS {
        let (detector, metrics) = made(&params(method), &part);
        let scores = detector.scores(&part.validation.paths).decision;
        let auroc = detector::curve::auroc(&scores, &part.validation.labels).unwrap();
        // The standard deviation is 0.0144.
        assert!((auroc - 0.5).abs() < 0.06, "{method:?}: {auroc}");
        // Half the paths are attacked, and more is not known.
        let mean = scores.iter().sum::<f32>() / scores.len() as f32;
        assert!((mean - 0.5).abs() < 0.02, "{method:?}: {mean}");
        let loss = *values(&metrics, "validation_loss").last().unwrap();
        assert!((0.68..0.71).contains(&loss), "{method:?}: {loss}");
    }
}

/// Runs a test of this file anew under the code path that the orchestrator holds MKL to; otherwise
/// where a row lies in a matrix may change its product. False in the process that does so.
fn under_one_code_path(test: &str) -> bool {
    const VARIABLE: &str = "MKL_CBWR";
    let held = std::env::var_os(VARIABLE).is_some();
    if !held {
        let program = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(program);
        let output = command.args(["--exact", test]).env(VARIABLE, "AVX2").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    held
}

#[test]
fn a_path_scores_the_same_in_any_company() {
    if !under_one_code_path("a_path_scores_the_same_in_any_company") {
        return;
    }
    let part = part(400, 100, 0.5);
    let paths = samples(2600, 0.5, 2).paths;
    let reversed: Vec<Path> = paths.iter().rev().copied().collect();
    for (method, hidden) in METHODS.into_iter().map(|m| (m, 5)).chain([(Method::Gru, 32)]) {
        let params = DetectorParams { input: PathInput::Both, hidden, ..params(method) };
        let (detector, _) = made(&params, &part);
        let all = detector.scores(&paths);
        let columns = all.steps.len() / paths.len();
        assert_eq!(columns, if method.is_sequential() { 4 } else { 0 });
        let back = detector.scores(&reversed);
        for (i, (a, b)) in all.decision.iter().zip(back.decision.iter().rev()).enumerate() {
            assert_eq!(a.to_bits(), b.to_bits(), "{method:?} {hidden}: path {i}");
        }
        for range in [1000..1100, 2599..2600] {
            let few = detector.scores(&paths[range.clone()]);
            assert!(all.decision[range.clone()] == few.decision, "{method:?}");
            let steps = &all.steps[columns * range.start..columns * range.end];
            assert!(steps == few.steps, "{method:?}");
        }
        assert!(detector.scores(&[]).decision.is_empty());
    }
}

#[test]
fn prefixes_are_scored_by_what_was_walked() {
    let part = part(400, 100, 0.5);
    let whole = samples(300, 0.5, 3).paths;
    for method in METHODS {
        for input in [PathInput::Entity, PathInput::Relation, PathInput::Both] {
            let (detector, _) = made(&DetectorParams { input, ..params(method) }, &part);
            let last = detector.prefix_scores(&whole);
            assert_eq!(last.is_some(), method.is_sequential());
            let Some(last) = last else { continue };
            let steps = detector.scores(&whole).steps;
            assert!(last.iter().zip(steps.chunks(4)).all(|(p, steps)| *p == steps[3]));
            // Without attention the decision after a hop does not depend on what comes after.
            for hops in 0..3u8 {
                let mut prefixes = whole.clone();
                for path in &mut prefixes {
                    path.hops = hops;
                    path.nodes[hops as usize + 1..].fill(0);
                    path.relations[hops as usize..].fill(0);
                }
                let scores = detector.prefix_scores(&prefixes).unwrap();
                let same =
                    scores.iter().zip(steps.chunks(4)).all(|(p, all)| *p == all[hops as usize]);
                assert_eq!(same, method == Method::Gru, "{method:?} {hops}");
                let again = detector.prefix_scores(&prefixes[200..]).unwrap();
                assert!(scores[200..] == again);
            }
        }
    }
}

#[test]
fn attention_weights_and_the_mean_decision() {
    let part = part(400, 100, 0.5);
    let mean = DetectorParams { decision: Decision::Mean, ..params(Method::GruAttention) };
    let scores = made(&mean, &part).0.scores(&part.validation.paths);
    assert_eq!((scores.length, scores.steps.len(), scores.attention.len()), (4, 400, 400));
    assert!(scores.attention.iter().all(|a| (0.0..=1.0).contains(a)));
    for (decision, steps) in scores.decision.iter().zip(scores.steps.chunks(4)) {
        assert!((decision - steps.iter().sum::<f32>() / 4.0).abs() < 1e-6);
    }
    let last = made(&params(Method::GruAttention), &part).0.scores(&part.validation.paths);
    assert!(last.decision.iter().zip(last.steps.chunks(4)).all(|(d, steps)| *d == steps[3]));
    assert!(
        made(&params(Method::Gru), &part).0.scores(&part.validation.paths).attention.is_empty()
    );
}

#[test]
fn detectors_survive_the_disk_to_the_bit() {
    let part = part(400, 100, 0.5);
    let embeddings = embeddings();
    for method in METHODS {
        let params = params(method);
        let (detector, _) = made(&params, &part);
        let dir = tempfile::tempdir().unwrap();
        detector::save(&*detector, dir.path()).unwrap();
        let loaded = detector::load(&params, dir.path(), &embeddings, Device::Cpu).unwrap();
        let scores = detector.scores(&part.validation.paths);
        assert!(bits(&scores) == bits(&loaded.scores(&part.validation.paths)), "{method:?}");
        let shared = detector.shallow_clone();
        assert!(bits(&scores) == bits(&shared.scores(&part.validation.paths)), "{method:?}");
        // Of another width, and with another method's names.
        let other = DetectorParams { input: PathInput::Both, ..params.clone() };
        let error = detector::load(&other, dir.path(), &embeddings, Device::Cpu).err().unwrap();
        assert!(matches!(error, DetectorError::Shape { .. }), "{error}");
        let other = match method {
            Method::Logistic => Method::Gru,
            _ => Method::Logistic,
        };
        let other = DetectorParams { method: other, ..params.clone() };
        let error = detector::load(&other, dir.path(), &embeddings, Device::Cpu).err().unwrap();
        assert!(matches!(error, DetectorError::Missing { .. }), "{error}");
        // With a number that is none.
        let tensors: Vec<(&str, Tensor)> =
            detector.weights().into_iter().map(|(name, t)| (name, t.contiguous().copy())).collect();
        let _ = tensors[0].1.view(-1).get(0).fill_(f64::NAN);
        Tensor::write_safetensors(&tensors, dir.path().join(detector::FILE)).unwrap();
        let error = detector::load(&params, dir.path(), &embeddings, Device::Cpu).err().unwrap();
        assert!(matches!(error, DetectorError::NotFiniteTensor { .. }), "{error}");
        // With nothing at all.
        std::fs::remove_file(dir.path().join(detector::FILE)).unwrap();
        let error = detector::load(&params, dir.path(), &embeddings, Device::Cpu).err().unwrap();
        assert!(matches!(error, DetectorError::Read { .. }), "{error}");
    }
}

#[test]
fn threads_change_no_bit_and_seeds_do() {
    let part = part(700, 300, 0.5);
    for method in METHODS {
        let params = DetectorParams { batch: 512, ..params(method) };
        let on = |threads, params: &DetectorParams| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| outcome(params, &part))
        };
        let one = on(1, &params);
        assert!(one == on(2, &params), "{method:?}");
        assert!(one == on(3, &params), "{method:?}");
        // Mahalanobis and the others draw their references, logistic regression draws nothing.
        let other = on(2, &DetectorParams { seed: 1, ..params.clone() });
        assert_eq!(one.0 == other.0, method == Method::Logistic, "{method:?}");
    }
}

#[test]
fn training_ends_early_and_keeps_the_best_epoch() {
    // Few paths with labels that mean nothing: soon learnt by heart.
    let part = part(200, 200, 0.0);
    let params = DetectorParams {
        epochs: 60,
        patience: 3,
        dropout: 0.0,
        weight_decay: 0.0,
        learning_rate: 2e-2,
        ..params(Method::GruAttention)
    };
    let mut reports: Vec<EpochReport> = Vec::new();
    let (detector, metrics) =
        detector::train(&params, &part, &embeddings(), Device::Cpu, &mut |report| {
            reports.push(report);
            ControlFlow::Continue(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let losses = values(&metrics, "validation_loss");
    assert_eq!(losses, reports.iter().map(|r| r.validation_loss).collect::<Vec<_>>());
    let best = values(&metrics, "best_epoch")[0] as usize;
    assert_eq!(losses.len(), best + 3);
    assert!(losses.len() < 60);
    assert!(losses.iter().enumerate().all(|(i, &loss)| i + 1 == best || loss > losses[best - 1]));
    assert!(values(&metrics, "train_loss").windows(2).filter(|w| w[1] < w[0]).count() > best);
    // The detector has the best epoch's weights, not the last's.
    let steps = detector.scores(&part.validation.paths).steps;
    let mut loss = 0.0;
    for (steps, &label) in steps.chunks(4).zip(&part.validation.labels) {
        for &p in steps {
            loss -= f64::from(if label { p } else { 1.0 - p }).ln();
        }
    }
    assert!((loss / 800.0 - losses[best - 1]).abs() < 1e-6);
    assert!((loss / 800.0 - losses[losses.len() - 1]).abs() > 1e-4);
    let split = metrics.iter().find(|m| m.name == "train_loss").map(|m| (&m.split[..], m.n));
    assert_eq!(split, Some(("epoch/1", 200)));
}

#[test]
fn training_stops_when_told() {
    let part = part(200, 100, 0.5);
    let stop = |at, params: &DetectorParams| {
        detector::train(params, &part, &embeddings(), Device::Cpu, &mut |r: EpochReport| {
            if r.epoch == at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    };
    let params = params(Method::Gru);
    let error = stop(1, &params).err().unwrap();
    assert!(matches!(error, DetectorError::Stopped { epoch: 1 }));
    assert!(stop(params.epochs, &params).is_ok());
}

#[test]
fn attempts_go_on_to_the_bits_of_an_undisturbed_training() {
    // As above: the best epoch lies before the last ones, and patience ends the training.
    let part = part(200, 200, 0.0);
    for (method, decay) in [(Method::GruAttention, Decay::Coupled), (Method::Gru, Decay::Decoupled)]
    {
        let params = DetectorParams {
            epochs: 60,
            patience: 3,
            learning_rate: 2e-2,
            decay,
            ..params(method)
        };
        let bits = |detector: &dyn Detector| -> Vec<u32> {
            let tensors = detector.weights().into_iter();
            let values = tensors.flat_map(|(_, t)| Vec::<f32>::try_from(t.view(-1)).unwrap());
            values.map(f32::to_bits).collect()
        };
        let (whole, curve) = made(&params, &part);
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new(StageKind::Detector, serde_json::Map::new(), Vec::new());
        let mut heard = Vec::new();
        let (detector, metrics) = loop {
            let origin = Origin::new(stage.key(), "cpu");
            let mut checkpoint = Checkpoint::open(folder.path(), origin, checkpoint::INTERVAL);
            let on_epoch = &mut |report: EpochReport| {
                heard.push(report.epoch);
                ControlFlow::Break(())
            };
            let (embeddings, device) = (embeddings(), Device::Cpu);
            match detector::resume(&params, &part, &embeddings, device, &mut checkpoint, on_epoch) {
                Err(DetectorError::Stopped { .. }) => {}
                other => break other.unwrap_or_else(|error| panic!("{error}")),
            }
        };
        let best = values(&metrics, "best_epoch")[0] as u64;
        assert_eq!(heard, (1..=best + 3).collect::<Vec<u64>>());
        assert_eq!(metrics, curve);
        assert_eq!(bits(&*detector), bits(&*whole), "{method:?}");
    }
}

#[test]
fn parts_that_cannot_train_are_refused() {
    let good = part(200, 100, 0.5);
    let clean =
        |samples: &Samples| Samples { labels: vec![false; samples.len()], ..samples.clone() };
    let of = |training: &Samples, validation: &Samples| Part {
        training: training.clone(),
        validation: validation.clone(),
        ..Part::default()
    };
    for method in METHODS {
        let params = params(method);
        let error = failure(&params, &of(&clean(&good.training), &good.validation));
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"the training part has 200 paths and none of them is attacked; a detector needs both clean and attacked ones: raise `detector.paths` or check the training attack");
        }
        let error = failure(&params, &of(&Samples::default(), &good.validation));
        assert!(matches!(error, DetectorError::OneLabel { paths: 0, .. }), "{error}");
        let error = failure(&params, &of(&good.training, &clean(&good.validation)));
        assert!(matches!(error, DetectorError::OneLabel { part: "validation", .. }), "{error}");
        // Without validation paths the training paths serve.
        let (_, metrics) = made(&params, &of(&good.training, &Samples::default()));
        let (_, same) = made(&params, &of(&good.training, &good.training));
        assert_eq!(metrics, same);
        assert!(metrics.iter().all(|m| m.n == 200));
        let mut other = good.clone();
        other.training.paths[7].nodes[2] = NODES;
        assert!(matches!(failure(&params, &other), DetectorError::Node { node: NODES, .. }));
        other.training.paths[7] = Path::start(0);
        assert!(matches!(failure(&params, &other), DetectorError::Unfinished { hops: 0 }));
        other.training.paths.pop();
        assert!(matches!(failure(&params, &other), DetectorError::Labels { .. }));
    }
    let few = part(60, 20, 0.5);
    assert!(matches!(
        failure(&params(Method::Lid), &few),
        DetectorError::FewReferences { needed: 20, found: 15, .. }
    ));
}

#[test]
fn numbers_out_of_bounds_are_told() {
    let part = part(200, 100, 0.5);
    let mut embeddings = embeddings();
    embeddings.entities.fill(f32::NAN);
    for method in METHODS {
        let result = detector::train(&params(method), &part, &embeddings, Device::Cpu, &mut |_| {
            ControlFlow::Continue(())
        });
        let error = result.err().unwrap();
        let told = match method.is_sequential() {
            true => matches!(error, DetectorError::Diverged { epoch: 1 }),
            false => matches!(error, DetectorError::NotFinite { .. }),
        };
        assert!(told, "{method:?}: {error}");
    }
}
