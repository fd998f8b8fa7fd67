//! Observers of learning, which write results during a run.

mod landscape;
mod long_run;
mod metrics;
mod pictures;
mod recoveries;

pub(crate) use landscape::LandscapePlots;
pub(crate) use long_run::LongRuns;
pub(crate) use metrics::MetricsFile;
pub(crate) use pictures::Pictures;
pub(crate) use recoveries::Recoveries;
