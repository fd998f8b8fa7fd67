//! What an estimate of the likelihood does.

use ebm_langevin::AnnealingOptions;

use crate::evaluation::StartOptions;
use crate::other_data::OtherData;
use crate::{ExperimentError, Trained};

/// The options of an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct LikelihoodOptions {
    /// Where the chains of the reverse side start and how many chains each side has. By default 100, from the bank or,
    /// if there is none, from the data.
    pub start: StartOptions,
    /// The path between the Gaussian and the energy.
    pub annealing: AnnealingOptions,
    /// Trajectories of HMC under the energy between these starts and the reverse path; 100 by default.
    pub burn_in: u64,
    /// The most images of each set whose likelihood is told; 1,000 by default.
    pub images: usize,
    /// Data to set beside those of learning.
    pub others: Vec<OtherData>,
    /// Seed of the chains and the choice of data; that of the pilot run is [`AnnealingOptions::seed`].
    pub seed: u64,
}

impl Default for LikelihoodOptions {
    fn default() -> Self {
        Self {
            start: StartOptions::default(),
            annealing: AnnealingOptions::default(),
            burn_in: 100,
            images: 1000,
            others: Vec::new(),
            seed: 1,
        }
    }
}

impl LikelihoodOptions {
    /// Gradients of F, counted chain by chain.
    #[must_use]
    pub fn gradients(&self) -> u64 {
        let leapfrogs = self.annealing.leapfrogs;
        let of = |trajectories: u64| trajectories.saturating_mul(leapfrogs).saturating_add(1);
        let path = of(self.annealing.rungs as u64);
        let chain = path.saturating_mul(2).saturating_add(of(self.burn_in));
        (self.annealing.pilot_chains as u64)
            .saturating_mul(path)
            .saturating_add((self.start.chains as u64).saturating_mul(chain))
    }

    /// Checks what needs no file.
    pub(super) fn check(&self, trained: &Trained) -> Result<(), ExperimentError> {
        let refuse =
            |setting, problem: &str| Err(ExperimentError::setting(setting, problem.to_owned()));
        if self.start.chains < 2 {
            return refuse("chains", "must be at least 2, or there is no error to tell");
        }
        if self.images < 2 {
            return refuse("images", "must be at least 2, or there is no error to tell");
        }
        if trained.langevin.epsilon.get() == 0.0 {
            return refuse(
                "run",
                "learned with ε = 0: chains without noise learn no density",
            );
        }
        Ok(())
    }
}
