//! How the basins depend on the strength of the pull.

use ebm_core::States;
use serde::{Deserialize, Serialize};

use crate::{Diffusion, Experiments, LandscapeError, Surface};

/// Two states and the pull that brings them together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweptPair {
    /// The number of a state.
    pub a: usize,
    /// That of another.
    pub b: usize,
    /// The weakest pull so far with which one state reached the other, if any.
    pub threshold: Option<f64>,
}

impl SweptPair {
    fn is_together(&self, strength: f64) -> bool {
        self.threshold.is_some_and(|at| at <= strength)
    }
}

/// Pairs of states under ever stronger pulls. Below the transition no state reaches another, and every minimum is a
/// basin. Above it every state reaches every other, and there is one basin. A sweep can be serialised after every
/// [`Self::advance`] and continued later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrengthSweep {
    strengths: Vec<f64>,
    pairs: Vec<SweptPair>,
    tried: usize,
}

impl StrengthSweep {
    /// A sweep with all of `pairs` apart. `strengths` are values of α, in nats of U/τ per unit of distance, the
    /// weakest first.
    ///
    /// # Errors
    /// [`LandscapeError::Setting`] unless they are finite, positive and ascending.
    pub fn new(strengths: Vec<f64>, pairs: &[(usize, usize)]) -> Result<Self, LandscapeError> {
        let is_fine = |strength: &f64| strength.is_finite() && *strength > 0.0;
        if strengths.is_empty()
            || !strengths.iter().all(is_fine)
            || !strengths.is_sorted_by(|a, b| a < b)
        {
            return Err(LandscapeError::setting(
                "the list of strengths",
                format!("{strengths:?}"),
                "must be finite numbers > 0 in ascending order, at least one",
            ));
        }
        let apart = |&(a, b): &(usize, usize)| SweptPair {
            a,
            b,
            threshold: None,
        };
        Ok(Self {
            strengths,
            pairs: pairs.iter().map(apart).collect(),
            tried: 0,
        })
    }

    /// `count` strengths from `low` to `high` in equal ratios.
    #[must_use]
    pub fn ladder(low: f64, high: f64, count: usize) -> Vec<f64> {
        let ratio = (high / low).powf(1.0 / (count.max(2) - 1) as f64);
        (0..count)
            .map(|place| low * ratio.powi(place as i32))
            .collect()
    }

    /// The strengths that have been tried.
    #[must_use]
    pub fn tried(&self) -> &[f64] {
        self.strengths.get(..self.tried).unwrap_or(&self.strengths)
    }

    /// The pairs, with the pulls that brought them together.
    #[must_use]
    pub fn pairs(&self) -> &[SweptPair] {
        &self.pairs
    }

    /// Whether all strengths have been tried, or all pairs are together.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.tried >= self.strengths.len() || self.pairs.iter().all(|p| p.threshold.is_some())
    }

    /// Tries the pairs that are still apart with the next strength. Returns whether more remains to be done. On an
    /// error nothing has changed.
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
        let strength = self.strengths[self.tried];
        let is_apart = |pair: &&mut SweptPair| pair.threshold.is_none();
        let mut apart: Vec<&mut SweptPair> = self.pairs.iter_mut().filter(is_apart).collect();
        let pairs: Vec<(usize, usize)> = apart.iter().map(|pair| (pair.a, pair.b)).collect();
        let call = Experiments::Sweep.call(self.tried as u64);
        let barriers = diffusion.pairs(surface, states, &pairs, strength, call, walked)?;
        for (pair, barrier) in apart.iter_mut().zip(barriers) {
            pair.threshold = barrier.map(|_| strength);
        }
        self.tried += 1;
        Ok(!self.is_done())
    }

    /// Among the pairs for which `counts` is true, the fraction that is together at `strength`; none without such
    /// pairs.
    #[must_use]
    pub fn together(&self, strength: f64, counts: impl Fn(&SweptPair) -> bool) -> Option<f64> {
        let counted: Vec<&SweptPair> = self.pairs.iter().filter(|pair| counts(pair)).collect();
        let is_together = |pair: &&&SweptPair| pair.is_together(strength);
        let together = counted.iter().filter(is_together).count();
        (!counted.is_empty()).then(|| together as f64 / counted.len() as f64)
    }

    /// The strongest pull tried with which at most `fraction` of the pairs known to be different are together: such
    /// pairs then just fail to reach each other, which is how Hill, Nijkamp and Zhu tune α. None if even the weakest
    /// pull brings more together, or no pair is known to be different.
    #[must_use]
    pub fn just_apart(
        &self,
        is_different: impl Fn(&SweptPair) -> bool,
        fraction: f64,
    ) -> Option<f64> {
        let keeps_apart = |strength: &f64| {
            self.together(*strength, &is_different)
                .is_some_and(|together| together <= fraction)
        };
        self.tried().iter().copied().take_while(keeps_apart).last()
    }

    /// The middle of the widest range of tried pulls, on a logarithmic scale, within which at most `fraction` of the
    /// pairs come together, while more than that fraction are together below it, and more are apart above it. There
    /// the grouping depends least on α. None if there is no such range.
    #[must_use]
    pub fn widest_plateau(&self, fraction: f64) -> Option<f64> {
        let (tried, all) = (self.tried(), self.pairs.len());
        let count = |strength: &f64| {
            let pairs = self.pairs.iter();
            pairs.filter(|pair| pair.is_together(*strength)).count()
        };
        let together: Vec<usize> = tried.iter().map(count).collect();
        let tolerated = (fraction * all as f64) as usize;
        let is_plateau = |&(first, last): &(usize, usize)| {
            let (below, above) = (together[first], together[last]);
            below > tolerated && all - above > tolerated && above - below <= tolerated
        };
        let ranges = (0..tried.len())
            .flat_map(|first| (first + 1..tried.len()).map(move |last| (first, last)));
        ranges
            .filter(is_plateau)
            .map(|(first, last)| (tried[first], tried[last]))
            .max_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)))
            .map(|(low, high)| (low * high).sqrt())
    }
}
