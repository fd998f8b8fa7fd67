//! Minima grouped into metastable basins.

use burn::tensor::backend::AutodiffBackend;
use ebm_langevin::LandscapeEngine;
use serde::{Deserialize, Serialize};

use crate::{Diffusion, LandscapeError, Minimum, Surface};

/// A metastable basin: minima that reach its lowest one, its representative, at the strength of the grouping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basin {
    /// Numbers of its minima, the representative first.
    pub members: Vec<usize>,
}

impl Basin {
    /// The number of the lowest minimum.
    #[must_use]
    pub fn representative(&self) -> usize {
        self.members[0]
    }
}

/// The basin that a minimum reaches over the lowest barrier so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The number of the basin.
    pub basin: usize,
    /// The highest U on the way, in nats.
    pub barrier: f64,
}

/// The mapping of minima, basin by basin: the algorithm of Hill, Nijkamp and Zhu (arXiv 1803.01043, section 4), in another order of
/// work. There each minimum, from the lowest up, is tried against every basin known so far, and opens a new one where none is
/// reached. Here a new basin is at once tried against all minima above its representative. The attempts and the result are
/// the same, and thousands of chains run at once.
///
/// The value can be serialised after every [`Self::advance`] and taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    strength: f64,
    /// The lowest minimum of each basin, in the order of their discovery.
    representatives: Vec<usize>,
    /// For each minimum, the basin it joins; none for representatives.
    joined: Vec<Option<Joined>>,
    /// How many basins were tried against all minima above.
    tried: usize,
    /// Experiments so far, which number the noise.
    calls: u64,
    /// Whether basins have been tried against each other again.
    is_consolidated: bool,
}

impl Grouping {
    /// Begins with the lowest of `minima` as the first basin, for the pull α in nats of U/τ per unit of distance.
    ///
    /// # Errors
    /// [`LandscapeError::NotSorted`] unless the minima are sorted by energy.
    pub fn new(minima: &[Minimum], strength: f64) -> Result<Self, LandscapeError> {
        let is_lower = |index: &usize| minima[*index].energy < minima[*index - 1].energy;
        if let Some(index) = (1..minima.len()).find(is_lower) {
            return Err(LandscapeError::NotSorted { index });
        }
        Ok(Self {
            strength,
            representatives: (0..minima.len().min(1)).collect(),
            joined: vec![None; minima.len()],
            tried: 0,
            calls: 0,
            is_consolidated: false,
        })
    }

    /// α.
    #[must_use]
    pub fn strength(&self) -> f64 {
        self.strength
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.tried == self.representatives.len() && self.is_consolidated
    }

    /// How many basins there are so far.
    #[must_use]
    pub fn basin_count(&self) -> usize {
        self.representatives.len()
    }

    /// The least number of minima that are settled: each is a representative, or has been tried against every basin below it.
    #[must_use]
    pub fn settled(&self) -> usize {
        match self.representatives.get(self.tried) {
            Some(newest) => *newest,
            None => self.joined.len(),
        }
    }

    /// The basins, the lowest first.
    #[must_use]
    pub fn basins(&self) -> Vec<Basin> {
        let basin = |representative: &usize| Basin {
            members: vec![*representative],
        };
        let mut basins: Vec<Basin> = self.representatives.iter().map(basin).collect();
        for (minimum, joined) in self.joined.iter().enumerate() {
            if let Some(joined) = joined {
                basins[joined.basin].members.push(minimum);
            }
        }
        basins
    }

    /// For each minimum the number of its basin.
    #[must_use]
    pub fn groups(&self) -> Vec<usize> {
        let mut groups = vec![0; self.joined.len()];
        for (number, basin) in self.basins().iter().enumerate() {
            for member in &basin.members {
                groups[*member] = number;
            }
        }
        groups
    }

    /// For each minimum, its basin and the barrier to the representative that it reached; none for representatives.
    #[must_use]
    pub fn joined(&self) -> &[Option<Joined>] {
        &self.joined
    }

    /// Tries the newest basin against the minima above it, and opens the next one if there has to be one; at the end tries all
    /// basins against each other once more. Says whether there is more to do. On an error nothing has changed.
    ///
    /// # Errors
    /// As [`Diffusion::run`].
    pub fn advance<B, E, G>(
        &mut self,
        surface: &Surface<'_, B, E, G>,
        minima: &[Minimum],
        diffusion: &Diffusion,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, LandscapeError>
    where
        B: AutodiffBackend,
        G: LandscapeEngine<B, E>,
    {
        if self.is_done() {
            return Ok(false);
        }
        let rows: Vec<f32> = minima
            .iter()
            .flat_map(|minimum| minimum.state.iter().copied())
            .collect();
        let Some(representative) = self.representatives.get(self.tried).copied() else {
            return self.consolidate(surface, &rows, diffusion, walked);
        };
        // A minimum between two representatives was settled before the second was known.
        let pairs: Vec<(usize, usize)> = (representative + 1..minima.len())
            .map(|minimum| (minimum, representative))
            .collect();
        let barriers =
            diffusion.pairs(surface, &rows, &pairs, self.strength, self.calls, walked)?;
        for ((minimum, _), barrier) in pairs.into_iter().zip(barriers) {
            let best = &mut self.joined[minimum];
            let lowest = best.map_or(f64::INFINITY, |joined| joined.barrier);
            if let Some(barrier) = barrier.filter(|barrier| *barrier < lowest) {
                *best = Some(Joined {
                    basin: self.tried,
                    barrier,
                });
            }
        }
        self.calls += 1;
        self.tried += 1;
        // All below it have been tried against every basin so far.
        let next =
            (representative + 1..minima.len()).find(|minimum| self.joined[*minimum].is_none());
        self.representatives.extend(next);
        Ok(!self.is_done())
    }

    /// Basins whose representatives reach each other in a second experiment become one, the lowest barriers first.
    fn consolidate<B, E, G>(
        &mut self,
        surface: &Surface<'_, B, E, G>,
        rows: &[f32],
        diffusion: &Diffusion,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, LandscapeError>
    where
        B: AutodiffBackend,
        G: LandscapeEngine<B, E>,
    {
        let pairs = pairs_of(&self.representatives);
        let barriers = diffusion.pairs(surface, rows, &pairs, self.strength, self.calls, walked)?;
        self.calls += 1;
        self.is_consolidated = true;
        let lowest = pairs
            .into_iter()
            .zip(barriers)
            .filter_map(|(pair, barrier)| barrier.map(|barrier| (pair, barrier)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        if let Some(((low, high), barrier)) = lowest {
            self.merge(low, high, barrier);
            // The others may have been one with either.
            self.is_consolidated = false;
        }
        Ok(!self.is_done())
    }

    /// The basin of the minimum `high` becomes a part of that of `low`.
    fn merge(&mut self, low: usize, high: usize, barrier: f64) {
        let place = |of: usize| self.representatives.iter().position(|other| *other == of);
        let (Some(into), Some(gone)) = (place(low), place(high)) else {
            return;
        };
        for joined in self.joined.iter_mut().flatten() {
            if joined.basin == gone {
                joined.basin = into;
            } else if joined.basin > gone {
                joined.basin -= 1;
            }
        }
        self.representatives.remove(gone);
        self.tried -= 1;
        self.joined[high] = Some(Joined {
            basin: into,
            barrier,
        });
    }
}

/// All pairs of different numbers, in the order of the list.
pub(crate) fn pairs_of(numbers: &[usize]) -> Vec<(usize, usize)> {
    let pairs_from = |(place, a): (usize, &usize)| {
        let a = *a;
        numbers[place + 1..].iter().map(move |b| (a, *b))
    };
    numbers.iter().enumerate().flat_map(pairs_from).collect()
}
