//! Scores from a trained net to their page.

use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_diagnostics::Roc;
use serde::{Deserialize, Serialize};

use super::page::{PAGE, Page, RECORD};
use super::{Measure, Scores};
use crate::other_data::{OtherData, data_of, noisy_data};
use crate::{Computation, ExperimentError, Supervisor, Trained, memory};

/// What is scored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreOptions {
    /// The images; by default the data of learning.
    pub data: Option<OtherData>,
    /// Strange data to tell them from.
    pub against: Option<OtherData>,
    /// The most images of each set, drawn at random; 10,000 by default.
    pub images: usize,
    /// Whether images get the noise that data had in learning. They do by default: without it their energies are not
    /// comparable with those of the data of learning.
    pub noise: bool,
    /// Seed of choice and noise.
    pub seed: u64,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self {
            data: None,
            against: None,
            images: 10_000,
            noise: true,
            seed: 1,
        }
    }
}

/// The outcome, as `score.json` keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The outcome in a sentence.
    pub sentence: String,
    /// The weights of the net.
    pub weights: String,
    /// T of U = F/T.
    pub temperature: f64,
    /// Standard deviation of the noise on the images.
    pub data_noise: f64,
    /// The name of each set and the number of its images.
    pub sets: Vec<(String, usize)>,
    /// Mean U of each set, in nats.
    pub mean_energies: Vec<f64>,
    /// How well each measure tells the second set from the first; empty without a second.
    pub separations: Vec<Separation>,
    /// Seed of choice and noise.
    pub seed: u64,
    /// The version of the program.
    pub version: String,
}

/// How well a measure tells strange data from familiar ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Separation {
    /// The measure.
    pub measure: String,
    /// The area under the ROC curve (AUROC): the probability that it is higher for a strange image than for a familiar
    /// one. Below 0.5 it is lower for strange images.
    pub area: f64,
    /// The share of strange images above the value that 5 % of the familiar ones exceed.
    pub found_at_5_percent: f64,
}

/// The folder of the scores of a run, unless another is asked for.
#[must_use]
pub fn default_folder(run: &Path) -> PathBuf {
    run.join("score")
}

/// The page of scores in their folder.
#[must_use]
pub fn page_in(folder: &Path) -> PathBuf {
    folder.join(PAGE)
}

/// A set of images with their scores.
pub(super) struct Set {
    pub(super) name: String,
    pub(super) states: States,
    pub(super) scores: Scores,
}

/// Scores the images and writes `score.json`, a CSV file for each set, pictures and a page into the folder `out`. Data
/// sets are looked for in `data_directory`, or in the usual place.
///
/// # Errors
/// [`ExperimentError::Occupied`] when `out` holds scores; [`ExperimentError::Diagnostics`] where energies of a comparison
/// are not finite; those of data, files and engines.
pub fn score(
    trained: &Trained,
    options: &ScoreOptions,
    out: &Path,
    data_directory: Option<&Path>,
    Computation { compute, engine }: Computation<'_>,
    supervisor: &dyn Supervisor,
) -> Result<Scored, ExperimentError> {
    if out.join(RECORD).exists() {
        return Err(ExperimentError::Occupied {
            path: out.to_owned(),
            problem: "already holds scores".to_owned(),
            can_resume: false,
        });
    }
    if options.images == 0 {
        return Err(ExperimentError::setting(
            "images",
            "is 0: must be at least 1".to_owned(),
        ));
    }
    let temperature = trained.langevin.epsilon.learned_temperature().get();
    if temperature == 0.0 {
        let problem = "is 0: the net learned without noise, and U = F/T has no temperature";
        return Err(ExperimentError::setting("epsilon", problem.to_owned()));
    }
    let mut noisy = trained.clone();
    if !options.noise {
        noisy.data_noise = None;
    }
    let (most, seed) = (options.images, options.seed);
    let first = match &options.data {
        Some(data) => (data.label(), data.draw(&noisy, most, seed, data_directory)?),
        None => {
            let states = noisy_data(data_of(trained)?, &noisy, most, seed, data_directory)?;
            ("data of learning".to_owned(), states)
        }
    };
    let mut drawn = vec![first];
    if let Some(data) = &options.against {
        drawn.push((data.label(), data.draw(&noisy, most, seed, data_directory)?));
    }
    let all = drawn.iter().map(|(_, states)| states.len()).sum();
    memory::check_chains("images", all, trained.state_shape)?;
    let stop = supervisor.stop_flag();
    let shape = trained.state_shape;
    let net = compute.trained_net(&trained.net, shape, &trained.weights, engine, &stop)?;
    let mut sets = Vec::with_capacity(drawn.len());
    for (name, states) in drawn {
        let scores = Scores::of(&*net, &states, temperature)?;
        sets.push(Set {
            name,
            states,
            scores,
        });
    }
    let separations = match &sets[..] {
        [familiar, strange] => Measure::ALL
            .into_iter()
            .map(|measure| {
                let roc = Roc::of(familiar.scores.by(measure), strange.scores.by(measure))?;
                Ok((measure, roc))
            })
            .collect::<Result<Vec<_>, ExperimentError>>()?,
        _ => Vec::new(),
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut scored = Scored {
        sentence: String::new(),
        weights: trained.weights.display().to_string(),
        temperature,
        data_noise: noisy.data_noise.unwrap_or(0.0),
        sets: sets
            .iter()
            .map(|set| (set.name.clone(), set.states.len()))
            .collect(),
        mean_energies: sets.iter().map(|set| mean(&set.scores.energies)).collect(),
        separations: separations
            .iter()
            .map(|(measure, roc)| Separation {
                measure: measure.name().to_owned(),
                area: roc.area,
                found_at_5_percent: roc.true_positives(0.05),
            })
            .collect(),
        seed: options.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    scored.sentence = scored.in_words();
    Page {
        scored: &scored,
        sets: &sets,
        curves: &separations,
    }
    .write(out)?;
    Ok(scored)
}

impl Scored {
    fn in_words(&self) -> String {
        match (
            &self.sets[..],
            &self.mean_energies[..],
            &self.separations[..],
        ) {
            ([familiar, strange], [low, high], [energy, rest @ ..]) => {
                let best = rest
                    .iter()
                    .map(|separation| separation.area.max(1.0 - separation.area))
                    .fold(0.5, f64::max);
                format!(
                    "U tells {} ({high:.1} nats on average) from {} ({low:.1}) with an AUROC of {:.3}; contrast, roughness or \
                     the gradient alone reach up to {best:.3}",
                    strange.0, familiar.0, energy.area,
                )
            }
            ([only], [mean], _) => format!("{} images ({}): mean U {mean:.2} nats", only.1, only.0),
            _ => String::new(),
        }
    }
}
