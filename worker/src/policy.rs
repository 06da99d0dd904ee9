//! The policy and value network: state → 512 → 256, ELU and dropout after each, an actor and a critic
//! head (SPEC section 4). A REINFORCE agent's critic head sits on hidden layers of its own, the
//! baseline's.

use advrec::agent::weights::{Weights, WeightsError};
use advrec::random::{Purpose, generator};
use rand::RngCore;
use tch::{Device, Kind, Tensor};

/// What the logits of invalid actions are set to.
pub const MASKED: f64 = -999_999.0;

/// The network's tensors on a device, in the order l1, l2, actor, critic, and baseline_l1, baseline_l2
/// where values come from a baseline apart; weight, then bias.
#[derive(Debug)]
pub struct Policy {
    pub tensors: Vec<Tensor>,
    /// Probability with which dropout zeroes a hidden unit, where dropout is on.
    pub dropout: f64,
}

/// Logits `[n, actions]` before masking, and values `[n]`.
pub struct Output {
    pub logits: Tensor,
    pub values: Tensor,
}

/// Dropout masks of both hidden layers for a batch, scaled by 1/(1 − p): `[n, width]`. They fit the
/// policy's layers and the baseline's, whose widths are the same.
pub struct DropoutMasks([Tensor; 2]);

impl Policy {
    /// Place of the first tensor that only values depend on: the critic's, then the baseline's. The
    /// actor's head, with hidden layers before it, ends here.
    pub const VALUES: usize = 6;
    /// Place of the baseline's first hidden layer.
    const BASELINE: usize = 8;

    /// Puts weights on a device.
    pub fn new(weights: &Weights, dropout: f64, device: Device) -> Self {
        let tensors = weights
            .tensors()
            .map(|(_, shape, data)| {
                let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
                Tensor::from_slice(data).reshape(shape).to_device(device)
            })
            .collect();
        Self { tensors, dropout }
    }

    /// Copies the weights back from the device.
    ///
    /// # Errors
    /// If a tensor has an unexpected shape, which only a fault of the program can cause.
    pub fn weights(&self) -> Result<Weights, WeightsError> {
        let parts = self.tensors.iter().map(|t| {
            let shape = t.size().iter().map(|&n| n as usize).collect();
            (shape, to_vec(t))
        });
        Weights::from_parts(parts.collect())
    }

    /// Device that the network lives on.
    pub fn device(&self) -> Device {
        self.tensors[0].device()
    }

    /// Whether values come from a baseline that shares no layer with the policy.
    pub fn has_baseline(&self) -> bool {
        self.tensors.len() > Self::BASELINE
    }

    /// Number of actions, the self-loop among them.
    pub fn action_count(&self) -> usize {
        self.tensors[5].size()[0] as usize
    }

    /// Runs the network on states `[n, d]`.
    pub fn forward(&self, states: &Tensor, masks: Option<&DropoutMasks>) -> Output {
        let hidden = self.hidden(0, states, masks);
        let values = match self.has_baseline() {
            true => self.values(states, masks),
            false => self.critic(&hidden),
        };
        Output { logits: self.actor(&hidden), values }
    }

    /// Logits alone, `[n, actions]`, before masking.
    pub fn logits(&self, states: &Tensor, masks: Option<&DropoutMasks>) -> Tensor {
        self.actor(&self.hidden(0, states, masks))
    }

    /// Values alone, `[n]`.
    pub fn values(&self, states: &Tensor, masks: Option<&DropoutMasks>) -> Tensor {
        let first = if self.has_baseline() { Self::BASELINE } else { 0 };
        self.critic(&self.hidden(first, states, masks))
    }

    /// The second of the two hidden layers whose tensors begin at `first`, `[n, width]`.
    fn hidden(&self, first: usize, states: &Tensor, masks: Option<&DropoutMasks>) -> Tensor {
        let mut x = states.shallow_clone();
        for layer in 0..2 {
            let weight = first + 2 * layer;
            x = x.linear(&self.tensors[weight], Some(&self.tensors[weight + 1])).elu();
            if let Some(masks) = masks {
                x = x.g_mul(&masks.0[layer]);
            }
        }
        x
    }

    fn actor(&self, hidden: &Tensor) -> Tensor {
        hidden.linear(&self.tensors[4], Some(&self.tensors[5]))
    }

    fn critic(&self, hidden: &Tensor) -> Tensor {
        hidden.linear(&self.tensors[6], Some(&self.tensors[7])).squeeze_dim(1)
    }

    /// Draws dropout masks for states at these places, each row by its own place, so that a row's
    /// mask does not depend on the batch around it. `None` where dropout is off.
    pub fn dropout_masks(
        &self,
        seed: u64,
        purpose: Purpose,
        places: impl Iterator<Item = [u64; 3]> + Clone,
    ) -> Option<DropoutMasks> {
        if self.dropout <= 0.0 {
            return None;
        }
        let widths = [self.tensors[0].size()[0], self.tensors[2].size()[0]];
        let limit = (self.dropout * 2f64.powi(32)) as u32;
        let scale = (1.0 / (1.0 - self.dropout)) as f32;
        let mut layers = [Vec::new(), Vec::new()];
        let mut rows = 0;
        for at in places {
            let mut rng = generator(seed, purpose, at);
            for (layer, width) in layers.iter_mut().zip(widths) {
                layer.extend((0..width).map(|_| if rng.next_u32() < limit { 0.0 } else { scale }));
            }
            rows += 1;
        }
        let [first, second] = layers;
        let tensor = |values: Vec<f32>, width| {
            Tensor::from_slice(&values).reshape([rows, width]).to_device(self.device())
        };
        Some(DropoutMasks([tensor(first, widths[0]), tensor(second, widths[1])]))
    }
}

/// Logits with the invalid actions (mask false) set to [`MASKED`].
pub fn masked(logits: &Tensor, mask: &Tensor) -> Tensor {
    logits.masked_fill(&mask.logical_not(), MASKED)
}

/// The numbers of a tensor, row by row.
pub fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view(-1);
    let mut out = vec![0f32; flat.numel()];
    flat.copy_data(&mut out, flat.numel());
    out
}
