//! Numbers against independent references and closed forms. One program for all, because each would compile the same
//! generic code again.
#![allow(missing_docs)]

mod golden;
mod golden_clustering;
mod golden_statistics;
mod k_means;
mod verdict;
