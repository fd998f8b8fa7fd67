//! The bank of persistent chains (Tieleman, "Training restricted Boltzmann machines using approximations to the
//! likelihood gradient", ICML 2008; arXiv 1903.12370, section 2.3).

use ebm_core::{NoiseKey, StateShape, States};

use crate::LangevinError;

/// States that outlive an iteration. A batch is drawn without replacement, run, and written back to the same places.
///
/// The bank stays on the host: a batch is small beside the steps it is run for, and the whole may not fit a device.
#[derive(Debug, Clone, PartialEq)]
pub struct PersistentBank {
    states: States,
}

impl PersistentBank {
    /// `size` states uniform in (−1, 1).
    #[must_use]
    pub fn uniform(size: usize, shape: impl Into<StateShape>, key: NoiseKey) -> Self {
        let mut states = States::zeros(shape, size);
        let per_chain = states.shape().size();
        key.uniforms(0, 0, per_chain, states.values_mut());
        for value in states.values_mut() {
            *value = 2.0 * *value - 1.0;
        }
        Self { states }
    }

    /// A bank with the given states.
    #[must_use]
    pub fn new(states: States) -> Self {
        Self { states }
    }

    /// The number of states.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is no state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// All states.
    #[must_use]
    pub fn states(&self) -> &States {
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

    /// The states at the given places, in their order. Places beyond the end are left out.
    #[must_use]
    pub fn gather(&self, places: &[usize]) -> States {
        self.states.gather(places)
    }

    /// Replaces the states at the given places.
    ///
    /// # Errors
    /// [`LangevinError::BankShape`] when `batch` does not have one state for each place, or when a place does not
    /// exist; nothing is written then.
    pub fn write_back(&mut self, places: &[usize], batch: &States) -> Result<(), LangevinError> {
        batch.check_shape(self.states.shape())?;
        let is_known = places.iter().all(|&place| place < self.len());
        if !is_known || batch.len() != places.len() {
            return Err(LangevinError::BankShape {
                places: places.len(),
                size: self.len(),
                got: batch.len(),
            });
        }
        let size = self.states.shape().size();
        let values = self.states.values_mut();
        for (&place, state) in places.iter().zip(batch) {
            values[place * size..(place + 1) * size].copy_from_slice(state);
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
            prop_assert!(bank.states().values().iter().all(|value| value.abs() <= 1.0));
            let before = bank.clone();
            let count = (share * size as f64) as usize;
            let places = bank.draw(count, NoiseKey::new(seed, Stream::BankDraw, 1)).unwrap();
            let distinct: std::collections::BTreeSet<_> = places.iter().copied().collect();
            prop_assert_eq!(distinct.len(), count);
            let mut batch = bank.gather(&places);
            batch.values_mut().iter_mut().for_each(|value| *value += 10.0);
            bank.write_back(&places, &batch).unwrap();
            prop_assert_eq!(bank.gather(&places), batch);
            for place in 0..size {
                let change = bank.gather(&[place]).values()[0] - before.gather(&[place]).values()[0];
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
        assert!(bank.write_back(&[0, 9], &States::zeros(2, 2)).is_err());
        assert!(bank.write_back(&[0], &States::zeros(2, 3)).is_err());
        assert!(bank.write_back(&[0], &States::zeros(3, 1)).is_err());
        assert_eq!(bank, before);
    }
}
