//! The detectors: networks against the paper's formulae in float64 and against PyTorch's GRU; what they
//! learn and what they cannot; that scores, files and training repeat to the last bit.

use advrec::agent::Path;
use advrec::detect::{Decision, DetectorParams, Method, Part, Samples};
use advrec::drift::PathInput;
use advrec::embed::Embeddings;
use advrec::kg::NodeSpace;
use advrec::plan::Metric;
use advrec::random::{Purpose, generator};
use advrec_worker::detector::{self, Detector, DetectorError, EpochReport, Scores};
use rand::Rng;
use rayon::ThreadPoolBuilder;
use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};

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
        let (detector, _) = made(&params(method), &part);
        let scores = detector.scores(&part.validation.paths).decision;
        let auroc = detector::curve::auroc(&scores, &part.validation.labels).unwrap();
        // The standard deviation is 0.0144.
        assert!((auroc - 0.5).abs() < 0.06, "{method:?}: {auroc}");
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
        assert!(matches!(error, DetectorError::File { action: "read", .. }), "{error}");
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

/// A network's weights by name, in float64.
mod reference {
    use std::collections::HashMap;

    pub type Weights = HashMap<&'static str, Vec<f64>>;

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// One row of a matrix with so many columns times a vector.
    fn row(matrix: &[f64], columns: usize, i: usize, x: &[f64]) -> f64 {
        matrix[i * columns..][..columns].iter().zip(x).map(|(w, x)| w * x).sum()
    }

    /// Equation 3, unit by unit: gates r, z and the candidate lie one after the other.
    pub fn cell(w: &Weights, part: &str, a: &[f64], h: &[f64]) -> Vec<f64> {
        let get = |name: &str| &w[&format!("{part}.{name}")[..]];
        let (wi, wh, bi, bh) = (get("weight_ih"), get("weight_hh"), get("bias_ih"), get("bias_hh"));
        let n = h.len();
        (0..n)
            .map(|i| {
                let input = |gate: usize| row(wi, a.len(), gate * n + i, a) + bi[gate * n + i];
                let state = |gate: usize| row(wh, n, gate * n + i, h) + bh[gate * n + i];
                let r = sigmoid(input(0) + state(0));
                let z = sigmoid(input(1) + state(1));
                let candidate = (input(2) + r * state(2)).tanh();
                (1.0 - z) * h[i] + z * candidate
            })
            .collect()
    }

    /// Log-odds and α_t of one path, given `[T][width]` actions and `[T][hidden]` dropout factors.
    pub fn forward(
        w: &Weights,
        attention: bool,
        actions: &[Vec<f64>],
        mask: &[Vec<f64>],
    ) -> (Vec<f64>, Vec<f64>) {
        let hidden = w["output.weight"].len();
        let mut h = vec![0.0; hidden];
        let mut encoded = Vec::new();
        for a in actions {
            h = cell(w, "encoder", a, &h);
            encoded.push(h.clone());
        }
        let (mut states, mut weights) = (encoded.clone(), Vec::new());
        if attention {
            for (t, a) in actions.iter().enumerate() {
                let scores: Vec<f64> = actions
                    .iter()
                    .zip(&encoded)
                    .map(|(a, enc)| {
                        let joined = [&a[..], &h, enc].concat();
                        let matrix = &w["attention.combine.weight"];
                        let e: Vec<f64> = (0..hidden)
                            .map(|i| {
                                let bias = w["attention.combine.bias"][i];
                                (row(matrix, joined.len(), i, &joined) + bias).max(0.0)
                            })
                            .collect();
                        row(&w["attention.score.weight"], hidden, 0, &e)
                            + w["attention.score.bias"][0]
                    })
                    .collect();
                let sum: f64 = scores.iter().map(|s| s.exp()).sum();
                let alpha = scores[t].exp() / sum;
                let weighed: Vec<f64> = a.iter().map(|a| alpha * a).collect();
                h = cell(w, "decoder", &weighed, &h);
                states[t] = h.clone();
                weights.push(alpha);
            }
        }
        let logits = states
            .iter()
            .zip(mask)
            .map(|(h, mask)| {
                let out: Vec<f64> = h.iter().zip(mask).map(|(h, m)| h * m).collect();
                row(&w["output.weight"], hidden, 0, &out) + w["output.bias"][0]
            })
            .collect();
        (logits, weights)
    }
}

/// The networks on some actions, beside the reference.
struct Bench {
    architecture: detector::architecture::Architecture,
    flat: Tensor,
    /// `[T, n, width]`
    actions: Tensor,
    /// `[T, n, hidden]`
    mask: Tensor,
    steps: usize,
}

const PATHS: usize = 3;
const WIDTH: usize = 5;
const HIDDEN: usize = 4;
const LABELS: [bool; PATHS] = [true, false, true];

fn numbers(n: usize, range: std::ops::Range<f32>, place: u64) -> Vec<f32> {
    let mut rng = generator(8, Purpose::Synthesis, [2, place, 0]);
    (0..n).map(|_| rng.random_range(range.clone())).collect()
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).contiguous().view(-1)).unwrap()
}

impl Bench {
    fn new(attention: bool, steps: usize) -> Self {
        tch::set_num_threads(1);
        let architecture = detector::architecture::Architecture {
            attention,
            width: WIDTH as i64,
            hidden: HIDDEN as i64,
        };
        // Larger than fresh weights, so that gates and attention are far from even.
        let flat = architecture.initial(4, Device::Cpu) * 2.0;
        let shape = |last: usize| [steps as i64, PATHS as i64, last as i64];
        let actions = Tensor::from_slice(&numbers(steps * PATHS * WIDTH, -1.5..1.5, 0));
        let mask: Vec<f32> = numbers(steps * PATHS * HIDDEN, 0.0..1.0, 1)
            .into_iter()
            .map(|x| if x < 0.5 { 0.0 } else { 2.0 })
            .collect();
        Self {
            architecture,
            flat,
            actions: actions.view(shape(WIDTH)),
            mask: Tensor::from_slice(&mask).view(shape(HIDDEN)),
            steps,
        }
    }

    fn weights(&self, flat: &[f64]) -> reference::Weights {
        let mut rest = flat;
        let mut weights = reference::Weights::new();
        for (name, shape) in self.architecture.shapes() {
            let (own, others) = rest.split_at(shape.iter().product::<i64>() as usize);
            weights.insert(name, own.to_vec());
            rest = others;
        }
        assert!(rest.is_empty());
        weights
    }

    /// Log-odds and α_t by path, given all numbers in float64.
    fn slow(&self, flat: &[f64], actions: &[f64], mask: &[f64]) -> Vec<(Vec<f64>, Vec<f64>)> {
        let weights = self.weights(flat);
        let of = |values: &[f64], path: usize, width: usize| -> Vec<Vec<f64>> {
            (0..self.steps)
                .map(|t| values[(t * PATHS + path) * width..][..width].to_vec())
                .collect()
        };
        (0..PATHS)
            .map(|path| {
                let attention = self.architecture.attention;
                reference::forward(
                    &weights,
                    attention,
                    &of(actions, path, WIDTH),
                    &of(mask, path, HIDDEN),
                )
            })
            .collect()
    }

    /// Summed cross-entropy over steps and paths.
    fn slow_loss(&self, flat: &[f64], actions: &[f64]) -> f64 {
        let mut loss = 0.0;
        for ((logits, _), label) in self.slow(flat, actions, &wide(&self.mask)).iter().zip(LABELS) {
            for x in logits {
                let p = 1.0 / (1.0 + (-x).exp());
                loss -= if label { p } else { 1.0 - p }.ln();
            }
        }
        loss
    }
}

#[test]
fn networks_are_the_formulae() {
    for (attention, steps) in [(false, 4), (true, 4), (true, 2), (true, 1)] {
        let bench = Bench::new(attention, steps);
        for mask in [Some(&bench.mask), None] {
            let forward = bench.architecture.forward(&bench.flat, &bench.actions, mask);
            let (logits, alphas) = (wide(&forward.logits), forward.attention.map(|a| wide(&a)));
            assert_eq!(alphas.is_some(), attention);
            let factors = mask.map_or_else(|| vec![1.0; steps * PATHS * HIDDEN], wide);
            let slow = bench.slow(&wide(&bench.flat), &wide(&bench.actions), &factors);
            for (path, (expected, expected_alphas)) in slow.iter().enumerate() {
                for t in 0..steps {
                    let found = logits[t * PATHS + path];
                    assert!((found - expected[t]).abs() < 2e-6, "{found} {}", expected[t]);
                    if let Some(alphas) = &alphas {
                        let found = alphas[t * PATHS + path];
                        assert!((found - expected_alphas[t]).abs() < 1e-6);
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_those_of_the_formulae() {
    const STEP: f64 = 1e-6;
    for attention in [false, true] {
        let bench = Bench::new(attention, 4);
        let flat = bench.flat.detach().set_requires_grad(true);
        let actions = bench.actions.detach().set_requires_grad(true);
        let forward = bench.architecture.forward(&flat, &actions, Some(&bench.mask));
        let labels = Tensor::from_slice(&LABELS.map(|l| f32::from(u8::from(l))));
        let labels = labels.expand_as(&forward.logits);
        let loss = forward.logits.binary_cross_entropy_with_logits(
            &labels,
            None::<Tensor>,
            None::<Tensor>,
            tch::Reduction::Sum,
        );
        let (weights, inputs) = (wide(&bench.flat), wide(&bench.actions));
        assert!((wide(&loss)[0] - bench.slow_loss(&weights, &inputs)).abs() < 1e-5);
        let gradients = Tensor::run_backward(&[&loss], &[&flat, &actions], false, false);
        let difference = |values: &[f64], i: usize, loss: &dyn Fn(&[f64]) -> f64| {
            let mut moved = values.to_vec();
            moved[i] = values[i] + STEP;
            let up = loss(&moved);
            moved[i] = values[i] - STEP;
            (up - loss(&moved)) / (2.0 * STEP)
        };
        let mut largest: f64 = 0.0;
        for (i, found) in wide(&gradients[0]).into_iter().enumerate() {
            let expected = difference(&weights, i, &|w| bench.slow_loss(w, &inputs));
            assert!((found - expected).abs() < 1e-5, "weight {i}: {found} {expected}");
            largest = largest.max(expected.abs());
        }
        for (i, found) in wide(&gradients[1]).into_iter().enumerate() {
            let expected = difference(&inputs, i, &|a| bench.slow_loss(&weights, a));
            assert!((found - expected).abs() < 1e-5, "input {i}: {found} {expected}");
            assert!(expected.abs() > 1e-8, "input {i} has no influence");
        }
        assert!(largest > 0.1);
    }
}

#[test]
fn the_cell_is_torchs_with_the_update_gate_turned() {
    tch::set_num_threads(1);
    let (d, h) = (WIDTH as i64, HIDDEN as i64);
    let draw = |shape: &[i64], place| {
        let n = shape.iter().product::<i64>() as usize;
        Tensor::from_slice(&numbers(n, -1.0..1.0, place)).view(shape)
    };
    let (w, u) = (draw(&[3 * h, d], 10), draw(&[3 * h, h], 11));
    let (b, c) = (draw(&[3 * h], 12), draw(&[3 * h], 13));
    let (a, state) = (draw(&[7, d], 14), draw(&[7, h], 15));
    let turned = |t: &Tensor| {
        let t = t.copy();
        let _ = t.narrow(0, h, h).neg_();
        t
    };
    let own = detector::cell::Cell::new(&u, &c).step(&a.linear(&w, Some(&b)), &state);
    let torch = a.gru_cell(&state, &turned(&w), &turned(&u), Some(turned(&b)), Some(turned(&c)));
    assert!((&own - torch).abs().max().double_value(&[]) < 1e-6);
    let plain = a.gru_cell(&state, &w, &u, Some(&b), Some(&c));
    assert!((&own - plain).abs().max().double_value(&[]) > 1e-2);
}
