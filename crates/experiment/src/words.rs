//! Numbers for people.

/// Seconds: 42 s, 5 min, 3.2 h, 12 days.
#[must_use]
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// Three significant digits with a unit: 14.4k, 2.04M.
#[must_use]
pub fn rounded(number: f64) -> String {
    let (scaled, unit) = match number {
        n if n >= 1e9 => (n / 1e9, "G"),
        n if n >= 1e6 => (n / 1e6, "M"),
        n if n >= 1e3 => (n / 1e3, "k"),
        n => (n, ""),
    };
    let decimals = match scaled {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{unit}")
}

/// The number with so many significant digits.
#[must_use]
pub fn with_digits(number: f64, digits: usize) -> f64 {
    let decimals = digits.saturating_sub(1);
    format!("{number:.decimals$e}").parse().unwrap_or(number)
}

/// The number with so many significant digits, as one would type it: 0.06, 1e-4.
#[must_use]
pub fn as_typed(number: f64, digits: usize) -> String {
    let short = with_digits(number, digits);
    if (1e-3..1e4).contains(&short) {
        short.to_string()
    } else {
        format!("{short:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        for (seconds, text) in [
            (41.7, "42 s"),
            (300.0, "5 min"),
            (11_520.0, "3.2 h"),
            (1e6, "12 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn numbers_are_as_one_would_type_them() {
        for (number, digits, text) in [
            (0.5, 3, "0.5"),
            (0.9f64.powi(3), 3, "0.729"),
            (0.1f64.powi(5), 3, "1e-5"),
            (2.0, 3, "2"),
            (0.1 * 3.0, 2, "0.3"),
            (3e-4 / 3.0, 2, "1e-4"),
            (1e-4 / 3.0, 2, "3.3e-5"),
            (2e300, 2, "2e300"),
        ] {
            assert_eq!(as_typed(number, digits), text);
        }
    }

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.5, "0.50"),
            (438.2, "438"),
            (14_434.0, "14.4k"),
            (2.04e6, "2.04M"),
            (3e9, "3.00G"),
        ];
        for (number, text) in cases {
            assert_eq!(rounded(number), text);
        }
    }
}
