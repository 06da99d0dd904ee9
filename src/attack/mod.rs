//! Attacks on the state that the agent sees (SPEC section 6). This file and the specifications in
//! the attacks' own files need no libtorch, so that the orchestrator can check grids.

mod fgsm;
mod noise;

/// Which norm an attack's ε bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    L1,
    L2,
    Linf,
}

/// What there is to know of an attack without running it.
#[derive(Debug, PartialEq)]
pub struct AttackSpec {
    /// The id in grids and in the database; it names one definition for ever.
    pub id: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Names of the grid parameters that the attack takes beside timing, such as `epsilon`.
    pub parameters: &'static [&'static str],
    /// The norm that ε bounds, for attacks that have one.
    pub norm: Option<Norm>,
    /// Whether the perturbation is drawn at random.
    pub random: bool,
}

/// Every attack but `none`.
pub static ATTACKS: &[&AttackSpec] = &[
    &fgsm::LINF,
    &fgsm::L2,
    &fgsm::L2_DIM,
    &fgsm::L1,
    &fgsm::L1_ABS,
    &fgsm::L1_FLAT,
    &noise::LINF,
    &noise::L2,
    &noise::L1,
];

/// The attack with this id; `None` for `none` and for unknown ids.
pub fn spec(id: &str) -> Option<&'static AttackSpec> {
    ATTACKS.iter().copied().find(|a| a.id == id)
}
