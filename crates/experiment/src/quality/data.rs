//! The data that samples are compared with.

use std::path::Path;

use ebm_data::{ImageConfig, ImageSet, LoadedData, embedded_digits};

use crate::ExperimentError;
use crate::arrays::{ArrayImages, read_images};
use crate::classifier::{Classifier, ImageView, Split};
use crate::config::ExperimentConfig;
use crate::data::load_data;
use crate::run_folder::RunFolder;

/// Images with a name for messages.
pub(super) struct Data {
    pub(super) name: String,
    images: Images,
}

enum Images {
    File(ArrayImages),
    Set(ImageSet),
}

impl Data {
    /// Those of a file.
    pub(super) fn of_file(path: &Path, classifier: &Classifier) -> Result<Self, ExperimentError> {
        Ok(Self {
            name: path.display().to_string(),
            images: Images::File(read_images(path, classifier)?),
        })
    }

    /// Those that a run learned from; see [`check_run`].
    pub(super) fn of_run(
        run: &Path,
        config: &ExperimentConfig,
        directory: Option<&Path>,
    ) -> Result<Self, ExperimentError> {
        let source = config.data.source();
        match load_data(&config.data, directory)? {
            LoadedData::Images { images, .. } => Ok(Self {
                name: format!("the data of the run, \"{source}\""),
                images: Images::Set(images),
            }),
            LoadedData::Toy(_) => Err(not_images(run, source)),
        }
    }

    /// The embedded digits.
    pub(super) fn digits(size: usize) -> Result<Self, ExperimentError> {
        let config = ImageConfig {
            size,
            ..ImageConfig::default()
        };
        Ok(Self {
            name: format!("the embedded digits at {size}×{size}"),
            images: Images::Set(embedded_digits(&config)?),
        })
    }

    pub(super) fn view(&self) -> ImageView<'_> {
        match &self.images {
            Images::File(images) => images.view(),
            Images::Set(images) => images.into(),
        }
    }

    /// A fifth of each class is held out, where there are classes.
    pub(super) fn split(&self) -> Split {
        match &self.images {
            Images::Set(ImageSet {
                labels: Some(labels),
                ..
            }) => Split::of_classes(&labels.classes),
            _ => Split::of_all(self.view().count()),
        }
    }
}

/// The settings of a run, if the classifier can read what it learned from.
pub(super) fn check_run(
    run: &Path,
    classifier: &Classifier,
) -> Result<ExperimentConfig, ExperimentError> {
    let config = RunFolder::open(run)?.read_config()?;
    let source = config.data.source();
    if classifier.description().is_none() {
        return if config.is_digits() {
            Ok(config)
        } else {
            Err(ExperimentError::NotDigits {
                path: run.to_owned(),
                problem: format!("learned from \"{source}\""),
                is_run: true,
            })
        };
    }
    if config.is_toy() {
        return Err(not_images(run, source));
    }
    let ([channels, ..], [read, _]) = (config.data.shape(), classifier.input());
    if channels != read {
        let kind = |channels| if channels == 1 { "grey" } else { "colour" };
        return Err(ExperimentError::Request(format!(
            "{} learned from {} images, and the classifier {} reads {} ones; train one with data.channels={channels}",
            run.display(),
            kind(channels),
            classifier.path().display(),
            kind(read)
        )));
    }
    Ok(config)
}

fn not_images(run: &Path, source: &str) -> ExperimentError {
    ExperimentError::Request(format!(
        "{} learned from \"{source}\", and a classifier reads images",
        run.display()
    ))
}
