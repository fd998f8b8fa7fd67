//! Attraction–diffusion with tensor operations. Energies and distances come to the host at every step.

use burn::tensor::{Tensor, backend::AutodiffBackend, backend::Backend};
use ebm_core::{Energy, energy_and_gradient};
use rayon::prelude::*;

use crate::attraction::check_targets;
use crate::tensor_engine::{chain_norms, noise_like};
use crate::{AttractionRun, EnergyGradient, LandscapeEngine, LangevinError, TensorEngine, Way};

impl<B: AutodiffBackend, E: Energy<B> + Sync> LandscapeEngine<B, E> for TensorEngine {
    fn energy_gradient(
        &self,
        energy: &E,
        states: Tensor<B::InnerBackend, 4>,
    ) -> Result<EnergyGradient<B::InnerBackend>, LangevinError> {
        if states.dims()[0] == 0 {
            return Ok(EnergyGradient {
                energies: Vec::new(),
                gradient: states,
            });
        }
        let block = self.block_of(states.dims()[0]);
        let pieces: Vec<_> = states
            .split(block, 0)
            .into_par_iter()
            .map(|piece| {
                let (energies, gradient) = energy_and_gradient::<B, E>(energy, piece)?;
                Ok((host(energies), gradient))
            })
            .collect::<Result<_, LangevinError>>()?;
        let (energies, gradients): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        Ok(EnergyGradient {
            energies: energies.concat(),
            gradient: Tensor::cat(gradients, 0),
        })
    }

    fn attract(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        targets: Tensor<B::InnerBackend, 4>,
        ways: &mut [Way],
        run: &AttractionRun,
    ) -> Result<Tensor<B::InnerBackend, 4>, LangevinError> {
        check_targets(initial.dims(), targets.dims(), ways.len())?;
        if ways.is_empty() {
            return Ok(initial);
        }
        let block = self.block_of(ways.len());
        let blocks: Vec<_> = ways
            .par_chunks_mut(block)
            .enumerate()
            .map(|(number, ways)| {
                let (first, count) = (number * block, ways.len());
                let [states, targets] =
                    [&initial, &targets].map(|all| all.clone().narrow(0, first, count));
                let is_cancelled = || self.is_cancelled();
                walk::<B, E>(energy, first, states, &targets, ways, run, is_cancelled)
            })
            .collect::<Result<_, _>>()?;
        Ok(Tensor::cat(blocks, 0))
    }
}

/// Runs chains `first_chain..`.
fn walk<B: AutodiffBackend, E: Energy<B>>(
    energy: &E,
    first_chain: usize,
    mut states: Tensor<B::InnerBackend, 4>,
    targets: &Tensor<B::InnerBackend, 4>,
    ways: &mut [Way],
    run: &AttractionRun,
    is_cancelled: impl Fn() -> bool,
) -> Result<Tensor<B::InnerBackend, 4>, LangevinError> {
    let ula = run.kernel.ula();
    for step in run.first_step..run.first_step + run.steps {
        if is_cancelled() {
            return Err(LangevinError::Cancelled);
        }
        let (energies, gradient) = energy_and_gradient::<B, E>(energy, states.clone())?;
        let offset = states.clone() - targets.clone();
        let distance = chain_norms(offset.clone());
        let seen = host(energies).into_iter().zip(host(distance.clone()));
        for (way, (energy, distance)) in ways.iter_mut().zip(seen) {
            way.observe(run.rule, energy, distance);
        }
        let gradient = run.kernel.gradient(gradient, offset, distance);
        let has_noise = ula.step_size().get() > 0.0;
        let noise = has_noise.then(|| noise_like(&states, first_chain, run.noise, step));
        states = ula.step(states, gradient, noise);
    }
    Ok(states)
}

fn host<B: Backend>(tensor: Tensor<B, 1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
