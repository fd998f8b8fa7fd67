//! What one throughput figure is about.

use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_energy_net::{Architecture, NetConfig};
use ebm_experiment::ExperimentError;
use ebm_langevin::{NoiseStart, Ula};

use crate::ChainSettings;

/// A net, its state shape and step size.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The net.
    pub config: NetConfig,
    /// `[channels, height, width]`.
    pub state_shape: [usize; 3],
    /// ε.
    pub step_size: f64,
}

impl Case {
    /// A published net at its published width with the step size of its settings; images have 3×32×32 values.
    #[must_use]
    pub fn published(architecture: Architecture) -> Self {
        let (state_shape, step_size) = match architecture {
            Architecture::Toy => ([2, 1, 1], 0.125),
            Architecture::Vanilla => ([3, 32, 32], 1e-2),
            Architecture::Nonlocal => ([3, 32, 32], 7.5e-3),
        };
        Self {
            config: NetConfig::published(architecture),
            state_shape,
            step_size,
        }
    }

    /// The net's name in tables.
    #[must_use]
    pub fn net(&self) -> &'static str {
        self.config.architecture.name()
    }

    /// The batches of published figures, on a GPU or on the CPU.
    #[must_use]
    pub fn batches(&self, is_gpu: bool) -> &'static [usize] {
        match self.config.architecture {
            Architecture::Toy => &[100, 10_000],
            Architecture::Vanilla if is_gpu => &[100, 1_000],
            Architecture::Vanilla | Architecture::Nonlocal => &[100],
        }
    }

    /// `batch` chains of the net, which start from Gaussian noise.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`] for an impossible step size or batch.
    pub fn chains(&self, batch: usize) -> Result<ChainSettings, ExperimentError> {
        let key = NoiseKey::new(0, Stream::WatchStart, 0);
        let start = NoiseStart::Gaussian.draw(1.0, key, batch, self.state_shape)?;
        let step_size = StepSize::new(self.step_size).map_err(ebm_langevin::LangevinError::from)?;
        Ok(ChainSettings {
            net: self.config,
            seed: 0,
            kernel: Ula::learned(step_size).into(),
            start,
            noise: NoiseKey::new(0, Stream::Watch, 0),
        })
    }
}
