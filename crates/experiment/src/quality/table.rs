//! The quality of samples or features from files, against data.

use std::path::{Path, PathBuf};

use ebm_data::{ImageConfig, ImageSet, LoadedData, embedded_digits};
use serde::Serialize;

use super::{DigitQuality, FeatureQuality, digit_quality};
use crate::arrays::{GreyImages, read_features, read_grey_images};
use crate::data::load_data;
use crate::digits::DigitImages;
use crate::json::write_json;
use crate::run_folder::RunFolder;
use crate::{Compute, ExperimentError, sample};

/// What is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QualitySubject {
    /// The samples in the folder `samples` of a run of digits, against the data of the run or those of a file.
    Run {
        /// The run folder.
        folder: PathBuf,
        /// Data to compare with instead of the run's.
        reference: Option<PathBuf>,
    },
    /// A file of samples of digits, `[count, 1, height, width]` in [−1, 1], against the embedded digits or those of a
    /// file.
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

/// The quality of samples in numbers. Exactly one of the two kinds is present.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityTable {
    /// What was judged.
    pub samples: String,
    /// The data it was compared with.
    pub reference: String,
    /// In the features of the digit classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<DigitQuality>,
    /// In the features that were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureQuality>,
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

    /// Measures, with neighbourhoods that reach to the `neighbours`-th nearest neighbour. Data sets are looked for in
    /// `data_directory`, or in the usual place.
    ///
    /// # Errors
    /// [`ExperimentError::File`] and [`ExperimentError::Io`] for files that do not fit, [`ExperimentError::Request`]
    /// for a run that did not learn digits.
    pub fn measure(
        &self,
        neighbours: usize,
        data_directory: Option<&Path>,
        compute: &dyn Compute,
    ) -> Result<QualityTable, ExperimentError> {
        let file = self.file()?;
        match self {
            Self::Features { reference, .. } => judge_features(&file, reference, neighbours),
            Self::Run { .. } | Self::Samples { .. } => {
                judge_digits(&file, neighbours, compute, |samples| {
                    self.data(samples, data_directory)
                })
            }
        }
    }

    /// What samples are compared with.
    fn data(
        &self,
        samples: DigitImages<'_>,
        directory: Option<&Path>,
    ) -> Result<Data, ExperimentError> {
        match self {
            Self::Run {
                reference: Some(file),
                ..
            }
            | Self::Samples {
                reference: Some(file),
                ..
            } => Ok(Data {
                name: file.display().to_string(),
                images: Images::File(read_grey_images(file)?),
            }),
            Self::Run { folder, .. } => Data::of_run(folder, directory),
            _ => {
                let config = ImageConfig {
                    size: samples.height,
                    ..ImageConfig::default()
                };
                Ok(Data {
                    name: format!("the embedded digits at {0}×{0}", config.size),
                    images: Images::Set(embedded_digits(&config)?),
                })
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
        features: Some(quality),
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn judge_digits(
    samples: &Path,
    neighbours: usize,
    compute: &dyn Compute,
    data: impl FnOnce(DigitImages<'_>) -> Result<Data, ExperimentError>,
) -> Result<QualityTable, ExperimentError> {
    let images = read_grey_images(samples)?;
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
    let quality = digit_quality(images.view(), data.view(), neighbours, compute)?;
    Ok(QualityTable {
        samples: samples.display().to_string(),
        reference: data.name,
        digits: Some(quality),
        features: None,
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

struct Data {
    name: String,
    images: Images,
}

enum Images {
    File(GreyImages),
    Set(ImageSet),
}

impl Data {
    fn of_run(run: &Path, directory: Option<&Path>) -> Result<Self, ExperimentError> {
        let config = RunFolder::open(run)?.read_config()?;
        let source = config.data.source();
        let not_digits = || ExperimentError::NotDigits {
            path: run.to_owned(),
            problem: format!("learned from \"{source}\""),
            is_run: true,
        };
        if !config.is_digits() {
            return Err(not_digits());
        }
        match load_data(&config.data, directory)? {
            LoadedData::Images { images, .. } => Ok(Self {
                name: format!("the data of the run, \"{source}\""),
                images: Images::Set(images),
            }),
            LoadedData::Toy(_) => Err(not_digits()),
        }
    }

    fn view(&self) -> DigitImages<'_> {
        match &self.images {
            Images::File(images) => images.view(),
            Images::Set(images) => images.into(),
        }
    }
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
        if let Some(features) = &self.features {
            let count = features.frechet.samples[1].to_string();
            rows.extend(features.rows(count).into_iter().map(Vec::from));
        }
        rows
    }

    /// Writes the numbers as JSON.
    ///
    /// # Errors
    /// [`ExperimentError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ExperimentError> {
        write_json(path, self)
    }
}
