//! Attacks on the state that the agent sees (SPEC section 6): one file an attack. They are arithmetic
//! over a [`Victim`]'s answers and need no libtorch; the network behind the answers is the worker's.

#[cfg(test)]
mod contract;
mod deepfool;
mod fgsm;
mod iterated;
mod jsma;
mod noise;
pub mod params;
mod spsa;
pub mod timing;
pub mod victim;

pub use params::{AttackParams, CandidateRule, ObjectiveKind, TargetRule, TimingRule};
pub use timing::Place;
pub use victim::{Attack, Metered, Perturbation, States, Victim};

/// Which norm an attack's ε bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    L1,
    L2,
    Linf,
}

impl Norm {
    /// The length of a perturbation.
    pub fn length(self, delta: &[f32]) -> f64 {
        let sizes = delta.iter().map(|&x| f64::from(x).abs());
        match self {
            Norm::L1 => sizes.sum(),
            Norm::L2 => sizes.map(|x| x * x).sum::<f64>().sqrt(),
            Norm::Linf => sizes.fold(0.0, f64::max),
        }
    }
}

/// What ε is multiplied by to give the largest length of a perturbation of d numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    One,
    /// d
    Dimension,
    /// √d
    RootDimension,
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
    pub scale: Scale,
    /// Whether the perturbation is drawn at random.
    pub random: bool,
}

impl AttackSpec {
    /// The largest length of a perturbation of `dim` numbers in the attack's norm; `None` for attacks
    /// without a bound.
    pub fn budget(&self, epsilon: f64, dim: usize) -> Option<f64> {
        self.norm.map(|_| match self.scale {
            Scale::One => epsilon,
            Scale::Dimension => epsilon * dim as f64,
            Scale::RootDimension => epsilon * (dim as f64).sqrt(),
        })
    }

    /// The attack that only draws at random with the same budget, where there is one.
    pub fn noise(&self) -> Option<&'static AttackSpec> {
        let alike = |other: &&AttackSpec| {
            self.norm.is_some()
                && (other.norm, other.scale) == (self.norm, self.scale)
                && other.random
                && other.id.starts_with("noise_")
        };
        ATTACKS.iter().copied().find(alike)
    }
}

/// Makes the list of attacks that grids are checked against and the function that builds them, from one
/// line an attack: its module and its specification.
macro_rules! registry {
    ($($module:ident::$spec:ident),* $(,)?) => {
        /// Every attack but `none`.
        pub static ATTACKS: &[&AttackSpec] = &[$(&$module::$spec),*];

        /// The attack that a rollout's parameters ask for; `None` for `none` and for ids that are
        /// not registered, which the grid refuses.
        pub fn build(params: &AttackParams) -> Option<Box<dyn Attack>> {
            $(if params.attack == $module::$spec.id {
                return Some($module::build(&$module::$spec, params));
            })*
            None
        }
    };
}

registry! {
    fgsm::LINF,
    fgsm::L2,
    fgsm::L2_DIM,
    fgsm::L1,
    fgsm::L1_ABS,
    fgsm::L1_FLAT,
    iterated::PGD_LINF,
    iterated::PGD_L2,
    iterated::MI_FGSM,
    jsma::JSMA,
    jsma::FULL,
    deepfool::DEEPFOOL,
    spsa::SPSA,
    noise::LINF,
    noise::L2,
    noise::L1,
}

/// The attack with this id; `None` for `none` and for unknown ids.
pub fn spec(id: &str) -> Option<&'static AttackSpec> {
    ATTACKS.iter().copied().find(|a| a.id == id)
}
