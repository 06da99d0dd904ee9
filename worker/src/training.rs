//! Training of the agent, actor-critic as in PGPR or REINFORCE (SPEC section 4). One thread computes the
//! network, so that a batch gives the same bits everywhere; environment steps go across cores.

use crate::beam::valid_actions;
use crate::policy::{Output, Policy, masked, to_vec};
use crate::update::{self, Losses, UpdateRule};
use crate::victim::NetworkVictim;
use advrec::agent::environment::{Actions, Environment};
use advrec::agent::params::{AgentParams, Algorithm};
use advrec::agent::path::{HOPS, Path};
use advrec::agent::weights::{Weights, WeightsError};
use advrec::attack::{self, Attack, Place, States};
use advrec::kg::EntityType;
use advrec::plan::Metric;
use advrec::random::{Purpose, generator};
use advrec::store::checkpoint::{Checkpoint, CheckpointError, State};
use rand::Rng;
use rand::seq::SliceRandom;
use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};
use thiserror::Error;

/// Means over an epoch, an episode being one user's path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochReport {
    /// Epochs done, from 1.
    pub epoch: u64,
    /// Reward at the end of the path.
    pub reward: f64,
    pub policy_loss: f64,
    pub value_loss: f64,
    pub entropy: f64,
}

/// Why there is no trained agent.
#[derive(Debug, Error)]
pub enum TrainingError {
    #[error("training of the agent was stopped after epoch {epoch}")]
    Stopped { epoch: u64 },
    #[error("the agent has diverged ({0}); try a smaller `agent.learning_rate`")]
    Diverged(#[from] WeightsError),
}

/// Valid actions of which at least so many make action dropout act, the self-loop among them.
const DROPOUT_FROM: usize = 5;

/// Bit of a dropout draw's place that keeps the baseline's draws apart from the policy's.
const BASELINE: u64 = 1 << 63;

/// Trains a network from scratch; `on_epoch` hears of each epoch and may break off.
///
/// Returns the weights and the training curves (`train_reward`, `train_policy_loss`,
/// `train_value_loss`, `train_entropy`, split `epoch/N`).
///
/// # Errors
/// If `on_epoch` breaks off before the last epoch, or the weights turn out not to be finite numbers.
pub fn train(
    environment: &Environment<'_>,
    params: &AgentParams,
    device: Device,
    on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Weights, Vec<Metric>), TrainingError> {
    train_from(&start(environment, params), environment, params, device, on_epoch)
}

/// The weights that a training from scratch starts from.
pub fn start(environment: &Environment<'_>, params: &AgentParams) -> Weights {
    let hidden = params.hidden.map(|n| n as usize);
    let start = Weights::random(environment.state_dim(), hidden, environment.width(), params.seed);
    match params.algorithm {
        Algorithm::Reinforce => start.with_baseline(params.seed),
        _ => start,
    }
}

/// As [`train`], from these weights on; of parameters with an attack, on states that it perturbs.
///
/// # Errors
/// As [`train`].
pub fn train_from(
    start: &Weights,
    environment: &Environment<'_>,
    params: &AgentParams,
    device: Device,
    on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Weights, Vec<Metric>), TrainingError> {
    resume(start, environment, params, device, &mut Checkpoint::none(), &|| false, on_epoch)
}

/// As [`train_from`], or from where `checkpoint` is; the training is kept there as it goes on, and when
/// it is broken off: by `on_epoch`, or in the middle of an epoch by `stop`, which is asked before each
/// batch. Of that epoch nothing is kept.
///
/// # Errors
/// As [`train`].
pub fn resume(
    start: &Weights,
    environment: &Environment<'_>,
    params: &AgentParams,
    device: Device,
    checkpoint: &mut Checkpoint,
    stop: &dyn Fn() -> bool,
    on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Weights, Vec<Metric>), TrainingError> {
    let fresh = || -> Result<_, TrainingError> {
        Ok(Trainer::new(environment, params, Policy::new(start, params.dropout, device)))
    };
    let (mut trainer, done, mut metrics) = checkpoint.resume(fresh, Trainer::restore)?;
    let mut whole = trainer.state(done, &metrics);
    for epoch in done..params.epochs {
        let Some(report) = trainer.epoch(epoch, stop) else {
            if epoch > done {
                checkpoint.keep(true, || whole);
            }
            return Err(TrainingError::Stopped { epoch });
        };
        let episodes = trainer.users.len() as u64;
        for (name, value) in [
            ("train_reward", report.reward),
            ("train_policy_loss", report.policy_loss),
            ("train_value_loss", report.value_loss),
            ("train_entropy", report.entropy),
        ] {
            metrics.push(Metric::new(name, format!("epoch/{}", epoch + 1), value, episodes));
        }
        let stops = on_epoch(report).is_break();
        if epoch + 1 < params.epochs {
            whole = trainer.state(epoch + 1, &metrics);
            checkpoint.keep(stops, || whole.clone());
            if stops {
                return Err(TrainingError::Stopped { epoch: epoch + 1 });
            }
        }
    }
    Ok((trainer.policy.weights()?, metrics))
}

struct Trainer<'a> {
    environment: &'a Environment<'a>,
    params: &'a AgentParams,
    policy: Policy,
    rule: UpdateRule,
    /// Users in the order of the current epoch.
    users: Vec<u32>,
    actions: Actions,
    states: Vec<f32>,
    hardening: Option<Hardening>,
}

/// Adversarial training (Madry et al., ICLR 2018): some of the episodes are walked under attack.
struct Hardening {
    attack: Box<dyn Attack>,
    share: f64,
}

/// Added to the number of an epoch of further training, whose draws are not those of the first one's.
const FURTHER: u64 = 1 << 32;

/// What one time step of a batch leaves for the loss.
struct Step {
    log_probability: Tensor,
    value: Tensor,
    entropy: Tensor,
    rewards: Vec<f32>,
}

impl<'a> Trainer<'a> {
    fn new(environment: &'a Environment<'a>, params: &'a AgentParams, policy: Policy) -> Self {
        let policy = Policy {
            tensors: policy.tensors.iter().map(|t| t.set_requires_grad(true)).collect(),
            ..policy
        };
        let count = environment.graph.space.count(EntityType::User) as u32;
        let attack = params.hardening().and_then(|attack| attack::build(&attack));
        let share = params.share.unwrap_or(1.0);
        Self {
            hardening: attack.map(|attack| Hardening { attack, share }),
            environment,
            params,
            rule: UpdateRule::new(&policy),
            policy,
            users: (0..count).collect(),
            actions: Actions::new(environment.width()),
            states: Vec::new(),
        }
    }

    /// All that the next epoch depends on; the learning rate follows from the number of epochs.
    fn state(&mut self, epoch: u64, metrics: &[Metric]) -> State<'static> {
        let mut state = State::new(epoch, metrics);
        update::keep("weights", &self.policy.tensors, &mut state);
        self.rule.keep(&mut state);
        state
    }

    fn restore(&mut self, state: &State<'_>) -> Result<(), CheckpointError> {
        update::restore("weights", &mut self.policy.tensors, state)?;
        self.rule.restore(state)
    }

    /// One pass over all users in a random order; nothing when it was stopped in its middle.
    fn epoch(&mut self, epoch: u64, stop: &dyn Fn() -> bool) -> Option<EpochReport> {
        let place = if self.params.attack.is_some() { FURTHER + epoch } else { epoch };
        // From one fixed order, so that an epoch's order depends on nothing but its number.
        self.users.sort_unstable();
        self.users.shuffle(&mut generator(
            self.params.seed,
            Purpose::AgentTraining,
            [place, u64::MAX, 0],
        ));
        let size = self.params.batch as usize;
        let batches = self.users.len().div_ceil(size);
        let mut sums = EpochReport { epoch: epoch + 1, ..EpochReport::default() };
        for batch in 0..batches {
            if stop() {
                return None;
            }
            let done = (epoch * batches as u64 + batch as u64) as f64;
            let all = (self.params.epochs * batches as u64) as f64;
            let rate = self.params.learning_rate * (1.0 - done / all).max(1e-4);
            let users = batch * size..((batch + 1) * size).min(self.users.len());
            let n = users.len() as f64;
            let report = self.batch(users, [place, batch as u64], rate);
            sums.reward += report.reward * n;
            sums.policy_loss += report.policy_loss * n;
            sums.value_loss += report.value_loss * n;
            sums.entropy += report.entropy * n;
        }
        let n = self.users.len().max(1) as f64;
        sums.reward /= n;
        sums.policy_loss /= n;
        sums.value_loss /= n;
        sums.entropy /= n;
        Some(sums)
    }

    /// Walks one path for each user of the batch and updates the network once.
    fn batch(&mut self, users: std::ops::Range<usize>, at: [u64; 2], rate: f64) -> EpochReport {
        let space = &self.environment.graph.space;
        let mut paths: Vec<Path> = self.users[users]
            .iter()
            .map(|&user| Path::start(space.node(EntityType::User, user)))
            .collect();
        let steps: Vec<Step> =
            (0..HOPS).map(|hop| self.step(&mut paths, [at[0], at[1], hop as u64])).collect();
        // Returns: rewards come at the end alone, discounted on the way back.
        let mut returns = vec![0f32; paths.len()];
        let zero = || Tensor::from(0f32).to_device(self.policy.device());
        let mut losses = Losses { policy: zero(), value: zero(), entropy: zero() };
        let mut sums = EpochReport::default();
        for step in steps.iter().rev() {
            for (r, reward) in returns.iter_mut().zip(&step.rewards) {
                *r = reward + self.params.gamma as f32 * *r;
            }
            let returns = Tensor::from_slice(&returns).to_device(self.policy.device());
            let advantage = returns - &step.value;
            let policy_loss = -(&step.log_probability * advantage.detach()).mean(None::<Kind>);
            let value_loss = advantage.square().mean(None::<Kind>);
            let entropy = step.entropy.mean(None::<Kind>);
            sums.policy_loss += policy_loss.double_value(&[]);
            sums.value_loss += value_loss.double_value(&[]);
            sums.entropy += entropy.double_value(&[]);
            sums.reward += step.rewards.iter().map(|&r| f64::from(r)).sum::<f64>();
            losses.policy += policy_loss;
            losses.value += value_loss;
            losses.entropy += entropy;
        }
        sums.reward /= paths.len() as f64;
        self.rule.apply(&mut self.policy, &losses, self.params.entropy_weight, rate);
        sums
    }

    /// One hop of every path of the batch.
    fn step(&mut self, paths: &mut [Path], at: [u64; 3]) -> Step {
        let environment = self.environment;
        environment.actions(paths, None, &mut self.actions);
        self.states.resize(paths.len() * environment.state_dim(), 0.0);
        environment.states(paths, &mut self.states);
        self.perturb(paths, at);
        let device = self.policy.device();
        let states =
            Tensor::from_slice(&self.states).reshape([paths.len() as i64, -1]).to_device(device);
        let mask = self.visible_actions(at).to_device(device);
        let output = self.forward(&states, at);
        let log_probabilities = masked(&output.logits, &mask).log_softmax(-1, Kind::Float);
        let probabilities = log_probabilities.exp();
        let chosen = self.sample(&to_vec(&probabilities), at);
        let index = Tensor::from_slice(&chosen).unsqueeze(1).to_device(device);
        for (row, (path, &action)) in paths.iter_mut().zip(&chosen).enumerate() {
            let (relation, tail) = self.actions.get(row, action as usize);
            *path = path.step(relation, tail);
        }
        let entropy = -(&probabilities * &log_probabilities).sum_dim_intlist(
            [-1i64].as_slice(),
            false,
            Kind::Float,
        );
        Step {
            log_probability: log_probabilities.gather(-1, &index, false).squeeze_dim(1),
            value: output.values,
            entropy,
            rewards: paths.iter().map(|path| environment.reward(path)).collect(),
        }
    }

    /// Perturbs the states of the episodes that are under attack, at every time step.
    fn perturb(&mut self, paths: &[Path], at: [u64; 3]) {
        let Some(Hardening { attack, share }) = &self.hardening else { return };
        let mut rng = generator(self.params.seed, Purpose::Hardening, [at[0], at[1], 0]);
        let rows: Vec<usize> = (0..paths.len()).filter(|_| rng.random::<f64>() < *share).collect();
        if rows.is_empty() {
            return;
        }
        let Actions { width, counts, .. } = &self.actions;
        let valid = |&count: &u32| (0..*width as u32).map(move |action| action < count);
        let mask: Vec<bool> = counts.iter().flat_map(valid).collect();
        // Random attacks draw by place: another one in each batch.
        let batch = (at[0] << 20 ^ at[1]) as u32;
        let place = |path: &Path| Place { user: path.user(), hop: at[2] as u32, path: batch };
        let places: Vec<Place> = paths.iter().map(place).collect();
        let dim = self.environment.state_dim();
        let states = States { dim, values: &self.states, mask: &mask, places: &places };
        let attacked = states.select(&rows, None);
        let victim = NetworkVictim { policy: &self.policy, dropout: None, evasion: None };
        let delta = attack.perturb(&victim, &attacked.states()).delta;
        for (&row, delta) in rows.iter().zip(delta.chunks_exact(dim)) {
            let state = &mut self.states[row * dim..(row + 1) * dim];
            state.iter_mut().zip(delta).for_each(|(s, d)| *s += d);
        }
    }

    /// Logits and values of the batch's states under dropout.
    fn forward(&self, states: &Tensor, at: [u64; 3]) -> Output {
        let rows = 0..states.size()[0] as u64;
        let dropout = |network: u64| {
            self.policy.dropout_masks(
                self.params.seed,
                Purpose::NetworkDropout,
                rows.clone().map(|row| [at[0], at[1], network | at[2] << 32 | row]),
            )
        };
        let masks = dropout(0);
        if !self.policy.has_baseline() {
            return self.policy.forward(states, masks.as_ref());
        }
        Output {
            logits: self.policy.logits(states, masks.as_ref()),
            values: self.policy.values(states, dropout(BASELINE).as_ref()),
        }
    }

    /// The valid actions less those that action dropout hides, as a mask `[batch, actions]`.
    fn visible_actions(&self, at: [u64; 3]) -> Tensor {
        let counts = &self.actions.counts;
        let width = self.actions.width;
        if self.params.action_dropout <= 0.0 {
            return valid_actions(counts, width);
        }
        let mut mask = vec![false; counts.len() * width];
        let mut rng = generator(self.params.seed, Purpose::ActionDropout, at);
        let mut edges = Vec::with_capacity(width);
        for (row, &count) in mask.chunks_mut(width).zip(counts) {
            let count = count as usize;
            row[0] = true;
            if count < DROPOUT_FROM {
                row[..count].fill(true);
                continue;
            }
            let kept = ((count - 1) as f64 * (1.0 - self.params.action_dropout)) as usize;
            edges.clear();
            edges.extend(1..count);
            let (kept, _) = edges.partial_shuffle(&mut rng, kept);
            for &mut action in kept {
                row[action] = true;
            }
        }
        Tensor::from_slice(&mask).reshape([counts.len() as i64, width as i64])
    }

    /// Draws one action a row from the probabilities `[batch, actions]`.
    fn sample(&self, probabilities: &[f32], at: [u64; 3]) -> Vec<i64> {
        let mut rng = generator(self.params.seed, Purpose::AgentTraining, at);
        probabilities
            .chunks(self.actions.width)
            .map(|row| {
                let draw: f64 = rng.random();
                let mut left = draw * row.iter().map(|&p| f64::from(p)).sum::<f64>();
                let mut last = 0;
                for (action, &p) in row.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    last = action;
                    left -= f64::from(p);
                    if left < 0.0 {
                        break;
                    }
                }
                last as i64
            })
            .collect()
    }
}
