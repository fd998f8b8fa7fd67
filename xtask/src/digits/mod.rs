//! A small classifier of handwritten digits that comes trained with the program, from the embedded labels.
//!
//! [`DigitClassifier`] is the net, [`training`] is how it learned, [`DigitImages`] brings images to its size. Its last
//! hidden layer gives the features in which [`crate::quality`] compares samples with data.

mod classifier;
mod images;
mod split;
pub(crate) mod training;

pub(crate) use classifier::{CLASSES, DigitClassifier, FEATURES, SIDE};
pub(crate) use images::DigitImages;
pub(crate) use split::{held_out, kept};
