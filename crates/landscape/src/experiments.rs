//! The noise of each kind of experiment.

use ebm_core::{NoiseKey, Stream};

/// The experiments that draw from the stream [`Stream::Attraction`]. Each kind has 2³² numbers of its own there, so
/// that none shares noise with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Experiments {
    /// Those of a [`Grouping`](crate::Grouping).
    Grouping = 0,
    /// Those of [`Barriers`](crate::Barriers).
    Barriers = 1,
    /// Those of a [`StrengthSweep`](crate::StrengthSweep).
    Sweep = 2,
    /// The draw of the pairs that are swept, which is no experiment.
    Pairs = 4,
}

impl Experiments {
    /// The number of an experiment of this kind among those of all kinds: the `call` of
    /// [`Diffusion::run`](crate::Diffusion::run).
    #[must_use]
    pub fn call(self, number: u64) -> u64 {
        ((self as u64) << 32) + number
    }

    /// The noise of an experiment.
    #[must_use]
    pub fn key(self, seed: u64, number: u64) -> NoiseKey {
        NoiseKey::new(seed, Stream::Attraction, self.call(number))
    }
}

#[cfg(test)]
mod tests {
    use super::Experiments;

    /// These numbers stay fixed, so that maps begun earlier go on with the same noise.
    #[test]
    fn the_numbers_are_those_of_before() {
        assert_eq!(Experiments::Grouping.call(3), 3);
        assert_eq!(Experiments::Barriers.call(3), (1 << 32) + 3);
        assert_eq!(Experiments::Sweep.call(3), (1 << 33) + 3);
        assert_eq!(Experiments::Pairs.call(1), (1 << 34) + 1);
    }
}
