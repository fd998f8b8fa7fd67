//! What a learned energy says of images one by one: F, U and ‖∇F‖ of each, which are the most and the least likely, and
//! how well these numbers tell two sets of data apart.
//!
//! A higher U means a less likely image where the energy is a density. Known traps: flat and simple images have a high
//! density under most models of images, whatever they show (Nalisnick et al., "Do deep generative models know what they
//! don't know?", arXiv 1810.09136), so two measures of the images themselves stand beside the energy, their contrast and
//! their roughness: an energy that tells two sets apart no better than these has not learned what they show.

mod measures;
mod page;
mod run;

pub use measures::{Measure, Scores};
pub use run::{ScoreOptions, Scored, Separation, page_in, score};
