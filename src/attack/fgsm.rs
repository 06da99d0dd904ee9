//! The fast gradient sign method in three norms (Goodfellow et al. 2015; on policies: Huang et al.
//! 2017), and the named readings of the paper's l1 and l2.

use super::{
    Attack, AttackParams, AttackSpec, Norm, ObjectiveKind, Perturbation, Scale, States, Victim,
};

const PARAMETERS: &[&str] = &["epsilon", "objective"];

pub static LINF: AttackSpec = AttackSpec {
    id: "fgsm_linf",
    summary: "ε·sign(g)",
    parameters: PARAMETERS,
    norm: Some(Norm::Linf),
    scale: Scale::One,
    random: false,
};

pub static L2: AttackSpec = AttackSpec {
    id: "fgsm_l2",
    summary: "ε·g/‖g‖₂",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    scale: Scale::One,
    random: false,
};

pub static L2_DIM: AttackSpec = AttackSpec {
    id: "fgsm_l2_dim",
    summary: "ε·√d·g/‖g‖₂",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    scale: Scale::RootDimension,
    random: false,
};

pub static L1: AttackSpec = AttackSpec {
    id: "fgsm_l1",
    summary: "budget ε·d on the dimension with the largest |g|",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    scale: Scale::Dimension,
    random: false,
};

pub static L1_ABS: AttackSpec = AttackSpec {
    id: "fgsm_l1_abs",
    summary: "budget ε on the dimension with the largest |g|",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    scale: Scale::One,
    random: false,
};

pub static L1_FLAT: AttackSpec = AttackSpec {
    id: "fgsm_l1_flat",
    summary: "ε·g/‖g‖₁",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    scale: Scale::One,
    random: false,
};

struct Fgsm {
    id: &'static str,
    epsilon: f64,
    objective: ObjectiveKind,
}

/// The attack of one of this file's specifications.
pub fn build(spec: &AttackSpec, params: &AttackParams) -> Box<dyn Attack> {
    Box::new(Fgsm { id: spec.id, epsilon: params.epsilon(), objective: params.objective() })
}

impl Attack for Fgsm {
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Perturbation {
        let mut delta = victim.gradient(states, states.values, self.objective);
        let dim = states.dim as f64;
        for g in delta.chunks_exact_mut(states.dim) {
            match self.id {
                "fgsm_linf" => g.iter_mut().for_each(|x| *x = sign(*x) * self.epsilon as f32),
                "fgsm_l2" => scale_to(g, 2, self.epsilon),
                "fgsm_l2_dim" => scale_to(g, 2, self.epsilon * dim.sqrt()),
                "fgsm_l1" => put_on_largest(g, self.epsilon * dim),
                "fgsm_l1_abs" => put_on_largest(g, self.epsilon),
                _ => scale_to(g, 1, self.epsilon),
            }
        }
        Perturbation::uniform(delta, 1, states)
    }
}

/// −1, 0 or 1; `signum` of a zero would be 1.
fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// Scales a gradient to a length in the p-norm (p = 1 or 2); a zero gradient stays zero.
fn scale_to(g: &mut [f32], p: i32, length: f64) {
    // In float64, where the squares of the gradients of a saturated network do not vanish.
    let power: f64 = g.iter().map(|&x| f64::from(x).abs().powi(p)).sum();
    let norm = if p == 2 { power.sqrt() } else { power };
    let scale = if norm > 0.0 { length / norm } else { 0.0 };
    g.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
}

/// Puts the whole budget on the dimension with the largest |g| (the first of equals), with its sign.
fn put_on_largest(g: &mut [f32], budget: f64) {
    let mut at = 0;
    for (i, x) in g.iter().enumerate() {
        if x.abs() > g[at].abs() {
            at = i;
        }
    }
    let step = sign(g[at]) * budget as f32;
    g.fill(0.0);
    g[at] = step;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_gradient_perturbs_nothing() {
        let mut g = [0.0; 4];
        scale_to(&mut g, 2, 1.0);
        put_on_largest(&mut g, 1.0);
        assert_eq!(g, [0.0; 4]);
    }

    #[test]
    fn tiny_gradients_keep_their_direction() {
        let mut g = [3e-30, -4e-30];
        scale_to(&mut g, 2, 5.0);
        assert!((g[0] - 3.0).abs() < 1e-5 && (g[1] + 4.0).abs() < 1e-5, "{g:?}");
    }

    #[test]
    fn the_largest_takes_all() {
        let mut g = [0.5, -2.0, 2.0];
        put_on_largest(&mut g, 40.0);
        assert_eq!(g, [0.0, -40.0, 0.0]);
    }
}
