//! The golden set: what PGPR's own program computes on a tiny made-up dataset with dropout off, and
//! perturbations that a second implementation in PyTorch made (../tests/golden/tiny). Lists, paths and
//! actions must agree exactly, numbers within 1e-4.

use advrec::agent::rollout::describe;
use advrec::agent::weights::Weights;
use advrec::agent::{Actions, AgentParams, Environment, Path, Rollout};
use advrec::attack::{self, AttackParams, Norm, ObjectiveKind, Place, States, Victim};
use advrec::data::{Dataset, Rows, pgpr};
use advrec::embed::Embeddings;
use advrec::kg::graph::GraphParams;
use advrec::kg::{EntityType, Graph, Relation};
use advrec::metrics::{ranking, statistics};
use advrec_worker::attacker::Attacker;
use advrec_worker::beam::{Batches, BeamSearch, Walker, valid_actions};
use advrec_worker::policy::{Policy, masked, to_vec};
use advrec_worker::victim::NetworkVictim;
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};

fn tiny() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tiny")
}

struct Golden {
    expected: Value,
    graph: Graph,
    embeddings: Embeddings,
    weights: Weights,
    params: AgentParams,
}

impl Golden {
    fn load() -> Self {
        tch::set_num_threads(1);
        let text = fs::read(tiny().join("expected.json")).unwrap();
        let dataset: Dataset = pgpr::read(&tiny()).unwrap();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        let embeddings =
            Embeddings::load(&tiny().join("embeddings.safetensors"), &graph.space).unwrap();
        Self {
            expected: serde_json::from_slice(&text).unwrap(),
            weights: Weights::load(&tiny().join("policy.safetensors")).unwrap(),
            params: AgentParams { max_actions: 20, ..AgentParams::default() },
            graph,
            embeddings,
        }
    }

    fn environment(&self) -> Environment<'_> {
        Environment::new(&self.graph, &self.embeddings, &self.params).with_rewards()
    }

    fn policy(&self) -> Policy {
        Policy::new(&self.weights, 0.5, Device::Cpu)
    }

    fn rollout(&self, attack: AttackParams) -> Rollout {
        let environment = self.environment();
        let search = BeamSearch {
            environment: &environment,
            topk: [12, 5, 1],
            seed: 0,
            dropout_at_eval: false,
            batches: Batches::default(),
        };
        let attacker = Attacker::new(attack, None, None, false);
        search
            .run(0..40, &Walker::Network(self.policy()), &attacker, &|_| {
                std::ops::ControlFlow::Continue(())
            })
            .0
    }
}

fn no_attack() -> AttackParams {
    AttackParams::of("none")
}

/// A path of the expected file: `[relation, entity type, index]` a node.
fn path(value: &Value, graph: &Graph) -> Path {
    let node = |step: &Value| {
        let ty = EntityType::ALL.into_iter().find(|t| t.name() == step[1]).unwrap();
        graph.space.node(ty, step[2].as_u64().unwrap() as u32)
    };
    let steps = value.as_array().unwrap();
    steps[1..].iter().fold(Path::start(node(&steps[0])), |path, step| {
        let relation = (0..=8).find(|&r| Relation::from_index(r).unwrap().name() == step[0]);
        path.step(relation.unwrap(), node(step))
    })
}

#[test]
fn first_actions() {
    let golden = Golden::load();
    let environment = golden.environment();
    let paths: Vec<Path> = (0..10).map(Path::start).collect();
    let mut actions = Actions::new(environment.width());
    environment.actions(&paths, None, &mut actions);
    for user in 0..10 {
        let found: Vec<Value> = (0..actions.counts[user] as usize)
            .map(|a| {
                let (relation, tail) = actions.get(user, a);
                let name = Relation::from_index(relation).unwrap().name();
                serde_json::json!([name, golden.graph.space.index(tail)])
            })
            .collect();
        let expected = golden.expected["first_actions"][user.to_string()].as_array().unwrap();
        assert_eq!(&found, expected, "user {user}");
    }
}

#[test]
fn beam_paths_rewards_lists_and_metrics() {
    let golden = Golden::load();
    let rollout = golden.rollout(no_attack());
    let environment = golden.environment();

    let words = |path: &Path| format!("{:?}", describe(path, &golden.graph.space));
    let found: BTreeSet<String> = rollout.paths.iter().map(words).collect();
    let expected: Vec<Path> = golden.expected["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| path(p, &golden.graph))
        .collect();
    assert_eq!(rollout.paths.len(), expected.len());
    assert_eq!(found, expected.iter().map(words).collect::<BTreeSet<_>>());

    let rewards = golden.expected["rewards"].as_array().unwrap();
    let mut rewarded = 0;
    for (path, reward) in expected.iter().zip(rewards) {
        let reward = reward.as_f64().unwrap();
        let found = f64::from(environment.reward(path));
        assert!((found - reward).abs() <= 1e-4 * reward.abs().max(1e-3), "{found} {reward}");
        rewarded += usize::from(reward > 0.0);
    }
    assert!(rewarded > 100, "only {rewarded} of the golden paths are rewarded");

    for user in 0..40 {
        let expected: Vec<u64> = golden.expected["top10"][user.to_string()]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p.as_u64().unwrap())
            .collect();
        let found: Vec<u64> = rollout.list(user).iter().map(|&p| p.into()).collect();
        assert_eq!(found, expected, "user {user}");
    }

    let mut lists = Rows::new();
    (0..40).for_each(|user| lists.push(rollout.list(user).iter().copied()));
    let metrics = ranking::ranking(0..40, &lists, &golden.graph.test_products, 10).metrics();
    for split in ["valid", "all_users"] {
        for (name, expected) in golden.expected["metrics"][split].as_object().unwrap() {
            let found = metrics.iter().find(|m| m.name == *name && m.split == split).unwrap();
            let expected = expected.as_f64().unwrap();
            assert!((found.value - expected).abs() < 1e-4, "{split} {name} {}", found.value);
        }
    }
}

/// The golden states with what the network says of them.
struct GoldenStates {
    file: Vec<u8>,
}

impl GoldenStates {
    fn load() -> Self {
        Self { file: fs::read(tiny().join("attacks.safetensors")).unwrap() }
    }

    fn floats(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.file).unwrap();
        let view = file.tensor(name).unwrap();
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    fn valid(&self) -> Vec<bool> {
        let file = SafeTensors::deserialize(&self.file).unwrap();
        file.tensor("mask").unwrap().data().iter().map(|&m| m == 1).collect()
    }

    fn mask(&self) -> Tensor {
        let file = SafeTensors::deserialize(&self.file).unwrap();
        let view = file.tensor("mask").unwrap();
        Tensor::from_slice(view.data()).reshape([100, -1]).to_kind(Kind::Bool)
    }
}

fn greatest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn states_masks_logits_and_values() {
    let golden = Golden::load();
    let states = GoldenStates::load();
    let environment = golden.environment();
    let paths: Vec<Path> = golden.expected["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| path(p, &golden.graph))
        .collect();
    let mut flat = vec![0f32; paths.len() * environment.state_dim()];
    environment.states(&paths, &mut flat);
    let found = Tensor::from_slice(&flat).reshape([100, -1]);
    assert_eq!(greatest_difference(&found, &states.floats("states")), 0.0);

    let mut actions = Actions::new(environment.width());
    environment.actions(&paths, None, &mut actions);
    assert_eq!(valid_actions(&actions.counts, actions.width), states.mask());

    let output = golden.policy().forward(&found, None);
    let mask = states.mask();
    let logits = masked(&output.logits, &mask);
    let expected = masked(&states.floats("logits"), &mask);
    assert!(greatest_difference(&logits, &expected) < 1e-4);
    assert!(greatest_difference(&output.values, &states.floats("values")) < 1e-4);
}

#[test]
fn fgsm_perturbations() {
    let golden = Golden::load();
    let states = GoldenStates::load();
    let policy = golden.policy();
    let places = vec![Place { user: 0, hop: 0, path: 0 }; 100];
    let (values, mask) = (to_vec(&states.floats("states")), states.valid());
    let file = SafeTensors::deserialize(&states.file).unwrap();
    let mut checked = 0;
    for name in file.names().into_iter().filter(|n| n.starts_with("delta.fgsm")) {
        let [attack, rest] =
            name.strip_prefix("delta.").unwrap().splitn(2, '.').collect::<Vec<_>>()[..]
        else {
            panic!("{name}")
        };
        let (epsilon, objective) = rest.rsplit_once('.').unwrap();
        let params = AttackParams {
            attack: attack.to_owned(),
            epsilon: Some(epsilon.parse().unwrap()),
            objective: Some(match objective {
                "value" => ObjectiveKind::Value,
                _ => ObjectiveKind::Policy,
            }),
            ..no_attack()
        };
        let victim = NetworkVictim { policy: &policy, dropout: None, evasion: None };
        let batch = States { dim: 400, values: &values, mask: &mask, places: &places };
        let delta = attack::build(&params).unwrap().perturb(&victim, &batch).delta;
        let delta = Tensor::from_slice(&delta).reshape([100, 400]);
        let difference = greatest_difference(&delta, &states.floats(name));
        assert!(difference < 1e-4, "{name}: {difference}");
        checked += 1;
    }
    assert_eq!(checked, 8);
}

/// At least 99 of 100 states within 1e-4; a tie between actions or dimensions may fall otherwise.
fn agrees_with_golden(params: &AttackParams, name: &str) {
    let golden = Golden::load();
    let states = GoldenStates::load();
    let policy = golden.policy();
    let victim = NetworkVictim { policy: &policy, dropout: None, evasion: None };
    let (values, mask) = (to_vec(&states.floats("states")), states.valid());
    let places = vec![Place { user: 0, hop: 0, path: 0 }; 100];
    let batch = States { dim: 400, values: &values, mask: &mask, places: &places };
    let delta = attack::build(params).unwrap().perturb(&victim, &batch).delta;
    let expected = to_vec(&states.floats(name));
    let differ: Vec<usize> = (0..100)
        .filter(|row| {
            let row = row * 400..(row + 1) * 400;
            delta[row.clone()].iter().zip(&expected[row]).any(|(a, b)| (a - b).abs() > 1e-4)
        })
        .collect();
    assert!(differ.len() <= 1, "{name}: {} states differ: {differ:?}", differ.len());
}

#[test]
fn jsma_perturbations() {
    let params = AttackParams { theta: Some(0.5), max_iter: Some(40), ..AttackParams::of("jsma") };
    agrees_with_golden(&params, "delta.jsma.theta0.5.max40");
}

#[test]
fn deepfool_perturbations() {
    agrees_with_golden(&AttackParams::of("deepfool"), "delta.deepfool");
}

/// DeepFool looks for the smallest perturbation: it is shorter than PGD's in l2 at the ε that first
/// changes the best action of the same states.
#[test]
fn deepfool_needs_less_than_pgd() {
    let golden = Golden::load();
    let states = GoldenStates::load();
    let policy = golden.policy();
    let victim = NetworkVictim { policy: &policy, dropout: None, evasion: None };
    let (values, mask) = (to_vec(&states.floats("states")), states.valid());
    let places: Vec<Place> = (0..100).map(|user| Place { user, hop: 0, path: 0 }).collect();
    let batch = States { dim: 400, values: &values, mask: &mask, places: &places };
    let clean = victim.logits(&batch, &values);
    // The length of each perturbation that changes the best action.
    let flips = |params: &AttackParams| -> Vec<Option<f64>> {
        let delta = attack::build(params).unwrap().perturb(&victim, &batch).delta;
        let moved: Vec<f32> = values.iter().zip(&delta).map(|(s, d)| s + d).collect();
        let logits = victim.logits(&batch, &moved);
        (0..100)
            .map(|row| {
                let length = Norm::L2.length(&delta[row * 400..(row + 1) * 400]);
                (batch.best(&logits, row) != batch.best(&clean, row)).then_some(length)
            })
            .collect()
    };
    let deepfool = flips(&AttackParams::of("deepfool"));
    let mut pgd = vec![None; 100];
    for step in 0..60 {
        let params = AttackParams {
            epsilon: Some(0.01 * 1.15f64.powi(step)),
            objective: Some(ObjectiveKind::Policy),
            ..AttackParams::of("pgd_l2")
        };
        for (first, found) in pgd.iter_mut().zip(flips(&params)) {
            *first = first.or(found);
        }
    }
    let both: Vec<(f64, f64)> =
        deepfool.iter().zip(&pgd).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    assert!(both.len() >= 80, "{} states change under both", both.len());
    let median = |values: Vec<f64>| statistics::percentile(&values, 0.5).unwrap();
    let deepfool = median(both.iter().map(|pair| pair.0).collect());
    let pgd = median(both.iter().map(|pair| pair.1).collect());
    eprintln!("{} states, median l2: DeepFool {deepfool:.4}, PGD {pgd:.4}", both.len());
    assert!(deepfool < pgd, "{deepfool} {pgd}");
}

/// Another batch size changes perturbations by less than 1e-5 and no list.
#[test]
fn a_state_is_attacked_alike_in_any_batch() {
    let golden = Golden::load();
    let states = GoldenStates::load();
    let (values, mask) = (to_vec(&states.floats("states")), states.valid());
    let policy = golden.policy();
    let victim = NetworkVictim { policy: &policy, dropout: None, evasion: None };
    let places: Vec<Place> = (0..100).map(|user| Place { user, hop: 1, path: 3 }).collect();
    for spec in attack::ATTACKS {
        let params = AttackParams {
            attack: spec.id.to_owned(),
            epsilon: Some(0.1),
            seed: 5,
            samples: Some(2),
            ..no_attack()
        };
        let attack = attack::build(&params).unwrap();
        let in_batches = |size: usize| -> Vec<f32> {
            let parts = values.chunks(400 * size).zip(mask.chunks(21 * size));
            parts
                .zip(places.chunks(size))
                .flat_map(|((values, mask), places)| {
                    attack.perturb(&victim, &States { dim: 400, values, mask, places }).delta
                })
                .collect()
        };
        let together = in_batches(100);
        for size in [1, 7, 33] {
            let difference = together
                .iter()
                .zip(in_batches(size))
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(difference < 1e-5, "{} in batches of {size}: {difference}", spec.id);
        }
    }
}
