//! The contract of [`Attack`], over every registered attack and victims of closed form: an attack is
//! tested by being registered.

// All of this is tests (see `mod contract` in attack/mod.rs): a failed `unwrap` is a failed assertion.

use super::timing::acts;
use super::{
    ATTACKS, Attack, AttackParams, AttackSpec, Metered, Norm, ObjectiveKind, Perturbation, Place,
    States, TimingRule, Victim, build, spec,
};
use crate::random::{Purpose, generator};
use proptest::prelude::*;
use rand::Rng;

/// V(s) = a·s + ½ Σ c_i s_i², logits z_k = w_k·s. Its answers are multiplied by `scale`.
#[derive(Clone)]
struct ClosedForm {
    dim: usize,
    linear: Vec<f64>,
    curvature: Vec<f64>,
    /// `[actions, dim]`.
    weights: Vec<f64>,
    scale: f64,
}

impl ClosedForm {
    fn scaled(&self, x: f64) -> f32 {
        let most = f64::from(f32::MAX);
        (x * self.scale).clamp(-most, most) as f32
    }

    /// The loss at one state, before scaling.
    fn height(&self, state: &[f32], mask: &[bool], objective: ObjectiveKind) -> f64 {
        let state: Vec<f64> = state.iter().map(|&x| x.into()).collect();
        if objective == ObjectiveKind::Value {
            let terms = self.linear.iter().zip(&self.curvature).zip(state);
            return -terms.map(|((a, c), s)| a * s + c * s * s / 2.0).sum::<f64>();
        }
        let valid = self.weights.chunks(self.dim).zip(mask).filter(|(_, valid)| **valid);
        let logits: Vec<f64> = valid.map(|(w, _)| dot(w, &state)).collect();
        let best = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        logits.iter().map(|z| (z - best).exp()).sum::<f64>().ln()
    }

    /// Gradient of the loss at one state, before scaling.
    fn slope(&self, state: &[f32], mask: &[bool], objective: ObjectiveKind) -> Vec<f64> {
        let state: Vec<f64> = state.iter().map(|&x| x.into()).collect();
        if objective == ObjectiveKind::Value {
            let terms = self.linear.iter().zip(&self.curvature).zip(state);
            return terms.map(|((a, c), s)| -(a + c * s)).collect();
        }
        // −log softmax(z)_a* over the valid actions: Σ π_k w_k − w_a*.
        let rows: Vec<&[f64]> = self.weights.chunks(self.dim).collect();
        let logit = |k: usize| if mask[k] { dot(rows[k], &state) } else { f64::NEG_INFINITY };
        let logits: Vec<f64> = (0..rows.len()).map(logit).collect();
        let best = (0..rows.len()).max_by(|&i, &j| logits[i].total_cmp(&logits[j])).unwrap();
        let powers: Vec<f64> = logits.iter().map(|z| (z - logits[best]).exp()).collect();
        let total: f64 = powers.iter().sum();
        let entry = |i: usize| -> f64 {
            powers.iter().zip(&rows).map(|(p, w)| p / total * w[i]).sum::<f64>() - rows[best][i]
        };
        (0..self.dim).map(entry).collect()
    }
}

impl Victim for ClosedForm {
    fn gradient(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        let actions = self.weights.len() / self.dim;
        let rows = values.chunks(self.dim).zip(states.mask.chunks(actions));
        rows.flat_map(|(state, mask)| self.slope(state, mask, objective))
            .map(|g| self.scaled(g))
            .collect()
    }

    fn loss(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        let actions = self.weights.len() / self.dim;
        let rows = values.chunks(self.dim).zip(states.mask.chunks(actions));
        rows.map(|(state, mask)| self.scaled(self.height(state, mask, objective))).collect()
    }

    fn logits(&self, _: &States<'_>, values: &[f32]) -> Vec<f32> {
        let logits = |state: &[f32]| -> Vec<f32> {
            let state: Vec<f64> = state.iter().map(|&x| x.into()).collect();
            self.weights.chunks(self.dim).map(|w| self.scaled(dot(w, &state))).collect()
        };
        values.chunks(self.dim).flat_map(logits).collect()
    }

    fn logit_gradient(&self, _: &States<'_>, _: &[f32], actions: &[u32]) -> Vec<f32> {
        let row = |&action: &u32| &self.weights[action as usize * self.dim..][..self.dim];
        actions.iter().flat_map(row).map(|&w| self.scaled(w)).collect()
    }

    fn logit_sum_gradient(&self, states: &States<'_>, _: &[f32]) -> Vec<f32> {
        let actions = self.weights.len() / self.dim;
        let sum = |mask: &[bool]| -> Vec<f32> {
            let valid = || self.weights.chunks(self.dim).zip(mask).filter(|(_, valid)| **valid);
            (0..self.dim).map(|i| self.scaled(valid().map(|(w, _)| w[i]).sum())).collect()
        };
        states.mask.chunks(actions).flat_map(sum).collect()
    }
}

/// A victim and states to attack.
#[derive(Clone)]
struct Case {
    victim: ClosedForm,
    values: Vec<f32>,
    mask: Vec<bool>,
    places: Vec<Place>,
    epsilon: f64,
    seed: u64,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { victim, places, epsilon, seed, .. } = self;
        write!(f, "{} states, d {}, ε {epsilon}, seed {seed}", places.len(), victim.dim)
    }
}

impl Case {
    fn random(count: usize, dim: usize, actions: usize, epsilon: f64, seed: u64) -> Self {
        let mut rng = generator(seed, Purpose::Synthesis, [0; 3]);
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
        let victim = ClosedForm {
            dim,
            linear: numbers(dim),
            curvature: numbers(dim),
            weights: numbers(actions * dim),
            scale: 1.0,
        };
        let values: Vec<f64> = numbers(count * dim);
        let place = |i: usize| Place { user: i as u32 / 3, hop: i as u32 % 3, path: i as u32 / 2 };
        Self {
            victim,
            values: values.into_iter().map(|x| x as f32).collect(),
            mask: (0..count * actions).map(|i| i % actions == 0 || rng.random()).collect(),
            places: (0..count).map(place).collect(),
            epsilon,
            seed,
        }
    }

    /// A strategy over small cases.
    fn any() -> impl Strategy<Value = Self> {
        (1..7usize, 1..13usize, 1..7usize, 0.01..2.0f64, any::<u64>()).prop_map(
            |(count, dim, actions, epsilon, seed)| Self::random(count, dim, actions, epsilon, seed),
        )
    }

    fn actions(&self) -> usize {
        self.mask.len() / self.places.len()
    }

    fn attacked(&self, attack: &dyn Attack) -> Vec<f32> {
        let Self { victim, values, mask, places, .. } = self;
        let states = States { dim: victim.dim, values, mask, places };
        let victim = Metered::new(victim, &states);
        let Perturbation { delta, iterations } = attack.perturb(&victim, &states);
        assert_eq!(delta.len(), values.len());
        assert_eq!(iterations.len(), places.len());
        // A state that was not asked about cannot have been worked on against its answers.
        for ((asked, iterations), delta) in
            victim.asked().iter().zip(&iterations).zip(delta.chunks(states.dim))
        {
            assert!(*iterations > 0 || delta.iter().all(|&x| x == 0.0));
            assert!(asked.queries == 0 || asked.queries >= *iterations);
        }
        delta
    }

    fn perturb(&self, spec: &AttackSpec, objective: ObjectiveKind) -> Vec<f32> {
        self.attacked(build(&params(spec, objective, self.epsilon, self.seed)).unwrap().as_ref())
    }

    /// The case with these of its states, in this order.
    fn rows(&self, rows: &[usize]) -> Self {
        let (dim, actions) = (self.victim.dim, self.actions());
        let of = |i: &usize| &self.values[i * dim..(i + 1) * dim];
        let mask_of = |i: &usize| &self.mask[i * actions..(i + 1) * actions];
        Self {
            values: rows.iter().flat_map(of).copied().collect(),
            mask: rows.iter().flat_map(mask_of).copied().collect(),
            places: rows.iter().map(|&i| self.places[i]).collect(),
            ..self.clone()
        }
    }
}

/// Parameters of an attack, of those that it takes.
fn params(spec: &AttackSpec, objective: ObjectiveKind, epsilon: f64, seed: u64) -> AttackParams {
    let takes = |name| spec.parameters.contains(&name);
    AttackParams {
        epsilon: takes("epsilon").then_some(epsilon),
        objective: takes("objective").then_some(objective),
        // Few, or the many queries take all the time; what holds of 2 holds of more.
        samples: takes("samples").then_some(2),
        iterations: takes("iterations").then_some(3),
        seed,
        ..AttackParams::of(spec.id)
    }
}

/// Every attack with each objective that it can have.
fn attacks() -> impl Iterator<Item = (&'static AttackSpec, ObjectiveKind)> {
    let objectives = |spec: &AttackSpec| match spec.parameters.contains(&"objective") {
        true => vec![ObjectiveKind::Value, ObjectiveKind::Policy],
        false => vec![ObjectiveKind::Value],
    };
    ATTACKS.iter().flat_map(move |&spec| objectives(spec).into_iter().map(move |o| (spec, o)))
}

/// What an attack's norm may come to (SPEC section 6), written apart from the specifications.
fn budget(spec: &AttackSpec, epsilon: f64, dim: usize) -> f64 {
    match spec.id {
        "fgsm_l1" | "noise_l1" => epsilon * dim as f64,
        "fgsm_l2_dim" => epsilon * (dim as f64).sqrt(),
        _ => epsilon,
    }
}

fn length(delta: &[f32], norm: Norm) -> f64 {
    norm.length(delta)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn bits(delta: &[f32]) -> Vec<u32> {
    delta.iter().map(|x| x.to_bits()).collect()
}

/// Whether two lengths differ by no more than rounding to f32 explains.
fn about(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * a.abs().max(b.abs())
}

#[test]
fn ids_are_unique_and_build() {
    for (i, spec) in ATTACKS.iter().enumerate() {
        assert!(ATTACKS[..i].iter().all(|other| other.id != spec.id), "{} twice", spec.id);
        assert_ne!(spec.id, "none");
        assert!(build(&params(spec, ObjectiveKind::Value, 0.1, 1)).is_some(), "{}", spec.id);
    }
}

proptest! {
    #[test]
    fn a_state_is_attacked_alike_alone_and_in_any_batch(
        case in Case::any(),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let order: Vec<usize> = order.into_iter().filter(|&i| i < case.places.len()).collect();
        let dim = case.victim.dim;
        for (spec, objective) in attacks() {
            let together = bits(&case.perturb(spec, objective));
            prop_assert_eq!(&together, &bits(&case.perturb(spec, objective)), "{} again", spec.id);
            let shuffled = bits(&case.rows(&order).perturb(spec, objective));
            for (at, &row) in order.iter().enumerate() {
                let own = &together[row * dim..(row + 1) * dim];
                let alone = bits(&case.rows(&[row]).perturb(spec, objective));
                prop_assert_eq!(own, &alone, "{} alone", spec.id);
                let moved = &shuffled[at * dim..(at + 1) * dim];
                prop_assert_eq!(own, moved, "{} in another order", spec.id);
            }
        }
    }

    #[test]
    fn no_epsilon_no_perturbation(case in Case::any()) {
        let case = Case { epsilon: 0.0, ..case };
        for (spec, objective) in attacks().filter(|(s, _)| s.parameters.contains(&"epsilon")) {
            let delta = case.perturb(spec, objective);
            prop_assert!(delta.iter().all(|&x| x == 0.0), "{} {delta:?}", spec.id);
        }
    }

    #[test]
    fn the_norm_that_epsilon_bounds_is_kept(case in Case::any()) {
        for (spec, objective) in attacks() {
            let Some(norm) = spec.norm else { continue };
            let most = budget(spec, case.epsilon, case.victim.dim);
            for delta in case.perturb(spec, objective).chunks(case.victim.dim) {
                let found = length(delta, norm);
                let known = spec.budget(case.epsilon, case.victim.dim).unwrap();
                prop_assert!(about(known, most), "{} {known} for {most}", spec.id);
                prop_assert!(found <= most * (1.0 + 1e-5), "{} {found} of {most}", spec.id);
            }
        }
    }

    #[test]
    fn masked_actions_never_count(case in Case::any(), other in any::<u64>()) {
        let (dim, actions) = (case.victim.dim, case.actions());
        let mut rng = generator(other, Purpose::Synthesis, [1, 0, 0]);
        for row in 0..case.places.len() {
            let case = case.rows(&[row]);
            let mut changed = case.clone();
            for action in (0..actions).filter(|&k| !case.mask[k]) {
                // Large enough to be the best or the worst action, were it one.
                changed.victim.weights[action * dim..(action + 1) * dim]
                    .fill_with(|| rng.random_range(-100.0..100.0));
            }
            for (spec, objective) in attacks() {
                let found = bits(&changed.perturb(spec, objective));
                prop_assert_eq!(bits(&case.perturb(spec, objective)), found, "{}", spec.id);
            }
        }
    }

    #[test]
    fn perturbations_are_finite_whatever_the_gradient(
        case in Case::any(),
        scale in prop::sample::select(vec![0.0, 1e-44, 1e-38, 1e-20, 1e20, 1e38, 1e45]),
    ) {
        let mut case = case;
        case.victim.scale = scale;
        for (spec, objective) in attacks() {
            let delta = case.perturb(spec, objective);
            prop_assert!(delta.iter().all(|x| x.is_finite()), "{} {delta:?}", spec.id);
        }
    }

    /// Hölder: no step of the same norm raises the linearised loss by more.
    #[test]
    fn fgsm_takes_the_steepest_step(
        case in Case::any(),
        scale in prop::sample::select(vec![1e-30, 1.0, 1e30]),
    ) {
        let mut case = case;
        case.victim.scale = scale;
        let (dim, actions) = (case.victim.dim, case.actions());
        for id in ["fgsm_linf", "fgsm_l2", "fgsm_l2_dim", "fgsm_l1", "fgsm_l1_abs"] {
            let spec = spec(id).unwrap();
            for objective in [ObjectiveKind::Value, ObjectiveKind::Policy] {
                let delta = case.perturb(spec, objective);
                for (row, delta) in delta.chunks(dim).enumerate() {
                    let state = &case.values[row * dim..(row + 1) * dim];
                    let mask = &case.mask[row * actions..(row + 1) * actions];
                    let slope = case.victim.slope(state, mask, objective);
                    let sizes = slope.iter().map(|g| g.abs());
                    let steepest = budget(spec, case.epsilon, dim) * match spec.norm.unwrap() {
                        Norm::Linf => sizes.sum::<f64>(),
                        Norm::L2 => sizes.map(|g| g * g).sum::<f64>().sqrt(),
                        Norm::L1 => sizes.fold(0.0, f64::max),
                    };
                    let delta: Vec<f64> = delta.iter().map(|&x| x.into()).collect();
                    let found = dot(&delta, &slope);
                    prop_assert!(about(found, steepest), "{id} {objective:?} {found} {steepest}");
                }
            }
        }
    }

    #[test]
    fn noise_is_as_long_as_fgsm(case in Case::any()) {
        let dim = case.victim.dim;
        for (noise, fgsm) in
            [("noise_linf", "fgsm_linf"), ("noise_l2", "fgsm_l2"), ("noise_l1", "fgsm_l1")]
        {
            let norm = spec(noise).unwrap().norm.unwrap();
            prop_assert_eq!(spec(fgsm).unwrap().norm, Some(norm));
            let [noise, fgsm] =
                [noise, fgsm].map(|id| case.perturb(spec(id).unwrap(), ObjectiveKind::Value));
            for (noise, fgsm) in noise.chunks(dim).zip(fgsm.chunks(dim)) {
                let (noise, fgsm) = (length(noise, norm), length(fgsm, norm));
                prop_assert!(about(noise, fgsm), "{norm:?} {noise} {fgsm}");
            }
        }
    }

    #[test]
    fn only_random_attacks_depend_on_seed_and_place(case in Case::any(), seed in any::<u64>()) {
        let user = |place: &Place| Place { user: place.user + 17, ..*place };
        let moved = Case { seed, places: case.places.iter().map(user).collect(), ..case.clone() };
        for (spec, objective) in attacks().filter(|(spec, _)| !spec.random) {
            let found = bits(&moved.perturb(spec, objective));
            prop_assert_eq!(bits(&case.perturb(spec, objective)), found, "{}", spec.id);
        }
    }

    #[test]
    fn random_timing_depends_on_seed_and_place_alone(
        seed in any::<u64>(),
        frequency in 0.0..1.0f64,
        epsilon in 0.0..10.0f64,
        user in any::<u32>(),
        path in 0..1000u32,
    ) {
        let of = |spec: &AttackSpec, objective| AttackParams {
            timing: Some(TimingRule::Random),
            frequency: Some(frequency),
            ..params(spec, objective, epsilon, seed)
        };
        for hop in 0..3 {
            let place = Place { user, hop, path };
            let drawn = generator(seed, Purpose::AttackTiming, place.key()).random::<f64>();
            for (spec, objective) in attacks() {
                prop_assert_eq!(acts(&of(spec, objective), place), drawn < frequency);
            }
        }
    }
}

/// Places that differ in one of their three numbers alone.
fn lines() -> [Vec<Place>; 3] {
    let numbers = 0..40u32;
    [
        numbers.clone().map(|user| Place { user, hop: 1, path: 2 }).collect(),
        numbers.clone().map(|hop| Place { user: 1, hop, path: 2 }).collect(),
        numbers.map(|path| Place { user: 1, hop: 2, path }).collect(),
    ]
}

#[test]
fn noise_differs_between_seeds_and_between_places() {
    let noise = ATTACKS.iter().filter(|spec| spec.id.starts_with("noise"));
    for spec in noise {
        for places in lines() {
            let case = Case { places, ..Case::random(40, 12, 1, 1.0, 3) };
            let delta = bits(&case.perturb(spec, ObjectiveKind::Value));
            let other = bits(&Case { seed: 4, ..case }.perturb(spec, ObjectiveKind::Value));
            let rows = |delta: &[u32]| delta.chunks(12).map(<[u32]>::to_vec).collect::<Vec<_>>();
            let (rows, others) = (rows(&delta), rows(&other));
            // Of 24 directions in l1, two draws in 24 agree; 40 do not.
            let equal = rows.iter().zip(&others).filter(|(a, b)| a == b).count();
            assert!(equal < 10, "{} {equal} of 40 alike under two seeds", spec.id);
            let equal = rows[1..].iter().filter(|&row| *row == rows[0]).count();
            assert!(equal < 10, "{} {equal} of 39 like the first", spec.id);
        }
    }
}

#[test]
fn random_timing_differs_between_seeds_and_between_places() {
    let params = |seed| AttackParams {
        timing: Some(TimingRule::Random),
        frequency: Some(0.5),
        ..params(ATTACKS[0], ObjectiveKind::Value, 0.1, seed)
    };
    for places in lines() {
        let mask = |seed| -> Vec<bool> { places.iter().map(|&p| acts(&params(seed), p)).collect() };
        assert_ne!(mask(1), mask(2));
        assert!(mask(1).contains(&true) && mask(1).contains(&false));
    }
}

#[test]
fn an_estimated_gradient_points_along_the_true_one() {
    let case = Case::random(6, 12, 4, 0.1, 5);
    for objective in [ObjectiveKind::Value, ObjectiveKind::Policy] {
        let attack = AttackParams {
            samples: Some(2000),
            iterations: Some(1),
            step: Some(1.0),
            ..params(spec("spsa").unwrap(), objective, 0.1, 1)
        };
        let estimated = case.attacked(build(&attack).unwrap().as_ref());
        let exact = case.perturb(spec("fgsm_linf").unwrap(), objective);
        // With 12 dimensions the noise of 2,000 draws turns the sign of small slopes alone.
        let alike = estimated.iter().zip(&exact).filter(|(a, b)| a == b).count();
        assert!(alike * 10 >= exact.len() * 9, "{objective:?} {alike} of {}", exact.len());
    }
}
