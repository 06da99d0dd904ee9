//! Beam search: what batches and seeds may change and what not.

use advrec::agent::weights::Weights;
use advrec::agent::{AgentParams, Environment, Rollout};
use advrec::attack::AttackParams;
use advrec::data::{Dataset, SyntheticSpec, pgpr};
use advrec::embed::{self, Embeddings, TransEParams};
use advrec::kg::Graph;
use advrec::kg::graph::GraphParams;
use advrec_worker::attacker::Attacker;
use advrec_worker::beam::{Batches, BeamSearch, Walker};
use advrec_worker::policy::Policy;
use advrec_worker::realised::Realised;
use advrec_worker::training;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use tch::Device;

/// An agent and where it walks.
struct Scene {
    graph: Graph,
    embeddings: Embeddings,
    weights: Weights,
    params: AgentParams,
    topk: [usize; 3],
    users: u32,
}

impl Scene {
    fn golden() -> Self {
        tch::set_num_threads(1);
        let tiny = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tiny");
        let graph = Graph::build(&pgpr::read(&tiny).unwrap(), &GraphParams::default()).unwrap();
        Self {
            embeddings: Embeddings::load(&tiny.join("embeddings.safetensors"), &graph.space)
                .unwrap(),
            weights: Weights::load(&tiny.join("policy.safetensors")).unwrap(),
            params: AgentParams { max_actions: 20, ..AgentParams::default() },
            topk: [12, 5, 1],
            users: 40,
            graph,
        }
    }

    /// The embedded dataset with an agent that has begun to learn.
    fn embedded() -> Self {
        tch::set_num_threads(1);
        let dataset: Dataset = SyntheticSpec::embedded().generate().unwrap();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        let params = TransEParams { dimension: 20, epochs: 3, ..TransEParams::default() };
        let (embeddings, _) =
            embed::train(&dataset, &graph, &params, &mut |_| ControlFlow::Continue(())).unwrap();
        let params = AgentParams {
            epochs: 2,
            learning_rate: 3e-3,
            hidden: [64, 32],
            // Few, so that nodes are trimmed and the products of a batch of users count.
            max_actions: 40,
            ..AgentParams::default()
        };
        let environment = Environment::new(&graph, &embeddings, &params).with_rewards();
        assert!(environment.trims());
        let (weights, _) =
            training::train(&environment, &params, Device::Cpu, &mut |_| ControlFlow::Continue(()))
                .unwrap();
        Self { topk: [25, 5, 1], users: 130, graph, embeddings, weights, params }
    }

    fn run(&self, attack: &AttackParams, seed: u64, batches: Batches) -> (Rollout, Realised) {
        self.search(attack, seed, batches, false)
    }

    fn search(
        &self,
        attack: &AttackParams,
        seed: u64,
        batches: Batches,
        dropout_at_eval: bool,
    ) -> (Rollout, Realised) {
        self.of_users(0..self.users, attack, seed, batches, dropout_at_eval)
    }

    fn of_users(
        &self,
        users: Range<u32>,
        attack: &AttackParams,
        seed: u64,
        batches: Batches,
        dropout_at_eval: bool,
    ) -> (Rollout, Realised) {
        let environment = Environment::new(&self.graph, &self.embeddings, &self.params);
        let search = BeamSearch {
            environment: &environment,
            topk: self.topk,
            seed,
            dropout_at_eval,
            batches,
        };
        let policy = Policy::new(&self.weights, 0.5, Device::Cpu);
        let attacker = Attacker::new(attack.clone(), None, None, dropout_at_eval);
        search.run(users, &Walker::Network(policy), &attacker, &|_| ControlFlow::Continue(()))
    }
}

fn attack(id: &str, epsilon: f64) -> AttackParams {
    AttackParams { epsilon: (id != "none").then_some(epsilon), seed: 1, ..AttackParams::of(id) }
}

const OTHER_BATCHES: [Batches; 2] =
    [Batches { users: 1, states: 7 }, Batches { users: 33, states: 500 }];

fn batches_change_no_list(scene: &Scene) {
    let mut lists = Vec::new();
    for attack in [attack("none", 0.0), attack("fgsm_linf", 0.5), attack("fgsm_l1", 0.1)] {
        let (expected, _) = scene.run(&attack, 0, Batches::default());
        for batches in OTHER_BATCHES {
            let (found, _) = scene.run(&attack, 0, batches);
            for (i, user) in expected.users.iter().enumerate() {
                let at = format!("user {user}, {}, {batches:?}", attack.attack);
                assert_eq!(found.list(i), expected.list(i), "{at}");
            }
        }
        lists.push(expected.products);
    }
    assert!(lists[0] != lists[1] && lists[0] != lists[2], "the attacks do something");
}

#[test]
fn batches_change_no_list_on_the_golden_data() {
    batches_change_no_list(&Scene::golden());
}

#[test]
fn batches_change_no_list_on_the_embedded_data() {
    batches_change_no_list(&Scene::embedded());
}

#[test]
fn without_dropout_the_seed_changes_nothing() {
    let scene = Scene::golden();
    let of = |seed| scene.run(&attack("none", 0.0), seed, Batches::default()).0;
    assert_eq!(of(1), of(2));
}

#[test]
fn dropout_at_evaluation_depends_on_the_seed_and_on_no_batch() {
    let scene = Scene::golden();
    for attack in [attack("none", 0.0), attack("fgsm_linf", 0.5)] {
        let of = |seed, batches| scene.search(&attack, seed, batches, true);
        let (expected, _) = of(1, Batches::default());
        assert_eq!(of(1, Batches::default()).0, expected);
        for batches in OTHER_BATCHES {
            let (found, _) = of(1, batches);
            assert_eq!(found.products, expected.products, "{} {batches:?}", attack.attack);
        }
        let (clean, _) = scene.run(&attack, 1, Batches::default());
        assert_ne!(of(2, Batches::default()).0.products, expected.products);
        assert_ne!(clean.products, expected.products);
    }
}

#[test]
fn a_user_walks_alike_in_any_range() {
    let scene = Scene::golden();
    for (attack, dropout) in [(attack("noise_l2", 1.0), false), (attack("fgsm_l1", 0.1), true)] {
        let (all, realised) = scene.search(&attack, 1, Batches::default(), dropout);
        assert_eq!(realised.attacked(), realised.steps());
        let (some, _) = scene.of_users(7..19, &attack, 1, Batches::default(), dropout);
        assert_eq!(some.users, (7..19).collect::<Vec<_>>());
        for i in 0..12 {
            assert_eq!(some.list(i), all.list(i + 7), "user {} {}", i + 7, attack.attack);
        }
    }
}

#[test]
fn a_search_that_is_broken_off_leaves_the_rest_of_the_users_empty() {
    let scene = Scene::golden();
    let environment = Environment::new(&scene.graph, &scene.embeddings, &scene.params);
    let search = BeamSearch {
        environment: &environment,
        topk: scene.topk,
        seed: 0,
        dropout_at_eval: false,
        batches: Batches::default(),
    };
    let (rollout, realised) =
        search.run(0..40, &Walker::RandomWalk, &Attacker::none(), &|_| ControlFlow::Break(()));
    assert_eq!((rollout.users.len(), rollout.paths.len(), realised.steps()), (40, 0, 0));
    assert!((0..40).all(|i| rollout.list(i).is_empty()));
}
