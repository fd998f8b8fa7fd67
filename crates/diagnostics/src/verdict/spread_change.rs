//! Ratios of spreads, with their errors: does a group of chains spread out or contract while its mean stays?

use serde::{Deserialize, Serialize};

use super::chain_group::{ChainGroup, ChainOrigin};
use super::estimate::Estimate;
use crate::Result;
use crate::chains::mean_and_variance;

/// How the spread of one summary of one group changes from L to a multiple of L.
///
/// A constant mean does not show that a few chains leave, or that all chains collapse into one state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpreadChange {
    /// Where the chains start.
    pub start: ChainOrigin,
    /// The summary; "energy" for the energies.
    pub summary: String,
    /// The multiple of L.
    pub multiple: u64,
    /// Standard deviation over the chains at L.
    pub spread_before: f64,
    /// Standard deviation over the chains at the multiple.
    pub spread_after: f64,
    /// log of the later spread over the earlier one; [`Estimate::UNBOUNDED`] in size where just one of them is 0.
    pub log_ratio: Estimate,
}

/// Changes of the spread of every summary of a group from L to `multiple`·L.
pub(crate) fn spread_changes(
    group: &ChainGroup,
    training_steps: u64,
    multiple: u64,
    rate: f64,
) -> Result<Vec<SpreadChange>> {
    let before = group.record(training_steps, 1)?;
    let after = group.record(training_steps, multiple)?;
    Ok(group
        .summaries()
        .map(|(name, values)| {
            let (from, to) = (group.at(values, before), group.at(values, after));
            SpreadChange {
                start: group.start,
                summary: name.to_owned(),
                multiple,
                spread_before: mean_and_variance(from).1.sqrt(),
                spread_after: mean_and_variance(to).1.sqrt(),
                log_ratio: log_ratio(from, to, rate),
            }
        })
        .collect())
}

/// log of the ratio of two standard deviations of the same chains with its jackknife error (Miller 1968, "Jackknifing
/// variances"), which also holds where the values are not normal.
fn log_ratio(from: &[f64], to: &[f64], rate: f64) -> Estimate {
    let (from_sum, to_sum) = (sum_of_squares(from), sum_of_squares(to));
    match (from_sum > 0.0, to_sum > 0.0) {
        (false, false) => return Estimate::exact(0.0),
        (true, false) => return to_nothing(from, -1.0),
        (false, true) => return to_nothing(to, 1.0),
        (true, true) => {}
    }
    let value = 0.5 * (to_sum / from_sum).ln();
    let without: Vec<f64> = sums_without_one(to, to_sum)
        .zip(sums_without_one(from, from_sum))
        .map(|(to, from)| 0.5 * (to / from).ln())
        .collect();
    // If a single chain makes the whole spread, its error cannot be estimated.
    if !without.iter().all(|x| x.is_finite()) {
        return Estimate {
            value,
            ..Estimate::unknown()
        };
    }
    let m = from.len() as f64;
    let (_, variance) = mean_and_variance(&without);
    let standard_error = (m - 1.0) * (variance / m).sqrt();
    Estimate::new(value, standard_error, m - 1.0, rate)
}

/// In one of the two records all chains have the same value. Values that all differ in the other record, such as
/// energies, are never the same by chance; those of a count or a share may be.
fn to_nothing(other: &[f64], sign: f64) -> Estimate {
    let mut sorted = other.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.windows(2).all(|pair| pair[0] < pair[1]) {
        Estimate::exact(sign * Estimate::UNBOUNDED)
    } else {
        Estimate::unknown()
    }
}

fn sum_of_squares(values: &[f64]) -> f64 {
    mean_and_variance(values).1 * (values.len() as f64 - 1.0)
}

/// The sum of squares about their mean of all values but one, for each of them; not above 0 where it vanishes.
fn sums_without_one(values: &[f64], sum: f64) -> impl Iterator<Item = f64> {
    let (mean, _) = mean_and_variance(values);
    let m = values.len() as f64;
    values.iter().map(move |x| {
        let left = sum - (x - mean).powi(2) * m / (m - 1.0);
        // Rounding leaves a small rest where the sum is 0.
        if left > 1e-12 * sum { left } else { 0.0 }
    })
}

#[cfg(test)]
mod tests {
    use super::super::estimate::Place;
    use super::*;

    #[test]
    fn a_scale_is_known_exactly() {
        let values: Vec<f64> = (0..20).map(|k| f64::from(k * k % 17)).collect();
        let tripled: Vec<f64> = values.iter().map(|x| 5.0 - 3.0 * x).collect();
        let ratio = log_ratio(&values, &tripled, 0.01);
        assert!((ratio.value - 3.0_f64.ln()).abs() < 1e-12);
        assert!(ratio.half_width() < 1e-9);
    }

    #[test]
    fn vanishing_spreads_are_told_apart() {
        let varied: Vec<f64> = (0..8).map(f64::from).collect();
        let same = [0.5; 8];
        let mut blip = [0.0; 8];
        blip[3] = 1.0;
        let place = |from: &[f64], to: &[f64]| log_ratio(from, to, 0.01).place(0.7);
        assert_eq!(place(&same, &same), Place::Inside);
        assert_eq!(place(&varied, &same), Place::Outside);
        assert_eq!(place(&same, &varied), Place::Outside);
        assert_eq!(place(&[0.0; 8], &blip), Place::Across);
        assert_eq!(place(&blip, &[0.0; 8]), Place::Across);
        assert_eq!(place(&blip, &varied), Place::Across);
    }
}
