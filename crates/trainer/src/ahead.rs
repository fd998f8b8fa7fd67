//! Iterations that do not wait for their numbers, which are read later.

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::Energy;
use ebm_diagnostics::IterationMetrics;
use ebm_langevin::Numbers;

use crate::numbers::means;
use crate::unread::Unread;
use crate::{Learner, TrainerError};

impl<B, N> Learner<B, N>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    /// As [`Self::iterate`], but without reading anything from the device, so that with an engine that [runs
    /// ahead](Self::runs_ahead) the next iteration can be queued meanwhile. The update is made before it is known
    /// whether learning has run away: [`Self::read`] finds out.
    ///
    /// Until then [`LearnerView`](crate::LearnerView) shows the net, the samples and the iteration number of the last
    /// iteration that was advanced; the bank, which has not been written, and checkpoints are refused with
    /// [`TrainerError::Unread`]. Every unread iteration keeps two numbers and, with persistent chains, its samples on
    /// the device.
    ///
    /// Some stabilisers work on the host and still wait for the device: the penalty of energies, the clip of the
    /// gradient of θ, weight decay and the bound of the spectral norm. So does an engine that computes parameter
    /// gradients on the host.
    ///
    /// # Errors
    /// Those of the chains and the data. The state is then that of before this call, and earlier iterations can still
    /// be read.
    pub fn advance(&mut self) -> Result<(), TrainerError> {
        let walk = self.walk()?;
        let state = &self.state;
        let unread = self
            .unread
            .get_or_insert_with(|| Unread::after(state.clone()));
        unread.numbers.push(walk.numbers);
        unread.energies.push(walk.energies);
        if let Some(places) = walk.places {
            unread.chains.push(places, walk.samples.clone());
        }
        self.update(walk.gradients, walk.samples)
    }

    /// Reads the numbers of the iterations that were advanced since the last time, appends them to `metrics` in
    /// order, and writes the samples of persistent chains into the bank.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`] for the first iteration whose energies are not finite or ran away, and
    /// [`TrainerError::Langevin`] when the device has failed. Then `metrics` has the sound iterations before that
    /// one, but the learner goes back to the state before the first unread iteration: its parameters, optimiser, bank
    /// and iteration number.
    pub fn read(&mut self, metrics: &mut Vec<IterationMetrics>) -> Result<(), TrainerError> {
        let Some(unread) = self.unread.take() else {
            return Ok(());
        };
        let Unread {
            before,
            numbers,
            energies,
            chains,
        } = unread;
        let judgement = self.judgement();
        let data = self.config.batch_size;
        let read = Numbers::read_all(energies).map_err(TrainerError::from);
        let result = read.and_then(|energies| {
            for (numbers, energies) in numbers.into_iter().zip(energies) {
                metrics.push(judgement.metrics(numbers, means(&energies, data))?);
            }
            // Only now, and all at once: a bank that is not written needs no undoing.
            match &mut self.bank {
                Some(bank) => chains.write_back(bank),
                None => Ok(()),
            }
        });
        if result.is_err() {
            self.state = before;
            // The caller gets the first error; the next iteration tries this again.
            let _ = self.bind();
        }
        result
    }

    /// Refuses requests that are impossible while iterations are unread.
    pub(crate) fn check_read(&self) -> Result<(), TrainerError> {
        match &self.unread {
            None => Ok(()),
            Some(unread) => Err(TrainerError::Unread {
                iterations: unread.numbers.len(),
            }),
        }
    }
}
