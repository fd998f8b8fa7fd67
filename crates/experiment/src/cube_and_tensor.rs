//! The engine for GPUs, and the tensor engine for what that one lacks.

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Energy, Layered, StateShape, States};
use ebm_engine_gpu::CubeChains;
use ebm_langevin::{
    AnyKernel, AttractionPath, AttractionRun, Batch, BoundEngine, ChainOutcome, ChainRun, Chains,
    EnergyGradient, LangevinError, Launched, ParameterGradient, TensorChains,
};

/// Both engines bound to one net. The tensor engine runs other kernels than ULA, and maps landscapes.
pub(crate) struct CubeAndTensor<B: AutodiffBackend, E> {
    pub(crate) cube: CubeChains,
    pub(crate) tensor: TensorChains<B, E>,
}

fn is_ula(run: &ChainRun) -> bool {
    matches!(run.kernel, AnyKernel::Ula(_))
}

impl<B, E> Chains for CubeAndTensor<B, E>
where
    B: AutodiffBackend,
    E: Energy<B> + Layered + Clone + Send + Sync,
{
    fn name(&self) -> &'static str {
        self.cube.name()
    }

    fn landscape_name(&self) -> &'static str {
        self.tensor.name()
    }

    fn shape(&self) -> StateShape {
        self.cube.shape()
    }

    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError> {
        match &run.kernel {
            AnyKernel::Ula(_) => self.cube.run(states, run),
            // Each temperature by the engine that has its kernel.
            AnyKernel::Tempering(tempering) => tempering.run(self, states, run),
            _ => self.tensor.run(states, run),
        }
    }

    fn energy_gradient(&self, states: &States) -> Result<EnergyGradient, LangevinError> {
        self.tensor.energy_gradient(states)
    }

    fn attract(
        &self,
        states: &States,
        targets: &States,
        paths: &mut [AttractionPath],
        run: &AttractionRun,
    ) -> Result<States, LangevinError> {
        self.tensor.attract(states, targets, paths, run)
    }
}

impl<B, E> BoundEngine<B, E> for CubeAndTensor<B, E>
where
    B: AutodiffBackend,
    E: Energy<B> + Layered + Clone + Send + Sync,
{
    fn update(&mut self, energy: E) -> Result<(), LangevinError> {
        BoundEngine::<B, E>::update(&mut self.cube, energy.clone())?;
        self.tensor.update(energy)
    }

    fn launch(
        &self,
        initial: Batch<B::InnerBackend>,
        run: &ChainRun,
    ) -> Result<Launched<B::InnerBackend>, LangevinError> {
        if is_ula(run) {
            BoundEngine::<B, E>::launch(&self.cube, initial, run)
        } else {
            self.tensor.launch(initial, run)
        }
    }

    fn runs_ahead(&self) -> bool {
        BoundEngine::<B, E>::runs_ahead(&self.cube)
    }

    fn parameter_gradient(
        &self,
        batches: &[&Batch<B::InnerBackend>],
        weights: &[f32],
    ) -> Result<Option<ParameterGradient<B::InnerBackend>>, LangevinError> {
        BoundEngine::<B, E>::parameter_gradient(&self.cube, batches, weights)
    }
}
