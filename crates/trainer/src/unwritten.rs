//! Persistent chains that have walked on and are not back in the bank yet.

use std::collections::HashMap;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use ebm_langevin::PersistentBank;

use crate::TrainerError;
use crate::numbers::host;

/// Samples on the device, and the places of the bank that they belong to, batch by batch. The bank itself is on the host and
/// remains what it was, so that these can be thrown away.
pub(crate) struct UnwrittenChains<B: Backend> {
    batches: Vec<Batch<B>>,
    /// Batch and row of the newest state of a place.
    newest: HashMap<usize, (usize, usize)>,
}

struct Batch<B: Backend> {
    places: Vec<usize>,
    /// `[places, channels, height, width]`.
    samples: Tensor<B, 4>,
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
    /// The chains at `places` have walked on to `samples`.
    pub(crate) fn push(&mut self, places: Vec<usize>, samples: Tensor<B, 4>) {
        let batch = self.batches.len();
        for (row, &place) in places.iter().enumerate() {
            self.newest.insert(place, (batch, row));
        }
        self.batches.push(Batch { places, samples });
    }

    /// The newest states at the given places, row by row: those of here, and for other places those of the bank, which `upload`
    /// brings to the device.
    pub(crate) fn gather(
        &self,
        bank: &PersistentBank,
        places: &[usize],
        upload: impl FnOnce(Vec<f32>) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let is_here = |place: &usize| self.newest.contains_key(place);
        let others: Vec<usize> = places.iter().copied().filter(|p| !is_here(p)).collect();
        if others.len() == places.len() {
            return upload(bank.gather(places));
        }
        // The bank's states first, then the batches that are needed, each once.
        let mut parts = Vec::new();
        let mut rows = others.len();
        if !others.is_empty() {
            parts.push(upload(bank.gather(&others)));
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
                            parts.push(samples.clone());
                            rows += samples.dims()[0];
                            rows - samples.dims()[0]
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
        states.select(0, order)
    }

    /// Writes all of them into the bank, or none.
    ///
    /// # Errors
    /// [`TrainerError::Backend`] when the device has failed.
    pub(crate) fn write_back(self, bank: &mut PersistentBank) -> Result<(), TrainerError> {
        if self.batches.is_empty() {
            return Ok(());
        }
        let (places, samples): (Vec<_>, Vec<_>) = self
            .batches
            .into_iter()
            .map(|batch| (batch.places, batch.samples))
            .unzip();
        let states = host(Tensor::cat(samples, 0))?;
        // In the order in which they walked, so that the newest state of a place is the one that remains.
        Ok(bank.write_back(&places.concat(), &states)?)
    }
}
