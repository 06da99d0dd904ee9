//! What tells the rows of Table 1 apart, and what they are called.

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// The parameters that the view shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    pub agent: String,
    pub attack: String,
    pub epsilon: Option<f64>,
    pub objective: Option<String>,
    pub timing: Option<String>,
    pub frequency: Option<f64>,
    /// Weight of the detector's score in the objective of an attack that evades it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_lambda: Option<f64>,
    /// What the agent is defended with, other than nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defense: Option<String>,
    /// Every parameter but the seed, where the view has them as a JSON object in `parameters`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Json>,
}

impl Setting {
    /// Which part of the table a row is in: clean, attacks, noise, random walk, imported, direct.
    pub(super) fn section(&self) -> u8 {
        match self.agent.as_str() {
            "direct" => 5,
            agent if agent.starts_with("imported:") => 4,
            "random_walk" => 3,
            _ if self.attack.starts_with("noise_") => 2,
            _ if self.attack != "none" => 1,
            _ => 0,
        }
    }

    /// Whether every time step is attacked, as in the paper's Table 1, or none.
    pub(super) fn is_continuous(&self) -> bool {
        self.attack == "none"
            || self.timing.as_deref().is_none_or(|timing| timing == "always")
            || self.frequency.is_some_and(|f| f >= 1.0)
    }

    /// Whether neither the attack evades a detector nor the agent is defended, as in the paper.
    pub(super) fn is_plain(&self) -> bool {
        self.adaptive_lambda.is_none() && self.defense.is_none()
    }

    /// What sets the row apart from the paper's: evasion of a detector, a defense.
    pub(super) fn beyond(&self) -> Vec<String> {
        let evades = self.adaptive_lambda.map(|lambda| format!("adaptive λ={lambda}"));
        evades.into_iter().chain(self.defense.as_ref().map(|d| d.replace('_', " "))).collect()
    }

    /// Whether the attack acts at chosen time steps.
    pub(super) fn is_timed(&self) -> bool {
        self.timing.as_deref().is_some_and(|timing| timing != "always")
    }

    pub(super) fn label(&self, realised: Option<f64>) -> String {
        let who = match self.agent.as_str() {
            "direct" => return "direct recommender (ceiling)".to_owned(),
            "actor_critic" => None,
            "reinforce" => Some("REINFORCE"),
            "random_walk" => Some("random walk"),
            other => Some(other),
        };
        let mut parts: Vec<String> = Vec::new();
        if self.attack == "none" {
            parts.push(who.unwrap_or("Original").to_owned());
        } else {
            parts.push(match who {
                Some(who) => format!("{who}: {}", self.attack),
                None => self.attack.clone(),
            });
            if let Some(epsilon) = self.epsilon {
                parts[0] += &format!(" ε={epsilon}");
            }
            parts.extend(self.objective.clone());
            if let Some(timing) = self.timing.as_deref().filter(|&t| t != "always") {
                let frequency = self.frequency.map(|f| format!(" {f}")).unwrap_or_default();
                parts.push(format!("{timing}{frequency}"));
            }
            if let Some(realised) = realised.filter(|&f| f < 1.0) {
                parts.push(format!("realised {realised:.3}"));
            }
        }
        parts.extend(self.beyond());
        parts.join(", ")
    }
}

/// The labels; those that are alike get the parameters in which they differ.
pub(super) fn told_apart(labels: Vec<String>, parameters: &[&Map<String, Json>]) -> Vec<String> {
    let apart = labels.iter().zip(parameters).map(|(label, own)| {
        let alike: Vec<_> =
            labels.iter().zip(parameters).filter(|(other, _)| *other == label).collect();
        let differing = own
            .iter()
            .filter(|(name, value)| alike.iter().any(|(_, p)| p.get(*name) != Some(*value)))
            .map(|(name, value)| format!(", {name}={value}"));
        std::iter::once(label.clone()).chain(differing).collect()
    });
    apart.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_whose_row_it_is() {
        let setting = |agent: &str, attack: &str| {
            let attacked = attack != "none";
            Setting {
                agent: agent.to_owned(),
                attack: attack.to_owned(),
                epsilon: attacked.then_some(0.5),
                objective: attacked.then(|| "value".to_owned()),
                timing: attacked.then(|| "always".to_owned()),
                frequency: None,
                adaptive_lambda: None,
                defense: None,
                parameters: Map::new(),
            }
        };
        let label = |agent: &str, attack: &str| setting(agent, attack).label(None);
        assert_eq!(label("actor_critic", "none"), "Original");
        assert_eq!(label("reinforce", "none"), "REINFORCE");
        assert_eq!(label("actor_critic", "fgsm_linf"), "fgsm_linf ε=0.5, value");
        assert_eq!(label("reinforce", "fgsm_linf"), "REINFORCE: fgsm_linf ε=0.5, value");
        let evading =
            Setting { adaptive_lambda: Some(1.0), ..setting("actor_critic", "fgsm_linf") };
        assert_eq!(evading.label(None), "fgsm_linf ε=0.5, value, adaptive λ=1");
        let defense = Some("adversarial_training".to_owned());
        let defended = Setting { defense, ..setting("actor_critic", "none") };
        assert_eq!(defended.label(None), "Original, adversarial training");
    }
}
