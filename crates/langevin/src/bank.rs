//! The bank of persistent chains (Tieleman, "Training restricted Boltzmann machines using approximations to the
//! likelihood gradient", ICML 2008; arXiv 1903.12370, section 2.3).

use ebm_core::NoiseKey;

use crate::LangevinError;

/// States that outlive an iteration. A batch is drawn without replacement, run, and written back to the same places.
///
/// The bank stays on the host: a batch is small beside the steps it is run for, and the whole may not fit a device.
#[derive(Debug, Clone, PartialEq)]
pub struct PersistentBank {
    per_chain: usize,
    states: Vec<f32>,
}

impl PersistentBank {
    /// `size` states of `per_chain` elements, uniform in (−1, 1).
    #[must_use]
    pub fn uniform(size: usize, per_chain: usize, key: NoiseKey) -> Self {
        let mut states = vec![0.0; size * per_chain];
        key.uniforms(0, 0, per_chain, &mut states);
        for value in &mut states {
            *value = 2.0 * *value - 1.0;
        }
        Self { per_chain, states }
    }

    /// A bank with the given states, row by row.
    ///
    /// # Errors
    /// [`LangevinError::BankShape`] when the values are not whole states.
    pub fn from_states(states: Vec<f32>, per_chain: usize) -> Result<Self, LangevinError> {
        if per_chain == 0 || !states.len().is_multiple_of(per_chain) {
            return Err(LangevinError::BankShape {
                expected: states
                    .len()
                    .next_multiple_of(per_chain.max(1))
                    .max(per_chain),
                got: states.len(),
            });
        }
        Ok(Self { per_chain, states })
    }

    /// How many states there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len() / self.per_chain
    }

    /// Whether there is no state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// All states, row by row.
    #[must_use]
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// Draws `count` places without replacement; every ordered selection is equally likely.
    ///
    /// # Errors
    /// [`LangevinError::BankTooSmall`].
    pub fn draw(&self, count: usize, key: NoiseKey) -> Result<Vec<usize>, LangevinError> {
        if count > self.len() {
            return Err(LangevinError::BankTooSmall {
                count,
                size: self.len(),
            });
        }
        Ok(key.choose(count, self.len()))
    }

    /// The states at the given places, row by row. Places beyond the end are left out.
    #[must_use]
    pub fn gather(&self, places: &[usize]) -> Vec<f32> {
        let mut batch = Vec::with_capacity(places.len() * self.per_chain);
        for &place in places {
            let start = place * self.per_chain;
            if let Some(state) = self.states.get(start..start + self.per_chain) {
                batch.extend_from_slice(state);
            }
        }
        batch
    }

    /// Replaces the states at the given places.
    ///
    /// # Errors
    /// [`LangevinError::BankShape`] when `batch` is not one state for each place, or a place does not exist; nothing
    /// is written then.
    pub fn write_back(&mut self, places: &[usize], batch: &[f32]) -> Result<(), LangevinError> {
        let known = places.iter().all(|&place| place < self.len());
        if !known || batch.len() != places.len() * self.per_chain {
            return Err(LangevinError::BankShape {
                expected: places.len() * self.per_chain,
                got: batch.len(),
            });
        }
        for (&place, state) in places.iter().zip(batch.chunks(self.per_chain)) {
            let start = place * self.per_chain;
            self.states[start..start + self.per_chain].copy_from_slice(state);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ebm_core::Stream;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_drawn_states_change_and_each_is_drawn_once(
            size in 1usize..60, per_chain in 1usize..7, seed in any::<u64>(), share in 0.0f64..1.0,
        ) {
            let mut bank = PersistentBank::uniform(size, per_chain, NoiseKey::new(seed, Stream::BankStart, 0));
            prop_assert!(bank.states().iter().all(|value| value.abs() <= 1.0));
            let before = bank.clone();
            let count = (share * size as f64) as usize;
            let places = bank.draw(count, NoiseKey::new(seed, Stream::BankDraw, 1)).unwrap();
            let distinct: std::collections::BTreeSet<_> = places.iter().copied().collect();
            prop_assert_eq!(distinct.len(), count);
            let batch: Vec<f32> = bank.gather(&places).iter().map(|value| value + 10.0).collect();
            bank.write_back(&places, &batch).unwrap();
            prop_assert_eq!(bank.gather(&places), batch);
            for place in 0..size {
                let change = bank.gather(&[place])[0] - before.gather(&[place])[0];
                prop_assert_eq!(change > 5.0, distinct.contains(&place));
            }
        }
    }

    #[test]
    fn a_batch_larger_than_the_bank_and_wrong_shapes_are_refused() {
        let mut bank = PersistentBank::uniform(4, 2, NoiseKey::new(1, Stream::BankStart, 0));
        let key = NoiseKey::new(1, Stream::BankDraw, 0);
        let message = bank.draw(5, key).unwrap_err().to_string();
        assert!(
            message.contains("5 chains") && message.contains("bank of 4"),
            "{message}"
        );
        let before = bank.clone();
        assert!(bank.write_back(&[0, 9], &[0.0; 4]).is_err());
        assert!(bank.write_back(&[0], &[0.0; 3]).is_err());
        assert_eq!(bank, before);
        assert!(PersistentBank::from_states(vec![0.0; 5], 2).is_err());
    }
}
