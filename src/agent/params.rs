//! Parameters of an agent, as its stage carries them.

use crate::attack::{AttackParams, ObjectiveKind};
use serde::{Deserialize, Serialize};

/// How the agent is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Actor-critic as in PGPR.
    ActorCritic,
    /// REINFORCE with a learned baseline (paper section 2.1; Williams 1992): as actor-critic, but V(s)
    /// comes from a network of its own, with an optimiser of its own, that shares no layer with the
    /// policy.
    Reinforce,
    /// No network: every valid action is equally probable. The floor that a trained agent must
    /// clear.
    RandomWalk,
}

/// Reward of a terminal product `p` for user `u` (SPEC section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardKind {
    /// max(0, (e_u + e_purchase)·e_p / max over products of the same), PGPR's.
    #[default]
    ScaledDot,
    /// Cosine of e_u + e_purchase and e_p, the paper's sentence.
    Cosine,
}

/// Parameters of an agent. A random walk uses `max_actions`, `history` and `seed` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentParams {
    pub algorithm: Algorithm,
    pub epochs: u64,
    /// Users a batch.
    pub batch: u64,
    /// Adam's rate at the start; falls linearly to 1e-4 of it.
    pub learning_rate: f64,
    /// Discount of later rewards.
    pub gamma: f64,
    pub entropy_weight: f64,
    /// Share of the valid actions that is hidden at each training step.
    pub action_dropout: f64,
    /// Dropout after both hidden layers.
    pub dropout: f64,
    /// Widths of the two hidden layers.
    pub hidden: [u64; 2],
    /// Edges kept at a node; the network has one action more, the self-loop.
    pub max_actions: u64,
    /// How many earlier steps the state holds: 0, 1 or 2.
    pub history: u64,
    pub reward: RewardKind,
    pub seed: u64,
    /// The attack on the states of an agent that was trained before and is trained further on them
    /// (adversarial training), with its ε and objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveKind>,
    /// Share of the episodes that is under that attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Digest of the weights, for an agent that was trained elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
}

impl Default for AgentParams {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::ActorCritic,
            epochs: 50,
            batch: 32,
            learning_rate: 1e-4,
            gamma: 0.99,
            entropy_weight: 0.001,
            action_dropout: 0.5,
            dropout: 0.5,
            hidden: [512, 256],
            max_actions: 250,
            history: 1,
            reward: RewardKind::ScaledDot,
            seed: 0,
            attack: None,
            epsilon: None,
            objective: None,
            share: None,
            imported: None,
        }
    }
}

impl AgentParams {
    /// The attack of adversarial training, with every other parameter at its default; `None` for an agent
    /// that is trained from scratch.
    pub fn hardening(&self) -> Option<AttackParams> {
        let attack = self.attack.as_ref()?;
        Some(AttackParams {
            epsilon: self.epsilon,
            objective: self.objective,
            seed: self.seed,
            ..AttackParams::of(attack)
        })
    }

    /// Numbers in a state: the user, the node, and node and relation of each earlier step.
    pub fn state_dim(&self, embedding_dim: usize) -> usize {
        (2 + 2 * self.history as usize) * embedding_dim
    }

    /// Actions of the network: the kept edges and the self-loop.
    pub fn action_count(&self) -> usize {
        self.max_actions as usize + 1
    }
}
