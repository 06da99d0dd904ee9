//! Parameters of an attack, as the rollout stage carries them.

use serde::{Deserialize, Serialize};

/// What a gradient attack works against (SPEC section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveKind {
    /// Lower the critic's V(s).
    #[default]
    Value,
    /// Raise the cross-entropy of the agent's own best action.
    Policy,
}

/// At which time steps the attack acts (SPEC section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingRule {
    #[default]
    Always,
    /// Each time step with probability `frequency`.
    Random,
    /// Where the clean agent prefers its best action to the second best by more than a threshold
    /// (the paper's equation 3).
    Strategic,
    /// Where the greatest and the least probability of a valid action differ by more than a threshold
    /// (Lin et al. 2017).
    StrategicRange,
    /// Where the attack takes more than a threshold off the probability of the action that the clean
    /// agent prefers: what a timing rule could reach that knew the outcome.
    Oracle,
}

impl TimingRule {
    /// The rule with this name.
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// Whether the rule compares a score of the time step with a threshold.
    pub fn scores(self) -> bool {
        matches!(self, Self::Strategic | Self::StrategicRange | Self::Oracle)
    }
}

/// Which action JSMA works towards (SPEC section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetRule {
    /// The valid action with the lowest probability.
    #[default]
    LeastLikely,
    /// The second best.
    Second,
}

/// Which other actions DeepFool linearises (SPEC section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateRule {
    /// The most probable ones.
    #[default]
    Top,
    /// A random sample, as the paper does to save work.
    Sample,
}

/// The attack of a rollout. What is absent has the catalogue's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttackParams {
    /// `none`, or the id of an attack.
    #[serde(default = "none")]
    pub attack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<TimingRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<f64>,
    /// Score above which a time step is attacked, for timing rules that score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How far JSMA moves a dimension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theta: Option<f64>,
    /// Most dimensions that JSMA moves, most steps that DeepFool takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iter: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRule>,
    /// How many other actions DeepFool linearises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_rule: Option<CandidateRule>,
    /// How far beyond a boundary DeepFool goes, as a share of the way to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overshoot: Option<f64>,
    /// Length of an iterated attack's step as a share of ε.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Steps of an iterated attack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    /// Whether an iterated attack starts at a random point of the ball.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_start: Option<bool>,
    /// Weight of the earlier gradients in the momentum method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// Pairs of queries behind each gradient that SPSA estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// How far from the state SPSA's queries are, in every dimension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// Weight of a detector's score in the objective, for attacks that evade one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    #[serde(default)]
    pub seed: u64,
}

fn none() -> String {
    "none".to_owned()
}

impl AttackParams {
    /// An attack with every parameter at its default; ε, which has none, at 0.
    pub fn of(attack: &str) -> Self {
        Self { attack: attack.to_owned(), ..Self::default() }
    }

    /// ε; 0, which every attack treats as no perturbation, where the attack takes none.
    pub fn epsilon(&self) -> f64 {
        self.epsilon.unwrap_or(0.0)
    }

    pub fn objective(&self) -> ObjectiveKind {
        self.objective.unwrap_or_default()
    }

    pub fn timing(&self) -> TimingRule {
        self.timing.unwrap_or_default()
    }

    pub fn theta(&self) -> f64 {
        self.theta.unwrap_or(0.5)
    }

    pub fn max_iter(&self) -> usize {
        self.max_iter.unwrap_or(50) as usize
    }

    pub fn target(&self) -> TargetRule {
        self.target.unwrap_or_default()
    }

    pub fn candidates(&self) -> usize {
        self.candidates.unwrap_or(10) as usize
    }

    pub fn candidate_rule(&self) -> CandidateRule {
        self.candidate_rule.unwrap_or_default()
    }

    pub fn overshoot(&self) -> f64 {
        self.overshoot.unwrap_or(0.02)
    }

    pub fn step(&self) -> f64 {
        self.step.unwrap_or(0.25)
    }

    pub fn iterations(&self) -> usize {
        self.iterations.unwrap_or(10) as usize
    }

    pub fn random_start(&self) -> bool {
        self.random_start.unwrap_or(false)
    }

    pub fn decay(&self) -> f64 {
        self.decay.unwrap_or(1.0)
    }

    pub fn samples(&self) -> usize {
        self.samples.unwrap_or(32) as usize
    }

    pub fn radius(&self) -> f64 {
        self.radius.unwrap_or(0.01)
    }
}
