//! From starts to minima: chains run as in learning, and each then descends without noise.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ebm_core::{NoiseKey, States, Stream};
use ebm_landscape::{Descent, Minimum, Surface};
use ebm_langevin::{Chains, Piece, Record, Sampler, WalkEnd, Watch};

use super::state::{DigitRead, Found, FoundMinimum};
use super::{MapFolder, MapSettings};
use crate::classifier::{Classifier, DIGITS, ImageView};
use crate::{Compute, ExperimentError};

/// Time between two savings of the chains.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// The largest number of steps that Ctrl-C may lose.
const PIECE: u64 = 100;

/// δ in terms of the distance between minima.
const RESOLUTION: f64 = 0.1;

/// Runs the chains to their last step. `walked` is called with the steps of each finished piece.
///
/// # Errors
/// [`ExperimentError::Stopped`] after a stop, with the chains saved.
pub(super) fn gather(
    net: &dyn Chains,
    settings: &MapSettings,
    folder: &MapFolder,
    walked: &mut dyn FnMut(u64),
) -> Result<States, ExperimentError> {
    let place = folder.read_chains(settings)?;
    let sampler = Sampler::new(settings.kernel()?)
        .with_steps(settings.gather_steps)
        .with_noise(NoiseKey::new(settings.seed, Stream::Watch, 0))
        .without_regular_records()
        .with_piece(PIECE)
        // The descents leave out chains that ran away.
        .without_finite_check();
    let mut keeper = Keeper {
        settings,
        folder,
        saved: Instant::now(),
        walked,
    };
    let sampled = sampler.walk(net, place, &mut keeper)?;
    if sampled.ended != WalkEnd::Finished {
        folder.write_chains(settings, &sampled.place)?;
        return Err(ExperimentError::Stopped);
    }
    Ok(sampled.place.states)
}

/// Saves the chains on the way.
struct Keeper<'a> {
    settings: &'a MapSettings,
    folder: &'a MapFolder,
    saved: Instant,
    walked: &'a mut dyn FnMut(u64),
}

impl Watch for Keeper<'_> {
    type Error = ExperimentError;

    fn record(&mut self, _record: &Record<'_>) -> Result<ControlFlow<()>, ExperimentError> {
        Ok(ControlFlow::Continue(()))
    }

    fn piece(&mut self, piece: &Piece<'_>) -> Result<ControlFlow<()>, ExperimentError> {
        (self.walked)(piece.steps);
        if self.saved.elapsed() > SAVE_EVERY || piece.place.step == self.settings.gather_steps {
            self.folder.write_chains(self.settings, piece.place)?;
            self.saved = Instant::now();
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Lets the chains descend to their minima, leaves out those that ran away, and measures the others.
///
/// # Errors
/// [`ExperimentError::Map`] when fewer than two minima are left or they are all the same.
pub(super) fn find_minima(
    net: &dyn Chains,
    surface: &Surface<'_>,
    compute: &dyn Compute,
    settings: &MapSettings,
    states: &States,
) -> Result<(Vec<Minimum>, Found), ExperimentError> {
    let mut minima = Descent::default().run(surface, states)?;
    let descended = minima.len();
    // Points of the plane have no range in which they should stay.
    minima.retain(|minimum| !(settings.is_image() && is_saturated(&minimum.state)));
    let (not_finite, saturated) = (settings.all_chains() - descended, descended - minima.len());
    if minima.len() < 2 {
        return Err(ExperimentError::Map(format!(
            "of {} chains {not_finite} became NaN or infinite and {saturated} ended with most of their pixels beyond \
             ±1.5, so {} minima are left, too few for a map; the net may not have learned a proper energy, or the \
             gathering takes chains too far",
            settings.all_chains(),
            minima.len(),
        )));
    }
    let sound: Vec<usize> = minima.iter().map(|minimum| minimum.origin).collect();
    let slopes = net.gradient_norms(&states.gather(&sound))?;
    let digits = read_digits(settings, &minima, compute)?;
    let distance = root_mean_square_distance(&minima);
    let resolution = settings.resolution.unwrap_or(RESOLUTION * distance);
    if resolution <= 0.0 {
        return Err(ExperimentError::Map(
            "all chains descended to the same state, so the energy has one basin as far as these starts show; give \
             other starts or more chains, or a resolution to map it all the same"
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

/// Whether an image lies far outside the range of data, as chains do if the net has not learned a proper energy.
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

/// The digit that the classifier reads in each minimum; nothing for other data.
fn read_digits(
    settings: &MapSettings,
    minima: &[Minimum],
    compute: &dyn Compute,
) -> Result<Vec<Option<DigitRead>>, ExperimentError> {
    if !settings.is_digits {
        return Ok(vec![None; minima.len()]);
    }
    let rows = Minimum::states(settings.state_shape, minima)?.into_values();
    let [channels, height, width] = settings.state_shape;
    let images = ImageView {
        values: &rows,
        channels,
        height,
        width,
    };
    let all: Vec<usize> = (0..minima.len()).collect();
    let classifier = Classifier::of_digits();
    let [_, side] = classifier.input();
    let reading = compute.classify(&classifier, &images.at_side(side, &all))?;
    let probabilities = reading.probabilities.chunks(DIGITS);
    let read = |(digit, row): (usize, &[f32])| {
        Some(DigitRead {
            digit,
            probability: f64::from(row[digit]),
        })
    };
    Ok(reading
        .most_probable()
        .zip(probabilities)
        .map(read)
        .collect())
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
