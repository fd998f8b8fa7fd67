//! The quality of samples or features from files, against data.

use std::path::{Path, PathBuf};

use ebm_figures::write_png;
use serde::Serialize;

use super::data::{Data, check_run};
use super::set_quality::judge;
use super::{ClassQuality, DigitQuality, FeatureQuality, NearestData, digit_quality};
use crate::arrays::{read_features, read_images};
use crate::classifier::{Classifier, ImageView, Split};
use crate::json::write_json;
use crate::run_folder::RunFolder;
use crate::{Compute, ExperimentError, sample};

/// What is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QualitySubject {
    /// The samples in the folder `samples` of a run, against the data of the run or those of a file.
    Run {
        /// The run folder.
        folder: PathBuf,
        /// Data to compare with instead of the run's.
        reference: Option<PathBuf>,
    },
    /// A file of samples, `[count, channels, height, width]` in [−1, 1], against those of a file, or for samples of
    /// digits against the embedded digits.
    Samples {
        /// The file, `.npy` or `.safetensors`.
        file: PathBuf,
        /// Data to compare with instead of the embedded digits.
        reference: Option<PathBuf>,
    },
    /// A file of features, `[samples, features]`, against another.
    Features {
        /// Those of the samples.
        file: PathBuf,
        /// Those of the data.
        reference: PathBuf,
    },
}

/// The quality of samples in numbers. Exactly one of the three kinds is present.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityTable {
    /// What was judged.
    pub samples: String,
    /// The data it was compared with.
    pub reference: String,
    /// In the features of the digit classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<DigitQuality>,
    /// In the features of a classifier of a user's own classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassQuality>,
    /// In the features that were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureQuality>,
    /// How far samples are from the data nearest to them; none for features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestData>,
    /// The version that measured it.
    pub version: &'static str,
}

impl QualitySubject {
    /// The file with the samples or their features.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] for a folder that is no run, [`ExperimentError::NoSamples`] for a run without
    /// samples.
    pub fn file(&self) -> Result<PathBuf, ExperimentError> {
        match self {
            Self::Samples { file, .. } | Self::Features { file, .. } => Ok(file.clone()),
            Self::Run { folder, .. } => {
                RunFolder::open(folder)?;
                let samples = folder.join("samples").join(sample::TENSORS);
                if samples.is_file() {
                    Ok(samples)
                } else {
                    Err(ExperimentError::NoSamples {
                        folder: folder.clone(),
                    })
                }
            }
        }
    }

    /// Measures, with neighbourhoods that reach to the `neighbours`-th nearest neighbour. Images are read by the
    /// classifier in a file, or else by that of digits. Data sets are looked for in `data_directory`, or in the usual
    /// place.
    ///
    /// # Errors
    /// [`ExperimentError::File`], [`ExperimentError::Net`] and [`ExperimentError::Io`] for files that do not fit,
    /// [`ExperimentError::Request`] and [`ExperimentError::NotDigits`] for a run whose data the classifier does not
    /// read, and for samples without data to compare them with.
    pub fn measure(
        &self,
        classifier: Option<&Path>,
        neighbours: usize,
        data_directory: Option<&Path>,
        compute: &dyn Compute,
    ) -> Result<QualityTable, ExperimentError> {
        let file = self.file()?;
        let open = || classifier.map_or_else(|| Ok(Classifier::of_digits()), Classifier::open);
        match self {
            Self::Features { reference, .. } => judge_features(&file, reference, neighbours),
            Self::Run { folder, reference } => {
                let classifier = open()?;
                let config = check_run(folder, &classifier)?;
                judge_images(
                    &file,
                    &classifier,
                    neighbours,
                    compute,
                    |_| match reference {
                        Some(reference) => Data::of_file(reference, &classifier),
                        None => Data::of_run(folder, &config, data_directory),
                    },
                )
            }
            Self::Samples { reference, .. } => {
                let classifier = open()?;
                judge_images(
                    &file,
                    &classifier,
                    neighbours,
                    compute,
                    |samples| match reference {
                        Some(reference) => Data::of_file(reference, &classifier),
                        None if classifier.description().is_none() => Data::digits(samples.height),
                        None => Err(ExperimentError::Request(format!(
                            "{} is to be judged by a classifier of your own classes, which needs data of them to \
                             compare with",
                            file.display()
                        ))),
                    },
                )
            }
        }
    }
}

fn judge_features(
    samples: &Path,
    reference: &Path,
    neighbours: usize,
) -> Result<QualityTable, ExperimentError> {
    let (features, data) = (read_features(samples)?, read_features(reference)?);
    let dimension = features.shape[1];
    if data.shape[1] != dimension {
        return Err(ExperimentError::Request(format!(
            "{} has {dimension} features a sample and {} has {}; take both from the same layer",
            samples.display(),
            reference.display(),
            data.shape[1]
        )));
    }
    for (path, array) in [(samples, &features), (reference, &data)] {
        enough(path, array.shape[0], neighbours.saturating_add(1))?;
    }
    let quality = FeatureQuality::new(&features.values, &data.values, dimension, neighbours)?;
    Ok(QualityTable {
        samples: samples.display().to_string(),
        reference: reference.display().to_string(),
        digits: None,
        classes: None,
        features: Some(quality),
        nearest: None,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn judge_images(
    samples: &Path,
    classifier: &Classifier,
    neighbours: usize,
    compute: &dyn Compute,
    data: impl FnOnce(ImageView<'_>) -> Result<Data, ExperimentError>,
) -> Result<QualityTable, ExperimentError> {
    let images = read_images(samples, classifier)?;
    let needed = neighbours.saturating_add(1);
    enough(samples, images.view().count(), needed)?;
    let data = data(images.view())?;
    // Every fifth datum is held out, and the held-out data need enough neighbours, too.
    enough(
        Path::new(&data.name),
        data.view().count(),
        needed.saturating_mul(5),
    )?;
    for (name, view) in [
        (samples.display().to_string(), images.view()),
        (data.name.clone(), data.view()),
    ] {
        if let Some(doubt) = view.doubt() {
            tracing::warn!("{name}: {doubt}");
        }
    }
    let (images, view) = (images.view(), data.view());
    let (digits, classes, nearest) = match classifier.description() {
        None => {
            let quality = digit_quality(images, view, neighbours, compute)?;
            let nearest = NearestData::of(images, view, &Split::of_all(view.count()))?;
            (Some(quality), None, nearest)
        }
        Some(description) => {
            let split = data.split();
            let nearest = NearestData::of(images, view, &split)?;
            let [samples, held_out] = judge(classifier, images, view, split, neighbours, compute)?;
            let quality = ClassQuality {
                classifier: classifier.path().to_owned(),
                description: description.clone(),
                samples,
                held_out,
            };
            (None, Some(quality), nearest)
        }
    };
    Ok(QualityTable {
        samples: samples.display().to_string(),
        reference: data.name,
        digits,
        classes,
        features: None,
        nearest: Some(nearest),
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn enough(path: &Path, count: usize, needed: usize) -> Result<(), ExperimentError> {
    if count >= needed {
        return Ok(());
    }
    Err(ExperimentError::TooFew {
        path: path.to_owned(),
        count,
        needed,
    })
}

impl QualityTable {
    /// The numbers with their names; the first row may be a header.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        if let Some(digits) = &self.digits {
            rows.push(DigitQuality::HEADER.map(str::to_owned).to_vec());
            rows.extend(digits.rows().into_iter().map(Vec::from));
        }
        if let Some(classes) = &self.classes {
            rows.push(ClassQuality::HEADER.map(str::to_owned).to_vec());
            rows.extend(classes.rows().into_iter().map(Vec::from));
        }
        if let Some(features) = &self.features {
            let count = features.frechet.samples[1].to_string();
            rows.extend(features.rows(count).into_iter().map(Vec::from));
        }
        rows.extend(self.nearest.iter().map(|nearest| nearest.row().to_vec()));
        rows
    }

    /// Writes the numbers as JSON and, for images, samples above their nearest data as a PNG beside them. Returns what
    /// was written, and where.
    ///
    /// # Errors
    /// [`ExperimentError::Io`].
    pub fn write(&self, path: &Path) -> Result<Vec<(&'static str, PathBuf)>, ExperimentError> {
        write_json(path, self)?;
        let mut written = vec![("Numbers", path.to_owned())];
        if let Some(nearest) = &self.nearest {
            let picture = path.with_extension("nearest.png");
            write_png(&nearest.picture, &picture)?;
            written.push(("Samples above their nearest data", picture));
        }
        Ok(written)
    }
}
