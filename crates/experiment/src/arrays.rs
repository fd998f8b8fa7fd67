//! Samples and features that come from files.

use std::path::Path;

use ebm_energy_net::{NamedParameter, read_tensors};

use crate::ExperimentError;
use crate::classifier::{Classifier, ImageView};
use crate::npy::parse_numpy;

/// An array of numbers with its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its sides.
    pub shape: Vec<usize>,
    /// Its numbers, the last index running fastest.
    pub values: Vec<f32>,
}

/// Images of a file.
pub(crate) struct ArrayImages {
    /// `[count, channels, height, width]`.
    values: Vec<f32>,
    channels: usize,
    height: usize,
    width: usize,
}

impl ArrayImages {
    pub(crate) fn view(&self) -> ImageView<'_> {
        ImageView {
            values: &self.values,
            channels: self.channels,
            height: self.height,
            width: self.width,
        }
    }
}

/// Reads samples as `sample` writes them, of as many channels as the classifier reads: `[count, channels, height,
/// width]`, from an .npy file, the only array of an .npz file or the tensor `states` of a safetensors file. Also
/// accepted are grey images `[count, height, width]`, and the only tensor of a file, whatever its name.
pub(crate) fn read_images(
    path: &Path,
    classifier: &Classifier,
) -> Result<ArrayImages, ExperimentError> {
    let Array { shape, values } = if is_numpy(path) {
        read_numpy(path)?
    } else {
        let mut tensors = safetensors(path)?;
        tensors.retain(|tensor| tensor.name == "states" || tensor.shape.len() >= 3);
        if tensors.len() > 1 {
            tensors.retain(|tensor| tensor.name == "states");
        }
        match <[NamedParameter; 1]>::try_from(tensors) {
            Ok([tensor]) => Array {
                shape: tensor.shape,
                values: tensor.values,
            },
            Err(_) => {
                let problem = "has no tensor `states` and not exactly one tensor of images; save the images alone";
                return Err(unfit(path, problem));
            }
        }
    };
    let [wanted, _] = classifier.input();
    let (channels, height, width) = match shape[..] {
        [_, height, width] => (1, height, width),
        [_, channels, height, width] => (channels, height, width),
        _ => {
            let problem =
                format!("has shape {shape:?} where images have [count, {wanted}, height, width]");
            return Err(unfit(path, &problem));
        }
    };
    if channels != wanted {
        let problem = format!("holds images of {channels} channels");
        return Err(match classifier.description() {
            None => ExperimentError::NotDigits {
                path: path.to_owned(),
                problem,
                is_run: false,
            },
            Some(_) => unfit(
                path,
                &format!(
                    "{problem}, and the classifier {} reads [count, {wanted}, height, width]",
                    classifier.path().display()
                ),
            ),
        });
    }
    if height < 2 || width < 2 {
        let problem = format!("holds states of {height}×{width} pixels, which are no images");
        return Err(unfit(path, &problem));
    }
    check_finite(path, &values)?;
    check_pixels(path, &values)?;
    Ok(ArrayImages {
        values,
        channels,
        height,
        width,
    })
}

/// Reads features, `[samples, features]`: an .npy file, the only array of an .npz file, or the only tensor of two
/// dimensions in a safetensors file, whatever its name. Numbers that f32 cannot hold are rounded.
///
/// # Errors
/// [`ExperimentError::File`] for a file that holds something else or numbers that are not finite,
/// [`ExperimentError::Io`] and [`ExperimentError::Net`].
pub fn read_features(path: &Path) -> Result<Array, ExperimentError> {
    if is_numpy(path) {
        let array = read_numpy(path)?;
        if array.shape.len() != 2 {
            let problem = format!(
                "has shape {:?} where features have [samples, features]",
                array.shape
            );
            return Err(unfit(path, &problem));
        }
        check_finite(path, &array.values)?;
        return Ok(array);
    }
    let mut tensors = safetensors(path)?;
    let seen: Vec<String> = tensors
        .iter()
        .map(|tensor| format!("`{}` {:?}", tensor.name, tensor.shape))
        .collect();
    tensors.retain(|tensor| tensor.shape.len() == 2);
    let [tensor] = <[NamedParameter; 1]>::try_from(tensors).map_err(|tensors| {
        let problem = format!(
            "has {} tensors of two dimensions where features are exactly one, [samples, features] (it holds {})",
            tensors.len(),
            if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") }
        );
        unfit(path, &problem)
    })?;
    check_finite(path, &tensor.values)?;
    Ok(Array {
        shape: tensor.shape,
        values: tensor.values,
    })
}

fn safetensors(path: &Path) -> Result<Vec<NamedParameter>, ExperimentError> {
    if !has_ending(path, "safetensors") {
        let problem = "is none of .npy, .npz and .safetensors by its name; give one of these";
        return Err(unfit(path, problem));
    }
    Ok(read_tensors(path)?)
}

fn read_numpy(path: &Path) -> Result<Array, ExperimentError> {
    let file = std::fs::read(path).map_err(|error| ExperimentError::io(path, error))?;
    let (shape, values) = parse_numpy(&file).map_err(|problem| unfit(path, &problem))?;
    Ok(Array { shape, values })
}

fn is_numpy(path: &Path) -> bool {
    has_ending(path, "npy") || has_ending(path, "npz")
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

fn check_finite(path: &Path, values: &[f32]) -> Result<(), ExperimentError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(unfit(
            path,
            &format!("value {index} is not finite; leave out chains that ran away"),
        )),
    }
}

/// Images are clamped to [−1, 1], which would leave nothing of pixels from 0 to 255.
fn check_pixels(path: &Path, values: &[f32]) -> Result<(), ExperimentError> {
    let largest = values.iter().copied().fold(0.0, f32::max);
    let are_bytes = values
        .iter()
        .all(|&value| value >= 0.0 && value.fract() == 0.0);
    if are_bytes && largest > 1.0 {
        let problem = format!(
            "holds whole numbers up to {largest} where images are in [−1, 1]; save x / 127.5 - 1 of pixels x \
             from 0 to 255"
        );
        return Err(unfit(path, &problem));
    }
    Ok(())
}

fn unfit(path: &Path, problem: &str) -> ExperimentError {
    ExperimentError::File {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
