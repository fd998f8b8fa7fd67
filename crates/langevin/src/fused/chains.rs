//! Langevin steps of a block of chains.

use std::sync::atomic::{AtomicBool, Ordering};

use pulp::Arch;

use super::block::Block;
use super::plan::Plan;
use super::vector::LANES;
use crate::{ChainRun, LangevinError};

/// A block's chains after their steps, row by row.
pub(crate) struct BlockOutcome {
    pub(crate) states: Vec<f32>,
    /// Σ over steps of ‖∇F‖₂, one for each chain.
    pub(crate) norms: Vec<f64>,
    /// F of the final states, if asked for.
    pub(crate) energies: Vec<f32>,
}

/// Runs chains `first..` from `initial`, row by row, to their last step.
pub(crate) fn run_block(
    plan: &Plan,
    first: usize,
    initial: &[f32],
    run: &ChainRun,
    cancel: Option<&AtomicBool>,
) -> Result<BlockOutcome, LangevinError> {
    let per_chain = plan.size(0);
    let chains = initial.len() / per_chain;
    let mut block = Block::new(plan, chains);
    load_states(&mut block, initial);
    let mut norms = vec![0.0f64; chains];
    let mut squares = vec![0.0f32; block.lanes];
    for step in run.first_step..run.first_step + run.steps {
        if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(LangevinError::Cancelled);
        }
        block.forward();
        block.backward(None, None);
        squares.fill(0.0);
        let lanes = block.lanes;
        let (states, gradient) = (&mut block.values[0], &block.gradient);
        langevin_step(
            plan.arch,
            states,
            gradient,
            &mut squares,
            lanes,
            first,
            step,
            run,
        );
        for (norm, square) in norms.iter_mut().zip(&squares) {
            *norm += f64::from(square.sqrt());
        }
    }
    let energies = if run.final_energies {
        block.forward();
        block.energies()[..chains].to_vec()
    } else {
        Vec::new()
    };
    Ok(BlockOutcome {
        states: store_states(&block, chains),
        norms,
        energies,
    })
}

/// Puts row-major states into the lanes of the block; lanes without a chain stay as they are.
pub(crate) fn load_states(block: &mut Block<'_>, states: &[f32]) {
    let per_chain = block.plan.size(0);
    let lanes = block.lanes;
    for (lane, state) in states.chunks_exact(per_chain).enumerate() {
        for (element, value) in state.iter().enumerate() {
            block.values[0][element * lanes + lane] = *value;
        }
    }
}

fn store_states(block: &Block<'_>, chains: usize) -> Vec<f32> {
    let per_chain = block.plan.size(0);
    let lane = |lane: usize| (0..per_chain).map(move |element| (element, lane));
    (0..chains)
        .flat_map(lane)
        .map(|(element, lane)| block.values[0][element * block.lanes + lane])
        .collect()
}

/// X ← X − drift · ∇F(X) + ε Z and the squares of ∇F, in one pass. A Philox block is four elements of one chain, so a
/// vector of blocks is four rows of the block's chains.
#[allow(clippy::too_many_arguments)]
fn langevin_step(
    arch: Arch,
    states: &mut [f32],
    gradient: &[f32],
    squares: &mut [f32],
    lanes: usize,
    first: usize,
    step: u64,
    run: &ChainRun,
) {
    let drift = run.kernel.drift() as f32;
    let epsilon = run.kernel.step_size().get() as f32;
    arch.dispatch(
        #[inline(always)]
        || {
            for (number, rows) in states.chunks_mut(4 * lanes).enumerate() {
                let slopes = &gradient[number * 4 * lanes..][..rows.len()];
                for lane in (0..lanes).step_by(LANES) {
                    let noise = if epsilon > 0.0 {
                        let chain = (first + lane) as u32;
                        run.noise.normal_rows::<LANES>(step, chain, number as u32)
                    } else {
                        [[0.0; LANES]; 4]
                    };
                    let end = (lane + LANES).min(lanes);
                    let squares = &mut squares[lane..end];
                    for ((row, slopes), noise) in rows
                        .chunks_exact_mut(lanes)
                        .zip(slopes.chunks_exact(lanes))
                        .zip(&noise)
                    {
                        let values = row[lane..end].iter_mut().zip(&slopes[lane..end]);
                        for (((value, &slope), &noise), square) in
                            values.zip(noise).zip(squares.iter_mut())
                        {
                            *square += slope * slope;
                            *value = *value - slope * drift + noise * epsilon;
                        }
                    }
                }
            }
        },
    );
}
