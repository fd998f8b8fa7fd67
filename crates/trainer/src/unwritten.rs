//! Persistent chains that have run and are not yet written back into the bank.

use std::collections::HashMap;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use ebm_core::States;
use ebm_langevin::{Batch, LangevinError, PersistentBank};

use crate::TrainerError;

/// Samples on the device, and the places of the bank that they belong to, batch by batch. The bank itself is on the
/// host and remains what it was, so that these can be thrown away.
pub(crate) struct UnwrittenChains<B: Backend> {
    batches: Vec<Walked<B>>,
    /// Batch and row of the newest state of a place.
    newest: HashMap<usize, (usize, usize)>,
}

struct Walked<B: Backend> {
    places: Vec<usize>,
    samples: Batch<B>,
}

impl<B: Backend> Default for UnwrittenChains<B> {
    fn default() -> Self {
        Self {
            batches: Vec::new(),
            newest: HashMap::new(),
        }
    }
}

impl<B: Backend> UnwrittenChains<B> {
    /// Records that the chains at `places` have moved on to `samples`.
    pub(crate) fn push(&mut self, places: Vec<usize>, samples: Batch<B>) {
        let batch = self.batches.len();
        for (row, &place) in places.iter().enumerate() {
            self.newest.insert(place, (batch, row));
        }
        self.batches.push(Walked { places, samples });
    }

    /// The newest states at the given places: those kept here, and for other places those of the bank. If any of them
    /// is on the device, they all are.
    pub(crate) fn gather(
        &self,
        bank: &PersistentBank,
        places: &[usize],
        device: &B::Device,
    ) -> Batch<B> {
        let is_here = |place: &usize| self.newest.contains_key(place);
        let others: Vec<usize> = places.iter().copied().filter(|p| !is_here(p)).collect();
        if others.len() == places.len() {
            return Batch::Host(bank.gather(places));
        }
        // The bank's states first, then the batches that are needed, each once.
        let mut parts = Vec::new();
        let mut rows = others.len();
        if !others.is_empty() {
            parts.push(bank.gather(&others).into_tensor(device));
        }
        let mut first_rows = HashMap::new();
        let mut next_other = 0;
        let order: Vec<i32> = places
            .iter()
            .map(|place| {
                let row = match self.newest.get(place) {
                    Some(&(batch, row)) => {
                        let first = *first_rows.entry(batch).or_insert_with(|| {
                            let samples = &self.batches[batch].samples;
                            parts.push(samples.clone().into_tensor(device));
                            rows += samples.len();
                            rows - samples.len()
                        });
                        first + row
                    }
                    None => {
                        next_other += 1;
                        next_other - 1
                    }
                };
                row as i32
            })
            .collect();
        let states = Tensor::cat(parts, 0);
        let count = order.len();
        let order = TensorData::new(order, [count]);
        let order = Tensor::<B, 1, Int>::from_data(order, &states.device());
        Batch::Device(states.select(0, order))
    }

    /// Writes all of them into the bank, or none.
    ///
    /// # Errors
    /// [`TrainerError::Langevin`] when the device has failed.
    pub(crate) fn write_back(self, bank: &mut PersistentBank) -> Result<(), TrainerError> {
        if self.batches.is_empty() {
            return Ok(());
        }
        let (places, samples): (Vec<_>, Vec<_>) = self
            .batches
            .into_iter()
            .map(|batch| (batch.places, batch.samples))
            .unzip();
        let states = joined(samples)?;
        // Written in the order in which the chains ran, so that the newest state of a place remains.
        Ok(bank.write_back(&places.concat(), &states)?)
    }
}

/// All states on the host, with one wait for those that are on the device.
fn joined<B: Backend>(batches: Vec<Batch<B>>) -> Result<States, LangevinError> {
    let device = batches.iter().find_map(|batch| match batch {
        Batch::Host(_) => None,
        Batch::Device(states) => Some(states.device()),
    });
    let Some(device) = device else {
        let shape = batches.first().map_or_else(|| 0.into(), Batch::shape);
        let states = batches.into_iter().map(Batch::into_states);
        let states = states.collect::<Result<Vec<_>, _>>()?;
        return Ok(States::concat(shape, &states)?);
    };
    let tensors = batches.into_iter().map(|batch| batch.into_tensor(&device));
    Ok(States::from_tensor(Tensor::cat(tensors.collect(), 0))?)
}
