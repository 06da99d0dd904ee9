//! The fast gradient sign method in three norms (Goodfellow et al. 2015; on policies: Huang et al.
//! 2017), and the named readings of the paper's l1 and l2.

use super::{AttackSpec, Norm};

const PARAMETERS: &[&str] = &["epsilon", "objective"];

pub static LINF: AttackSpec = AttackSpec {
    id: "fgsm_linf",
    summary: "ε·sign(g)",
    parameters: PARAMETERS,
    norm: Some(Norm::Linf),
    random: false,
};

pub static L2: AttackSpec = AttackSpec {
    id: "fgsm_l2",
    summary: "ε·g/‖g‖₂",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    random: false,
};

pub static L2_DIM: AttackSpec = AttackSpec {
    id: "fgsm_l2_dim",
    summary: "ε·√d·g/‖g‖₂",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    random: false,
};

pub static L1: AttackSpec = AttackSpec {
    id: "fgsm_l1",
    summary: "budget ε·d on the dimension with the largest |g|",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    random: false,
};

pub static L1_ABS: AttackSpec = AttackSpec {
    id: "fgsm_l1_abs",
    summary: "budget ε on the dimension with the largest |g|",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    random: false,
};

pub static L1_FLAT: AttackSpec = AttackSpec {
    id: "fgsm_l1_flat",
    summary: "ε·g/‖g‖₁",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    random: false,
};
