//! Those who watch learning and write down what they see.

mod landscape;
mod log;
mod long_run;
mod metrics;
mod pictures;
mod progress;

pub(crate) use landscape::LandscapePlots;
pub(crate) use log::ProgressLog;
pub(crate) use long_run::LongRuns;
pub(crate) use metrics::MetricsFile;
pub(crate) use pictures::{Pictures, grid, write_figure, write_grid};
pub(crate) use progress::{ProgressView, rounded};
