//! What was found.

use std::path::Path;

use ebm_langevin::{Annealed, LogMean};
use serde::{Deserialize, Serialize};

use super::page::RECORD;
use crate::ExperimentError;
use crate::json::read_json;

/// An estimate of log Z and of the likelihood of data, as `likelihood.json` keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// The outcome in a sentence.
    pub sentence: String,
    /// Whether the two sides agree.
    pub agreement: Agreement,
    /// log Z from below: chains from the Gaussian to the energy.
    pub forward: Side,
    /// log Z from above: chains from the start that [`Self::start`] names to the Gaussian.
    pub reverse: Side,
    /// log Z of a toy density, summed over a grid of the plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid_log_partition: Option<f64>,
    /// The data that the net learned from, then others.
    pub sets: Vec<SetLikelihood>,
    /// The weights of the net.
    pub weights: String,
    /// The iteration after which a run had them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u64>,
    /// Whether they are the average that a run kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub average: bool,
    /// T of p(x) ∝ exp(−F(x)/T).
    pub temperature: f64,
    /// Numbers of a state.
    pub dimension: usize,
    /// Where the chains of the reverse side began.
    pub start: String,
    /// Trajectories under the energy between that start and the path.
    pub burn_in: u64,
    /// Chains of each side.
    pub chains: usize,
    /// Steps of β.
    pub rungs: usize,
    /// Leapfrog steps of a trajectory.
    pub leapfrogs: u64,
    /// Gradients of F, counted chain by chain.
    pub gradients: u64,
    /// Seconds that the chains took.
    pub seconds: f64,
    /// The seed of all noise.
    pub seed: u64,
    /// The backend.
    pub backend: String,
    /// The engine.
    pub engine: String,
    /// The version of the program.
    pub version: String,
}

impl Likelihood {
    /// Whose likelihood it is, since a run may have learned on: "the average of θ after iteration 8000".
    pub(crate) fn whose(&self) -> String {
        let what = if self.average {
            "the average of θ"
        } else {
            "θ"
        };
        match self.iteration {
            Some(iteration) => format!("{what} after iteration {iteration}"),
            None => format!("{what} in {}", self.weights),
        }
    }

    /// The nats of a datum that the net learned from, for people: a number where log Z is known, bounds where it may lie
    /// between them, and otherwise why there is none.
    pub(crate) fn in_short(&self) -> String {
        let bounds = self
            .sets
            .first()
            .map_or([None; 2], |set| set.log_likelihood);
        match (self.agreement, bounds) {
            (Agreement::Agree, [Some(low), Some(high)]) => {
                format!("{:.2}", f64::midpoint(low, high))
            }
            (Agreement::Apart, [Some(low), Some(high)]) => format!("{low:.1} to {high:.1}"),
            (Agreement::Contradict, _) => "none: the sides of log Z contradict each other".into(),
            (Agreement::Unknown, _) => "none: log Z is not finite".into(),
            (Agreement::Agree | Agreement::Apart, _) => "none: no data were judged".into(),
        }
    }
}

/// The estimate in a folder; none where there is no such file.
///
/// # Errors
/// [`ExperimentError::RunFolder`] when it is damaged.
pub(crate) fn read_likelihood(folder: &Path) -> Result<Option<Likelihood>, ExperimentError> {
    read_json(
        &folder.join(RECORD),
        "delete the folder and estimate the likelihood again",
    )
}

/// One side of log Z.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// log Z in nats; none where weights are not finite.
    pub log_partition: Option<f64>,
    /// Its standard error over chains, in nats.
    pub standard_error: Option<f64>,
    /// How many chains of equal weight would be worth as much.
    pub effective_chains: Option<f64>,
    /// The share of trajectories that were accepted.
    pub acceptance_rate: f64,
}

impl Side {
    /// From weights whose mean is Z/Z₀ (`sign` 1) or Z₀/Z (−1).
    pub(super) fn of(annealed: &Annealed, base: f64, sign: f64) -> Self {
        let mean = LogMean::of(&annealed.log_weights);
        Self {
            log_partition: mean.map(|mean| base + sign * mean.value),
            standard_error: mean.map(|mean| mean.standard_error),
            effective_chains: mean.map(|mean| mean.effective_chains),
            acceptance_rate: annealed.acceptance_rate,
        }
    }
}

/// The likelihood of one set of data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetLikelihood {
    /// What they are.
    pub name: String,
    /// U of each, in nats.
    pub energies: Vec<f64>,
    /// Mean U, in nats.
    pub mean_energy: f64,
    /// Its standard error over the data.
    pub standard_error: f64,
    /// Mean log p by log Z from above and from below: where the sides agree the true one lies between. None where log Z
    /// is not known.
    pub log_likelihood: [Option<f64>; 2],
}

impl SetLikelihood {
    pub(super) fn new(name: String, energies: Vec<f64>, [forward, reverse]: [&Side; 2]) -> Self {
        let count = energies.len() as f64;
        let mean = energies.iter().sum::<f64>() / count;
        let squares: f64 = energies.iter().map(|u| (u - mean).powi(2)).sum();
        let of = |side: &Side| {
            side.log_partition
                .map(|log_partition| -mean - log_partition)
        };
        Self {
            name,
            mean_energy: mean,
            standard_error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
            log_likelihood: [of(reverse), of(forward)],
            energies,
        }
    }
}

/// How the two sides of log Z compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// They are no further apart than errors and tolerance allow, and their weights do not rest on a few chains: log Z is
    /// known.
    Agree,
    /// Not so, and the upper side is not clearly below the lower one: log Z lies between, if the reverse began at samples.
    Apart,
    /// The side that should be above is clearly below: the reverse did not begin at samples of the density.
    Contradict,
    /// A side has no finite weights.
    Unknown,
}

/// Nats for each √d by which sides may differ and still agree, beside four standard errors. A likelihood is a sum over d
/// numbers, whose spread grows like √d.
const TOLERANCE: f64 = 0.05;
/// Effective chains below which the standard error itself is not known.
const SOUND: f64 = 10.0;

impl Agreement {
    /// Of the two sides for states of `dimension` numbers, with the gap between them, reverse minus forward.
    pub(super) fn of(forward: &Side, reverse: &Side, dimension: usize) -> (Self, Option<f64>) {
        let (Some(below), Some(above)) = (forward.log_partition, reverse.log_partition) else {
            return (Self::Unknown, None);
        };
        let gap = above - below;
        if !gap.is_finite() {
            return (Self::Unknown, None);
        }
        let errors = [forward, reverse].map(|side| side.standard_error.unwrap_or(0.0));
        let tolerance = TOLERANCE * (dimension as f64).sqrt() + 4.0 * errors[0].hypot(errors[1]);
        let is_sound = [forward, reverse]
            .iter()
            .all(|side| side.effective_chains.is_some_and(|chains| chains >= SOUND));
        let agreement = if gap < -tolerance {
            Self::Contradict
        } else if gap <= tolerance && is_sound {
            Self::Agree
        } else {
            Self::Apart
        };
        (agreement, Some(gap))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn side(log_partition: f64, standard_error: f64) -> Side {
        Side {
            log_partition: Some(log_partition),
            standard_error: Some(standard_error),
            effective_chains: Some(50.0),
            acceptance_rate: 0.6,
        }
    }

    #[test]
    fn sides_are_compared_by_their_errors_and_the_dimension() {
        let compare = |below, above, error, dimension| {
            Agreement::of(&side(below, error), &side(above, error), dimension).0
        };
        // 0.05 √4 = 0.1.
        assert_eq!(compare(1.0, 1.09, 0.0, 4), Agreement::Agree);
        assert_eq!(compare(1.0, 1.11, 0.0, 4), Agreement::Apart);
        assert_eq!(compare(1.0, 0.89, 0.0, 4), Agreement::Contradict);
        // And 4 · √2 · 0.1 = 0.57 for errors.
        assert_eq!(compare(1.0, 1.6, 0.1, 4), Agreement::Agree);
        assert_eq!(compare(1.0, 1.7, 0.1, 4), Agreement::Apart);
        assert_eq!(compare(f64::INFINITY, 0.0, 0.0, 4), Agreement::Unknown);
        let few = Side {
            effective_chains: Some(3.0),
            ..side(1.0, 0.1)
        };
        assert_eq!(Agreement::of(&few, &few, 4).0, Agreement::Apart);
        let none = Side {
            log_partition: None,
            ..side(0.0, 0.0)
        };
        assert_eq!(
            Agreement::of(&none, &side(0.0, 0.0), 4),
            (Agreement::Unknown, None)
        );
    }

    /// log p = −U − log Z: with log Z between 2 and 3, data of mean U 7 have −10 to −9 nats.
    #[test]
    fn the_likelihood_of_data_lies_between_those_of_both_sides() {
        let (forward, reverse) = (side(2.0, 0.1), side(3.0, 0.1));
        let set = SetLikelihood::new("data".into(), vec![6.0, 8.0], [&forward, &reverse]);
        assert_eq!(set.mean_energy, 7.0);
        assert_eq!(set.standard_error, 1.0);
        assert_eq!(set.log_likelihood, [Some(-10.0), Some(-9.0)]);
    }

    #[test]
    fn weights_of_either_direction_give_log_z() {
        let annealed = Annealed {
            states: ebm_core::States::none([1, 1, 1]),
            log_weights: vec![1.5; 3],
            acceptance_rate: 0.7,
        };
        assert_eq!(Side::of(&annealed, 10.0, 1.0).log_partition, Some(11.5));
        let reverse = Side::of(&annealed, 10.0, -1.0);
        assert_eq!(
            (reverse.log_partition, reverse.standard_error),
            (Some(8.5), Some(0.0))
        );
        let lost = Annealed {
            log_weights: vec![f64::NAN; 3],
            ..annealed
        };
        assert_eq!(Side::of(&lost, 10.0, 1.0).log_partition, None);
    }
}
