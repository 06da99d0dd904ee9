//! The learning rate over training: a straight line (SPEC section 2).

/// The share of the first rate that is left at the end.
const FINAL_SHARE: f64 = 1e-4;

/// A rate that falls linearly from `first` to 1e-4 of it.
#[derive(Clone, Copy, Debug)]
pub struct LinearDecay {
    pub first: f64,
    /// Word occurrences (or purchases) that all epochs walk through, skipped ones included: this
    /// number is known beforehand, the number of items kept by subsampling is not.
    pub total: u64,
}

impl LinearDecay {
    /// The rate after `done` occurrences.
    pub fn at(&self, done: u64) -> f32 {
        let progress = if self.total == 0 { 1.0 } else { done as f64 / self.total as f64 };
        (self.first * (1.0 - (1.0 - FINAL_SHARE) * progress.min(1.0))) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_from_the_first_rate_to_a_ten_thousandth() {
        let decay = LinearDecay { first: 0.5, total: 1000 };
        assert_eq!(decay.at(0), 0.5);
        assert!((decay.at(500) - 0.250_025).abs() < 1e-7);
        assert!((decay.at(1000) - 0.5e-4).abs() < 1e-10);
        assert_eq!(decay.at(2000), decay.at(1000));
    }
}
