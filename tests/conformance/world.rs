//! Results that are made up to show what the paper claims, or the contrary, or nothing.

use crate::lab::Lab;
use crate::reported::told;
use crate::swept;
use advrec::plan::{Metric, Plan, Stage, StageKind};
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// What the paper's claims need: its attacks with noise of their norms, sizes, timing, drift, a detector.
pub const GRID: &str = "\
name: claims
dataset: embedded
seeds: 3
drift: {compare: references}
detector: {method: gru_attention}
axes:
  attack:
    - none
    - {id: fgsm_l1, epsilon: [0.02, 0.1, 0.3]}
    - {id: fgsm_l2, epsilon: 1.0}
    - {id: fgsm_linf, epsilon: 0.5}
    - jsma
    - deepfool
    - {id: noise_l1, epsilon: 0.1}
    - {id: noise_l2, epsilon: 1.0}
    - {id: noise_linf, epsilon: 0.5}
include:
  - {attack: fgsm_l1, epsilon: 0.1, timing: [random, strategic], frequency: [0.1, 0.5]}
  - {attack: fgsm_linf, epsilon: 0.5, timing: [random, strategic], frequency: [0.1, 0.5]}
";

/// What the results are made up to show.
#[derive(Clone, Copy, PartialEq)]
pub enum World {
    /// What the paper claims.
    Papers,
    /// The contrary of it.
    Contrary,
    /// What the paper claims, with seeds that differ too much to tell.
    Noisy,
}

/// The parameters of a rollout: its attack and its seed.
type Params = Map<String, Value>;

pub fn text<'a>(params: &'a Params, name: &str) -> &'a str {
    params.get(name).and_then(Value::as_str).unwrap_or("")
}

pub fn number(params: &Params, name: &str) -> Option<f64> {
    params.get(name).and_then(Value::as_f64)
}

/// What an attack takes of an NDCG of 5.
pub fn taken(world: World, params: &Params) -> f64 {
    let whole = match (text(params, "attack"), world == World::Contrary) {
        ("fgsm_l1", false) => 2.0 + number(params, "epsilon").unwrap(),
        ("fgsm_linf", false) => 1.8,
        ("jsma", false) => 1.6,
        ("deepfool", false) => 1.2,
        ("noise_l1", false) => 0.3,
        ("fgsm_l2" | "fgsm_linf", true) => 1.0,
        (noise, true) if noise.starts_with("noise_") => 1.5,
        _ => 0.0,
    };
    let frequency = number(params, "frequency").unwrap_or(1.0);
    match (text(params, "timing"), world == World::Contrary) {
        ("strategic", false) => whole * (2.0 * frequency).min(0.9),
        ("strategic", true) => whole * 0.5 * frequency,
        ("random", _) => whole * frequency,
        _ => whole,
    }
}

/// The share of the attacked paths that a detector finds.
pub fn recall(world: World, params: &Params) -> f64 {
    match (text(params, "attack"), world == World::Contrary) {
        (_, false) => 0.1 + 0.38 * taken(world, params),
        ("fgsm_l2", true) => 0.9,
        _ => {
            let [epsilon, frequency] = ["epsilon", "frequency"].map(|name| number(params, name));
            0.5 - 0.5 * epsilon.unwrap_or(0.0) - 0.1 * frequency.unwrap_or(1.0)
        }
    }
}

/// What the seed moves a result by; another number for each rollout, so that differences vary as well.
pub fn moved(world: World, params: &Params) -> f64 {
    let digest = blake3::hash(serde_json::to_string(params).unwrap().as_bytes());
    let size = if world == World::Noisy { 4.0 } else { 0.02 };
    size * (f64::from(digest.as_bytes()[0]) / 128.0 - 1.0)
}

/// The mean norm of an attack: noise has that of the attack of its norm and size.
pub fn norm(params: &Params) -> f64 {
    let id = text(params, "attack");
    let place = ["l1", "l2", "linf"].iter().position(|norm| id.ends_with(norm));
    place.map_or(50.0, |place| 1.0 + place as f64)
}

/// Records a grid as swept with such results.
pub fn sweep(lab: &Lab, text: &str, world: World) -> Plan {
    let (_, plan) = swept::plan(text);
    swept::sweep(&lab.path(""), text, |stage| {
        let input = |role: &str| {
            let input = stage.inputs.iter().find(|input| input.role == role)?;
            let made = plan.stages.iter().find(|planned| planned.key == input.key)?;
            Some(made.stage.params.clone())
        };
        (metrics(stage, input, world), Map::new())
    })
}

pub fn metrics(stage: &Stage, input: impl Fn(&str) -> Option<Params>, world: World) -> Vec<Metric> {
    match stage.kind {
        StageKind::Ranking => {
            let rollout = input("rollout").unwrap();
            let ndcg = 5.0 - taken(world, &rollout) + moved(world, &rollout);
            vec![Metric::new("ndcg", "all_users", ndcg, 120)]
        }
        StageKind::Rollout => vec![Metric::new("l1_mean", "all", norm(&stage.params), 1)],
        StageKind::Drift => {
            let [one, other] = ["rollout", "other"].map(|role| input(role).unwrap());
            let apart = (taken(world, &one) - taken(world, &other)).abs();
            let mmd = 0.01 + 0.05 * apart + 0.01 * moved(world, &one);
            vec![Metric::new("mmd_biased", "all", mmd, 1)]
        }
        StageKind::Detection => {
            let attacked = input("attacked").unwrap();
            let recall = recall(world, &attacked) + 0.2 * moved(world, &attacked);
            let measures = [("recall", recall), ("f1", recall), ("prevalence", 0.5)];
            measures.map(|(name, value)| Metric::new(name, "all", value, 100)).to_vec()
        }
        _ => Vec::new(),
    }
}

/// Lets the cells say that they are of the paper's dataset.
pub fn rename(lab: &Lab) {
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute("UPDATE cells SET params = json_set(params, '$.dataset', 'Amazon_Beauty')", [])
        .unwrap();
}

pub fn papers(text: &str, world: World) -> Lab {
    let lab = Lab::new();
    sweep(&lab, text, world);
    rename(&lab);
    lab
}

/// What the paper claims; no test changes it.
pub fn as_claimed() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| papers(GRID, World::Papers))
}

/// The report down to the first claim.
pub fn verdicts(lab: &Lab) -> String {
    let text = told(lab, &["report", "--conformance"]);
    text.split("\n- ").next().unwrap().to_owned()
}
