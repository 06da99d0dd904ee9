//! Arithmetic on rows of `f32`: dot products, scaled sums, the logistic function.
//!
//! Rows are padded with zeros to a multiple of [`LANES`], and every sum runs over [`LANES`] lanes
//! that are added up in one fixed order, without fused multiply-add. So the bits do not depend on
//! which instruction set the processor has; the callers are compiled for AVX2 as well, and these
//! functions are inlined there.

/// Partial sums of a dot product.
pub const LANES: usize = 8;

/// Length of a padded row.
pub fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(LANES)
}

#[inline(always)]
fn sum(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Σ xᵢ·yᵢ of two padded rows.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (x, y) in x.as_chunks::<LANES>().0.iter().zip(y.as_chunks::<LANES>().0) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    sum(lanes)
}

/// y += scale·x on padded rows.
#[inline(always)]
pub fn add_scaled(scale: f32, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.as_chunks::<LANES>().0.iter().zip(y.as_chunks_mut::<LANES>().0) {
        for i in 0..LANES {
            y[i] += scale * x[i];
        }
    }
}

/// out = x + y on padded rows.
#[inline(always)]
pub fn add(x: &[f32], y: &[f32], out: &mut [f32]) {
    let sums = x.as_chunks::<LANES>().0.iter().zip(y.as_chunks::<LANES>().0);
    for ((x, y), out) in sums.zip(out.as_chunks_mut::<LANES>().0) {
        for i in 0..LANES {
            out[i] = x[i] + y[i];
        }
    }
}

/// exp(x) for x in −87..=0 (smaller x count as −87), to 2 units in the last place.
///
/// Not the C library's: that one picks a version by processor, with other last bits. Range
/// reduction by ln 2 in two parts, then the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exp_of_negative(x: f32) -> f32 {
    // Adding and subtracting 1.5·2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    // Written so that NaN stays NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        p = p * r + c;
    }
    // The low bits of `shifted` are n; with the exponent's bias of 127 they make 2ⁿ.
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits() - 127) << 23);
    (p * r * r + r + 1.0) * power
}

/// σ(x) and exp(−|x|), from which softplus(x) = max(x, 0) + ln(1 + exp(−|x|)).
#[inline(always)]
pub fn sigmoid(x: f32) -> (f32, f32) {
    let e = exp_of_negative(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    (numerator / (1.0 + e), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_agrees_with_double_precision_and_keeps_its_tails() {
        let mut worst = 0.0f64;
        for i in -8000..=8000 {
            let x = i as f32 * 0.01;
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            worst = worst.max((f64::from(sigmoid(x).0) / exact - 1.0).abs());
        }
        assert!(worst < 4e-7, "relative error {worst}");
        assert!(sigmoid(-200.0).0 > 0.0 && sigmoid(-200.0).0 < 1e-37);
        assert_eq!(sigmoid(200.0).0, 1.0);
        assert_eq!(sigmoid(0.0), (0.5, 1.0));
        assert!(sigmoid(f32::NAN).0.is_nan());
    }

    #[test]
    fn dot_and_scaled_sums() {
        let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let mut y = vec![2.0; 16];
        assert_eq!(dot(&x, &y), 240.0);
        add_scaled(-1.0, &x, &mut y);
        assert_eq!(y[15], -13.0);
        let mut out = vec![0.0; 16];
        add(&x, &y, &mut out);
        assert!(out.iter().all(|&v| v == 2.0));
    }
}
