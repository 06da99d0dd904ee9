//! When an attack acts: the mask c_t of the paper's equation 2, one draw a time step.

use super::params::{AttackParams, TimingRule};
use crate::random::{Purpose, generator};
use rand::Rng;

/// A time step of a rollout: what random draws are keyed by, so that they depend on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Whether the attack acts at a time step by a rule that needs no score; `false` for rules that do.
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
        TimingRule::Strategic | TimingRule::StrategicRange | TimingRule::Oracle => false,
    }
}

/// The strategic rule's score: p0 − p1, the two largest of the clean agent's probabilities of valid
/// actions. 0 where there is one action: nothing can be gained by an attack there.
pub fn preference(probabilities: &[f32]) -> f32 {
    let (mut first, mut second) = (0f32, 0f32);
    for &p in probabilities {
        if p > first {
            (first, second) = (p, first);
        } else if p > second {
            second = p;
        }
    }
    if probabilities.len() < 2 { 0.0 } else { first - second }
}

/// The score of Lin et al. (2017): the largest less the smallest probability of a valid action.
pub fn range(probabilities: &[f32]) -> f32 {
    let least = probabilities.iter().copied().reduce(f32::min);
    let most = probabilities.iter().copied().reduce(f32::max);
    most.zip(least).map_or(0.0, |(most, least)| most - least)
}

/// The oracle's score: what the attack takes off the probability of the action that the clean agent
/// prefers (the first of equals).
pub fn loss_of_best(clean: &[f32], attacked: &[f32]) -> f32 {
    let best = (0..clean.len()).reduce(|a, b| if clean[b] > clean[a] { b } else { a });
    best.map_or(0.0, |best| clean[best] - attacked[best])
}

/// The threshold above which the share `frequency` of some scores lies, or a little less where scores
/// are equal: the matching quantile of the clean rollout's scores (SPEC section 6). Infinite at 0 and
/// minus infinite at 1. The scores are sorted, greatest first.
pub fn threshold(descending: &[f32], frequency: f64) -> f64 {
    let count = (frequency * descending.len() as f64).round() as usize;
    match descending.get(count) {
        _ if count == 0 => f64::INFINITY,
        None => f64::NEG_INFINITY,
        Some(&score) => score.into(),
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

    #[test]
    fn scores_are_those_of_their_definitions() {
        assert_eq!(preference(&[0.25, 0.5, 0.125, 0.125]), 0.25);
        assert_eq!(preference(&[0.5, 0.5]), 0.0);
        assert_eq!(preference(&[1.0]), 0.0);
        assert_eq!(range(&[0.25, 0.5, 0.125, 0.125]), 0.375);
        assert_eq!(range(&[1.0]), 0.0);
        assert_eq!(loss_of_best(&[0.25, 0.75], &[0.5, 0.5]), 0.25);
        assert_eq!(loss_of_best(&[0.5, 0.5], &[0.0, 1.0]), 0.5);
        assert_eq!(loss_of_best(&[], &[]), 0.0);
    }

    #[test]
    fn the_share_above_a_threshold_is_the_frequency() {
        let scores: Vec<f32> = (0..1000).rev().map(|i| i as f32 / 1000.0).collect();
        for frequency in [0.0, 0.05, 0.333, 0.5, 0.75, 1.0] {
            let threshold = threshold(&scores, frequency);
            let above = scores.iter().filter(|&&s| f64::from(s) > threshold).count();
            assert_eq!(above, (frequency * 1000.0).round() as usize, "{frequency}");
        }
        // Of equals, none rather than all: never more than asked for.
        assert_eq!(threshold(&[0.5; 10], 0.3), 0.5);
        assert_eq!(threshold(&[], 0.5), f64::INFINITY);
    }

    #[test]
    fn rules_that_score_do_not_act_without_a_score() {
        for rule in [TimingRule::Strategic, TimingRule::StrategicRange, TimingRule::Oracle] {
            assert!(rule.scores());
            let params = AttackParams { timing: Some(rule), ..params(1.0) };
            assert!(places().all(|p| !acts(&params, p)));
        }
    }
}
