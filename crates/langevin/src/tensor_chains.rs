//! The tensor engine bound to an energy.

use burn::tensor::{Tensor, backend::AutodiffBackend};
use ebm_core::{Energy, StateShape, States, check_energies, energy_and_gradient, host_values};
use rayon::prelude::*;

use crate::attraction::check_targets;
use crate::tensor_walk::{Walk, Walked, chain_norms};
use crate::{
    AnyKernel, AttractionPath, AttractionRun, Batch, BoundEngine, ChainOutcome, ChainRun, Chains,
    EnergyGradient, LangevinError, Launched, StepNoise, TensorEngine,
};

/// Chains that tensor operations run; made by [`TensorEngine::bind`].
#[derive(Debug)]
pub struct TensorChains<B: AutodiffBackend, E> {
    engine: TensorEngine,
    energy: E,
    shape: StateShape,
    device: B::Device,
}

impl<B: AutodiffBackend, E: Energy<B> + Send + Sync> TensorChains<B, E> {
    pub(crate) fn new(
        engine: TensorEngine,
        energy: E,
        shape: StateShape,
        device: B::Device,
    ) -> Self {
        Self {
            engine,
            energy,
            shape,
            device,
        }
    }

    fn start(
        &self,
        batch: Batch<B::InnerBackend>,
    ) -> Result<Tensor<B::InnerBackend, 4>, LangevinError> {
        batch.shape().check(self.shape)?;
        Ok(batch.into_tensor(&self.device))
    }

    fn steps(
        &self,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<Walked<B::InnerBackend>, LangevinError> {
        let kernel: &dyn Walk<B::InnerBackend> = match &run.kernel {
            AnyKernel::Ula(ula) => ula,
            AnyKernel::Mala(mala) => mala,
            AnyKernel::Own(own) => own.on().ok_or(LangevinError::KernelOfOtherBackend)?,
            AnyKernel::Gradient(_) | AnyKernel::Tempering(_) => {
                return Err(LangevinError::lacking(
                    "tensor",
                    "steps on tensors for kernels with momenta, lengths of elements or a ladder",
                ));
            }
        };
        let energy = |states: Tensor<_, 4>| Ok(energy_and_gradient::<B, E>(&self.energy, states)?);
        let walk = |first, states| {
            let is_cancelled = || self.engine.is_cancelled();
            kernel.walk(&energy, first, states, run, &is_cancelled)
        };
        let chains = initial.dims()[0];
        let block = self.engine.block_of(chains);
        if block >= chains {
            return walk(0, initial);
        }
        let firsts: Vec<usize> = (0..chains).step_by(block).collect();
        let blocks = firsts
            .into_par_iter()
            .map(|first| {
                let count = block.min(chains - first);
                walk(first, initial.clone().narrow(0, first, count))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Walked::joined(blocks).ok_or_else(|| LangevinError::Backend("no chains".into()))
    }

    /// F of each state, in pieces: the activations of thousands of chains at once would not fit into memory.
    fn energies_of(&self, states: &Tensor<B::InnerBackend, 4>) -> Result<Vec<f32>, LangevinError> {
        let mut energies = Vec::with_capacity(states.dims()[0]);
        for piece in states.clone().split(256, 0) {
            let chains = piece.dims()[0];
            let piece = self.energy.energy(Tensor::from_inner(piece));
            check_energies(chains, &piece)?;
            energies.extend(host_values(piece)?);
        }
        Ok(energies)
    }

    /// Runs attracted chains `first_chain..`.
    fn attract_block(
        &self,
        first_chain: usize,
        mut states: Tensor<B::InnerBackend, 4>,
        targets: &Tensor<B::InnerBackend, 4>,
        paths: &mut [AttractionPath],
        run: &AttractionRun,
    ) -> Result<Tensor<B::InnerBackend, 4>, LangevinError> {
        let ula = run.kernel.ula();
        for step in run.first_step..run.first_step + run.steps {
            if self.engine.is_cancelled() {
                return Err(LangevinError::Cancelled);
            }
            let (energies, gradient) = energy_and_gradient::<B, E>(&self.energy, states.clone())?;
            let offset = states.clone() - targets.clone();
            let distance = chain_norms(offset.clone());
            // Energies and distances come to the host at every step.
            let (energies, distances) = (host_values(energies)?, host_values(distance.clone())?);
            for (path, (energy, distance)) in
                paths.iter_mut().zip(energies.into_iter().zip(distances))
            {
                path.observe(run.rule, energy, distance);
            }
            let gradient = run.kernel.gradient(gradient, offset, distance);
            let has_noise = ula.step_size().get() > 0.0;
            let noise = StepNoise {
                key: run.noise,
                step,
                first_chain,
            };
            let noise = has_noise.then(|| noise.normals_like(&states));
            states = ula.moved(states, gradient, noise);
        }
        Ok(states)
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Send + Sync> Chains for TensorChains<B, E> {
    fn name(&self) -> &'static str {
        "tensor"
    }

    fn shape(&self) -> StateShape {
        self.shape
    }

    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError> {
        match run.kernel.run_on(self, states, run) {
            Some(outcome) => outcome,
            None => BoundEngine::<B, E>::launch(self, Batch::Host(states.clone()), run)?.wait(),
        }
    }

    fn energy_gradient(&self, states: &States) -> Result<EnergyGradient, LangevinError> {
        let states = self.start(Batch::Host(states.clone()))?;
        if states.dims()[0] == 0 {
            return Ok(EnergyGradient {
                energies: Vec::new(),
                gradient: States::none(self.shape),
            });
        }
        let block = self.engine.block_of(states.dims()[0]);
        let pieces: Vec<(Vec<f32>, Vec<f32>)> = states
            .split(block, 0)
            .into_par_iter()
            .map(|piece| {
                if self.engine.is_cancelled() {
                    return Err(LangevinError::Cancelled);
                }
                let (energies, gradient) = energy_and_gradient::<B, E>(&self.energy, piece)?;
                Ok((host_values(energies)?, host_values(gradient)?))
            })
            .collect::<Result<_, LangevinError>>()?;
        let (energies, gradients): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        Ok(EnergyGradient {
            energies: energies.concat(),
            gradient: States::new(self.shape, gradients.concat())?,
        })
    }

    fn attract(
        &self,
        states: &States,
        targets: &States,
        paths: &mut [AttractionPath],
        run: &AttractionRun,
    ) -> Result<States, LangevinError> {
        check_targets(states, targets, paths.len())?;
        if paths.is_empty() {
            return Ok(states.clone());
        }
        let [states, targets] = [states, targets].map(|of| self.start(Batch::Host(of.clone())));
        let (states, targets) = (states?, targets?);
        let block = self.engine.block_of(paths.len());
        let blocks: Vec<_> = paths
            .par_chunks_mut(block)
            .enumerate()
            .map(|(number, paths)| {
                let (first, count) = (number * block, paths.len());
                let [states, targets] =
                    [&states, &targets].map(|all| all.clone().narrow(0, first, count));
                self.attract_block(first, states, &targets, paths, run)
            })
            .collect::<Result<_, _>>()?;
        Ok(States::from_tensor(Tensor::cat(blocks, 0))?)
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Send + Sync> BoundEngine<B, E> for TensorChains<B, E> {
    fn update(&mut self, energy: E) -> Result<(), LangevinError> {
        self.energy = energy;
        Ok(())
    }

    fn launch(
        &self,
        initial: Batch<B::InnerBackend>,
        run: &ChainRun,
    ) -> Result<Launched<B::InnerBackend>, LangevinError> {
        if run.kernel.runs_on_states() {
            let states = initial.into_states()?;
            return Ok(self.run(&states, run)?.into());
        }
        let initial = self.start(initial)?;
        let chains = initial.dims()[0];
        let walked = self.steps(initial, run)?;
        let energies = run.final_energies.then(|| self.energies_of(&walked.states));
        Ok(Launched {
            gradient_magnitude: run.mean(walked.norm_sum, chains).into(),
            acceptance_rate: run.acceptance_rate(walked.accepted, chains),
            energies: energies.transpose()?,
            states: Batch::Device(walked.states),
        })
    }
}
