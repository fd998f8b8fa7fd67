//! Which pixels are missing.

use std::path::{Path, PathBuf};

use ebm_data::{ImageConfig, load_image};
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// The missing pixels of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// The upper half.
    Top,
    /// The lower half.
    Bottom,
    /// The left half.
    Left,
    /// The right half.
    Right,
    /// The square of half the side in the middle.
    Centre,
    /// Where the image in this file is brighter than half.
    File(PathBuf),
}

impl From<&str> for Mask {
    fn from(text: &str) -> Self {
        match text {
            "top" => Self::Top,
            "bottom" => Self::Bottom,
            "left" => Self::Left,
            "right" => Self::Right,
            "centre" => Self::Centre,
            file => Self::File(Path::new(file).to_owned()),
        }
    }
}

impl Mask {
    /// Whether each element of a state `[channels, height, width]` is missing.
    ///
    /// # Errors
    /// Those of the file; [`ExperimentError::Setting`] when no pixel is missing.
    pub(super) fn missing(
        &self,
        [channels, height, width]: [usize; 3],
    ) -> Result<Vec<bool>, ExperimentError> {
        let of_file = match self {
            Self::File(path) if !path.exists() => {
                let problem = format!(
                    "{}: is no file, and not top, bottom, left, right or centre",
                    path.display()
                );
                return Err(ExperimentError::setting("mask", problem));
            }
            Self::File(path) => {
                let config = ImageConfig {
                    size: height,
                    channels: Some(1),
                    ..ImageConfig::default()
                };
                Some(load_image(path, &config)?)
            }
            _ => None,
        };
        let is_missing = |y: usize, x: usize| match self {
            Self::Top => y < height / 2,
            Self::Bottom => y >= height / 2,
            Self::Left => x < width / 2,
            Self::Right => x >= width / 2,
            Self::Centre => [(y, height), (x, width)]
                .into_iter()
                .all(|(at, side)| (side / 4..side - side / 4).contains(&at)),
            Self::File(_) => of_file
                .as_ref()
                .is_some_and(|mask| mask.values()[y * width + x] > 0.0),
        };
        let mut missing = Vec::with_capacity(channels * height * width);
        for _ in 0..channels {
            for y in 0..height {
                missing.extend((0..width).map(|x| is_missing(y, x)));
            }
        }
        if missing.iter().any(|is| *is) {
            Ok(missing)
        } else {
            Err(ExperimentError::setting(
                "mask",
                "has no white pixel, so nothing is missing; paint what is to be filled white"
                    .to_owned(),
            ))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn named_masks_have_their_places_in_all_channels() {
        let missing = |name: &str| Mask::from(name).missing([2, 4, 4]).unwrap();
        let places =
            |name: &str| -> Vec<usize> { (0..16).filter(|place| missing(name)[*place]).collect() };
        assert_eq!(places("top"), (0..8).collect::<Vec<_>>());
        assert_eq!(places("bottom"), (8..16).collect::<Vec<_>>());
        assert_eq!(places("left"), [0, 1, 4, 5, 8, 9, 12, 13]);
        assert_eq!(places("right"), [2, 3, 6, 7, 10, 11, 14, 15]);
        assert_eq!(places("centre"), [5, 6, 9, 10]);
        assert_eq!(missing("top")[..16], missing("top")[16..]);
    }
}
