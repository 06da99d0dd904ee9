//! Training of the agent on a small made-up dataset: it learns, and it repeats.

use advrec::agent::weights::Weights;
use advrec::agent::{AgentParams, Environment, RewardKind};
use advrec::data::SyntheticSpec;
use advrec::embed::Embeddings;
use advrec::kg::graph::GraphParams;
use advrec::kg::{Graph, Relation};
use advrec::plan::Metric;
use advrec::random::{Purpose, generator};
use advrec_worker::training::{self, EpochReport, TrainingError};
use rand::Rng;
use std::ops::ControlFlow;
use tch::Device;

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
            let curve: Vec<f64> =
                metrics.iter().filter(|m| m.name == "train_reward").map(|m| m.value).collect();
            assert_eq!(curve, rewards);
        }
    }
}

#[test]
fn a_seed_gives_the_same_bits() {
    let world = World::new(5);
    let train = |seed| {
        let params = AgentParams { epochs: 3, ..params(seed) };
        world.train(&params, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    let bits = |weights: &Weights| -> Vec<u32> {
        weights.tensors().flat_map(|(_, _, values)| values.iter().map(|x| x.to_bits())).collect()
    };
    let (one, again, other) = (train(1), train(1), train(2));
    assert_eq!(bits(&one.0), bits(&again.0));
    assert_eq!(one.1, again.1);
    assert_ne!(bits(&one.0), bits(&other.0));
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
