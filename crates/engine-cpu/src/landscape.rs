//! What the mapping of a landscape asks of the fused engine: attracted chains, and F and ∇F of states.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use ebm_core::{Energy, Layered};
use rayon::prelude::*;

use crate::FusedEngine;
use crate::attracted::Targets;
use crate::block::Block;
use crate::chains::{load_states, store_states};
use crate::schedule::{blocks, run_all};
use ebm_langevin::{
    AttractionRun, ChainRun, EnergyGradient, Kernel, LandscapeEngine, LangevinError, Way,
    check_targets, host,
};

impl<B: AutodiffBackend, E: Energy<B> + Layered + Sync> LandscapeEngine<B, E> for FusedEngine {
    fn energy_gradient(
        &self,
        energy: &E,
        states: Tensor<B::InnerBackend, 4>,
    ) -> Result<EnergyGradient<B::InnerBackend>, LangevinError> {
        let shape @ [chains, channels, height, width] = states.dims();
        let device = states.device();
        let plan = &self.compile(energy, [channels, height, width])?.plan;
        let (states, per_chain) = (host(states)?, plan.size(0));
        let pieces: Vec<_> = blocks(plan, chains)
            .into_par_iter()
            .with_max_len(1)
            .map(|chains| {
                let mut block = Block::new(plan, chains.len(), &self.spare);
                load_states(
                    &mut block,
                    &states[chains.start * per_chain..chains.end * per_chain],
                );
                block.forward();
                block.backward(None, None);
                let energies = block.energies()[..chains.len()].to_vec();
                (
                    energies,
                    store_states(&block, &block.gradient, chains.len()),
                )
            })
            .collect();
        let (energies, gradients): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        Ok(EnergyGradient {
            energies: energies.concat(),
            gradient: Tensor::from_data(TensorData::new(gradients.concat(), shape), &device),
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
        let shape @ [_, channels, height, width] = initial.dims();
        check_targets(shape, targets.dims(), ways.len())?;
        let device = initial.device();
        let plan = &self.compile(energy, [channels, height, width])?.plan;
        let (states, target_states) = (host(initial)?, host(targets)?);
        let targets = Targets {
            kernel: run.kernel,
            rule: run.rule,
            states: &target_states,
            ways,
        };
        let steps = ChainRun {
            kernel: Kernel::Ula(run.kernel.ula()),
            steps: run.steps,
            first_step: run.first_step,
            noise: run.noise,
            final_energies: false,
        };
        let outcomes = run_all(
            plan,
            &states,
            Some(targets),
            &steps,
            self.cancel.as_deref(),
            &self.spare,
        )?;
        let mut states = Vec::with_capacity(states.len());
        let mut seen = Vec::with_capacity(shape[0]);
        for outcome in outcomes {
            states.extend(outcome.states);
            seen.extend(outcome.ways);
        }
        ways.copy_from_slice(&seen);
        Ok(Tensor::from_data(TensorData::new(states, shape), &device))
    }
}
