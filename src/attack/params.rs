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
}

/// The attack of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackParams {
    /// `none`, or the id of an attack.
    pub attack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<TimingRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<f64>,
    #[serde(default)]
    pub seed: u64,
}

impl AttackParams {
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
}
