//! From starts to minima: chains wander as in learning, and each then descends without noise.

use std::time::{Duration, Instant};

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{NoiseKey, Stream};
use ebm_landscape::{Descent, Minimum};
use ebm_langevin::{ChainRun, LangevinError};

use super::folder::GatheredChains;
use super::state::{DigitRead, Found, FoundMinimum};
use super::{MapFolder, Settings};
use crate::digits::{CLASSES, DigitClassifier, DigitImages};
use crate::error::DriverError;
use crate::trained_chains::TrainedChains;

/// Time between two savings of the chains.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Steps that Ctrl-C may cost.
const PIECE: u64 = 100;

/// δ in terms of the distance between minima.
const RESOLUTION: f64 = 0.1;

/// Takes the chains to their last step. `walked` is told of the steps of a piece that is done.
///
/// # Errors
/// [`LangevinError::Cancelled`] after a stop, with the chains saved.
pub(super) fn gather<B: AutodiffBackend>(
    chains: &TrainedChains<B>,
    settings: &Settings,
    folder: &MapFolder,
    walked: &dyn Fn(u64),
) -> Result<Vec<f32>, DriverError> {
    let mut gathered = folder.read_chains(settings)?;
    let kernel = settings.kernel()?;
    let mut saved = Instant::now();
    while gathered.step < settings.gather_steps {
        let run = ChainRun {
            kernel: kernel.into(),
            steps: PIECE.min(settings.gather_steps - gathered.step),
            first_step: gathered.step,
            noise: NoiseKey::new(settings.seed, Stream::Watch, 0),
            final_energies: false,
        };
        gathered = match chains.run(gathered.states.clone(), &run) {
            Err(error @ DriverError::Langevin(LangevinError::Cancelled)) => {
                folder.write_chains(settings, &gathered)?;
                return Err(error);
            }
            piece => GatheredChains {
                step: gathered.step + run.steps,
                states: piece?.states,
            },
        };
        walked(run.steps);
        if saved.elapsed() > SAVE_EVERY || gathered.step == settings.gather_steps {
            folder.write_chains(settings, &gathered)?;
            saved = Instant::now();
        }
    }
    Ok(gathered.states)
}

/// Takes the chains down to their minima, leaves out those that ran away, and measures the rest.
///
/// # Errors
/// [`DriverError::Map`] when fewer than two minima are left or they are all the same.
pub(super) fn find_minima<B: AutodiffBackend>(
    chains: &TrainedChains<B>,
    settings: &Settings,
    states: Vec<f32>,
    device: &B::Device,
) -> Result<(Vec<Minimum>, Found), DriverError> {
    let surface = chains.surface(settings.temperature()?);
    let starts = chains.states(states.clone())?;
    let mut minima = Descent::default().run(&surface, &starts)?;
    let descended = minima.len();
    // Points of the plane have no range that they should keep to.
    minima.retain(|minimum| !(settings.is_image() && is_saturated(&minimum.state)));
    let (not_finite, saturated) = (settings.all_chains() - descended, descended - minima.len());
    if minima.len() < 2 {
        return Err(DriverError::Map(format!(
            "of {} chains {not_finite} left all finite states and {saturated} ended with most of their pixels beyond ±1.5, so {} minima are left, too few for a map; the net may not have learned a proper energy, or --gather-steps takes chains too far",
            settings.all_chains(),
            minima.len(),
        )));
    }
    let size = settings.state_size();
    let sound = minima.iter().flat_map(|minimum| {
        let row = minimum.origin * size;
        states[row..row + size].iter().copied()
    });
    let slopes = chains.slopes(sound.collect())?;
    let digits = read_digits::<B>(settings, &minima, device)?;
    let distance = root_mean_square_distance(&minima);
    let resolution = settings.resolution.unwrap_or(RESOLUTION * distance);
    if resolution <= 0.0 {
        return Err(DriverError::Map(
            "all chains descended to the same state, so the energy has one basin as far as these starts show; give other starts with --start or more --chains, or --resolution to map it all the same"
                .into(),
        ));
    }
    let found = Found {
        minima: minima
            .iter()
            .zip(digits)
            .map(|(minimum, digit)| FoundMinimum {
                chain: minimum.origin,
                energy: minimum.energy,
                is_at_rest: minimum.is_at_rest,
                digit,
            })
            .collect(),
        not_finite,
        saturated,
        slope: slopes.iter().sum::<f64>() / slopes.len() as f64,
        distance,
        resolution,
    };
    Ok((minima, found))
}

/// Whether an image has run away from the range of data, as a chain of a net does that is no proper energy.
fn is_saturated(state: &[f32]) -> bool {
    let beyond = state.iter().filter(|value| value.abs() > 1.5).count();
    2 * beyond > state.len()
}

/// Over all pairs of different minima.
fn root_mean_square_distance(minima: &[Minimum]) -> f64 {
    let count = minima.len() as f64;
    let values = minima.first().map_or(0, |minimum| minimum.state.len());
    let squares: f64 = (0..values)
        .map(|place| {
            let column = || minima.iter().map(|minimum| f64::from(minimum.state[place]));
            let mean = column().sum::<f64>() / count;
            column().map(|x| (x - mean).powi(2)).sum::<f64>()
        })
        .sum();
    // The mean of (x − y)² over pairs is twice the variance.
    (2.0 * squares / (count - 1.0)).sqrt()
}

/// What the classifier reads in each minimum; nothing for other data than digits.
fn read_digits<B: AutodiffBackend>(
    settings: &Settings,
    minima: &[Minimum],
    device: &B::Device,
) -> Result<Vec<Option<DigitRead>>, DriverError> {
    if !settings.is_digits {
        return Ok(vec![None; minima.len()]);
    }
    let rows = Minimum::states(settings.state_shape, minima)?.into_values();
    let [_, height, width] = settings.state_shape;
    let images = DigitImages {
        values: &rows,
        height,
        width,
    };
    let all: Vec<usize> = (0..minima.len()).collect();
    let net = DigitClassifier::<B::InnerBackend>::trained(device)?;
    let reading = net.read(&images.at_classifier_size(&all), device);
    let probabilities = reading.probabilities.chunks(CLASSES);
    let read = |(digit, row): (usize, &[f32])| {
        Some(DigitRead {
            digit,
            probability: f64::from(row[digit]),
        })
    };
    Ok(reading.classes().zip(probabilities).map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimum(state: &[f32]) -> Minimum {
        Minimum {
            origin: 0,
            energy: 0.0,
            is_at_rest: true,
            state: state.to_vec(),
        }
    }

    #[test]
    fn distances_are_over_pairs() {
        // 5, 3 and 4 apart.
        let minima = [[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]].map(|state| minimum(&state));
        let expected = ((25.0 + 9.0 + 16.0) / 3.0f64).sqrt();
        assert!((root_mean_square_distance(&minima) - expected).abs() < 1e-12);
    }

    #[test]
    fn saturation_is_more_than_half_of_the_pixels() {
        assert!(!is_saturated(&[1.6, -2.0, 1.0, 0.0]));
        assert!(is_saturated(&[1.6, -2.0, 9.0, 0.0]));
    }
}
