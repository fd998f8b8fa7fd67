//! Scores from a trained net to their page.

use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_data::LoadedData;
use ebm_diagnostics::Roc;
use serde::{Deserialize, Serialize};

use super::page::{PAGE, Page, RECORD};
use super::{Measure, Scores};
use crate::other_data::{DrawnData, OtherData, data_of, draw};
use crate::run_folder::refuse_second;
use crate::{Computation, ExperimentError, Supervisor, Trained};

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
    /// The backend.
    pub backend: String,
    /// The engine.
    pub engine: String,
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
    refuse_second(out, RECORD, "scores")?;
    if options.images == 0 {
        return Err(ExperimentError::setting(
            "images",
            "is 0: must be at least 1".to_owned(),
        ));
    }
    // T = 1 for a net that learned without noise: U = F.
    let temperature = trained.langevin.epsilon.learned_temperature().get();
    let shape = trained.state_shape;
    let noise = trained.data_noise.filter(|_| options.noise).unwrap_or(0.0);
    let some = |data: &LoadedData| draw(data, options.images, noise, options.seed);
    let first = match &options.data {
        Some(other) => (
            other.label(),
            some(&other.load("data", shape, data_directory)?),
        ),
        None => (
            "data of learning".to_owned(),
            some(&data_of(trained, data_directory)?),
        ),
    };
    let mut drawn = vec![first];
    if let Some(other) = &options.against {
        let data = other.load("against", shape, data_directory)?;
        drawn.push((other.label(), some(&data)));
    }
    // A folder that cannot be written costs no work.
    std::fs::create_dir_all(out).map_err(|error| ExperimentError::io(out, error))?;
    let stop = supervisor.stop_flag();
    let net = compute.trained_net(&trained.net, shape, &trained.weights, engine, &stop)?;
    let mut sets = Vec::with_capacity(drawn.len());
    for (name, DrawnData { numbers, states }) in drawn {
        let scores = Scores::of(&*net, &states, numbers, temperature)?;
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
        data_noise: noise,
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
        backend: compute.name().to_owned(),
        engine: net.landscape_name().to_owned(),
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
                // Lower numbers can mark strange images as well as higher ones.
                let folded = |separation: &Separation| separation.area.max(1.0 - separation.area);
                let best = rest.iter().map(folded).fold(0.5, f64::max);
                let which = if energy.area < 0.5 {
                    "A lower U"
                } else {
                    "A higher U"
                };
                format!(
                    "{which} tells {} (mean {high:.1} nats) from {} ({low:.1}) with an AUROC of {:.3}; contrast, roughness or the \
                     gradient alone reach {best:.3}",
                    strange.0,
                    familiar.0,
                    folded(energy),
                )
            }
            ([only], [mean], _) => format!("{} images ({}): mean U {mean:.2} nats", only.1, only.0),
            _ => String::new(),
        }
    }
}
