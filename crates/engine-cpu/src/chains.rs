//! Langevin steps of a block of chains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ebm_core::NoiseKey;
use pulp::Arch;

use crate::attracted::{Attracted, Targets};
use crate::block::Block;
use crate::buffer::Spare;
use crate::metropolis::Metropolis;
use crate::plan::Plan;
use crate::vector::{HALF, LANES};
use ebm_langevin::{AnyKernel, AttractionPath, Bound, ChainRun, LangevinError, Mala, Ula};

/// A block's chains after their steps, row by row.
pub(crate) struct BlockOutcome {
    pub(crate) states: Vec<f32>,
    /// Σ over steps of ‖∇F‖₂, one for each chain.
    pub(crate) norms: Vec<f64>,
    /// F of the final states, if asked for.
    pub(crate) energies: Vec<f32>,
    /// Proposals accepted, in all chains together; none where nothing is proposed.
    pub(crate) accepted: Option<u64>,
    /// The records of attracted chains; none for others.
    pub(crate) paths: Vec<AttractionPath>,
}

/// The kernels that blocks can walk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BlockKernel {
    Ula(Ula),
    Mala(Mala),
}

impl BlockKernel {
    /// # Errors
    /// [`LangevinError::Lacking`] for kernels of the caller's.
    pub(crate) fn of(kernel: &AnyKernel) -> Result<Self, LangevinError> {
        match kernel {
            AnyKernel::Ula(ula) => Ok(Self::Ula(*ula)),
            AnyKernel::Mala(mala) => Ok(Self::Mala(*mala)),
            AnyKernel::Gradient(_) | AnyKernel::Tempering(_) | AnyKernel::Own(_) => Err(
                LangevinError::lacking("fused", "other kernels than ULA and MALA"),
            ),
        }
    }
}

/// A kernel and what it keeps from step to step.
enum Walk {
    Ula(Ula),
    Mala(Box<Metropolis>),
    Attracted(Box<Attracted>),
}

/// Which numbers a step of a block draws.
#[derive(Clone, Copy)]
pub(crate) struct StepNoise {
    pub(crate) key: NoiseKey,
    pub(crate) step: u64,
    /// The number of the first chain in the batch.
    pub(crate) first: usize,
}

/// A block of chains, somewhere in its run.
pub(crate) struct Chains<'p> {
    block: Block<'p>,
    /// The number of the first chain in the batch.
    first: usize,
    norms: Vec<f64>,
    /// ‖∇F‖² of each lane, for one step.
    squares: Vec<f32>,
    walk: Walk,
    /// Steps done.
    done: u64,
}

impl<'p> Chains<'p> {
    /// Chains `first..`, whose states lie in `initial` row by row. With `targets` they are attracted, whatever the
    /// kernel.
    pub(crate) fn new(
        plan: &'p Plan,
        first: usize,
        initial: &[f32],
        kernel: BlockKernel,
        targets: Option<Targets<'_>>,
        spare: &Arc<Spare>,
    ) -> Self {
        let chains = initial.len() / plan.size(0);
        let mut block = Block::new(plan, chains, spare);
        load_states(&mut block, initial.chunks_exact(plan.size(0)));
        Self {
            first,
            norms: vec![0.0; chains],
            squares: vec![0.0; block.lanes],
            walk: match (targets, kernel) {
                (Some(targets), _) => {
                    let mine = targets.of(first..first + chains, plan.size(0));
                    Walk::Attracted(Box::new(Attracted::new(mine, &block, spare)))
                }
                (None, BlockKernel::Ula(ula)) => Walk::Ula(ula),
                (None, BlockKernel::Mala(mala)) => {
                    Walk::Mala(Box::new(Metropolis::new(mala, &block, chains, spare)))
                }
            },
            done: 0,
            block,
        }
    }

    /// Runs `steps` steps or what is left of the run; says whether some still are.
    pub(crate) fn advance(
        &mut self,
        run: &ChainRun,
        steps: u64,
        cancel: Option<&AtomicBool>,
    ) -> Result<bool, LangevinError> {
        let end = run.steps.min(self.done.saturating_add(steps));
        while self.done < end {
            if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                return Err(LangevinError::Cancelled);
            }
            self.step(run);
            self.done += 1;
        }
        Ok(self.done < run.steps)
    }

    fn step(&mut self, run: &ChainRun) {
        let block = &mut self.block;
        let noise = StepNoise {
            key: run.noise,
            step: run.first_step + self.done,
            first: self.first,
        };
        self.squares.fill(0.0);
        match &mut self.walk {
            Walk::Ula(ula) => {
                block.forward();
                block.backward();
                langevin_step(
                    block.vectors.lanes,
                    *ula,
                    noise,
                    &mut block.values[0],
                    &block.gradient,
                    &mut self.squares,
                );
            }
            Walk::Mala(metropolis) => metropolis.step(block, noise, &mut self.squares),
            Walk::Attracted(attracted) => attracted.step(block, noise, &mut self.squares),
        }
        for (norm, square) in self.norms.iter_mut().zip(&self.squares) {
            *norm += f64::from(square.sqrt());
        }
    }

    pub(crate) fn finish(mut self, run: &ChainRun) -> BlockOutcome {
        let chains = self.norms.len();
        let (accepted, paths) = match self.walk {
            Walk::Ula(_) => (None, Vec::new()),
            Walk::Mala(metropolis) => {
                self.block.values[0].copy_from_slice(&metropolis.states);
                (Some(metropolis.accepted), Vec::new())
            }
            Walk::Attracted(attracted) => (None, attracted.paths),
        };
        let mut energies = Vec::new();
        if run.final_energies {
            self.block.forward();
            energies.extend(&self.block.energies()[..chains]);
        }
        BlockOutcome {
            states: store_states(&self.block, &self.block.values[0], chains),
            norms: self.norms,
            energies,
            accepted,
            paths,
        }
    }
}

/// Puts states into the lanes of the block; lanes without a chain are zero.
pub(crate) fn load_states<'a>(
    block: &mut Block<'_>,
    states: impl ExactSizeIterator<Item = &'a [f32]>,
) {
    fill_lanes(block.lanes, states, &mut block.values[0]);
}

/// Puts states into lanes; those without a chain get zeros.
pub(crate) fn fill_lanes<'a>(
    lanes: usize,
    states: impl ExactSizeIterator<Item = &'a [f32]>,
    into: &mut [f32],
) {
    if states.len() < lanes {
        into.fill(0.0);
    }
    for (lane, state) in states.enumerate() {
        for (element, value) in state.iter().enumerate() {
            into[element * lanes + lane] = *value;
        }
    }
}

/// The first `chains` lanes of `from`, states or gradients of the block, row by row.
pub(crate) fn store_states(block: &Block<'_>, from: &[f32], chains: usize) -> Vec<f32> {
    let per_chain = block.plan.size(0);
    let lane = |lane: usize| (0..per_chain).map(move |element| (element, lane));
    (0..chains)
        .flat_map(lane)
        .map(|(element, lane)| from[element * block.lanes + lane])
        .collect()
}

/// X ← X − drift · ∇F(X) + ε Z and, added to `squares`, those of ∇F, in one pass: one of them for each of the block's
/// lanes. A Philox block is four elements of one chain, so a vector of blocks is four rows of the block's chains.
/// The kernel's bounds, where it has any, cut ∇F before and X after; the squares are those of the whole ∇F.
pub(crate) fn langevin_step(
    arch: Arch,
    ula: Ula,
    noise: StepNoise,
    states: &mut [f32],
    gradient: &[f32],
    squares: &mut [f32],
) {
    // Each in code of its own, so that the common step is compiled as if there were no bounds.
    if ula.gradient_clip().is_none() && ula.state_clamp().is_none() {
        step_lanes::<false>(arch, ula, noise, states, gradient, squares);
    } else {
        step_lanes::<true>(arch, ula, noise, states, gradient, squares);
    }
}

/// The step in whole or half vectors.
fn step_lanes<const BOUNDED: bool>(
    arch: Arch,
    ula: Ula,
    noise: StepNoise,
    states: &mut [f32],
    gradient: &[f32],
    squares: &mut [f32],
) {
    arch.dispatch(
        #[inline(always)]
        || {
            if squares.len() == HALF {
                step_rows::<HALF, BOUNDED>(ula, noise, states, gradient, squares);
            } else {
                step_rows::<LANES, BOUNDED>(ula, noise, states, gradient, squares);
            }
        },
    );
}

/// The value, or the bound it lies beyond; what is no number stays so.
#[inline(always)]
fn within(value: f32, bound: f32) -> f32 {
    let below = if value > bound { bound } else { value };
    if below < -bound { -bound } else { below }
}

/// The step, `N` lanes at a time.
#[inline(always)]
fn step_rows<const N: usize, const BOUNDED: bool>(
    ula: Ula,
    numbers: StepNoise,
    states: &mut [f32],
    gradient: &[f32],
    squares: &mut [f32],
) {
    let lanes = squares.len();
    let drift = ula.drift() as f32;
    let epsilon = ula.step_size().get() as f32;
    let bound = |of: Option<Bound>| of.map_or(f32::INFINITY, |bound| bound.get() as f32);
    let (steepest, farthest) = (bound(ula.gradient_clip()), bound(ula.state_clamp()));
    for (number, rows) in states.chunks_mut(4 * lanes).enumerate() {
        let slopes = &gradient[number * 4 * lanes..][..rows.len()];
        for lane in (0..lanes).step_by(N) {
            let noise = if epsilon > 0.0 {
                let chain = (numbers.first + lane) as u32;
                let wanted = rows.len() / lanes;
                numbers
                    .key
                    .normal_rows::<N>(numbers.step, chain, number as u32, wanted)
            } else {
                [[0.0; N]; 4]
            };
            let end = lane + N;
            let squares = &mut squares[lane..end];
            for ((row, slopes), noise) in rows
                .chunks_exact_mut(lanes)
                .zip(slopes.chunks_exact(lanes))
                .zip(&noise)
            {
                let values = row[lane..end].iter_mut().zip(&slopes[lane..end]);
                for (((value, &slope), &noise), square) in values.zip(noise).zip(squares.iter_mut())
                {
                    *square += slope * slope;
                    if BOUNDED {
                        let moved = *value - within(slope, steepest) * drift + noise * epsilon;
                        *value = within(moved, farthest);
                    } else {
                        *value = *value - slope * drift + noise * epsilon;
                    }
                }
            }
        }
    }
}
