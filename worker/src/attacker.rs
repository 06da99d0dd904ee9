//! The attacker of a rollout: decides at which time steps to act, and perturbs what the agent sees there
//! (SPEC section 6).

use crate::policy::Policy;
use crate::realised::{Realised, Step};
use crate::victim::NetworkVictim;
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
    /// The agent's probabilities `[n, actions]` if it saw these values `[n, d]`.
    pub probabilities: &'a dyn Fn(&[f32]) -> Vec<f32>,
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
            calibrates: false,
        }
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
            calibrates: self.calibrates,
            dropout: self.dropout,
        }
    }

    /// Perturbs the rows where it acts in `values`, `[n, d]`, a copy of the scene's states; returns
    /// which these are. Notes what it did, and the scores where it calibrates.
    pub fn act(&self, scene: &Scene<'_>, values: &mut [f32], realised: &mut Realised) -> Vec<bool> {
        let n = scene.states.len();
        let rows = 0..n;
        match self.params.timing() {
            TimingRule::Always | TimingRule::Random => {
                let acts = |&row: &usize| timing::acts(&self.params, scene.states.places[row]);
                let crafted = self.craft(scene, rows.filter(acts).collect());
                self.apply(scene, &crafted, |_| true, values, realised)
            }
            TimingRule::Strategic => self.act_by(timing::preference, scene, values, realised),
            TimingRule::StrategicRange => self.act_by(timing::range, scene, values, realised),
            TimingRule::Oracle => {
                let crafted = self.craft(scene, rows.collect());
                let mut tried = values.to_vec();
                self.apply(scene, &crafted, |_| true, &mut tried, &mut Realised::default());
                let clean = (scene.probabilities)(scene.states.values);
                let attacked = (scene.probabilities)(&tried);
                let scores: Vec<f32> = (0..n)
                    .map(|row| {
                        let (clean, attacked) =
                            (scene.valid(&clean, row), scene.valid(&attacked, row));
                        timing::loss_of_best(clean, attacked)
                    })
                    .collect();
                if self.calibrates {
                    realised.scores.extend(scores);
                    return vec![false; n];
                }
                let pays = |row: usize| f64::from(scores[row]) > self.threshold;
                self.apply(scene, &crafted, pays, values, realised)
            }
        }
    }

    /// Acts by a score of the clean agent's probabilities.
    fn act_by(
        &self,
        score: fn(&[f32]) -> f32,
        scene: &Scene<'_>,
        values: &mut [f32],
        realised: &mut Realised,
    ) -> Vec<bool> {
        let n = scene.states.len();
        let clean = (scene.probabilities)(scene.states.values);
        let scores: Vec<f32> = (0..n).map(|row| score(scene.valid(&clean, row))).collect();
        if self.calibrates {
            realised.scores.extend(scores);
            return vec![false; n];
        }
        let rows = (0..n).filter(|&row| f64::from(scores[row]) > self.threshold).collect();
        let crafted = self.craft(scene, rows);
        self.apply(scene, &crafted, |_| true, values, realised)
    }

    /// Perturbations of some rows.
    fn craft(&self, scene: &Scene<'_>, rows: Vec<usize>) -> Crafted {
        let (Some(attack), false) = (&self.attack, rows.is_empty()) else {
            let perturbation = Perturbation::default();
            return Crafted { rows: Vec::new(), perturbation, asked: Vec::new() };
        };
        let batch = scene.states.select(&rows, None);
        let states = batch.states();
        let policy = self.surrogate.as_ref().unwrap_or(scene.policy);
        let victim = NetworkVictim { policy, dropout: self.dropout };
        let victim = Metered::new(&victim, &states);
        let perturbation = attack.perturb(&victim, &states);
        Crafted { rows, perturbation, asked: victim.asked() }
    }

    /// Adds the perturbations of the rows that `pays` to the values, and notes them.
    fn apply(
        &self,
        scene: &Scene<'_>,
        crafted: &Crafted,
        pays: impl Fn(usize) -> bool,
        values: &mut [f32],
        realised: &mut Realised,
    ) -> Vec<bool> {
        let dim = scene.states.dim;
        let mut attacked = vec![false; scene.states.len()];
        let Perturbation { delta, iterations } = &crafted.perturbation;
        for (i, &row) in crafted.rows.iter().enumerate().filter(|(_, row)| pays(**row)) {
            let delta = &delta[i * dim..(i + 1) * dim];
            let state = &mut values[row * dim..(row + 1) * dim];
            state.iter_mut().zip(delta).for_each(|(s, d)| *s += d);
            let step = Step { delta, iterations: iterations[i], asked: crafted.asked[i] };
            realised.note(scene.hop, step);
            attacked[row] = true;
        }
        attacked
    }
}
