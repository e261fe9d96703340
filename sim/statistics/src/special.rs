//! Regularised incomplete beta and gamma functions, over `libm` alone.
//!
//! Continued fractions by the modified method of Lentz (DLMF 8.17.22 and 8.9.2), the power series of the gamma
//! function (DLMF 8.11.4), and factors in front of them written as deviances (Loader, "Fast and accurate computation
//! of binomial probabilities", 2000), so that large parameters lose no digits to the difference of large logarithms.

/// ln(2π) / 2.
const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;
/// Steps of a continued fraction or series: the root of the largest parameter decides, so this is enough to 10^11.
const MOST_STEPS: usize = 1_000_000;
/// In place of zero where a division would fail.
const TINY: f64 = 1e-300;

/// By how much ln Γ(z) exceeds Stirling's (z − ½) ln z − z + ½ ln 2π, for z > 0.
fn stirling_error(z: f64) -> f64 {
    if z < 15.0 {
        return libm::lgamma(z) - ((z - 0.5) * libm::log(z) - z + HALF_LN_TWO_PI);
    }
    // DLMF 5.11.1; the next term is below 10^-15.
    let r = 1.0 / (z * z);
    (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / z
}

/// ln(1 + e) with all digits where e is small, and from `ratio` = 1 + e where it is not.
fn ln_ratio(e: f64, ratio: f64) -> f64 {
    if e.abs() < 0.5 {
        libm::log1p(e)
    } else {
        libm::log(ratio)
    }
}

/// x^a y^b / B(a, b) with y = 1 − x.
pub(crate) fn beta_factor(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || y <= 0.0 {
        return 0.0;
    }
    let sum = a + b;
    let deviation = x * b - y * a;
    let deviance = a * ln_ratio(deviation / a, x * (sum / a)) + b * ln_ratio(-deviation / b, y * (sum / b));
    let constant = 0.5 * libm::log(a / sum * b) - HALF_LN_TWO_PI;
    libm::exp(deviance + constant + stirling_error(sum) - stirling_error(a) - stirling_error(b))
}

/// I_x(a, b) and 1 − I_x(a, b), each with its own relative precision; `y` is 1 − x.
pub(crate) fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    let factor = beta_factor(a, b, x, y);
    if x < (a + 1.0) / (a + b + 2.0) {
        let lower = (factor / a * beta_fraction(a, b, x)).min(1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (factor / b * beta_fraction(b, a, y)).min(1.0);
        (1.0 - upper, upper)
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..MOST_STEPS {
        let m = step as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / kept(1.0 + even * d);
        c = kept(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / kept(1.0 + odd * d);
        c = kept(1.0 + odd / c);
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction
}

/// x^a e^−x / Γ(a).
pub(crate) fn gamma_factor(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let e = (x - a) / a;
    let deviance = a * (ln_ratio(e, x / a) - e);
    libm::exp(deviance + 0.5 * libm::log(a) - HALF_LN_TWO_PI - stirling_error(a))
}

/// P(a, x) and Q(a, x), each with its own relative precision.
pub(crate) fn incomplete_gamma(a: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    let factor = gamma_factor(a, x);
    if x < a + 1.0 {
        let (mut term, mut sum, mut divisor) = (1.0 / a, 1.0 / a, a);
        for _ in 0..MOST_STEPS {
            divisor += 1.0;
            term *= x / divisor;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        let lower = (factor * sum).min(1.0);
        return (lower, 1.0 - lower);
    }
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / kept(b);
    let mut fraction = d;
    for step in 1..MOST_STEPS {
        let m = step as f64;
        let numerator = -m * (m - a);
        b += 2.0;
        d = 1.0 / kept(numerator * d + b);
        c = kept(b + numerator / c);
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    let upper = (factor * fraction).min(1.0);
    (1.0 - upper, upper)
}
