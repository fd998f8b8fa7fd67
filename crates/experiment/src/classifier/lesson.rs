//! What a classifier learns from.

use std::path::Path;

use ebm_data::{DataConfig, ImageConfig, ImageSet, LoadedData, embedded_digits};

use super::trained::DIGIT_SIDE;
use super::{ImageView, Split};
use crate::config::data_section;
use crate::{ExperimentError, load_data};

/// Side of the images of all classifiers but that of digits.
const SIDE: usize = 32;
/// The least images of a class: one of them is held out.
const LEAST: usize = 5;
/// By default so many images are shown in all, which takes a few minutes, ...
const SHOWN: usize = 400_000;
/// ... but each at most so many times: after more, a net of this size knows a few thousand photographs by heart.
const MOST_EPOCHS: usize = 50;

/// Labelled images at the size of the classifier.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Where they come from.
    pub(super) data: DataConfig,
    /// Channels and side.
    pub(super) input: [usize; 2],
    /// `[count, channels, side, side]` in [−1, 1].
    images: Vec<f32>,
    /// The class of each.
    pub(super) classes: Vec<usize>,
    /// The names of the classes.
    pub(super) names: Vec<String>,
    pub(super) split: Split,
    /// Whether a mirrored image is one of the same class, as is true of photographs and not of digits.
    pub(super) has_mirrors: bool,
    default_epochs: u32,
}

impl Lesson {
    /// The embedded digits, from which the classifier was trained that comes with the program.
    ///
    /// # Errors
    /// [`ExperimentError::Data`].
    pub fn digits() -> Result<Self, ExperimentError> {
        let image = ImageConfig {
            size: DIGIT_SIDE,
            ..ImageConfig::default()
        };
        let ImageSet { states, labels, .. } = embedded_digits(&image)?;
        let (classes, names) = labels.map_or_else(Default::default, |it| (it.classes, it.names));
        Ok(Self {
            data: DataConfig::EmbeddedDigits(image),
            input: [1, DIGIT_SIDE],
            split: Split::of_all(states.len()),
            images: states.into_values(),
            classes,
            names,
            has_mirrors: false,
            default_epochs: 12,
        })
    }

    /// The data that overrides of the section `data` of an experiment describe, such as `data.source=folder`; without
    /// any, [`Self::digits`]. Data sets are looked for in `directory`, or in the usual place.
    ///
    /// # Errors
    /// [`ExperimentError::Config`] for the overrides, [`ExperimentError::Data`] for the data,
    /// [`ExperimentError::Request`] and [`ExperimentError::File`] for data without two classes of five images.
    pub fn of_data(
        overrides: &[String],
        directory: Option<&Path>,
    ) -> Result<Self, ExperimentError> {
        if overrides.is_empty() {
            return Self::digits();
        }
        let data = data_section(overrides)?;
        let LoadedData::Images { images, .. } = load_data(&data, directory)? else {
            return Err(ExperimentError::Request(format!(
                "\"data.source\" is \"{}\", which has no images; a classifier needs labelled images",
                data.source()
            )));
        };
        Self::new(data, images)
    }

    fn new(data: DataConfig, images: ImageSet) -> Result<Self, ExperimentError> {
        let view = ImageView::from(&images);
        let input = [view.channels, SIDE];
        let resized = ([view.height, view.width] != [SIDE, SIDE]).then(|| {
            let all: Vec<usize> = (0..view.count()).collect();
            view.at_side(SIDE, &all)
        });
        let ImageSet { states, labels, .. } = images;
        let labels = labels.ok_or_else(|| without_labels(&data))?;
        let unfit = |problem: String| ExperimentError::File {
            path: place(&data).into(),
            problem,
        };
        let counts = labels.counts();
        if counts.len() < 2 {
            return Err(unfit(format!(
                "all images are of the class \"{}\", and a classifier needs two or more{}",
                labels.names.join(""),
                match data {
                    DataConfig::Folder(_) =>
                        "; set \"data.path\" to the folder above the folders of the classes",
                    _ => "",
                }
            )));
        }
        if let Some(few) = counts.iter().position(|&count| count < LEAST) {
            return Err(unfit(format!(
                "class \"{}\" has {} images, and each needs {LEAST} or more, one of which is held out; add images, \
                 leave the class out, or raise \"data.limit\", which takes the first images",
                labels.names[few], counts[few]
            )));
        }
        let split = Split::of_classes(&labels.classes);
        let epochs = (SHOWN / split.kept.len()).clamp(1, MOST_EPOCHS);
        Ok(Self {
            has_mirrors: matches!(
                data,
                DataConfig::Folder(_) | DataConfig::Cifar(_) | DataConfig::Cifar10(_)
            ),
            data,
            input,
            images: resized.unwrap_or_else(|| states.into_values()),
            classes: labels.classes,
            names: labels.names,
            split,
            default_epochs: epochs as u32,
        })
    }

    /// How many times each image is shown if nothing is said: 12 for the digits; else so often that about 400,000 are
    /// shown in all, and at most 50 times.
    #[must_use]
    pub fn default_epochs(&self) -> u32 {
        self.default_epochs
    }

    /// How many images there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.classes.len()
    }

    /// The names of the classes.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// An image, `[channels, side, side]`.
    pub(super) fn image(&self, index: usize) -> &[f32] {
        let [channels, side] = self.input;
        let length = channels * side * side;
        &self.images[index * length..][..length]
    }

    /// Images one after the other.
    pub(super) fn gather(&self, indices: &[usize]) -> Vec<f32> {
        let images = indices.iter().flat_map(|&index| self.image(index));
        images.copied().collect()
    }
}

/// What a message about the data names.
fn place(data: &DataConfig) -> String {
    match data {
        DataConfig::Folder(folder) => folder.path.display().to_string(),
        DataConfig::Idx(idx) => {
            let labels = idx.labels.as_ref().unwrap_or(&idx.images);
            labels.display().to_string()
        }
        DataConfig::Cifar(cifar) => cifar.directory.display().to_string(),
        other => format!("data of the source \"{}\"", other.source()),
    }
}

fn without_labels(data: &DataConfig) -> ExperimentError {
    let problem = match data {
        DataConfig::Folder(_) => {
            "has images beside its subfolders, so that there are no classes; put the images of each class into a \
             subfolder of \"data.path\""
        }
        DataConfig::Idx(_) => {
            return ExperimentError::Request(
                "\"data.labels\" is missing: a classifier needs the label file of the images"
                    .into(),
            );
        }
        DataConfig::Mnist(_) | DataConfig::FashionMnist(_) => {
            "have no file of labels; fetch the data set again, or put train-labels-idx1-ubyte.gz beside the images"
        }
        _ => {
            return ExperimentError::Request(format!(
                "\"data.source\" is \"{}\", which has no labels; sort the images into one folder for each class and \
                 set \"data.source\" to \"folder\"",
                data.source()
            ));
        }
    };
    ExperimentError::File {
        path: place(data).into(),
        problem: problem.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ebm_core::States;
    use ebm_data::{Labels, LeftOut};

    use super::*;

    /// Eleven images of 8×8 pixels; the last class has five.
    fn lesson(data: &str) -> Lesson {
        let images = ImageSet {
            states: States::new([3, 8, 8], vec![0.5; 11 * 3 * 64]).unwrap(),
            labels: Some(Labels {
                names: vec!["a".into(), "b".into()],
                classes: vec![0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
            }),
            left_out: LeftOut::default(),
        };
        Lesson::new(serde_json::from_str(data).unwrap(), images).unwrap()
    }

    #[test]
    fn images_are_brought_to_the_size_of_the_classifier() {
        let lesson = lesson(r#"{"source": "folder", "path": "p"}"#);
        assert_eq!(lesson.input, [3, 32]);
        let image = lesson.image(10);
        assert_eq!(image.len(), 3 * 32 * 32);
        assert!(image.iter().all(|value| (value - 0.5).abs() < 1e-6));
        assert_eq!(lesson.split.held_out, [4, 10]);
        assert_eq!((lesson.count(), lesson.default_epochs()), (11, 50));
    }

    #[test]
    fn only_photographs_are_mirrored() {
        assert!(lesson(r#"{"source": "folder", "path": "p"}"#).has_mirrors);
        assert!(lesson(r#"{"source": "cifar10"}"#).has_mirrors);
        assert!(!lesson(r#"{"source": "idx", "images": "i"}"#).has_mirrors);
        assert!(!lesson(r#"{"source": "mnist"}"#).has_mirrors);
        assert!(!Lesson::digits().unwrap().has_mirrors);
    }
}
