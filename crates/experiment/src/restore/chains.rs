//! Langevin chains that are drawn to an image.

use ebm_core::{NoiseKey, States, Stream};
use ebm_langevin::{ChainRun, Chains, KernelName};
use ebm_trainer::LangevinConfig;

use crate::{ExperimentError, Trained};

/// What draws the chains to the image.
pub(super) enum Pull<'a> {
    /// Known elements are set back after each step to those of the states, one row for each chain.
    Held {
        missing: &'a [bool],
        known: &'a States,
    },
    /// −(ε²/2)(X − y)/s² beside the step, for an image y with noise s.
    Toward { image: &'a [f32], deviation: f64 },
}

impl Pull<'_> {
    /// From the states before a step and after it without the pull to those after it.
    fn apply(&self, before: &States, after: &mut States, epsilon: f64) {
        let length = after.shape().size();
        let chains = after.values_mut().chunks_exact_mut(length);
        match self {
            Self::Held { missing, known } => {
                for (chain, known) in chains.zip(known.iter()) {
                    for ((x, known), missing) in chain.iter_mut().zip(known).zip(*missing) {
                        if !missing {
                            *x = *known;
                        }
                    }
                }
            }
            Self::Toward { image, deviation } => {
                let factor = 0.5 * (epsilon / deviation).powi(2);
                for (chain, before) in chains.zip(before.iter()) {
                    for ((x, before), y) in chain.iter_mut().zip(before).zip(*image) {
                        *x -= (factor * (f64::from(*before) - f64::from(*y))) as f32;
                    }
                }
            }
        }
    }
}

/// Steps of ULA with the ε of the training and the pull.
///
/// # Errors
/// Those of the engine; [`ExperimentError::RunawayChains`].
pub(super) fn walk(
    net: &dyn Chains,
    trained: &Trained,
    mut states: States,
    pull: &Pull<'_>,
    steps: u64,
    seed: u64,
) -> Result<States, ExperimentError> {
    // A Metropolis decision would know nothing of the pull.
    let langevin = LangevinConfig {
        kernel: KernelName::Ula,
        ..trained.langevin
    };
    let epsilon = langevin.epsilon;
    let kernel = langevin.kernel_of_size(epsilon, &trained.stabilisers);
    let noise = NoiseKey::new(seed, Stream::Watch, 0);
    for step in 0..steps {
        let run = ChainRun::new(kernel.clone(), 1)
            .with_first_step(step)
            .with_noise(noise);
        let mut after = net.run(&states, &run)?.states;
        pull.apply(&states, &mut after, epsilon.get());
        states = after;
    }
    if states.is_finite() {
        Ok(states)
    } else {
        Err(ExperimentError::RunawayChains)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn states(values: &[f32]) -> States {
        States::new([1, 1, 2], values.to_vec()).unwrap()
    }

    #[test]
    fn known_elements_stay() {
        let known = states(&[1.0, 2.0, 3.0, 4.0]);
        let pull = Pull::Held {
            missing: &[false, true],
            known: &known,
        };
        let mut after = states(&[-1.0, -2.0, -3.0, -4.0]);
        pull.apply(&known, &mut after, 0.1);
        assert_eq!(after.values(), [1.0, -2.0, 3.0, -4.0]);
    }

    /// ε = 0.2, s = 0.4: (ε/s)²/2 = 1/8 of the way that is left before the step.
    #[test]
    fn noisy_images_pull_by_the_gradient_of_their_likelihood() {
        let pull = Pull::Toward {
            image: &[0.0, 1.0],
            deviation: 0.4,
        };
        let (before, mut after) = (states(&[0.8, 0.2]), states(&[0.7, 0.3]));
        pull.apply(&before, &mut after, 0.2);
        for (x, expected) in after.values().iter().zip([0.6, 0.4]) {
            assert!((x - expected).abs() < 1e-6, "{x}");
        }
    }
}
