//! Barriers between basins, found by pulls that grow until a path is found.

use ebm_core::States;
use serde::{Deserialize, Serialize};

use crate::grouping::pairs_of;
use crate::{Diffusion, Experiments, LandscapeError, Surface};

/// An estimate of the barrier between two basins: the highest energy on a path. It is an upper estimate, up to the
/// length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Barrier {
    /// The number of the lower basin.
    pub a: usize,
    /// The number of the higher one.
    pub b: usize,
    /// The highest U of the best path in nats: never lower than either minimum.
    pub energy: f64,
    /// α, the weakest pull that found a path.
    pub strength: f64,
}

/// How pulls grow. At the strength of the grouping no basin reaches another, by definition; a pull just strong enough
/// leads over the lowest barrier, a much stronger one straight over whatever lies between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BarrierSearch {
    /// The factor from one pull to the next.
    pub factor: f64,
    /// Pulls to try.
    pub most_pulls: u32,
}

impl Default for BarrierSearch {
    /// Steps of 15 % up to 28 times the pull of the grouping.
    fn default() -> Self {
        Self {
            factor: 1.15,
            most_pulls: 24,
        }
    }
}

/// The search for all barriers, pull by pull. It can be serialised after every [`Self::advance`] and taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Barriers {
    search: BarrierSearch,
    /// The pull of the grouping.
    strength: f64,
    /// The number and U of each basin's representative.
    minima: Vec<(usize, f64)>,
    found: Vec<Barrier>,
    /// Pairs of basins without a path so far.
    open: Vec<(usize, usize)>,
    pulls: u32,
}

impl Barriers {
    /// A search for basins that were grouped with the pull `strength`; `representatives` are given by number and U in
    /// nats.
    ///
    /// # Errors
    /// [`LandscapeError::Setting`].
    pub fn new(
        representatives: Vec<(usize, f64)>,
        strength: f64,
        search: BarrierSearch,
    ) -> Result<Self, LandscapeError> {
        LandscapeError::unless_positive("the strength α", strength)?;
        if !(search.factor.is_finite() && search.factor > 1.0) {
            return Err(LandscapeError::setting(
                "the factor between pulls",
                search.factor,
                "must be a finite number > 1",
            ));
        }
        let numbers: Vec<usize> = (0..representatives.len()).collect();
        Ok(Self {
            search,
            strength,
            open: pairs_of(&numbers),
            minima: representatives,
            found: Vec::new(),
            pulls: 0,
        })
    }

    /// Whether every pair has a barrier, or every pull was tried.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.open.is_empty() || self.pulls >= self.search.most_pulls
    }

    /// The barriers found so far.
    #[must_use]
    pub fn found(&self) -> &[Barrier] {
        &self.found
    }

    /// Pairs of basins for which no pull found a path so far.
    #[must_use]
    pub fn open(&self) -> &[(usize, usize)] {
        &self.open
    }

    /// The pull of the next [`Self::advance`].
    #[must_use]
    pub fn next_strength(&self) -> f64 {
        self.strength * self.search.factor.powi(self.pulls as i32 + 1)
    }

    /// Tries all open pairs with the next stronger pull. Returns whether more remains to be done. On an error nothing
    /// has changed.
    ///
    /// # Errors
    /// As [`Diffusion::run`].
    pub fn advance(
        &mut self,
        surface: &Surface<'_>,
        states: &States,
        diffusion: &Diffusion,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, LandscapeError> {
        if self.is_done() {
            return Ok(false);
        }
        let strength = self.next_strength();
        let place = |basin: usize| {
            let missing = LandscapeError::NoSuchState {
                index: basin,
                states: self.minima.len(),
            };
            self.minima.get(basin).copied().ok_or(missing)
        };
        let ends: Vec<[(usize, f64); 2]> = self
            .open
            .iter()
            .map(|(a, b)| Ok([place(*a)?, place(*b)?]))
            .collect::<Result<_, LandscapeError>>()?;
        let pairs: Vec<(usize, usize)> = ends.iter().map(|[a, b]| (a.0, b.0)).collect();
        let call = Experiments::Barriers.call(u64::from(self.pulls));
        let barriers = diffusion.pairs(surface, states, &pairs, strength, call, walked)?;
        self.pulls += 1;
        let mut open = Vec::new();
        for (((a, b), [low, high]), barrier) in self.open.drain(..).zip(ends).zip(barriers) {
            match barrier {
                // A path ends δ before its target, which may lie higher than all of it.
                Some(barrier) => self.found.push(Barrier {
                    a,
                    b,
                    energy: barrier.max(low.1).max(high.1),
                    strength,
                }),
                None => open.push((a, b)),
            }
        }
        self.open = open;
        Ok(!self.is_done())
    }
}
