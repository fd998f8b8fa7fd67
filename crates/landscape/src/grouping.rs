//! Minima grouped into metastable basins.

use serde::{Deserialize, Serialize};

use crate::{Diffusion, Experiments, LandscapeError, Minimum, Surface};

/// A metastable basin: minima that, at the strength of the grouping, reach the lowest of them, its representative,
/// directly or by way of another.
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
    /// The highest U on the path to the basin's representative in nats, both ends included.
    pub barrier: f64,
}

/// The mapping of minima, basin by basin: the algorithm of Hill, Nijkamp and Zhu (arXiv 1803.01043, section 4), in
/// another order of work. There each minimum, from the lowest up, is tried against every basin known so far, and
/// opens a new one where none is reached. Here a new basin is at once tried against all minima above its
/// representative. The attempts and the result are the same, and thousands of chains run at once. At the end basins
/// that reach each other every time become one; this last step is our addition.
///
/// The grouping can be serialised after every [`Self::advance`] and continued later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    strength: f64,
    /// The lowest minimum of each basin, in the order of their discovery.
    representatives: Vec<usize>,
    /// For each minimum, the basin it joins; none for representatives.
    joined: Vec<Option<Joined>>,
    /// The number of basins that were tried against all minima above.
    tried: usize,
    /// Experiments so far, which number the noise.
    calls: u64,
    /// Whether basins have been tried against each other again.
    is_consolidated: bool,
}

impl Grouping {
    /// A grouping whose first basin is the lowest of `minima`, for the pull α in nats of U/τ per unit of distance.
    ///
    /// # Errors
    /// [`LandscapeError::NotSorted`] unless the minima are sorted by energy, [`LandscapeError::Setting`] unless α > 0.
    pub fn new(minima: &[Minimum], strength: f64) -> Result<Self, LandscapeError> {
        LandscapeError::unless_positive("the strength α", strength)?;
        let mut before = f64::MIN;
        for (index, minimum) in minima.iter().enumerate() {
            if !(minimum.energy >= before && minimum.energy.is_finite()) {
                return Err(LandscapeError::NotSorted { index });
            }
            before = minimum.energy;
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

    /// A lower bound of the number of settled minima: each is a representative, or has been tried against every basin
    /// below it.
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
            let basin = joined.and_then(|joined| basins.get_mut(joined.basin));
            if let Some(basin) = basin {
                basin.members.push(minimum);
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

    /// Tries the newest basin against the minima above it, and opens the next one if needed. At the end it tries all
    /// basins against each other once more, by their representatives and by the members that are nearest to each
    /// other, and joins those that reach each other every time. Returns whether more remains to be done. On an error
    /// nothing has changed.
    ///
    /// # Errors
    /// [`LandscapeError::OtherMinima`] when their number has changed since the beginning, and as [`Diffusion::run`].
    pub fn advance(
        &mut self,
        surface: &Surface<'_>,
        minima: &[Minimum],
        diffusion: &Diffusion,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, LandscapeError> {
        if minima.len() != self.joined.len() {
            return Err(LandscapeError::OtherMinima {
                expected: self.joined.len(),
                got: minima.len(),
            });
        }
        if self.is_done() {
            return Ok(false);
        }
        let states = Minimum::states(surface.shape(), minima)?;
        let Some(representative) = self.representatives.get(self.tried).copied() else {
            return self.consolidate(surface, minima, diffusion, walked);
        };
        // A minimum between two representatives was settled before the second was known.
        let pairs: Vec<(usize, usize)> = (representative + 1..minima.len())
            .map(|minimum| (minimum, representative))
            .collect();
        let call = Experiments::Grouping.call(self.calls);
        let barriers = diffusion.pairs(surface, &states, &pairs, self.strength, call, walked)?;
        for ((minimum, _), barrier) in pairs.into_iter().zip(barriers) {
            let best = &mut self.joined[minimum];
            let lowest = best.map_or(f64::INFINITY, |joined| joined.barrier);
            // A path ends δ before its target, which may lie higher than all of it.
            let barrier = barrier.map(|barrier| barrier.max(minima[minimum].energy));
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

    /// Basins whose representatives, or whose nearest members, reach each other in every attempt of a second
    /// experiment, in both directions, become one, the lowest barriers first. Representatives alone would leave a
    /// long valley in pieces, because the pull goes straight at its target, which may lie round a bend. A single
    /// arrival is not enough: among the many pairs of many basins some arrive by chance, and would join everything.
    fn consolidate(
        &mut self,
        surface: &Surface<'_>,
        minima: &[Minimum],
        diffusion: &Diffusion,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, LandscapeError> {
        let states = Minimum::states(surface.shape(), minima)?;
        let mut pairs = pairs_of(&self.representatives);
        let nearest = nearest_members(&self.basins(), minima);
        pairs.extend(nearest);
        pairs.sort_unstable();
        pairs.dedup();
        diffusion.check()?;
        let attempts: Vec<_> = pairs
            .iter()
            .flat_map(|pair| diffusion.attempts(*pair))
            .collect();
        let call = Experiments::Grouping.call(self.calls);
        let crossings = diffusion.run(surface, &states, &attempts, self.strength, call, walked)?;
        self.calls += 1;
        self.is_consolidated = true;
        let of_a_pair = 2 * diffusion.trials as usize;
        let mut sure: Vec<((usize, usize), f64)> = Vec::new();
        for (pair, crossings) in pairs.into_iter().zip(crossings.chunks_exact(of_a_pair)) {
            let barriers: Option<Vec<f64>> = crossings.iter().map(|c| c.barrier).collect();
            let lowest = barriers.into_iter().flatten().min_by(f64::total_cmp);
            sure.extend(lowest.map(|barrier| (pair, barrier.max(minima[pair.1].energy))));
        }
        sure.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        for ((a, b), barrier) in sure {
            self.merge(a, b, barrier);
        }
        Ok(false)
    }

    /// Joins the basins of the minima `a` and `b` into one, which keeps the lower representative.
    fn merge(&mut self, a: usize, b: usize, barrier: f64) {
        let basin_of = |minimum: usize| {
            let own = self
                .representatives
                .iter()
                .position(|other| *other == minimum);
            own.or(self.joined[minimum].map(|joined| joined.basin))
        };
        // Representatives are in the order of their energies.
        let (Some(into), Some(gone)) = (basin_of(a).min(basin_of(b)), basin_of(a).max(basin_of(b)))
        else {
            return;
        };
        if into == gone {
            return;
        }
        // From one representative to the other the path leads through the two minima.
        let paths = [a, b]
            .into_iter()
            .filter_map(|minimum| self.joined[minimum]);
        let barrier = paths.fold(barrier, |highest, path| highest.max(path.barrier));
        for joined in self.joined.iter_mut().flatten() {
            if joined.basin == gone {
                joined.basin = into;
                joined.barrier = joined.barrier.max(barrier);
            } else if joined.basin > gone {
                joined.basin -= 1;
            }
        }
        let absorbed = self.representatives.remove(gone);
        self.tried -= 1;
        self.joined[absorbed] = Some(Joined {
            basin: into,
            barrier,
        });
    }
}

/// For each pair of basins, the two members that are nearest to each other, the lower minimum first.
fn nearest_members(basins: &[Basin], minima: &[Minimum]) -> Vec<(usize, usize)> {
    let square = |(a, b): &(usize, usize)| -> f64 {
        let values = minima[*a].state.iter().zip(&minima[*b].state);
        values.map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    let numbers: Vec<usize> = (0..basins.len()).collect();
    let nearest = |(one, other): (usize, usize)| {
        let members = basins[one].members.iter();
        let pairs = members.flat_map(|a| {
            let others = basins[other].members.iter();
            others.map(move |b| (*a.min(b), *a.max(b)))
        });
        let measured = pairs.map(|pair| (pair, square(&pair)));
        let nearest = measured.min_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.map(|(pair, _)| pair)
    };
    pairs_of(&numbers).into_iter().filter_map(nearest).collect()
}

/// All pairs of different numbers, in the order of the list.
pub(crate) fn pairs_of(numbers: &[usize]) -> Vec<(usize, usize)> {
    let pairs_from = |(place, a): (usize, &usize)| {
        let a = *a;
        numbers[place + 1..].iter().map(move |b| (a, *b))
    };
    numbers.iter().enumerate().flat_map(pairs_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(basin: usize, barrier: f64) -> Option<Joined> {
        Some(Joined { basin, barrier })
    }

    /// Basins {0, 4}, {1, 5}, {2}, {3, 6}.
    fn four_basins() -> Grouping {
        Grouping {
            strength: 1.0,
            representatives: vec![0, 1, 2, 3],
            joined: vec![
                None,
                None,
                None,
                None,
                joined(0, 5.0),
                joined(1, 6.0),
                joined(3, 7.0),
            ],
            tried: 4,
            calls: 4,
            is_consolidated: true,
        }
    }

    #[test]
    fn basins_that_merge_take_their_members_along() {
        let mut grouping = four_basins();
        grouping.merge(1, 3, 6.5);
        assert_eq!(grouping.representatives, [0, 1, 2]);
        assert_eq!(grouping.groups(), [0, 1, 2, 1, 0, 1, 1]);
        assert_eq!(grouping.joined[3], joined(1, 6.5));
        // The path of the seventh leads over its own barrier; of the sixth nothing has changed.
        assert_eq!(grouping.joined[6], joined(1, 7.0));
        assert_eq!(grouping.joined[5], joined(1, 6.0));
        // By a minimum that is a representative no more, into a lower basin: all that had joined come along.
        grouping.merge(0, 3, 8.0);
        assert_eq!(grouping.groups(), [0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(grouping.joined[6], joined(0, 8.0));
        // By two members, whose own paths to their representatives are part of the path.
        let mut by_members = four_basins();
        by_members.merge(4, 6, 3.0);
        assert_eq!(by_members.joined[3], joined(0, 7.0));
        // Two that are one already.
        grouping.merge(1, 3, 9.0);
        assert_eq!(grouping.basin_count(), 2);
        assert!(grouping.is_done());
    }

    #[test]
    fn the_nearest_members_of_two_basins_are_found() {
        let minimum = |place: f32| Minimum {
            state: vec![place, 0.0],
            energy: 0.0,
            is_at_rest: true,
            origin: 0,
        };
        let minima: Vec<Minimum> = [0.0, 9.0, 4.0, 5.0, 30.0].map(minimum).to_vec();
        let basin = |members: &[usize]| Basin {
            members: members.to_vec(),
        };
        let basins = [basin(&[0, 3]), basin(&[1, 2]), basin(&[4])];
        assert_eq!(nearest_members(&basins, &minima), [(2, 3), (3, 4), (1, 4)]);
    }

    #[test]
    fn the_lower_basin_absorbs_the_higher_whichever_is_named_first() {
        let (mut one, mut other) = (four_basins(), four_basins());
        one.merge(2, 1, 3.0);
        other.merge(1, 2, 3.0);
        assert_eq!(one, other);
        assert_eq!(one.groups(), [0, 1, 1, 2, 0, 1, 2]);
    }
}
