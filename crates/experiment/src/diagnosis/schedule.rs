//! The Langevin steps at which long chains are recorded.

/// Records of the second half of the chains, evenly spaced as R̂ and effective sample sizes need them.
const LATE_RECORDS: u64 = 32;
/// Records for each tenfold of steps before that.
const RECORDS_PER_DECADE: i32 = 8;
/// A multiple of L between the first and the last at which chains are compared, where the last is far enough.
const MIDDLE: u64 = 10;

/// Steps to record and multiples of L to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// L.
    pub(crate) training_steps: u64,
    /// Multiples of L, rising, at which chains are compared with those at L.
    pub(crate) multiples: Vec<u64>,
    /// Recorded steps, rising; the last is the end of the chains.
    pub(crate) steps: Vec<u64>,
}

impl Schedule {
    /// Chains of `multiple`·L steps, with `multiple` of at least 3: logarithmic steps with L and 10·L among them over
    /// the first half, even ones over the second.
    pub(crate) fn new(training_steps: u64, multiple: u64) -> Self {
        let last = training_steps.saturating_mul(multiple);
        let half = last.div_ceil(2);
        let middle = training_steps.saturating_mul(MIDDLE);
        let multiples = if middle < half {
            vec![MIDDLE, multiple]
        } else {
            vec![multiple]
        };
        let mut steps: Vec<u64> = (0..)
            .map(|k| {
                10f64
                    .powf(f64::from(k) / f64::from(RECORDS_PER_DECADE))
                    .round() as u64
            })
            .take_while(|step| *step < half)
            .collect();
        steps.extend(
            [training_steps, middle]
                .into_iter()
                .filter(|step| *step < half),
        );
        let stride = (last - half).div_euclid(LATE_RECORDS).max(1);
        steps.extend(
            (0..=LATE_RECORDS)
                .map_while(|k| last.checked_sub(k * stride).filter(|step| *step >= half)),
        );
        steps.sort_unstable();
        steps.dedup();
        Self {
            training_steps,
            multiples,
            steps,
        }
    }

    /// The end of the chains.
    pub(crate) fn last(&self) -> u64 {
        self.steps.last().copied().unwrap_or_default()
    }

    /// The multiple of L whose states are kept for pictures, if this step is one.
    pub(crate) fn kept_multiple(&self, step: u64) -> Option<u64> {
        std::iter::once(&1)
            .chain(&self.multiples)
            .copied()
            .find(|multiple| self.training_steps.saturating_mul(*multiple) == step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn compared_steps_are_recorded_and_late_ones_are_even(steps in 1u64..2000, multiple in 3u64..2000) {
            let schedule = Schedule::new(steps, multiple);
            prop_assert!(schedule.steps.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(schedule.last(), steps * multiple);
            for compared in schedule.multiples.iter().chain([&1]) {
                prop_assert!(schedule.steps.contains(&(steps * compared)));
            }
            let late: Vec<_> = schedule.steps.iter().filter(|step| **step >= schedule.last().div_ceil(2)).collect();
            prop_assert!(late.windows(2).all(|pair| pair[1] - pair[0] == late[1] - late[0]));
            prop_assert!(schedule.steps.len() < 120);
        }
    }

    #[test]
    fn the_default_compares_at_ten_and_a_hundred() {
        let schedule = Schedule::new(30, 100);
        assert_eq!(schedule.multiples, [10, 100]);
        assert_eq!(schedule.kept_multiple(300), Some(10));
        assert_eq!(schedule.kept_multiple(31), None);
        assert_eq!(Schedule::new(30, 20).multiples, [20]);
    }
}
