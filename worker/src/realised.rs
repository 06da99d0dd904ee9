//! What was done to the states of a rollout, as distributions over its attacked time steps.

use advrec::agent::path::HOPS;
use advrec::attack::victim::Asked;
use advrec::attack::{AttackSpec, Norm};
use advrec::metrics::statistics;
use advrec::plan::Metric;

/// One attacked time step.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub delta: &'a [f32],
    pub iterations: u32,
    pub asked: Asked,
}

/// What was done to the states of a rollout. Vectors have an entry for each attacked time step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Realised {
    /// Time steps walked, by hop.
    pub steps: [u64; HOPS],
    /// Attacked time steps, by hop.
    pub attacked: [u64; HOPS],
    /// Attacked time steps whose best action changed, by hop.
    pub flipped: [u64; HOPS],
    /// Attacked time steps at which a gradient that the attack asked for was zero.
    pub zero_gradients: u64,
    /// Number of dimensions moved, and norms, of each perturbation.
    pub l0: Vec<f32>,
    pub l1: Vec<f32>,
    pub l2: Vec<f32>,
    pub linf: Vec<f32>,
    /// Steps that the attack took.
    pub iterations: Vec<f32>,
    /// Times that it put the state to the network.
    pub queries: Vec<f32>,
    /// Scores of all time steps, where a rollout is walked for them.
    pub scores: Vec<f32>,
}

impl Realised {
    /// Number of attacked time steps.
    pub fn attacked(&self) -> u64 {
        self.attacked.iter().sum()
    }

    /// Number of time steps.
    pub fn steps(&self) -> u64 {
        self.steps.iter().sum()
    }

    /// Adds an attacked time step at a hop.
    pub fn note(&mut self, hop: usize, step: Step<'_>) {
        let Step { delta, iterations, asked } = step;
        self.attacked[hop] += 1;
        self.zero_gradients += u64::from(asked.zero_gradient);
        self.l0.push(delta.iter().filter(|&&x| x != 0.0).count() as f32);
        self.l1.push(Norm::L1.length(delta) as f32);
        self.l2.push(Norm::L2.length(delta) as f32);
        self.linf.push(Norm::Linf.length(delta) as f32);
        self.iterations.push(iterations as f32);
        self.queries.push(asked.queries as f32);
    }

    /// Adds what was done in another part of the same rollout, after this one's.
    pub fn append(&mut self, other: Self) {
        for hop in 0..HOPS {
            self.steps[hop] += other.steps[hop];
            self.attacked[hop] += other.attacked[hop];
            self.flipped[hop] += other.flipped[hop];
        }
        self.zero_gradients += other.zero_gradients;
        self.l0.extend(other.l0);
        self.l1.extend(other.l1);
        self.l2.extend(other.l2);
        self.linf.extend(other.linf);
        self.iterations.extend(other.iterations);
        self.queries.extend(other.queries);
        self.scores.extend(other.scores);
    }

    /// The metrics of a rollout by an attack of this specification and ε, if any, on states of `dim`
    /// numbers.
    pub fn metrics(&self, attack: Option<(&AttackSpec, f64)>, dim: usize) -> Vec<Metric> {
        let mut metrics = Vec::new();
        let share = |name: &str, split: String, part: u64, of: u64| {
            (of > 0).then(|| Metric::new(name, split, part as f64 / of as f64, of))
        };
        let all = || "all".to_owned();
        let (attacked, steps) = (self.attacked(), self.steps());
        metrics.extend(share("realised_frequency", all(), attacked, steps));
        if attacked == 0 {
            return metrics;
        }
        metrics.extend(share("flip_rate", all(), self.flipped.iter().sum(), attacked));
        for hop in 0..HOPS {
            let split = || format!("hop/{}", hop + 1);
            let (here, walked) = (self.attacked[hop], self.steps[hop]);
            metrics.extend(share("realised_frequency", split(), here, walked));
            metrics.extend(share("flip_rate", split(), self.flipped[hop], here));
        }
        metrics.extend(share("zero_gradient_share", all(), self.zero_gradients, attacked));
        let unmoved = self.l2.iter().filter(|&&x| x == 0.0).count() as u64;
        metrics.extend(share("unperturbed_share", all(), unmoved, attacked));
        for (name, values) in [
            ("l0", &self.l0),
            ("l1", &self.l1),
            ("l2", &self.l2),
            ("linf", &self.linf),
            ("iterations", &self.iterations),
            ("queries", &self.queries),
        ] {
            metrics.extend(distribution(name, values));
        }
        let bounded = attack.and_then(|(spec, epsilon)| {
            spec.norm.zip(spec.budget(epsilon, dim).filter(|budget| *budget > 0.0))
        });
        if let Some((norm, budget)) = bounded {
            let lengths = match norm {
                Norm::L1 => &self.l1,
                Norm::L2 => &self.l2,
                Norm::Linf => &self.linf,
            };
            let used: Vec<f32> = lengths.iter().map(|&x| (f64::from(x) / budget) as f32).collect();
            metrics.extend(distribution("budget_used", &used));
            let most = used.iter().copied().fold(0.0, f32::max);
            metrics.push(Metric::new("budget_used_max", "all", most.into(), attacked));
        }
        metrics
    }
}

/// Mean, median and 95th percentile.
fn distribution(name: &str, values: &[f32]) -> Vec<Metric> {
    let values: Vec<f64> = values.iter().map(|&x| x.into()).collect();
    let n = values.len() as u64;
    [
        ("mean", statistics::mean(&values)),
        ("median", statistics::percentile(&values, 0.5)),
        ("p95", statistics::percentile(&values, 0.95)),
    ]
    .into_iter()
    .filter_map(|(figure, value)| {
        value.map(|value| Metric::new(format!("{name}_{figure}"), "all", value, n))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use advrec::attack;

    #[test]
    fn metrics_summarise_the_attacked_time_steps() {
        let mut realised = Realised { steps: [2, 2, 0], ..Realised::default() };
        let asked = Asked { queries: 3, zero_gradient: false };
        realised.note(0, Step { delta: &[3.0, -4.0], iterations: 1, asked });
        let asked = Asked { queries: 5, zero_gradient: true };
        realised.note(1, Step { delta: &[0.0, 0.0], iterations: 2, asked });
        realised.flipped[0] = 1;
        let metrics = realised.metrics(Some((attack::spec("fgsm_l2").unwrap(), 5.0)), 2);
        let value = |name: &str, split: &str| {
            metrics.iter().find(|m| m.name == name && m.split == split).map(|m| m.value)
        };
        assert_eq!(value("realised_frequency", "all"), Some(0.5));
        assert_eq!(value("realised_frequency", "hop/2"), Some(0.5));
        assert_eq!(value("realised_frequency", "hop/3"), None);
        assert_eq!(value("flip_rate", "all"), Some(0.5));
        assert_eq!(value("flip_rate", "hop/1"), Some(1.0));
        assert_eq!(value("zero_gradient_share", "all"), Some(0.5));
        assert_eq!(value("unperturbed_share", "all"), Some(0.5));
        assert_eq!(value("l2_mean", "all"), Some(2.5));
        assert_eq!(value("queries_mean", "all"), Some(4.0));
        assert_eq!(value("iterations_median", "all"), Some(1.5));
        assert_eq!(value("budget_used_max", "all"), Some(1.0));
    }
}
