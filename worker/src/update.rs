//! How a batch of episodes moves the network (SPEC section 4): Adam on the loss of actor-critic, or of
//! REINFORCE with a baseline apart from the policy.

use crate::policy::{Policy, to_vec};
use advrec::detect::Decay;
use advrec::store::checkpoint::{CheckpointError, State};
use tch::Tensor;

/// Losses of a batch: means over its episodes, summed over the time steps; scalars.
pub struct Losses {
    /// −log π(a_t | s_t)·advantage, through which no gradient reaches the values.
    pub policy: Tensor,
    /// Squared error of V(s_t) on the returns.
    pub value: Tensor,
    /// Entropy of π(· | s_t), which is raised.
    pub entropy: Tensor,
}

/// Which loss moves which tensors.
pub enum UpdateRule {
    /// One loss over one network: the hidden layers serve the policy and the values.
    ActorCritic { network: Adam },
    /// REINFORCE with baseline (Williams 1992; Sutton and Barto 2018, section 13.4, without the factor
    /// γ^t of the states, which PGPR's actor-critic leaves out as well): the policy follows its
    /// gradient and the entropy alone, the baseline the squared error alone.
    Reinforce { policy: Adam, baseline: Adam },
}

impl UpdateRule {
    /// The rule of a network's layout: REINFORCE where values come from a baseline apart.
    pub fn new(policy: &Policy) -> Self {
        let (actor, values) = policy.tensors.split_at(Policy::VALUES);
        match policy.has_baseline() {
            true => Self::Reinforce { policy: Adam::new(actor), baseline: Adam::new(values) },
            false => Self::ActorCritic { network: Adam::new(&policy.tensors) },
        }
    }

    /// The optimisers by their names in a checkpoint.
    fn optimizers(&mut self) -> Vec<(&'static str, &mut Adam)> {
        match self {
            Self::ActorCritic { network } => vec![("network", network)],
            Self::Reinforce { policy, baseline } => {
                vec![("policy", policy), ("baseline", baseline)]
            }
        }
    }

    /// Adds the optimisers to the state of a training.
    pub fn keep(&mut self, state: &mut State<'_>) {
        for (name, adam) in self.optimizers() {
            adam.keep(name, state);
        }
    }

    /// Takes the optimisers from the state of a training by the same rule.
    ///
    /// # Errors
    /// If they are not there.
    pub fn restore(&mut self, state: &State<'_>) -> Result<(), CheckpointError> {
        self.optimizers().into_iter().try_for_each(|(name, adam)| adam.restore(name, state))
    }

    /// Takes one step at a learning rate. The tensors must require gradients, and the losses come from
    /// them.
    pub fn apply(
        &mut self,
        policy: &mut Policy,
        losses: &Losses,
        entropy_weight: f64,
        learning_rate: f64,
    ) {
        let entropy = &losses.entropy * entropy_weight;
        match self {
            Self::ActorCritic { network } => {
                let loss = &losses.policy + &losses.value - entropy;
                network.descend(&loss, &mut policy.tensors, learning_rate);
            }
            Self::Reinforce { policy: actor, baseline } => {
                let (actor_tensors, value_tensors) = policy.tensors.split_at_mut(Policy::VALUES);
                actor.descend(&(&losses.policy - entropy), actor_tensors, learning_rate);
                baseline.descend(&losses.value, value_tensors, learning_rate);
            }
        }
    }
}

/// Adds tensors to the state of a training, `NAME.0`, `NAME.1` and so on.
pub(crate) fn keep(name: &str, tensors: &[Tensor], state: &mut State<'_>) {
    for (i, tensor) in tensors.iter().enumerate() {
        state.add(format!("{name}.{i}"), to_vec(tensor));
    }
}

/// Copies what [`keep`] kept over tensors of the same shapes.
pub(crate) fn restore(
    name: &str,
    tensors: &mut [Tensor],
    state: &State<'_>,
) -> Result<(), CheckpointError> {
    for (i, tensor) in tensors.iter_mut().enumerate() {
        let values = state.tensor(&format!("{name}.{i}"), tensor.numel())?;
        let values = Tensor::from_slice(values).view_as(tensor);
        tch::no_grad(|| tensor.copy_(&values));
    }
    Ok(())
}

/// Adam with PyTorch's constants, its state beside the weights.
pub struct Adam {
    means: Vec<Tensor>,
    squares: Vec<Tensor>,
    steps: i32,
    weight_decay: f64,
    decay: Decay,
}

impl Adam {
    const BETA1: f64 = 0.9;
    const BETA2: f64 = 0.999;
    const EPSILON: f64 = 1e-8;

    fn new(tensors: &[Tensor]) -> Self {
        Self::with_weight_decay(tensors, 0.0, Decay::default())
    }

    /// Fresh state for these tensors, which decay.
    pub(crate) fn with_weight_decay(tensors: &[Tensor], weight_decay: f64, decay: Decay) -> Self {
        let zeros = || tensors.iter().map(Tensor::zeros_like).collect();
        Self { means: zeros(), squares: zeros(), steps: 0, weight_decay, decay }
    }

    /// Adds both moments and the number of steps to the state of a training, under a name.
    pub(crate) fn keep(&self, name: &str, state: &mut State<'_>) {
        state.add_number(format!("{name}.steps"), f64::from(self.steps));
        for (moment, tensors) in [("means", &self.means), ("squares", &self.squares)] {
            keep(&format!("{name}.{moment}"), tensors, state);
        }
    }

    /// Takes them from there.
    pub(crate) fn restore(&mut self, name: &str, state: &State<'_>) -> Result<(), CheckpointError> {
        self.steps = state.number(&format!("{name}.steps"))? as i32;
        restore(&format!("{name}.means"), &mut self.means, state)?;
        restore(&format!("{name}.squares"), &mut self.squares, state)
    }

    /// One step down the gradient of a loss by the tensors.
    fn descend(&mut self, loss: &Tensor, tensors: &mut [Tensor], rate: f64) {
        let gradients = Tensor::run_backward(&[loss], &*tensors, false, false);
        self.step(&gradients, tensors, rate);
    }

    /// One step down gradients that are known already, each of its tensor.
    pub(crate) fn step(&mut self, gradients: &[Tensor], tensors: &mut [Tensor], rate: f64) {
        self.steps += 1;
        let correct1 = 1.0 - Self::BETA1.powi(self.steps);
        let correct2 = 1.0 - Self::BETA2.powi(self.steps);
        let state = self.means.iter_mut().zip(&mut self.squares);
        tch::no_grad(|| {
            for ((tensor, g), (mean, square)) in tensors.iter_mut().zip(gradients).zip(state) {
                let decayed = match self.decay {
                    _ if self.weight_decay == 0.0 => None,
                    Decay::Coupled => Some(g + &*tensor * self.weight_decay),
                    Decay::Decoupled => {
                        *tensor *= 1.0 - rate * self.weight_decay;
                        None
                    }
                };
                let g = decayed.as_ref().unwrap_or(g);
                let _ = mean.lerp_(g, 1.0 - Self::BETA1);
                *square *= Self::BETA2;
                *square += g.square() * (1.0 - Self::BETA2);
                let size = square.sqrt() / correct2.sqrt() + Self::EPSILON;
                *tensor -= &*mean / size * (rate / correct1);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights after one step at a rate of 0.01.
    fn moved(decay: Decay) -> Vec<f32> {
        let mut tensors = [Tensor::from_slice(&[2f32, -3.0, 0.0, 1.0])];
        let mut adam = Adam::with_weight_decay(&tensors, 0.1, decay);
        let gradient = Tensor::from_slice(&[0f32, 0.0, 0.0, -0.5]);
        adam.step(&[gradient], &mut tensors, 0.01);
        Vec::try_from(&tensors[0]).unwrap()
    }

    #[test]
    fn weights_decay_through_the_gradient_or_apart_from_it() {
        // The first step of Adam is the rate, whatever the size of the gradient.
        let coupled = [1.99, -2.99, 0.0, 1.01];
        let decoupled = [2.0 * 0.999, -3.0 * 0.999, 0.0, 0.999 + 0.01];
        for (decay, expected) in [(Decay::Coupled, coupled), (Decay::Decoupled, decoupled)] {
            for (moved, expected) in moved(decay).into_iter().zip(expected) {
                assert!((moved - expected).abs() < 1e-5, "{decay:?}: {moved} {expected}");
            }
        }
    }
}
