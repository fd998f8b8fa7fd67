//! The numbers of each image.

use std::fmt::Write as _;

use ebm_core::States;
use ebm_langevin::Chains;

use crate::ExperimentError;

/// A number of an image by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// U = F/T, in nats.
    Energy,
    /// ‖∇F‖₂.
    GradientNorm,
    /// The standard deviation of the pixels.
    Contrast,
    /// The mean absolute difference of neighbouring pixels.
    Roughness,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Energy,
        Self::GradientNorm,
        Self::Contrast,
        Self::Roughness,
    ];

    /// Its name with the unit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Energy => "energy U (nats)",
            Self::GradientNorm => "gradient norm ‖∇F‖₂",
            Self::Contrast => "contrast of the image",
            Self::Roughness => "roughness of the image",
        }
    }
}

/// The numbers of a set of images, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The number of each image in its set, from 0.
    pub numbers: Vec<usize>,
    /// F.
    pub raw_energies: Vec<f64>,
    /// U = F/T, in nats.
    pub energies: Vec<f64>,
    /// ‖∇F‖₂.
    pub gradient_norms: Vec<f64>,
    /// Standard deviations of the pixels.
    pub contrasts: Vec<f64>,
    /// Mean absolute differences of neighbouring pixels; 0 for points of the plane.
    pub roughnesses: Vec<f64>,
}

impl Scores {
    /// Of states under an energy with this temperature.
    ///
    /// # Errors
    /// Those of the engine.
    pub(super) fn of(
        net: &dyn Chains,
        states: &States,
        numbers: Vec<usize>,
        temperature: f64,
    ) -> Result<Self, ExperimentError> {
        /// The gradient holds activations of all states at once.
        const AT_ONCE: usize = 512;

        let raw: Vec<f64> = net.energies(states)?.into_iter().map(f64::from).collect();
        let mut gradient_norms = Vec::with_capacity(states.len());
        for piece in states.pieces(AT_ONCE) {
            gradient_norms.extend(net.gradient_norms(&piece)?);
        }
        let shape = states.shape().dims();
        Ok(Self {
            numbers,
            energies: raw.iter().map(|f| f / temperature).collect(),
            raw_energies: raw,
            gradient_norms,
            contrasts: states.iter().map(contrast).collect(),
            roughnesses: states.iter().map(|image| roughness(image, shape)).collect(),
        })
    }

    /// The numbers of a measure.
    #[must_use]
    pub fn by(&self, measure: Measure) -> &[f64] {
        match measure {
            Measure::Energy => &self.energies,
            Measure::GradientNorm => &self.gradient_norms,
            Measure::Contrast => &self.contrasts,
            Measure::Roughness => &self.roughnesses,
        }
    }

    /// The places of the images from the lowest U to the highest; numbers that are not finite come last.
    #[must_use]
    pub fn by_likelihood(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.energies.len()).collect();
        let rank = |place: &usize| {
            let energy = self.energies[*place];
            if energy.is_nan() {
                f64::INFINITY
            } else {
                energy
            }
        };
        places.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        places
    }

    /// A table with a line for each image.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = "number,F,U,gradient_norm,contrast,roughness\n".to_owned();
        for image in 0..self.energies.len() {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{},{},{},{},{},{}",
                self.numbers[image],
                self.raw_energies[image],
                self.energies[image],
                self.gradient_norms[image],
                self.contrasts[image],
                self.roughnesses[image],
            );
        }
        text
    }
}

fn contrast(image: &[f32]) -> f64 {
    let count = image.len().max(1) as f64;
    let mean = image.iter().copied().map(f64::from).sum::<f64>() / count;
    let squares = image.iter().map(|x| (f64::from(*x) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

fn roughness(image: &[f32], [channels, height, width]: [usize; 3]) -> f64 {
    let at =
        |channel: usize, y: usize, x: usize| f64::from(image[(channel * height + y) * width + x]);
    let (mut sum, mut count) = (0.0, 0u64);
    for channel in 0..channels {
        for y in 0..height {
            for x in 0..width {
                let right = (x + 1 < width).then(|| at(channel, y, x + 1));
                let below = (y + 1 < height).then(|| at(channel, y + 1, x));
                for neighbour in [right, below].into_iter().flatten() {
                    sum += (neighbour - at(channel, y, x)).abs();
                    count += 1;
                }
            }
        }
    }
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_images_have_no_contrast_and_no_roughness() {
        assert_eq!(contrast(&[0.5; 12]), 0.0);
        assert_eq!(roughness(&[0.5; 12], [3, 2, 2]), 0.0);
    }

    #[test]
    fn a_chequerboard_is_as_rough_as_can_be() {
        let board = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0];
        assert_eq!(roughness(&board, [1, 3, 3]), 2.0);
        // An upper half of −1 and a lower one of 1: two of the four differences are 2.
        assert_eq!(contrast(&[-1.0, -1.0, 1.0, 1.0]), 1.0);
        assert_eq!(roughness(&[-1.0, -1.0, 1.0, 1.0], [1, 2, 2]), 1.0);
    }

    #[test]
    fn images_are_ranked_by_their_energy_and_nan_comes_last() {
        let energies = vec![3.0, f64::NAN, -1.0];
        let scores = Scores {
            numbers: vec![4, 8, 15],
            raw_energies: energies.clone(),
            energies,
            gradient_norms: vec![0.0; 3],
            contrasts: vec![0.0; 3],
            roughnesses: vec![0.0; 3],
        };
        assert_eq!(scores.by_likelihood(), [2, 0, 1]);
        assert_eq!(scores.to_csv().lines().nth(3), Some("15,-1,-1,0,0,0"));
    }
}
