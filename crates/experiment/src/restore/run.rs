//! A restoration from an image to its page.

use std::path::{Path, PathBuf};

use ebm_core::{NoiseKey, States, Stream};
use ebm_langevin::{LangevinError, NoiseStart};
use serde::{Deserialize, Serialize};

use super::chains::{Pull, walk};
use super::page::{PAGE, Page, RECORD};
use super::{Corruption, RestoreOptions, RestoreSubject};
use crate::run_folder::refuse_second;
use crate::{Computation, ExperimentError, Supervisor, Trained, memory};

/// The outcome, as `restore.json` keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// The outcome in a sentence.
    pub sentence: String,
    /// The weights of the net.
    pub weights: String,
    /// The image.
    pub subject: RestoreSubject,
    /// What was wrong with it.
    pub corruption: Corruption,
    /// Chains.
    pub draws: usize,
    /// Langevin steps of each.
    pub steps: u64,
    /// Root mean square over the restored pixels of the spread (standard deviation) over the chains.
    pub spread: f64,
    /// Distances from the clean image, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    /// Seed of all noise.
    pub seed: u64,
    /// The backend.
    pub backend: String,
    /// The engine.
    pub engine: String,
    /// The version of the program.
    pub version: String,
}

/// Root mean square distances from the clean image, over the restored pixels, in units of states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Of the image before, with missing pixels grey.
    pub before: f64,
    /// Of the mean over the chains.
    pub mean: f64,
    /// Of single chains, on average.
    pub single: f64,
}

/// The page of a restoration in its folder.
#[must_use]
pub fn page_in(folder: &Path) -> PathBuf {
    folder.join(PAGE)
}

/// What the page shows.
pub(super) struct Pictures {
    /// The image before.
    pub(super) before: Vec<f32>,
    /// The clean image, where it is known.
    pub(super) clean: Option<Vec<f32>>,
    pub(super) mean: Vec<f32>,
    pub(super) spread: Vec<f32>,
    pub(super) draws: States,
}

/// Restores an image and writes `restore.json`, pictures, the draws as an array and a page into the folder `out`. Data sets
/// are looked for in `data_directory`, or in the usual place.
///
/// # Errors
/// [`ExperimentError::Occupied`] when `out` holds a restoration; [`ExperimentError::Setting`] for what does not fit;
/// [`ExperimentError::RunawayChains`]; those of files and engines.
pub fn restore(
    trained: &Trained,
    options: &RestoreOptions,
    out: &Path,
    data_directory: Option<&Path>,
    Computation { compute, engine }: Computation<'_>,
    supervisor: &dyn Supervisor,
) -> Result<Restored, ExperimentError> {
    refuse_second(out, RECORD, "a restored image")?;
    let shape = trained.state_shape;
    if shape[1] == 1 {
        let problem = "learned points of the plane, and only images can be restored";
        return Err(ExperimentError::setting("run", problem.to_owned()));
    }
    if options.draws == 0 {
        return Err(ExperimentError::setting(
            "draws",
            "is 0: must be at least 1".to_owned(),
        ));
    }
    if trained.langevin.epsilon.get() == 0.0 {
        let problem = "learned with ε = 0: its chains would not move by chance";
        return Err(ExperimentError::setting("run", problem));
    }
    memory::check_chains("draws", options.draws, shape)?;
    let image = options.subject.load(trained, data_directory)?;
    let stop = supervisor.stop_flag();
    let steps = options.steps.unwrap_or(trained.langevin.gradients());
    let key = |family| NoiseKey::new(options.seed, Stream::WatchStart, family);
    let copies = |image: &States| image.gather(&vec![0; options.draws]);
    let (missing, before, clean, states) = match &options.corruption {
        Corruption::Missing(mask) => {
            let missing = mask.missing(shape)?;
            let mut known = copies(&image);
            known.add_noise(&key(0), trained.data_noise.unwrap_or(0.0));
            let mut grey = image.values().to_vec();
            blank(&mut grey, &missing);
            // What an image file has in place of the missing pixels may be damage.
            let is_clean = matches!(options.subject, RestoreSubject::Datum(_));
            let clean = is_clean.then(|| image.values().to_vec());
            (missing, grey, clean, known)
        }
        Corruption::Noise { deviation, add } => {
            let least = trained.langevin.epsilon.get() / std::f64::consts::SQRT_2;
            if !(*deviation > least && deviation.is_finite()) {
                let problem = format!(
                    "is {deviation}: must be above ε/√2 = {least:.4}, or the steps are too long for it"
                );
                return Err(ExperimentError::setting("noise", problem));
            }
            let mut noisy = image.clone();
            if *add {
                noisy.add_noise(&key(0), *deviation);
            }
            let clean = add.then(|| image.values().to_vec());
            let states = copies(&noisy);
            (
                vec![true; image.values().len()],
                noisy.into_values(),
                clean,
                states,
            )
        }
    };
    // A folder that cannot be written costs no chains.
    std::fs::create_dir_all(out).map_err(|error| ExperimentError::io(out, error))?;
    let net = compute.trained_net(&trained.net, shape, &trained.weights, engine, &stop)?;
    let draws = match &options.corruption {
        Corruption::Missing(_) => {
            let noise = trained
                .langevin
                .start
                .noise()
                .unwrap_or(NoiseStart::Uniform);
            let fresh = noise.draw(trained.langevin.start_factor, key(1), options.draws, shape)?;
            let pull = Pull::Held {
                missing: &missing,
                known: &states,
            };
            let start = mixed(&states, &fresh, &missing)?;
            walk(&*net, trained, start, &pull, steps, options.seed)?
        }
        Corruption::Noise { deviation, .. } => {
            let pull = Pull::Toward {
                image: &before,
                deviation: *deviation,
            };
            walk(&*net, trained, states, &pull, steps, options.seed)?
        }
    };
    let (mean, spread) = mean_and_spread(&draws);
    let errors = clean.as_ref().map(|clean| Errors {
        before: distance(&before, clean, &missing),
        mean: distance(&mean, clean, &missing),
        single: draws
            .iter()
            .map(|draw| distance(draw, clean, &missing))
            .sum::<f64>()
            / options.draws as f64,
    });
    let none = vec![0.0; spread.len()];
    let mut restored = Restored {
        sentence: String::new(),
        weights: trained.weights.display().to_string(),
        subject: options.subject.clone(),
        corruption: options.corruption.clone(),
        draws: options.draws,
        steps,
        spread: distance(&spread, &none, &missing),
        errors,
        seed: options.seed,
        backend: compute.name().to_owned(),
        engine: net.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    restored.sentence = restored.in_words();
    let pictures = Pictures {
        before,
        clean,
        mean,
        spread,
        draws,
    };
    Page {
        restored: &restored,
        pictures: &pictures,
        shape,
    }
    .write(out)?;
    Ok(restored)
}

/// Missing pixels become grey.
fn blank(image: &mut [f32], missing: &[bool]) {
    for (x, missing) in image.iter_mut().zip(missing) {
        if *missing {
            *x = 0.0;
        }
    }
}

/// Known elements of one, missing elements of the other.
fn mixed(known: &States, fresh: &States, missing: &[bool]) -> Result<States, ExperimentError> {
    let chains = known.iter().zip(fresh.iter());
    let values = chains.flat_map(|(known, fresh)| {
        let elements = known.iter().zip(fresh).zip(missing);
        elements.map(|((known, fresh), missing)| if *missing { *fresh } else { *known })
    });
    Ok(States::new(known.shape(), values.collect()).map_err(LangevinError::from)?)
}

fn mean_and_spread(draws: &States) -> (Vec<f32>, Vec<f32>) {
    let count = draws.len() as f64;
    let length = draws.shape().size();
    let mut sums = vec![(0.0f64, 0.0f64); length];
    for draw in draws.iter() {
        for ((sum, squares), x) in sums.iter_mut().zip(draw) {
            *sum += f64::from(*x);
            *squares += f64::from(*x).powi(2);
        }
    }
    let statistics = sums.into_iter().map(|(sum, squares)| {
        let mean = sum / count;
        (
            mean as f32,
            (squares / count - mean * mean).max(0.0).sqrt() as f32,
        )
    });
    statistics.unzip()
}

/// Root mean square difference over the elements that are missing.
fn distance(a: &[f32], b: &[f32], missing: &[bool]) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for ((a, b), missing) in a.iter().zip(b).zip(missing) {
        if *missing {
            sum += (f64::from(*a) - f64::from(*b)).powi(2);
            count += 1;
        }
    }
    (sum / count.max(1) as f64).sqrt()
}

impl Restored {
    fn in_words(&self) -> String {
        let start = format!("{} draws of {} Langevin steps", self.draws, self.steps);
        match self.errors {
            Some(errors) => format!(
                "{start}: the restored pixels lie {:.3} from the clean image (before {:.3}), single draws {:.3}; their spread is \
                 {:.3}",
                errors.mean, errors.before, errors.single, self.spread
            ),
            None => format!("{start}: their spread is {:.3}", self.spread),
        }
    }
}
