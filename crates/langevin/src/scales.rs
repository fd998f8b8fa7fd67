//! A length for each element of a state, by which kernels precondition their steps.

use std::sync::Arc;

use ebm_core::{NoiseKey, States};

use crate::{AnyKernel, ChainRun, Chains, LangevinError};

/// The relative length of each element of a state. Their geometric mean is 1, so that a step size keeps its meaning: where
/// all elements are alike all lengths are 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Scales(Arc<[f64]>);

/// The settings of [`Scales::adapted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleAdaptation {
    /// Steps of the burn-in; 1,000 by default.
    pub steps: u64,
    /// How often the lengths are taken anew on the way; 5 by default. The windows between grow, each twice as long as the
    /// one before.
    pub windows: u32,
    /// How many times within a window the chains are looked at; 20 by default.
    pub looks: u64,
}

impl Default for ScaleAdaptation {
    fn default() -> Self {
        Self {
            steps: 1_000,
            windows: 5,
            looks: 20,
        }
    }
}

impl Scales {
    /// The same length for all of `elements`.
    #[must_use]
    pub fn equal(elements: usize) -> Self {
        Self(vec![1.0; elements].into())
    }

    /// Lengths in any unit; they are divided by their geometric mean.
    ///
    /// # Errors
    /// [`LangevinError::Scales`] if there is none, one is not a finite number > 0, or one is farther from the geometric mean
    /// than by a factor of 10¹⁰⁰, so that its square would not be a number.
    pub fn new(lengths: &[f64]) -> Result<Self, LangevinError> {
        let problem = match lengths.iter().find(|l| !(**l > 0.0 && l.is_finite())) {
            Some(bad) => format!("one is {bad}: must be finite numbers > 0"),
            None if lengths.is_empty() => "there are none".into(),
            None => {
                let logs = lengths.iter().map(|length| length.ln());
                let mean = logs.sum::<f64>() / lengths.len() as f64;
                let relative: Vec<_> = lengths.iter().map(|l| (l.ln() - mean).exp()).collect();
                if relative.iter().all(|l| (1e-100..=1e100).contains(l)) {
                    return Ok(Self(relative.into()));
                }
                "they differ too much: none may lie a factor of 1e100 from their geometric mean"
                    .into()
            }
        };
        Err(LangevinError::Scales(problem))
    }

    /// The length of each element, in the order of a state.
    #[must_use]
    pub fn lengths(&self) -> &[f64] {
        &self.0
    }

    /// Runs a burn-in from `states` and takes the length of an element from its standard deviation over the chains and
    /// over the looks at them. Afterwards the lengths stay as they are: a kernel that went on adapting would not leave
    /// the density invariant. Returns the states after the burn-in too.
    ///
    /// The spread over the chains is that of where they started until they have mixed, so start chains like the density.
    /// `kernel` makes the kernel for given lengths from where the chains are, once a window: a step size that fits equal
    /// lengths need not fit unequal ones. The variance of n states is drawn toward the mean variance of all elements with the
    /// weight of five states, so that no element is frozen by chance; Stan draws its variances toward a constant in the same
    /// way (Stan Reference Manual, "Automatic parameter tuning").
    ///
    /// # Errors
    /// [`LangevinError::Scales`] for no steps, windows or looks, or where the states do not move or run away; those of
    /// `kernel` and of [`Chains::run`].
    pub fn adapted(
        chains: &dyn Chains,
        states: &States,
        noise: NoiseKey,
        adaptation: ScaleAdaptation,
        mut kernel: impl FnMut(&Self, &States) -> Result<AnyKernel, LangevinError>,
    ) -> Result<(Self, States), LangevinError> {
        let ScaleAdaptation {
            steps,
            windows,
            looks,
        } = adaptation;
        if steps == 0 || windows == 0 || looks == 0 || states.is_empty() {
            let problem = "a burn-in needs at least one chain, step, window and look";
            return Err(LangevinError::Scales(problem.into()));
        }
        let mut scales = Self::equal(chains.shape().size());
        let mut states = states.clone();
        let mut step = 0;
        for window in 1..=windows {
            let end = window_end(steps, windows, window);
            let begin = step;
            if end == begin {
                continue;
            }
            let of_window = kernel(&scales, &states)?;
            let mut seen = Moments::new(chains.shape().size());
            for look in 1..=looks {
                let share = u128::from(end - begin) * u128::from(look) / u128::from(looks);
                let next = begin + share as u64;
                if next == step {
                    continue;
                }
                let run = ChainRun::new(of_window.clone(), next - step)
                    .with_first_step(step)
                    .with_noise(noise);
                states = chains.run(&states, &run)?.states;
                step = next;
                if !states.is_finite() {
                    let problem = format!(
                        "states are NaN or infinite after {step} steps of the burn-in; take a smaller step size"
                    );
                    return Err(LangevinError::Scales(problem));
                }
                seen.add(&states);
            }
            let deviations = seen.deviations();
            if deviations.iter().all(|deviation| *deviation == 0.0) {
                let problem = format!(
                    "all states were alike in {step} steps of the burn-in; take more chains or steps"
                );
                return Err(LangevinError::Scales(problem));
            }
            scales = Self::new(&deviations)?;
        }
        Ok((scales, states))
    }
}

/// Where a window ends if each is twice as long as the one before.
fn window_end(steps: u64, windows: u32, window: u32) -> u64 {
    let parts = |windows: u32| (1u128 << windows.min(63)) - 1;
    (u128::from(steps) * parts(window) / parts(windows)) as u64
}

/// Sums for the variance of each element.
struct Moments {
    count: f64,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn new(elements: usize) -> Self {
        Self {
            count: 0.0,
            means: vec![0.0; elements],
            squares: vec![0.0; elements],
        }
    }

    fn add(&mut self, states: &States) {
        for state in states.iter() {
            self.count += 1.0;
            for ((mean, square), x) in self.means.iter_mut().zip(&mut self.squares).zip(state) {
                let from_mean = f64::from(*x) - *mean;
                *mean += from_mean / self.count;
                *square += from_mean * (f64::from(*x) - *mean);
            }
        }
    }

    fn deviations(&self) -> Vec<f64> {
        const PRIOR: f64 = 5.0;
        let variances = || self.squares.iter().map(|square| square / self.count);
        let mean = variances().sum::<f64>() / self.means.len().max(1) as f64;
        let drawn = |variance: f64| (self.count * variance + PRIOR * mean) / (self.count + PRIOR);
        variances().map(|variance| drawn(variance).sqrt()).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_geometric_mean_one() {
        let scales = Scales::new(&[0.1, 1.0, 10.0]).unwrap();
        for (length, wanted) in scales.lengths().iter().zip([0.1, 1.0, 10.0]) {
            assert!((length / wanted - 1.0).abs() < 1e-12);
        }
        let doubled = Scales::new(&[0.2, 2.0, 20.0]).unwrap();
        for (length, wanted) in doubled.lengths().iter().zip(scales.lengths()) {
            assert!((length / wanted - 1.0).abs() < 1e-12);
        }
        for bad in [
            &[][..],
            &[1.0, 0.0],
            &[1.0, -2.0],
            &[f64::NAN],
            &[f64::INFINITY],
            // Geometric mean 1: a factor of 1e150 each.
            &[1e-150, 1e150],
        ] {
            Scales::new(bad).unwrap_err();
        }
    }

    #[test]
    fn windows_double_and_cover_all_steps() {
        let ends: Vec<_> = (1..=4).map(|window| window_end(150, 4, window)).collect();
        assert_eq!(ends, [10, 30, 70, 150]);
        assert_eq!(window_end(u64::MAX, 63, 63), u64::MAX);
        assert_eq!(window_end(u64::MAX, 64, 64), u64::MAX);
    }
}
