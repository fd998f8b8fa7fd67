//! Progress out, advice in.

use std::fmt;

use crate::BenchError;

/// Whoever watches a measurement. Every method does nothing unless it is overridden, and `()` is a watcher that never
/// says anything.
pub trait Watcher {
    /// It begins, with so many measurements that take their time.
    fn begin(&self, _measurements: u64) {}

    /// This is measured now, by its name.
    fn measuring(&self, _what: &str) {}

    /// One of the measurements is done.
    fn advance(&self) {}

    /// This failed; the rest goes on.
    fn failed(&self, _what: &str, _error: &BenchError) {}

    /// What a person would do to have it measured all the same, as the rest of a sentence; `None` leaves it out.
    fn advice(&self, _left_out: LeftOut) -> Option<&'static str> {
        None
    }
}

impl Watcher for () {}

/// Why a case is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// The fused engine on a GPU, with no backend for the CPU.
    FusedOnGpu,
    /// The cube engine on the CPU.
    CubeOnCpu,
    /// Rounded products of a net that has none.
    RoundedToy,
    /// Image nets on a backend that is slow with them.
    Slow,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FusedOnGpu => "the fused engine runs on the CPU",
            Self::CubeOnCpu => "the cube engine runs on a GPU",
            Self::RoundedToy => "whole chains of a small dense net have f32 products only",
            Self::Slow => "takes seconds a step",
        })
    }
}
