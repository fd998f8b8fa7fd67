//! What a file of weights says of its classifier.

use ebm_data::DataConfig;
use serde::{Deserialize, Serialize};

/// The entry in the header of the file, as JSON.
pub(super) const ENTRY: &str = "ebm.classifier";

/// A larger side is surely none of a classifier, and would take much memory.
const LARGEST_SIDE: usize = 256;

/// What a classifier reads, and how it came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierDescription {
    /// 1 for grey images, 3 for colour.
    pub channels: usize,
    /// Side of the images that the net reads, in pixels.
    pub side: usize,
    /// The names of the classes, in the order of the net's outputs.
    pub classes: Vec<String>,
    /// Seed of initial weights, order, shifts and mirrors.
    pub seed: u64,
    /// How many times each image was shown.
    pub epochs: u32,
    /// Held-out images: every fifth of each class, or of all digits.
    pub held_out: usize,
    /// How many of them it reads right.
    pub held_out_right: usize,
    /// What it learned from.
    pub data: DataConfig,
}

impl ClassifierDescription {
    /// The share of held-out images that it reads right.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.held_out_right as f64 / self.held_out.max(1) as f64
    }

    /// Reads the text of the entry.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let it: Self = serde_json::from_str(text).map_err(|error| {
            format!("the description of the classifier in its header cannot be read: {error}")
        })?;
        if !matches!(it.channels, 1 | 3) {
            return Err(format!(
                "describes a classifier of {} channels; there are 1 and 3",
                it.channels
            ));
        }
        if !(8..=LARGEST_SIDE).contains(&it.side) {
            return Err(format!(
                "describes a classifier of {0}×{0} pixels; sides are from 8 to {LARGEST_SIDE}",
                it.side
            ));
        }
        if it.classes.len() < 2 {
            return Err(format!(
                "describes a classifier of {} classes; there must be two or more",
                it.classes.len()
            ));
        }
        Ok(it)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ebm_data::ImageConfig;
    use serde_json::{Value, json};

    use super::*;

    fn example() -> ClassifierDescription {
        ClassifierDescription {
            channels: 3,
            side: 32,
            classes: vec!["rose".into(), "größe \"x\"".into()],
            seed: 7,
            epochs: 100,
            held_out: 8,
            held_out_right: 6,
            data: DataConfig::Cifar10(ImageConfig::default()),
        }
    }

    #[test]
    fn a_description_survives_its_text() {
        let text = serde_json::to_string(&example()).unwrap();
        assert_eq!(ClassifierDescription::parse(&text).unwrap(), example());
        assert_eq!(example().accuracy(), 0.75);
    }

    #[test]
    fn impossible_descriptions_are_refused() {
        for (key, value, said) in [
            ("channels", json!(2), "2 channels"),
            ("side", json!(100_000), "100000×100000 pixels"),
            ("side", json!(0), "0×0 pixels"),
            ("classes", json!(["rose"]), "1 classes"),
            ("classes", json!(3), "cannot be read"),
            ("seed", Value::Null, "cannot be read"),
        ] {
            let mut text = serde_json::to_value(example()).unwrap();
            text[key] = value;
            let error = ClassifierDescription::parse(&text.to_string()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(ClassifierDescription::parse("{").is_err());
    }
}
