//! A trained classifier on the host.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ebm_energy_net::metadata_of;

use super::ClassifierDescription;
use super::description::ENTRY;
use crate::ExperimentError;

/// Digits from 0 to 9.
pub(crate) const DIGITS: usize = 10;
/// Side of the images of the classifier of digits.
pub(super) const DIGIT_SIDE: usize = 28;

/// The weights that come with the program, and where they are for messages; `assets/README.md` says how they came to
/// be.
const WEIGHTS: &[u8] = include_bytes!("../../assets/digit-classifier.safetensors");
const WEIGHTS_NAME: &str = "assets/digit-classifier.safetensors";

/// The weights of a classifier, with what they say of themselves.
#[derive(Debug, Clone)]
pub struct Classifier {
    /// The file, for messages.
    pub(super) path: PathBuf,
    /// Its bytes.
    pub(super) weights: Cow<'static, [u8]>,
    input: [usize; 2],
    classes: Vec<String>,
    /// Nothing for the one that comes with the program.
    description: Option<ClassifierDescription>,
}

impl Classifier {
    /// The classifier of handwritten digits that comes with the program.
    #[must_use]
    pub fn of_digits() -> Self {
        Self {
            path: WEIGHTS_NAME.into(),
            weights: WEIGHTS.into(),
            input: [1, DIGIT_SIDE],
            classes: (0..DIGITS).map(|digit| digit.to_string()).collect(),
            description: None,
        }
    }

    /// Reads a file that [`super::TrainedClassifier::write`] wrote.
    ///
    /// # Errors
    /// [`ExperimentError::Io`] and [`ExperimentError::Net`] for a file that cannot be read or is damaged,
    /// [`ExperimentError::File`] for other weights.
    pub fn open(path: &Path) -> Result<Self, ExperimentError> {
        let unfit = |problem: String| ExperimentError::File {
            path: path.to_owned(),
            problem,
        };
        let weights = std::fs::read(path).map_err(|error| ExperimentError::io(path, error))?;
        let metadata = metadata_of(&weights, path)?;
        let text = metadata.get(ENTRY).ok_or_else(|| {
            unfit(format!(
                "holds no classifier: its header has no entry \"{ENTRY}\"; give a file that the training of a \
                 classifier wrote"
            ))
        })?;
        let description = ClassifierDescription::parse(text).map_err(unfit)?;
        Ok(Self {
            path: path.to_owned(),
            weights: weights.into(),
            input: [description.channels, description.side],
            classes: description.classes.clone(),
            description: Some(description),
        })
    }

    /// The channels and the side of the images that it reads.
    #[must_use]
    pub fn input(&self) -> [usize; 2] {
        self.input
    }

    /// The names of its classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What its file says; `None` for the one that comes with the program.
    #[must_use]
    pub fn description(&self) -> Option<&ClassifierDescription> {
        self.description.as_ref()
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::backend::Flex;
    use ebm_energy_net::read_metadata;

    use super::*;
    use crate::classifier::training::held_out_right;
    use crate::classifier::{ClassifierNet, Lesson};

    /// The weights that are compiled in read as many held-out digits as their file says, but for two that another
    /// processor may round to the other side.
    #[test]
    fn the_weights_read_as_well_as_they_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(WEIGHTS_NAME);
        let metadata = read_metadata(&path).unwrap();
        let device = Default::default();
        let net = ClassifierNet::<Flex>::trained(&Classifier::of_digits(), &device).unwrap();
        let digits = Lesson::digits().unwrap();
        let (right, of) = (
            held_out_right(&net, &digits, &device),
            digits.split.held_out.len(),
        );
        let stated = ClassifierDescription::parse(&metadata[ENTRY]).unwrap();
        assert_eq!(stated.held_out, of);
        assert!(
            right.abs_diff(stated.held_out_right) <= 2,
            "{right}, not {stated:?}"
        );
        assert!(100 * right >= 97 * of, "{right} of {of}");
    }
}
