//! A small classifier of handwritten digits that comes trained with the program, from the embedded labels.
//!
//! `DigitClassifier` is the net, `training` trains it, `DigitImages` brings images to its size. Its last hidden layer
//! gives the features in which `crate::quality` compares samples with data.

mod classifier;
mod images;
mod split;
mod training;

pub use classifier::{CLASSES, Reading, SIDE};
pub(crate) use classifier::{DigitClassifier, FEATURES};
pub use images::DigitImages;
pub(crate) use split::{held_out, kept};
pub use training::{TrainedClassifier, TrainingSettings};
pub(crate) use training::{digits, train};
