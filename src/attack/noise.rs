//! Random directions of the norms of FGSM: the control without which no attack row is meaningful.

use super::{AttackSpec, Norm};

const PARAMETERS: &[&str] = &["epsilon"];

pub static LINF: AttackSpec = AttackSpec {
    id: "noise_linf",
    summary: "ε times a random sign in every dimension",
    parameters: PARAMETERS,
    norm: Some(Norm::Linf),
    random: true,
};

pub static L2: AttackSpec = AttackSpec {
    id: "noise_l2",
    summary: "ε times a uniformly random direction",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    random: true,
};

pub static L1: AttackSpec = AttackSpec {
    id: "noise_l1",
    summary: "budget ε·d on one random dimension with a random sign",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    random: true,
};
