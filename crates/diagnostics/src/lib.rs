#![doc = include_str!("../README.md")]

mod chains;
mod check;
mod classes;
mod correlation;
mod density;
mod distribution;
mod effective_size;
mod error;
mod features;
mod frechet;
mod k_means;
mod kernel_density;
mod ljung_box;
mod metrics;
mod mode_coverage;
mod nearest;
mod neighbours;
pub mod number_format;
mod partition;
mod roc;
mod split_mix;
mod split_rhat;
mod summary;
pub mod verdict;

pub use check::check_series;
pub use classes::{ClassSummary, class_summary};
pub use correlation::{
    autocorrelation, cross_correlation, partial_autocorrelation, standardise, unit_mean_square,
    white_noise_band,
};
pub use density::{DensityGrid, kl_divergence, total_variation};
pub use effective_size::{
    MeanEstimate, bulk_effective_size, chain_mean, quantile, series_mean, tail_effective_size,
};
pub use error::DiagnosticsError;
pub use features::FeatureMatrix;
pub use frechet::{FrechetDistance, frechet_distance};
pub use k_means::{KMeans, KMeansOptions, k_means};
pub use kernel_density::{kernel_density, points_from_flat, scott_factor};
pub use ljung_box::{LjungBox, ljung_box};
pub use metrics::{
    IterationMetrics, MetricsFile, finite_pairs, read_complete_metrics, read_metrics,
    settled_window,
};
pub use mode_coverage::{CoverageOptions, ModeCoverage, mode_coverage, ring_coverage};
pub use nearest::{Nearest, nearest};
pub use neighbours::{DEFAULT_NEIGHBOURS, NeighbourQuality, neighbour_quality};
pub use partition::{adjusted_rand_index, normalised_mutual_information, purity};
pub use roc::Roc;
pub use split_rhat::split_rhat;
pub use summary::{RunSummary, SeriesSummary, SummaryOptions};

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, DiagnosticsError>;
