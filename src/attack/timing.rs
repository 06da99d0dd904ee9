//! When an attack acts: the mask c_t of the paper's equation 2, one draw a time step.

use super::params::{AttackParams, TimingRule};
use crate::random::{Purpose, generator};
use rand::Rng;

/// A time step of a rollout: what random draws are keyed by, so that they depend on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the user.
    pub user: u32,
    /// Hops walked before the step: 0, 1 or 2.
    pub hop: u32,
    /// Number of the path among the user's paths at this hop, most probable first within its parent.
    pub path: u32,
}

impl Place {
    /// The place as the key of a generator.
    pub fn key(self) -> [u64; 3] {
        [self.user.into(), self.hop.into(), self.path.into()]
    }
}

/// Whether the attack acts at a time step.
pub fn acts(params: &AttackParams, place: Place) -> bool {
    if params.attack == "none" {
        return false;
    }
    match params.timing() {
        TimingRule::Always => true,
        TimingRule::Random => {
            let frequency = params.frequency.unwrap_or(1.0);
            generator(params.seed, Purpose::AttackTiming, place.key()).random::<f64>() < frequency
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(frequency: f64) -> AttackParams {
        AttackParams {
            timing: Some(TimingRule::Random),
            frequency: Some(frequency),
            seed: 3,
            ..AttackParams::of("fgsm_linf")
        }
    }

    fn places() -> impl Iterator<Item = Place> {
        (0..40).flat_map(|user| {
            (0..3).flat_map(move |hop| (0..25).map(move |path| Place { user, hop, path }))
        })
    }

    #[test]
    fn random_timing_has_the_frequency_asked_for_and_nests() {
        let mut before = vec![false; 3000];
        for frequency in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let mask: Vec<bool> = places().map(|p| acts(&params(frequency), p)).collect();
            let share = mask.iter().filter(|&&c| c).count() as f64 / 3000.0;
            // Five standard deviations of a share of 3,000 draws.
            assert!(
                (share - frequency).abs() <= 5.0 * (frequency * (1.0 - frequency) / 3000.0).sqrt()
            );
            assert!(
                before.iter().zip(&mask).all(|(b, m)| !b || *m),
                "a higher frequency adds steps"
            );
            before = mask;
        }
    }

    #[test]
    fn nothing_acts_without_an_attack() {
        let none = AttackParams { attack: "none".into(), ..params(1.0) };
        assert!(places().all(|p| !acts(&none, p)));
    }
}
