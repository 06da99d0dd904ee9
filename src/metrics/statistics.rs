//! Means with intervals, and percentiles. Sums run in the order of the values.

/// Arithmetic mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation (divisor n − 1); `None` for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// A mean with the 95 % interval of Student's t.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    /// Lower and upper end; `None` for a single value, which has no spread.
    pub interval: Option<(f64, f64)>,
    pub n: u64,
}

/// Mean ± t₀.₉₇₅(n − 1) · s / √n; `None` without values.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let mean = mean(values)?;
    let interval = standard_deviation(values).map(|s| {
        let half = t_quantile_975(values.len() - 1) * s / (values.len() as f64).sqrt();
        (mean - half, mean + half)
    });
    Some(Estimate { mean, interval, n: values.len() as u64 })
}

/// The 97.5 % quantile of Student's t with `df` degrees of freedom: by a table to 30, above by the
/// Cornish-Fisher expansion to the third order (Abramowitz and Stegun 26.7.5), which is exact to six
/// digits there. Infinite for 0 degrees.
pub fn t_quantile_975(df: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157,
        2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922,
        2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831,
        2.048407, 2.045230, 2.042272,
    ];
    match df {
        0 => f64::INFINITY,
        1..=30 => TABLE[df - 1],
        _ => {
            let z = 1.959_963_984_540_054_f64;
            let n = df as f64;
            let z2 = z * z;
            let first = (z2 + 1.0) * z / 4.0;
            let second = ((5.0 * z2 + 16.0) * z2 + 3.0) * z / 96.0;
            let third = (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) * z / 384.0;
            z + (first + (second + third / n) / n) / n
        }
    }
}

/// The value below which a share (0..=1) of the values lies, linear between neighbours (R's type 7,
/// NumPy's default); `None` without values.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_values_have_the_textbook_interval() {
        let Estimate { mean, interval, n } = estimate(&[1.0, 2.0, 6.0]).unwrap();
        assert_eq!((mean, n), (3.0, 3));
        let (lower, upper) = interval.unwrap();
        // s = √7, t = 4.302653, √(7/3)·t = 6.572410
        assert!((upper - 9.572410).abs() < 1e-5 && (lower + 3.572410).abs() < 1e-5);
        assert_eq!(estimate(&[4.0]).unwrap().interval, None);
        assert_eq!(estimate(&[]), None);
    }

    #[test]
    fn the_expansion_continues_the_table() {
        // From tables of the t distribution.
        for (df, exact) in [(31, 2.039513), (40, 2.021075), (60, 2.000298), (120, 1.979930)] {
            assert!((t_quantile_975(df) - exact).abs() < 2e-6, "{df}: {}", t_quantile_975(df));
        }
        assert!((t_quantile_975(1_000_000) - 1.959966).abs() < 1e-6);
        assert!((1..200).all(|df| t_quantile_975(df) > t_quantile_975(df + 1)));
    }

    #[test]
    fn percentiles_are_linear_between_values() {
        let values = [30.0, 10.0, 20.0, 40.0];
        assert_eq!(percentile(&values, 0.0), Some(10.0));
        assert_eq!(percentile(&values, 0.5), Some(25.0));
        assert_eq!(percentile(&values, 1.0), Some(40.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
