//! Numbers as people read them.

/// Up to three significant digits, with a true minus sign.
#[must_use]
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    let text = if value == 0.0 || !value.is_finite() {
        format!("{value}")
    } else if !(1e-3..1e6).contains(&magnitude) {
        format!("{value:.2e}")
    } else if magnitude >= 999.5 {
        let whole = thousands(magnitude.round() as u64);
        if value < 0.0 {
            format!("-{whole}")
        } else {
            whole
        }
    } else {
        let decimals = (2 - magnitude.log10().floor() as i32).max(0) as usize;
        format!("{value:.decimals$}")
    };
    trimmed(&text).replace('-', "−")
}

/// Label of a tick on an axis of the given span, with as many decimals as neighbours need.
#[must_use]
pub fn tick_label(value: f64, span: f64) -> String {
    let step = span / 20.0;
    // Ticks are computed by repeated addition; one of them is zero but for rounding.
    if value.abs() < 1e-3 * step {
        return "0".to_owned();
    }
    let text = if value.abs() >= 1e5 || step < 1e-5 {
        let significant = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 8.0);
        format!("{value:.0$e}", significant as usize)
    } else {
        format!(
            "{value:.0$}",
            (-step.log10().floor()).clamp(0.0, 6.0) as usize
        )
    };
    trimmed(&text).replace('-', "−")
}

/// Groups digits by commas: 12345 as `12,345`.
#[must_use]
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Drops zeros after the decimal point, also before an exponent.
fn trimmed(number: &str) -> String {
    let (mantissa, exponent) = number.split_at(number.find('e').unwrap_or(number.len()));
    if !mantissa.contains('.') {
        return number.to_owned();
    }
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{mantissa}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.012_34, "−0.0123"),
            (12.345, "12.3"),
            (-12_345.0, "−12,345"),
            (0.01, "0.01"),
            (200.0, "200"),
            (999.7, "1,000"),
            (1.5e-7, "1.5e−7"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn tick_labels_are_short() {
        for (value, span, label) in [
            (0.25, 1.0, "0.25"),
            (-0.5, 2.0, "−0.5"),
            (1e-17, 1.0, "0"),
            (40.0, 100.0, "40"),
            (2_000_000.0, 5_000_000.0, "2e6"),
            (0.000_02, 0.000_05, "2e−5"),
        ] {
            assert_eq!(tick_label(value, span), label);
        }
    }
}
