//! The engine bound to a net: its plan, its packed weights, and memory that is lent again.

#[cfg(feature = "burn")]
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "burn")]
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Layered, ParameterId, StateShape, States};
use rayon::prelude::*;

use crate::FusedEngine;
use crate::attracted::Targets;
use crate::block::Block;
use crate::buffer::Spare;
use crate::chains::{load_states, store_states};
use crate::parameters::Sums;
use crate::plan::Plan;
use crate::records::{Records, recorded_values};
use crate::schedule::{blocks, run_all};
use ebm_langevin::{
    AttractionPath, AttractionRun, ChainOutcome, ChainRun, Chains, EnergyGradient, LangevinError,
    check_targets, check_weights,
};
#[cfg(feature = "burn")]
use ebm_langevin::{Batch, BoundEngine, Numbers, ParameterGradient};

/// F of states, and the gradient of a weighted sum of them with respect to the parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct HostParameterGradient {
    /// F(xᵢ), one for each state.
    pub energies: Vec<f32>,
    /// ∂/∂θ Σᵢ wᵢ F(xᵢ) by the id of the parameter, in the layout of
    /// [`LayerDescription`](ebm_core::LayerDescription).
    pub gradients: HashMap<ParameterId, Vec<f32>>,
}

/// Chains that the engine for CPUs runs on a net; made by [`FusedEngine::bind`].
#[derive(Debug)]
pub struct FusedChains {
    engine: FusedEngine,
    shape: StateShape,
    plan: Plan,
    spare: Arc<Spare>,
}

/// Chains of a block whose parameter gradients are taken: never the machine's choice, because sums in another order
/// round differently.
const GRADIENT_BLOCK: usize = 16;

impl FusedChains {
    pub(crate) fn new<E: Layered>(
        engine: FusedEngine,
        energy: &E,
        shape: StateShape,
    ) -> Result<Self, LangevinError> {
        let spare = Arc::default();
        Ok(Self {
            plan: engine.plan(energy, shape, &spare)?,
            engine,
            shape,
            spare,
        })
    }

    /// Packs the weights of a net with other parameters, or of another one.
    ///
    /// # Errors
    /// As [`FusedEngine::supports`]; the net from before stays bound then.
    pub fn rebind<E: Layered>(&mut self, energy: &E) -> Result<(), LangevinError> {
        let plan = self.engine.plan(energy, self.shape, &self.spare)?;
        let is_alike =
            plan.shapes == self.plan.shapes && plan.weight_bytes() == self.plan.weight_bytes();
        if !is_alike {
            // Another net needs other buffers.
            self.spare.clear();
        }
        self.plan = plan;
        Ok(())
    }

    /// Blocks whose operands are held at a time: what fits into a fixed amount of memory, and not the machine's choice.
    fn gradient_blocks(&self) -> usize {
        const BYTES: usize = 256 << 20;
        let of_block = recorded_values(&self.plan, GRADIENT_BLOCK) * size_of::<f32>();
        (BYTES / of_block.max(1)).clamp(1, 256)
    }

    /// F of each state, and ∂/∂θ Σᵢ wᵢ F(xᵢ); one weight for each state. All on the host, for callers without tensors.
    ///
    /// # Errors
    /// [`LangevinError::Core`] for states of another shape, [`LangevinError::Weights`] unless there is one weight for
    /// each state, and [`LangevinError::Cancelled`].
    pub fn host_parameter_gradient(
        &self,
        states: &States,
        weights: &[f32],
    ) -> Result<HostParameterGradient, LangevinError> {
        states.check_shape(self.shape)?;
        let states: Vec<&[f32]> = states.iter().collect();
        self.weighted_gradient(&states, weights, self.engine.cancel.as_deref())
    }

    /// As [`Self::host_parameter_gradient`], for states of the right shape one by one; gives up once `cancel` is true.
    fn weighted_gradient(
        &self,
        states: &[&[f32]],
        weights: &[f32],
        cancel: Option<&AtomicBool>,
    ) -> Result<HostParameterGradient, LangevinError> {
        check_weights(weights, states.len())?;
        let mut energies = Vec::with_capacity(weights.len());
        let mut sums = Sums::default();
        let wave = GRADIENT_BLOCK * self.gradient_blocks();
        for (states, weights) in states.chunks(wave).zip(weights.chunks(wave)) {
            if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                return Err(LangevinError::Cancelled);
            }
            let (of_blocks, records): (Vec<_>, Vec<_>) = states
                .par_chunks(GRADIENT_BLOCK)
                .zip(weights.par_chunks(GRADIENT_BLOCK))
                .with_max_len(1)
                .map(|(states, weights)| self.recorded(states, weights))
                .unzip();
            energies.extend(of_blocks.into_iter().flatten());
            sums.add(&self.plan, &records);
        }
        Ok(HostParameterGradient {
            energies,
            gradients: sums.finish(self.plan.arch),
        })
    }

    /// F of a block of states, and what the gradient of their weighted sum is made of.
    fn recorded(&self, states: &[&[f32]], weights: &[f32]) -> (Vec<f32>, Records) {
        let mut block = Block::new(&self.plan, GRADIENT_BLOCK, &self.spare);
        load_states(&mut block, states.iter().copied());
        block.forward();
        let energies = block.energies()[..weights.len()].to_vec();
        // Lanes without a state count nothing.
        let mut seed = weights.to_vec();
        seed.resize(block.lanes, 0.0);
        let mut records = Records::new(&self.spare);
        block.record(&seed, &mut records);
        (energies, records)
    }
}

impl Chains for FusedChains {
    fn name(&self) -> &'static str {
        self.engine.own_name()
    }

    fn shape(&self) -> StateShape {
        self.shape
    }

    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError> {
        if let Some(outcome) = run.kernel.run_on(self, states, run) {
            return outcome;
        }
        states.check_shape(self.shape)?;
        let chains = states.len();
        let cancel = self.engine.cancel.as_deref();
        let outcomes = run_all(&self.plan, states.values(), None, run, cancel, &self.spare)?;
        let mut moved = Vec::with_capacity(states.values().len());
        let mut energies = Vec::with_capacity(chains);
        let mut norm_sum = 0.0;
        let mut accepted = None;
        for outcome in outcomes {
            moved.extend(outcome.states);
            energies.extend(outcome.energies);
            if let Some(more) = outcome.accepted {
                *accepted.get_or_insert(0) += more;
            }
            // Chain by chain, so that the sum is the same however the batch was cut.
            for norm in outcome.norms {
                norm_sum += norm;
            }
        }
        Ok(ChainOutcome {
            states: States::new(self.shape, moved)?,
            gradient_magnitude: run.mean(norm_sum, chains),
            acceptance_rate: run.acceptance_rate(accepted, chains),
            energies: run.final_energies.then_some(energies),
            swaps: Vec::new(),
        })
    }

    fn energy_gradient(&self, states: &States) -> Result<EnergyGradient, LangevinError> {
        states.check_shape(self.shape)?;
        let cancel = self.engine.cancel.as_deref();
        let (values, size) = (states.values(), self.shape.size());
        let pieces: Vec<_> = blocks(&self.plan, states.len())
            .into_par_iter()
            .with_max_len(1)
            .map(|chains| {
                if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                    return Err(LangevinError::Cancelled);
                }
                let mut block = Block::new(&self.plan, chains.len(), &self.spare);
                let own = &values[chains.start * size..chains.end * size];
                load_states(&mut block, own.chunks_exact(size));
                block.forward();
                block.backward();
                let energies = block.energies()[..chains.len()].to_vec();
                let gradient = store_states(&block, &block.gradient, chains.len());
                Ok((energies, gradient))
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
        states.check_shape(self.shape)?;
        check_targets(states, targets, paths.len())?;
        let attraction = Targets {
            kernel: run.kernel,
            rule: run.rule,
            states: targets.values(),
            paths,
        };
        let steps = ChainRun::new(run.kernel.ula(), run.steps)
            .with_first_step(run.first_step)
            .with_noise(run.noise);
        let outcomes = run_all(
            &self.plan,
            states.values(),
            Some(attraction),
            &steps,
            self.engine.cancel.as_deref(),
            &self.spare,
        )?;
        let mut moved = Vec::with_capacity(states.values().len());
        let mut seen = Vec::with_capacity(states.len());
        for outcome in outcomes {
            moved.extend(outcome.states);
            seen.extend(outcome.paths);
        }
        paths.copy_from_slice(&seen);
        Ok(States::new(self.shape, moved)?)
    }
}

#[cfg(feature = "burn")]
impl<B: AutodiffBackend, E: Layered> BoundEngine<B, E> for FusedChains {
    fn update(&mut self, energy: E) -> Result<(), LangevinError> {
        self.rebind(&energy)
    }

    fn parameter_gradient(
        &self,
        batches: &[&Batch<B::InnerBackend>],
        weights: &[f32],
    ) -> Result<Option<ParameterGradient<B::InnerBackend>>, LangevinError> {
        let read = batches.iter().map(|batch| match batch {
            Batch::Host(states) => Ok(Cow::Borrowed(states)),
            Batch::Device(_) => (*batch).clone().into_states().map(Cow::Owned),
        });
        let read = read.collect::<Result<Vec<_>, LangevinError>>()?;
        for states in &read {
            states.check_shape(self.shape)?;
        }
        let states: Vec<&[f32]> = read.iter().flat_map(|states| states.iter()).collect();
        // To the end, once begun: a learning iteration is whole or not at all.
        let found = self.weighted_gradient(&states, weights, None)?;
        let gradients = found.gradients.into_iter();
        Ok(Some(ParameterGradient {
            energies: Numbers::Host(found.energies),
            gradients: gradients.map(|(id, g)| (id, Numbers::Host(g))).collect(),
        }))
    }
}
