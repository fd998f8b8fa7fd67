//! What the sampler does to the learning: series, correlations, densities, plots and reports.
//!
//! Maximum-likelihood learning of an energy-based model is watched through two numbers per
//! learning iteration `t`: the energy difference `d_t` between data and samples and the Langevin
//! gradient magnitude `r_t` ("On the Anatomy of MCMC-Based Maximum Likelihood Learning of
//! Energy-Based Models", arXiv 1903.12370, section 3). This crate reads these series, computes
//! their correlations, draws the diagnostic and landscape figures and binds everything into one
//! HTML page. It works on plain slices, without a tensor library.
//!
//! The paper tells outcomes of learning apart along two axes. [`verdict`] decides both by tests with
//! stated error rates: stability and oscillation from `d` and `r`, convergence from long chains.
//! Beside it stand the statistics of chains ([`split_rhat`], [`bulk_effective_size`],
//! [`chain_mean`]) and measures of sample quality ([`frechet_distance`], [`neighbour_quality`],
//! [`class_summary`], [`mode_coverage`]).
//!
//! The basins of an energy that a search has found are drawn by [`plot::disconnectivity_figure`]. How well they agree with
//! classes, or with the groups of [`k_means`], say [`purity`], [`adjusted_rand_index`] and
//! [`normalised_mutual_information`].
//!
//! ```
//! use ebm_diagnostics::{autocorrelation, white_noise_band};
//!
//! let alternating: Vec<f64> = (0..100).map(|t| if t % 2 == 0 { 1.0 } else { -1.0 }).collect();
//! let correlations = autocorrelation(&alternating, 2)?;
//! assert!(correlations[1] < -white_noise_band(alternating.len()));
//! # Ok::<(), ebm_diagnostics::DiagnosticsError>(())
//! ```

mod atomic_write;
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
mod html;
mod image_grid;
mod k_means;
mod kernel_density;
mod ljung_box;
mod metrics;
mod mode_coverage;
mod neighbours;
mod number_format;
mod partition;
pub mod plot;
mod report;
mod split_mix;
mod split_rhat;
mod summary;
pub mod verdict;

pub use atomic_write::write_atomically;
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
pub use html::Table;
pub use image_grid::{image_grid, png_bytes, write_png};
pub use k_means::{KMeans, KMeansOptions, k_means};
pub use kernel_density::{kernel_density, points_from_flat, scott_factor};
pub use ljung_box::{LjungBox, ljung_box};
pub use metrics::{
    IterationMetrics, MetricsFile, read_complete_metrics, read_metrics, settled_window,
};
pub use mode_coverage::{CoverageOptions, ModeCoverage, mode_coverage, ring_coverage};
pub use neighbours::{DEFAULT_NEIGHBOURS, NeighbourQuality, neighbour_quality};
pub use partition::{adjusted_rand_index, normalised_mutual_information, purity};
pub use plot::Figure;
pub use report::Report;
pub use split_rhat::split_rhat;
pub use summary::{RunSummary, SeriesSummary, SummaryOptions};

/// The image type that [`image_grid`] returns.
pub use image::RgbImage;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, DiagnosticsError>;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
