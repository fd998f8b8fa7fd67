//! What the sampler does to the learning, in numbers: series, correlations, verdicts, quality of samples, densities.
//!
//! Maximum-likelihood learning of an energy-based model is watched through two numbers per learning iteration `t`:
//! the energy difference `d_t` between data and samples and the Langevin gradient magnitude `r_t` ("On the Anatomy of
//! MCMC-Based Maximum Likelihood Learning of Energy-Based Models", arXiv 1903.12370, section 3). This crate reads
//! these series, computes their correlations and judges them. It works on plain slices, without a tensor library;
//! `ebm-figures` draws what it finds.
//!
//! The paper tells outcomes of learning apart along two axes. [`verdict`] decides both by tests with
//! stated error rates: stability and oscillation from `d` and `r`, convergence from long chains.
//! Beside it stand the statistics of chains ([`split_rhat`], [`bulk_effective_size`],
//! [`chain_mean`]) and measures of sample quality ([`frechet_distance`], [`neighbour_quality`],
//! [`class_summary`], [`mode_coverage`]).
//!
//! [`purity`], [`adjusted_rand_index`] and [`normalised_mutual_information`] say how well groups, such as the basins
//! of an energy, agree with classes or with the groups of [`k_means`].
//!
//! ```
//! use ebm_diagnostics::{autocorrelation, white_noise_band};
//!
//! let alternating: Vec<f64> = (0..100).map(|t| if t % 2 == 0 { 1.0 } else { -1.0 }).collect();
//! let correlations = autocorrelation(&alternating, 2)?;
//! assert!(correlations[1] < -white_noise_band(alternating.len()));
//! # Ok::<(), ebm_diagnostics::DiagnosticsError>(())
//! ```

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
mod neighbours;
pub mod number_format;
mod partition;
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
pub use neighbours::{DEFAULT_NEIGHBOURS, NeighbourQuality, neighbour_quality};
pub use partition::{adjusted_rand_index, normalised_mutual_information, purity};
pub use split_rhat::split_rhat;
pub use summary::{RunSummary, SeriesSummary, SummaryOptions};

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, DiagnosticsError>;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
