//! The attacker of a rollout: decides at which time steps to act, and perturbs what the agent sees there
//! (SPEC section 6).

use crate::detector::Detector;
use crate::policy::Policy;
use crate::realised::{Realised, Step};
use crate::victim::{Evasion, NetworkVictim};
use advrec::agent::Path;
use advrec::attack::victim::Asked;
use advrec::attack::{
    self, Attack, AttackParams, Metered, Perturbation, States, TimingRule, timing,
};

/// Who attacks, when and how.
pub struct Attacker {
    params: AttackParams,
    attack: Option<Box<dyn Attack>>,
    /// Score above which a time step is attacked, for timing rules that score.
    threshold: f64,
    /// The agent that perturbations are crafted on, where it is not the attacked one.
    surrogate: Option<Policy>,
    /// The detector that the attack evades, where it knows one.
    evaded: Option<Box<dyn Detector>>,
    /// Whether the rollout is walked for the scores alone: nothing is attacked.
    calibrates: bool,
    /// Seed of dropout in the attacker's own queries, where the agent keeps dropout on.
    dropout: Option<u64>,
}

/// The states of a batch as the attacker finds them.
pub struct Scene<'a> {
    pub policy: &'a Policy,
    pub hop: usize,
    pub states: States<'a>,
    /// The agent's probabilities `[n, actions]` at the states themselves.
    pub clean: &'a dyn Fn() -> Vec<f32>,
    /// The same if it saw these values `[n, d]` instead.
    pub seen: &'a dyn Fn(&[f32]) -> Vec<f32>,
    /// The path of a row after each of its valid actions.
    pub extended: &'a dyn Fn(usize) -> Vec<Path>,
}

impl Scene<'_> {
    /// The probabilities of a row's valid actions, which are the first of its actions.
    fn valid<'p>(&self, probabilities: &'p [f32], row: usize) -> &'p [f32] {
        let width = self.states.actions();
        let mask = &self.states.mask[row * width..(row + 1) * width];
        let count = mask.iter().filter(|&&valid| valid).count();
        &probabilities[row * width..row * width + count]
    }
}

/// Perturbations of some rows of a scene.
#[derive(Default)]
struct Crafted {
    rows: Vec<usize>,
    perturbation: Perturbation,
    asked: Vec<Asked>,
}

impl Attacker {
    /// An attacker that acts above `threshold`, where its timing rule scores. `dropout` is set where
    /// the agent keeps dropout on.
    pub fn new(
        params: AttackParams,
        threshold: Option<f64>,
        surrogate: Option<Policy>,
        dropout: bool,
    ) -> Self {
        Self {
            attack: attack::build(&params),
            threshold: threshold.or(params.threshold).unwrap_or(f64::INFINITY),
            dropout: dropout.then_some(params.seed),
            params,
            surrogate,
            evaded: None,
            calibrates: false,
        }
    }

    /// The attacker also lowers this detector's score, by `lambda` of its parameters.
    pub fn evading(self, detector: Option<Box<dyn Detector>>) -> Self {
        Self { evaded: detector, ..self }
    }

    /// Nobody attacks.
    pub fn none() -> Self {
        Self::new(AttackParams::of("none"), None, None, false)
    }

    /// Leaves the rollout clean and notes the scores of its time steps.
    pub fn calibrating(self) -> Self {
        Self { calibrates: true, ..self }
    }

    /// The same attacker for another thread: tensors may move between threads but not be shared.
    pub fn shallow_clone(&self) -> Self {
        Self {
            params: self.params.clone(),
            attack: attack::build(&self.params),
            threshold: self.threshold,
            surrogate: self.surrogate.as_ref().map(Policy::shallow_clone),
            evaded: self.evaded.as_ref().map(|detector| detector.shallow_clone()),
            calibrates: self.calibrates,
            dropout: self.dropout,
        }
    }

    /// Whether it does nothing at any time step.
    pub fn is_idle(&self) -> bool {
        self.attack.is_none() && !self.calibrates
    }

    /// Perturbs the rows where it acts in `values`, `[n, d]`, a copy of the scene's states; returns
    /// which these are. Notes what it did, and the scores where it calibrates.
    pub fn act(&self, scene: &Scene<'_>, values: &mut [f32], realised: &mut Realised) -> Vec<bool> {
        let rule = self.params.timing();
        if !rule.scores() {
            let acts = |place| timing::acts(&self.params, place);
            let chosen: Vec<bool> = scene.states.places.iter().map(|&place| acts(place)).collect();
            self.craft(scene, &chosen).apply(scene, &chosen, values, realised);
            return chosen;
        }
        let clean = (scene.clean)();
        // The oracle has to try the attack everywhere to know where it pays.
        let tried = (rule == TimingRule::Oracle)
            .then(|| self.craft(scene, &vec![true; scene.states.len()]));
        let attacked = tried.as_ref().map(|crafted| {
            let mut values = values.to_vec();
            crafted.add(scene.states.dim, |_| true, &mut values);
            (scene.seen)(&values)
        });
        let score = |row: usize| {
            let clean = scene.valid(&clean, row);
            match &attacked {
                Some(attacked) => timing::loss_of_best(clean, scene.valid(attacked, row)),
                None if rule == TimingRule::Strategic => timing::preference(clean),
                None => timing::range(clean),
            }
        };
        let scores: Vec<f32> = (0..scene.states.len()).map(score).collect();
        if self.calibrates {
            realised.scores.extend(scores);
            return vec![false; scene.states.len()];
        }
        let chosen: Vec<bool> = scores.iter().map(|&s| f64::from(s) > self.threshold).collect();
        let crafted = tried.unwrap_or_else(|| self.craft(scene, &chosen));
        crafted.apply(scene, &chosen, values, realised);
        chosen
    }

    /// Perturbations of the chosen rows.
    fn craft(&self, scene: &Scene<'_>, chosen: &[bool]) -> Crafted {
        let rows: Vec<usize> = (0..chosen.len()).filter(|&row| chosen[row]).collect();
        let (Some(attack), false) = (&self.attack, rows.is_empty()) else {
            return Crafted::default();
        };
        let batch = scene.states.select(&rows, None);
        let states = batch.states();
        let policy = self.surrogate.as_ref().unwrap_or(scene.policy);
        let evasion = self.evasion(scene, &rows);
        let victim = NetworkVictim { policy, dropout: self.dropout, evasion };
        let victim = Metered::new(&victim, &states);
        let perturbation = attack.perturb(&victim, &states);
        Crafted { rows, perturbation, asked: victim.asked() }
    }
}

impl Attacker {
    /// The evaded detector's scores of what each valid action of the rows makes of its path.
    fn evasion(&self, scene: &Scene<'_>, rows: &[usize]) -> Option<Evasion> {
        let (detector, lambda) = (self.evaded.as_ref()?, self.params.lambda?);
        let width = scene.states.actions();
        let paths: Vec<Vec<Path>> = rows.iter().map(|&row| (scene.extended)(row)).collect();
        let scores = detector.prefix_scores(&paths.concat())?;
        let mut scores = &scores[..];
        let mut padded = vec![0f32; rows.len() * width];
        for (row, own) in padded.chunks_mut(width).zip(&paths) {
            let (first, others) = scores.split_at(own.len());
            row[..own.len()].copy_from_slice(first);
            scores = others;
        }
        let places = rows.iter().enumerate().map(|(i, &row)| (scene.states.places[row], i));
        Some(Evasion { lambda, scores: padded, width, rows: places.collect() })
    }
}

impl Crafted {
    /// Adds the perturbations of the rows that are `wanted` to the values `[n, d]`.
    fn add(&self, dim: usize, wanted: impl Fn(usize) -> bool, values: &mut [f32]) {
        let deltas = self.rows.iter().zip(self.perturbation.delta.chunks_exact(dim));
        for (&row, delta) in deltas.filter(|(row, _)| wanted(**row)) {
            let state = &mut values[row * dim..(row + 1) * dim];
            state.iter_mut().zip(delta).for_each(|(s, d)| *s += d);
        }
    }

    /// Adds the perturbations of the chosen rows to the values, and notes them.
    fn apply(
        &self,
        scene: &Scene<'_>,
        chosen: &[bool],
        values: &mut [f32],
        realised: &mut Realised,
    ) {
        let dim = scene.states.dim;
        self.add(dim, |row| chosen[row], values);
        let Perturbation { delta, iterations } = &self.perturbation;
        let deltas = delta.chunks_exact(dim).zip(iterations).zip(&self.asked);
        for (_, ((delta, &iterations), &asked)) in
            self.rows.iter().zip(deltas).filter(|(row, _)| chosen[**row])
        {
            realised.note(scene.hop, Step { delta, iterations, asked });
        }
    }
}
