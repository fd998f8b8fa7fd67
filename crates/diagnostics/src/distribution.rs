//! Probabilities and quantiles of the distributions that the tests refer to.
//!
//! Everything follows from two functions: the regularised incomplete gamma function gives the normal and the χ²
//! distribution, the regularised incomplete beta function Student's t. Both use their classical series and continued
//! fractions (Abramowitz & Stegun, 6.5 and 26.5), good to about 1e-13 relative.

use std::f64::consts::PI;

/// Enough for both continued fractions in the ranges used here; they converge in some tens of steps.
const MOST_TERMS: usize = 10_000;

/// Keeps the denominators of a continued fraction away from zero (Lentz's method).
const TINY: f64 = 1e-300;

/// P(Z ≤ x) for a standard normal Z.
pub(crate) fn normal_probability(x: f64) -> f64 {
    let tail = 0.5 * upper_gamma(0.5, x * x / 2.0);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The x with P(Z ≤ x) = `probability` for a standard normal Z; ±∞ at 1 and 0.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if probability >= 1.0 {
        return f64::INFINITY;
    }
    if probability > 0.5 {
        // Below one half the probability keeps its digits.
        return -normal_quantile(1.0 - probability);
    }
    // Abramowitz & Stegun 26.2.23, good to 4.5e-4; Halley's method then triples the digits each time.
    let t = (-2.0 * probability.ln()).sqrt();
    let numerator = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let denominator = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut x = numerator / denominator - t;
    for _ in 0..2 {
        let density = (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
        let step = (normal_probability(x) - probability) / density;
        x -= step / (1.0 + x * step / 2.0);
    }
    x
}

/// P(X > x) for a χ² variable X with `degrees` degrees of freedom.
pub(crate) fn chi_square_tail(x: f64, degrees: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    upper_gamma(degrees / 2.0, x / 2.0)
}

/// P(T > x) for x ≥ 0 and a Student variable T with `degrees` degrees of freedom (not necessarily whole).
pub(crate) fn student_tail(x: f64, degrees: f64) -> f64 {
    0.5 * incomplete_beta(degrees / (degrees + x * x), degrees / 2.0, 0.5)
}

/// The x ≥ 0 with P(T > x) = `tail` ≤ ½ for a Student variable T.
pub(crate) fn student_upper_quantile(tail: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 2.0);
    while student_tail(high, degrees) > tail && high < 1e150 {
        low = high;
        high *= 2.0;
    }
    // Bisection to the last digit: a handful of calls a judgement, so speed is no matter.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if student_tail(middle, degrees) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// log Γ(x) for x > 0: Stirling's series above 12, the recursion Γ(x + 1) = x·Γ(x) below.
fn log_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 12.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0
        - inverse
            * (1.0 / 360.0
                - inverse * (1.0 / 1260.0 - inverse * (1.0 / 1680.0 - inverse / 1188.0))))
        / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series - shift
}

/// The regularised upper incomplete gamma function Q(a, x), for x ≥ 0.
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - log_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..MOST_TERMS {
            term *= x / (a + n as f64);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return 1.0 - front * sum;
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for n in 1..MOST_TERMS {
        let n = n as f64;
        let numerator = -n * (n - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * fraction
}

/// The regularised incomplete beta function I_x(a, b).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The continued fraction converges quickly on this side of the mean.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let log_front = log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for n in 1..MOST_TERMS {
        let n = n as f64;
        let even = n * (b - n) * x / ((a + 2.0 * n - 1.0) * (a + 2.0 * n));
        let odd = -(a + n) * (a + b + n) * x / ((a + 2.0 * n) * (a + 2.0 * n + 1.0));
        let mut change = 1.0;
        for numerator in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + numerator * d);
            c = away_from_zero(1.0 + numerator / c);
            fraction *= d * c;
            change = d * c;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    log_front.exp() * fraction / a
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// The half width, in standard deviations, of the two-sided band that `comparisons` independent normal values all stay
/// within with probability 1 − `rate` (Šidák's correction).
pub(crate) fn two_sided_band(rate: f64, comparisons: usize) -> f64 {
    one_sided_band(0.5 * single_rate(rate, comparisons), 1)
}

/// The same for values that must not pass the band on one side.
pub(crate) fn one_sided_band(rate: f64, comparisons: usize) -> f64 {
    -normal_quantile(single_rate(rate, comparisons))
}

/// 1 − (1 − rate)^(1/comparisons), without cancellation.
fn single_rate(rate: f64, comparisons: usize) -> f64 {
    -((-rate).ln_1p() / comparisons.max(1) as f64).exp_m1()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::SQRT_2;

    use super::*;

    #[track_caller]
    fn close(got: f64, expected: f64) {
        assert!(
            (got - expected).abs() <= 1e-12 * expected.abs(),
            "got {got}, expected {expected}"
        );
    }

    // Expected values from SciPy 1.17.1 (scipy.stats norm, chi2 and t).
    #[test]
    fn normal_values_match_scipy() {
        for (x, expected) in [
            (-8.0, 6.22096057427174e-16),
            (-3.5, 0.00023262907903552502),
            (-1.0, 0.15865525393145707),
            (0.0, 0.5),
            (0.25, 0.5987063256829237),
            (2.0, 0.9772498680518208),
            (5.0, 0.9999997133484281),
        ] {
            close(normal_probability(x), expected);
        }
        for (probability, expected) in [
            (1e-12, -7.034483825301131),
            (0.0001, -3.7190164854556804),
            (0.01, -2.3263478740408408),
            (0.3, -0.5244005127080409),
            (0.5001, 0.0002506628300880075),
            (0.975, 1.959963984540054),
            (0.999999, 4.753424308817087),
        ] {
            close(normal_quantile(probability), expected);
        }
    }

    #[test]
    fn chi_square_and_student_values_match_scipy() {
        for (x, degrees, expected) in [
            (0.5, 15.0, 0.9999999982553599),
            (15.0, 15.0, 0.4514172112257256),
            (60.0, 15.0, 2.522085078696141e-07),
            (3.84, 1.0, 0.05004352124870519),
            (900.0, 1000.0, 0.9892827619087102),
        ] {
            close(chi_square_tail(x, degrees), expected);
        }
        for (x, degrees, expected) in [
            (0.1, 3.0, 0.46332617440040297),
            (2.0, 7.5, 0.041448497649083156),
            (6.0, 15.0, 1.216327275551927e-05),
            (40.0, 31.0, 1.5090709622210297e-28),
            (1.96, 1000.0, 0.025136592477874368),
        ] {
            close(student_tail(x, degrees), expected);
        }
        for (tail, degrees, expected) in [
            (0.025, 3.0, 3.1824463052837086),
            (0.005, 15.0, 2.9467128834752385),
            (1e-06, 7.5, 13.052169759815303),
            (0.4, 63.0, 0.25441963124770295),
        ] {
            close(student_upper_quantile(tail, degrees), expected);
        }
    }

    #[test]
    fn closed_forms_hold() {
        // χ² with 2 degrees is exponential; t with 1 degree is Cauchy and with 2 algebraic.
        close(chi_square_tail(3.0, 2.0), (-1.5_f64).exp());
        close(student_tail(1.0, 1.0), 0.25);
        close(student_tail(SQRT_2, 2.0), 0.5 * (1.0 - SQRT_2 / 2.0));
        close(log_gamma(0.5), 0.5 * PI.ln());
        close(log_gamma(20.0), (1..20).map(|k| f64::from(k).ln()).sum());
        for rate in [0.05, 0.01] {
            close(two_sided_band(rate, 1), -normal_quantile(rate / 2.0));
        }
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
    }
}
