//! Training of the agent on a small made-up dataset: it learns, and it repeats, by either algorithm; the
//! baseline of REINFORCE moves nothing but itself.

use advrec::agent::path::Path;
use advrec::agent::weights::Weights;
use advrec::agent::{AgentParams, Algorithm, Environment, RewardKind};
use advrec::data::SyntheticSpec;
use advrec::embed::Embeddings;
use advrec::kg::graph::GraphParams;
use advrec::kg::{EntityType, Graph, Relation};
use advrec::plan::{Metric, Stage, StageKind};
use advrec::random::{Purpose, generator};
use advrec::store::checkpoint::{self, Checkpoint, Origin};
use advrec_worker::policy::Policy;
use advrec_worker::training::{self, EpochReport, TrainingError};
use advrec_worker::update::{Losses, UpdateRule};
use rand::Rng;
use std::cell::Cell;
use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};

struct World {
    graph: Graph,
    embeddings: Embeddings,
}

impl World {
    fn new(seed: u64) -> Self {
        tch::set_num_threads(1);
        let spec = SyntheticSpec {
            users: 200,
            products: 50,
            words: 60,
            topics: 4,
            words_per_review: 8,
            purchases_per_user: 6,
            seed,
        };
        let dataset = spec.generate().unwrap();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        // All positive, so that every path of a rewarded pattern earns something.
        let mut rng = generator(seed, Purpose::Synthesis, [9, 0, 0]);
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(0.0..1.0)).collect();
        let (dimension, space) = (8, graph.space.clone());
        let entities = numbers(space.len() * dimension);
        let mut relations: Vec<f32> = numbers((Relation::COUNT + 1) * dimension);
        relations[Relation::COUNT * dimension..].fill(0.0);
        let embeddings = Embeddings { space, dimension, entities, relations };
        Self { graph, embeddings }
    }

    fn train(
        &self,
        params: &AgentParams,
        on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
    ) -> Result<(Weights, Vec<Metric>), TrainingError> {
        let environment = Environment::new(&self.graph, &self.embeddings, params).with_rewards();
        training::train(&environment, params, Device::Cpu, on_epoch)
    }
}

fn params(seed: u64) -> AgentParams {
    AgentParams {
        epochs: 20,
        batch: 8,
        learning_rate: 1e-2,
        dropout: 0.0,
        hidden: [32, 16],
        max_actions: 30,
        seed,
        ..AgentParams::default()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A metric's curve over epochs.
fn curve(metrics: &[Metric], name: &str) -> Vec<f64> {
    metrics.iter().filter(|m| m.name == name).map(|m| m.value).collect()
}

#[test]
fn rewards_rise() {
    for seed in 1..4 {
        let world = World::new(seed);
        let kinds: &[RewardKind] = match seed {
            1 => &[RewardKind::ScaledDot, RewardKind::Cosine],
            _ => &[RewardKind::ScaledDot],
        };
        for &reward in kinds {
            let mut rewards = Vec::new();
            let params = AgentParams { reward, ..params(seed) };
            let (_, metrics) = world
                .train(&params, &mut |report| {
                    rewards.push(report.reward);
                    ControlFlow::Continue(())
                })
                .unwrap();
            let (first, last) = (mean(&rewards[..3]), mean(&rewards[17..]));
            assert!(last > 1.5 * first, "seed {seed}, {reward:?}: {first} to {last}, {rewards:?}");
            assert_eq!(curve(&metrics, "train_reward"), rewards);
        }
    }
}

#[test]
fn rewards_rise_by_reinforce_and_the_baseline_knows_them() {
    for seed in 1..4 {
        let world = World::new(seed);
        let params =
            AgentParams { algorithm: Algorithm::Reinforce, learning_rate: 3e-3, ..params(seed) };
        let (weights, metrics) = world.train(&params, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(weights.has_baseline());
        let rewards = curve(&metrics, "train_reward");
        let (first, last) = (mean(&rewards[..3]), mean(&rewards[17..]));
        assert!(last > 1.5 * first, "seed {seed}: {first} to {last}, {rewards:?}");

        // The return at the start of a path is the reward, discounted twice.
        let environment = Environment::new(&world.graph, &world.embeddings, &params);
        let users = world.graph.space.count(EntityType::User) as u32;
        let paths: Vec<Path> =
            (0..users).map(|u| Path::start(world.graph.space.node(EntityType::User, u))).collect();
        let mut states = vec![0f32; paths.len() * environment.state_dim()];
        environment.states(&paths, &mut states);
        let states = Tensor::from_slice(&states).reshape([paths.len() as i64, -1]);
        let policy = Policy::new(&weights, 0.0, Device::Cpu);
        let value = policy.values(&states, None).mean(Kind::Double).double_value(&[]);
        let expected = params.gamma * params.gamma * last;
        assert!((value - expected).abs() < 0.25 * expected, "seed {seed}: {value}, {expected}");
    }
}

#[test]
fn the_error_of_a_baseline_falls() {
    tch::set_num_threads(1);
    let weights = Weights::random(6, [16, 8], 4, 1).with_baseline(1);
    let mut policy = learning(&weights);
    let mut rule = UpdateRule::new(&policy);
    let states = states();
    let returns = states.select(1, 0) * states.select(1, 3);
    let mut errors = Vec::new();
    for _ in 0..300 {
        let values = policy.values(&states, None);
        let policy_loss = policy.logits(&states, None).sum(Kind::Float) * 0.0;
        let entropy = &policy_loss * 0.0;
        let value = (values - &returns).square().mean(Kind::Float);
        errors.push(value.double_value(&[]));
        let losses = Losses { policy: policy_loss, value, entropy };
        rule.apply(&mut policy, &losses, 0.0, 1e-2);
    }
    assert!(errors[299] < 0.05 * errors[0], "{} to {}", errors[0], errors[299]);
}

#[test]
fn a_seed_gives_the_same_bits() {
    let world = World::new(5);
    let bits = |weights: &Weights| -> Vec<u32> {
        weights.tensors().flat_map(|(_, _, values)| values.iter().map(|x| x.to_bits())).collect()
    };
    for algorithm in [Algorithm::ActorCritic, Algorithm::Reinforce] {
        let train = |seed| {
            let params = AgentParams { algorithm, epochs: 3, dropout: 0.5, ..params(seed) };
            world.train(&params, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let (one, again, other) = (train(1), train(1), train(2));
        assert_eq!(bits(&one.0), bits(&again.0));
        assert_eq!(one.1, again.1);
        assert_ne!(bits(&one.0), bits(&other.0));
    }
}

#[test]
fn further_training_is_under_the_attack_and_from_the_trained_weights() {
    let world = World::new(5);
    let first = world.train(&params(1), &mut |_| ControlFlow::Continue(())).unwrap().0;
    let further = |epsilon: f64, share: f64, rate: f64| {
        let params = AgentParams {
            epochs: 1,
            learning_rate: rate,
            attack: Some("fgsm_linf".to_owned()),
            epsilon: Some(epsilon),
            share: Some(share),
            ..params(1)
        };
        let environment = Environment::new(&world.graph, &world.embeddings, &params).with_rewards();
        let goes_on = &mut |_| ControlFlow::Continue(());
        training::train_from(&first, &environment, &params, Device::Cpu, goes_on).unwrap().0
    };
    // A size of 0, or a share of 0, is training without an attack.
    assert_eq!(further(0.0, 1.0, 1e-3), further(0.5, 0.0, 1e-3));
    assert_ne!(further(0.5, 1.0, 1e-3), further(0.5, 0.0, 1e-3));
    assert_ne!(further(0.5, 0.5, 1e-3), further(0.5, 1.0, 1e-3));
    // Hardly any step leaves what it started from.
    for (moved, start) in further(0.5, 1.0, 1e-12).tensors().zip(first.tensors()) {
        assert!(moved.2.iter().zip(start.2).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn attempts_go_on_to_the_bits_of_an_undisturbed_training() {
    let world = World::new(5);
    let first = world.train(&params(1), &mut |_| ControlFlow::Continue(())).unwrap().0;
    let short = AgentParams { epochs: 4, dropout: 0.5, ..params(2) };
    let (attack, epsilon, share) = (Some("fgsm_linf".to_owned()), Some(0.5), Some(0.5));
    for params in [
        short.clone(),
        AgentParams { algorithm: Algorithm::Reinforce, ..short.clone() },
        AgentParams { attack, epsilon, share, ..short.clone() },
    ] {
        let environment = Environment::new(&world.graph, &world.embeddings, &params).with_rewards();
        let start = match params.hardening() {
            Some(_) => first.clone(),
            None => training::start(&environment, &params),
        };
        // An epoch has 25 batches.
        let train_in =
            |checkpoint: &mut Checkpoint, stops_at, batches: u64, heard: &mut Vec<u64>| {
                let left = Cell::new(batches);
                let stop = || left.replace(left.get().saturating_sub(1)) == 0;
                let on_epoch = &mut |report: EpochReport| {
                    heard.push(report.epoch);
                    let stops = report.epoch == stops_at;
                    if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let device = Device::Cpu;
                training::resume(&start, &environment, &params, device, checkpoint, &stop, on_epoch)
            };
        let train = |checkpoint: &mut Checkpoint, stops_at: u64, heard: &mut Vec<u64>| {
            train_in(checkpoint, stops_at, u64::MAX, heard)
        };
        let whole = train(&mut Checkpoint::none(), 4, &mut Vec::new()).unwrap();
        let bits = |(weights, metrics): &(Weights, Vec<Metric>)| -> (Vec<u32>, Vec<u64>) {
            let values = weights.tensors().flat_map(|(_, _, values)| values);
            let metrics = metrics.iter().map(|m| m.value.to_bits());
            (values.map(|x| x.to_bits()).collect(), metrics.collect())
        };
        let folder = tempfile::tempdir().unwrap();
        let open = |program: &str| {
            let key = Stage::new(StageKind::Agent, serde_json::Map::new(), Vec::new()).key();
            let origin = Origin { program: program.to_owned(), ..Origin::new(key, "cpu") };
            Checkpoint::open(folder.path(), origin, checkpoint::INTERVAL)
        };
        let mut heard = Vec::new();
        for stops_at in 1..3 {
            let stopped = train(&mut open("this"), stops_at, &mut heard);
            assert!(matches!(stopped, Err(TrainingError::Stopped { .. })));
        }
        // In the middle of the fourth epoch, twice.
        for batches in [30, 5] {
            let stopped = train_in(&mut open("this"), 4, batches, &mut heard);
            assert!(matches!(stopped, Err(TrainingError::Stopped { epoch: 3 })), "{batches}");
        }
        let last = train(&mut open("this"), 4, &mut heard).unwrap();
        assert_eq!(heard, [1, 2, 3, 4]);
        assert_eq!(bits(&last), bits(&whole), "{params:?}");
        assert_eq!(last.1, whole.1);
        // Another program begins again, over what the first one kept.
        heard.clear();
        assert!(train(&mut open("another"), 2, &mut heard).is_err());
        let other = train(&mut open("another"), 4, &mut heard).unwrap();
        assert_eq!(heard, [1, 2, 3, 4]);
        assert_eq!(bits(&other), bits(&whole));
    }
}

/// A network whose tensors can learn.
fn learning(weights: &Weights) -> Policy {
    let fixed = Policy::new(weights, 0.0, Device::Cpu);
    let tensors = fixed.tensors.iter().map(|t| t.set_requires_grad(true)).collect();
    Policy { tensors, ..fixed }
}

/// Sixteen states of six numbers.
fn states() -> Tensor {
    let mut rng = generator(1, Purpose::Synthesis, [9, 0, 0]);
    let states: Vec<f32> = (0..16 * 6).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_slice(&states).reshape([16, 6])
}

/// The tensors before and after one update of a batch whose advantages are all `advantage`, the error
/// of its values counted `value_weight` times.
fn updated(
    weights: &Weights,
    advantage: f64,
    entropy_weight: f64,
    value_weight: f64,
) -> Vec<(Vec<f32>, Vec<f32>)> {
    tch::set_num_threads(1);
    let numbers = |policy: &Policy| -> Vec<Vec<f32>> {
        policy.weights().unwrap().tensors().map(|(_, _, values)| values.to_vec()).collect()
    };
    let mut policy = learning(weights);
    let before = numbers(&policy);
    let output = policy.forward(&states(), None);
    let log_probabilities = output.logits.log_softmax(-1, Kind::Float);
    let losses = Losses {
        policy: -(log_probabilities.select(1, 0) * advantage).mean(None::<Kind>),
        value: (output.values - 1.0).square().mean(None::<Kind>) * value_weight,
        entropy: -(log_probabilities.exp() * &log_probabilities).sum(None::<Kind>) / 16.0,
    };
    UpdateRule::new(&policy).apply(&mut policy, &losses, entropy_weight, 1e-2);
    before.into_iter().zip(numbers(&policy)).collect()
}

#[test]
fn nothing_to_learn_leaves_the_policy_still_while_the_baseline_learns() {
    let shared = Weights::random(6, [8, 5], 4, 1);
    let moved = |weights: &Weights| -> Vec<bool> {
        updated(weights, 0.0, 0.0, 1.0).iter().map(|(before, after)| before != after).collect()
    };
    // l1, l2, actor, critic; baseline_l1, baseline_l2: a weight and a bias each.
    let layers = |layers: &[bool]| layers.iter().flat_map(|&m| [m, m]).collect::<Vec<bool>>();
    assert_eq!(
        moved(&shared.clone().with_baseline(1)),
        layers(&[false, false, false, true, true, true])
    );
    assert_eq!(moved(&shared), layers(&[true, true, false, true]));
}

#[test]
fn the_size_of_the_baselines_error_does_not_reach_the_policy_nor_the_advantage_the_baseline() {
    let shared = Weights::random(6, [8, 5], 4, 2);
    let apart = shared.clone().with_baseline(2);
    let after = |weights: &Weights, advantage, value_weight| -> Vec<Vec<f32>> {
        let updated = updated(weights, advantage, 0.01, value_weight);
        updated.into_iter().map(|(_, after)| after).collect()
    };
    let one = after(&apart, 0.3, 1.0);
    let actor = 0..Policy::VALUES;
    assert_eq!(one[actor.clone()], after(&apart, 0.3, -50.0)[actor.clone()]);
    assert_eq!(one[Policy::VALUES..], after(&apart, -2.0, 1.0)[Policy::VALUES..]);
    assert_ne!(one[actor.clone()], after(&apart, -2.0, 1.0)[actor.clone()]);
    // What the test would say of hidden layers that both losses move.
    assert_ne!(after(&shared, 0.3, 1.0)[actor.clone()], after(&shared, 0.3, -50.0)[actor]);
}

#[test]
fn both_algorithms_walk_the_same_first_batch() {
    // The baseline's weights and dropout are drawn beside the policy's, which stay what they are.
    // One batch is the epoch here.
    let world = World::new(8);
    let first = |algorithm| {
        let params = AgentParams { algorithm, dropout: 0.5, epochs: 1, batch: 200, ..params(3) };
        let (_, metrics) = world.train(&params, &mut |_| ControlFlow::Continue(())).unwrap();
        ["train_reward", "train_entropy", "train_value_loss"].map(|name| curve(&metrics, name)[0])
    };
    let (shared, apart) = (first(Algorithm::ActorCritic), first(Algorithm::Reinforce));
    assert_eq!(shared[..2], apart[..2]);
    assert_ne!(shared[2], apart[2]);
}

#[test]
fn training_stops_when_told_and_leaves_no_weights() {
    let world = World::new(6);
    let mut heard = 0;
    let error = world
        .train(&params(1), &mut |report| {
            heard = report.epoch;
            if report.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "training of the agent was stopped after epoch 2");
    assert_eq!(heard, 2);
}

#[test]
fn divergence_is_an_error() {
    let world = World::new(7);
    let params = AgentParams { learning_rate: 1e38, epochs: 2, ..params(1) };
    let error = world.train(&params, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().starts_with("the agent has diverged (tensor `"), "{error}");
}
