//! Small classifiers of images, in whose features `crate::quality` compares samples with data.
//!
//! One of handwritten digits comes trained with the program; others are trained from a user's own labelled data. A
//! `Lesson` is what is learned from, `training` learns it, a `Classifier` is the outcome on the host with its
//! description, `ClassifierNet` computes, and `ImageView` brings images to its size.

mod description;
mod images;
mod lesson;
mod net;
mod reading;
mod split;
mod trained;
mod training;

pub use description::ClassifierDescription;
pub use images::ImageView;
pub use lesson::Lesson;
pub(crate) use net::{ClassifierNet, FEATURES};
pub use reading::Reading;
pub(crate) use split::Split;
pub use trained::Classifier;
pub(crate) use trained::DIGITS;
pub(crate) use training::train;
pub use training::{TrainedClassifier, TrainingSettings};
