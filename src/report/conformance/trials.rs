//! What claims are judged by: every seed's own numbers, under every attack of every setting.

use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

pub type Parameters = Map<String, Json>;

/// The cells of the paper's agent that differ in nothing but the attack, the detector and the seed.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    pub grid: String,
    pub dataset: String,
    /// Range of users, as in the grid.
    pub users: String,
    /// All parameters that its cells share, but the users.
    pub context: Parameters,
    /// Where the grid has several settings of the dataset and the users, the parameters that tell this one.
    pub differs: Parameters,
    pub arms: Vec<Arm>,
    /// Tests of detectors, by the detector's parameters.
    pub detectors: Vec<Detector>,
    pub(super) drift: Arc<Drift>,
}

/// MMD between rollouts.
#[derive(Debug, Default)]
pub struct Drift {
    /// By the two rollouts that are compared; a rollout with itself where its halves are.
    pub mmd: HashMap<[String; 2], f64>,
    pub compared: HashSet<String>,
}

/// The tests of a detector.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    pub parameters: Parameters,
    /// Where the setting has several, the parameters that tell this one.
    pub differs: Parameters,
    pub arms: Vec<Arm>,
}

impl Detector {
    /// What tells it from the others of its setting.
    pub fn label(&self) -> String {
        self.differs.iter().map(|(name, value)| format!(", {name}={value}")).collect()
    }
}

/// One attack, or none.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    pub attack: Parameters,
    pub trials: BTreeMap<u64, Trial>,
}

/// One seed.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    pub rollout: String,
    pub values: BTreeMap<&'static str, f64>,
}

impl Setting {
    /// Both rollouts' MMD, where they were compared.
    pub fn mmd(&self, a: &Trial, b: &Trial) -> Option<f64> {
        self.drift.mmd.get(&ordered(&a.rollout, &b.rollout)).copied()
    }

    /// Whether a rollout was compared with any.
    pub fn is_compared(&self, trial: &Trial) -> bool {
        self.drift.compared.contains(&trial.rollout)
    }

    /// How many users get lists; of ranges as grids write them.
    pub fn user_count(&self) -> u64 {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        match self.users.split_once("..") {
            Some((from, to)) => {
                let to = number(to).unwrap_or(u64::MAX);
                to.saturating_sub(number(from).unwrap_or(0))
            }
            None => u64::MAX,
        }
    }

    /// Where the numbers are from, for people.
    pub fn label(&self) -> String {
        let differs = self.differs.iter().map(|(name, value)| format!(", {name}={value}"));
        format!("grid `{}`, {}{}", self.grid, self.users_label(), differs.collect::<String>())
    }

    /// The users, for people.
    pub fn users_label(&self) -> String {
        match self.users.as_str() {
            "all" | "" => "all users".to_owned(),
            range => format!("users {range}"),
        }
    }
}

impl Arm {
    pub fn id(&self) -> &str {
        self.text("attack").unwrap_or("none")
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.attack.get(name).and_then(Json::as_str)
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.attack.get(name).and_then(Json::as_f64)
    }

    /// The rule by which time steps are chosen; `None` where all of them are attacked, or none.
    pub fn timing(&self) -> Option<&str> {
        let all = self.number("frequency").is_some_and(|frequency| frequency >= 1.0);
        self.text("timing").filter(|rule| *rule != "always" && !all)
    }

    /// The attack without some of its parameters.
    pub fn without(&self, names: &[&str]) -> Parameters {
        let kept = self.attack.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What the attack is called.
    pub fn label(&self) -> String {
        let mut label = self.id().to_owned();
        if let Some(epsilon) = self.number("epsilon") {
            label += &format!(" ε={epsilon}");
        }
        if let Some(rule) = self.timing() {
            label += &format!(", {rule}");
        }
        if let (Some(frequency), Some(_)) = (self.number("frequency"), self.timing()) {
            label += &format!(" {frequency}");
        }
        label
    }

    /// Mean over the seeds that have it.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        let values: Vec<f64> =
            self.trials.values().filter_map(|trial| trial.values.get(metric).copied()).collect();
        crate::metrics::statistics::mean(&values)
    }
}

/// Two rollouts, whichever comes first.
pub(super) fn ordered(a: &str, b: &str) -> [String; 2] {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    [first.to_owned(), second.to_owned()]
}
