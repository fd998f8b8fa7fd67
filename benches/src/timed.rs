//! What is timed, as the host sees it.

use ebm_core::{NoiseKey, States};
use ebm_energy_net::NetConfig;
use ebm_engine_cpu::WorkingSet;
use ebm_experiment::{Compute, EngineChoice, ExperimentError};
use ebm_langevin::AnyKernel;

/// Chains to time: a net with fresh parameters, and how its states move.
#[derive(Debug, Clone)]
pub struct ChainSettings {
    /// The net.
    pub net: NetConfig,
    /// Seed of its parameters.
    pub seed: u64,
    /// The kernel.
    pub kernel: AnyKernel,
    /// Where the chains start.
    pub start: States,
    /// The noise of their steps.
    pub noise: NoiseKey,
}

/// A backend with its device on which chains can be timed. Whoever measures takes it without the backend's types;
/// [`ebm_experiment::BurnCompute`] is the one implementation.
pub trait TimedBackend: Compute {
    /// Whether it computes with GPU kernels.
    fn is_gpu(&self) -> bool;

    /// Binds an engine to chains. Parameters do not require gradients: only the states' gradient is computed.
    ///
    /// # Errors
    /// [`ExperimentError::Net`] when the net does not fit its states, [`ExperimentError::Langevin`] when the engine lacks a layer.
    fn chains(
        &self,
        settings: &ChainSettings,
        engine: EngineChoice,
    ) -> Result<Box<dyn TimedChains>, ExperimentError>;

    /// Waits for everything that was asked of the device.
    ///
    /// # Errors
    /// [`ExperimentError::Device`].
    fn wait(&self) -> Result<(), ExperimentError>;

    /// Seconds of the fastest of `times` f32 products of two random matrices `[side, side]`; infinite for none.
    ///
    /// # Errors
    /// [`ExperimentError::Device`].
    fn matrix_product(&self, side: usize, times: u32) -> Result<f64, ExperimentError>;
}

/// Chains that an engine is bound to, on their device.
pub trait TimedChains {
    /// The engine's name.
    fn engine(&self) -> &'static str;

    /// Goes on for so many steps from where the chains are, and waits for them.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`] of the engine.
    fn run(&mut self, steps: u64) -> Result<(), ExperimentError>;

    /// Runs so many steps from the start, `times` times one after the other, and waits after the last. The chains stay
    /// where they are.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`] of the engine.
    fn run_from_start(&self, steps: u64, times: u32) -> Result<(), ExperimentError>;

    /// The states where the chains are, on the host.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`] when the device does not hand them over.
    fn states(&self) -> Result<States, ExperimentError>;

    /// Bytes beside the states, where the engine tells.
    fn working_set(&self) -> Option<WorkingSet>;

    /// Bytes that the GPU has reserved, where the engine has one.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`] when the runtime does not tell.
    fn reserved_memory(&self) -> Result<Option<u64>, ExperimentError>;
}
