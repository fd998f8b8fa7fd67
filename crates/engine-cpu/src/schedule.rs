//! Which worker runs which chains, and when.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::attracted::Targets;
use crate::buffer::Spare;
use crate::chains::{BlockKernel, BlockOutcome, Chains};
use crate::plan::Plan;
use crate::vector::{HALF, LANES};
use ebm_langevin::{ChainRun, LangevinError};

/// The turns in which a run is cut when blocks share workers.
const TURNS: u64 = 32;

/// Cuts a batch into blocks.
pub(crate) fn blocks(plan: &Plan, chains: usize) -> Vec<Range<usize>> {
    let size = block_size(plan.block_vectors(), chains, rayon::current_num_threads());
    (0..chains)
        .step_by(size)
        .map(|start| start..(start + size).min(chains))
        .collect()
}

/// The chains of a block: so many vectors, or fewer where workers would go without. Half a vector costs a worker about two
/// thirds of a whole one, so halves pay only if no worker gets two of them.
fn block_size(favourite_vectors: usize, chains: usize, workers: usize) -> usize {
    if chains.div_ceil(HALF) <= workers {
        HALF
    } else {
        let vectors = chains.div_ceil(LANES);
        favourite_vectors.min(vectors.div_ceil(workers)).max(1) * LANES
    }
}

/// How many of the blocks take turns at the end, because there is not one for every worker.
fn taking_turns(blocks: usize) -> usize {
    let workers = rayon::current_num_threads();
    match blocks % workers {
        0 => 0,
        uneven => blocks.min(workers + uneven),
    }
}

/// How many blocks of a batch are in memory at once, at most.
pub(crate) fn held_at_once(plan: &Plan, chains: usize) -> usize {
    let blocks = blocks(plan, chains).len();
    taking_turns(blocks).max(blocks.min(rayon::current_num_threads()))
}

/// Runs the chains of `states`, row by row, to their last step, attracted where there are targets. The outcomes come in
/// the order of the chains.
pub(crate) fn run_all(
    plan: &Plan,
    states: &[f32],
    targets: Option<Targets<'_>>,
    run: &ChainRun,
    cancel: Option<&AtomicBool>,
    spare: &Arc<Spare>,
) -> Result<Vec<BlockOutcome>, LangevinError> {
    let per_chain = plan.size(0);
    let blocks = blocks(plan, states.len() / per_chain);
    let kernel = BlockKernel::of(&run.kernel)?;
    let start = |block: &Range<usize>| {
        let initial = &states[block.start * per_chain..block.end * per_chain];
        Chains::new(plan, block.start, initial, kernel, targets, spare)
    };
    // A worker takes a block through all its steps alone; only the last blocks, if they cannot be shared out evenly,
    // take turns.
    let (whole, last) = blocks.split_at(blocks.len().saturating_sub(taking_turns(blocks.len())));
    let mut outcomes: Vec<BlockOutcome> = whole
        .par_iter()
        .with_max_len(1)
        .map(|block| {
            let mut chains = start(block);
            chains.advance(run, run.steps, cancel)?;
            Ok(chains.finish(run))
        })
        .collect::<Result<_, LangevinError>>()?;
    outcomes.extend(take_turns(last.iter().map(start).collect(), run, cancel)?);
    Ok(outcomes)
}

/// Runs blocks a little each in turn, so that all workers are busy until shortly before the end.
fn take_turns(
    blocks: Vec<Chains<'_>>,
    run: &ChainRun,
    cancel: Option<&AtomicBool>,
) -> Result<Vec<BlockOutcome>, LangevinError> {
    let count = blocks.len();
    let waiting: Mutex<VecDeque<_>> = Mutex::new(blocks.into_iter().enumerate().collect());
    let finished = Mutex::new(Vec::with_capacity(count));
    let turn = run.steps.div_ceil(TURNS).max(1);
    // The lock is only held to move a block; a worker that panics takes its own block down, not the queue.
    let work = || {
        loop {
            let next = lock(&waiting).pop_front();
            let Some((number, mut chains)) = next else {
                return Ok(());
            };
            if chains.advance(run, turn, cancel)? {
                lock(&waiting).push_back((number, chains));
            } else {
                lock(&finished).push((number, chains.finish(run)));
            }
        }
    };
    (0..rayon::current_num_threads().min(count))
        .into_par_iter()
        .with_max_len(1)
        .map(|_| work())
        .collect::<Result<(), LangevinError>>()?;
    let mut finished = finished
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    finished.sort_by_key(|(number, _)| *number);
    Ok(finished.into_iter().map(|(_, outcome)| outcome).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_are_shared_by_all_workers() {
        for (favourite, chains, workers, size) in [
            (3, 480, 2, 3 * LANES),
            (3, 64, 2, 2 * LANES),
            (3, 32, 2, LANES),
            (1, 480, 2, LANES),
            // One vector for two workers, and two for four, but not for three.
            (3, 16, 2, HALF),
            (3, 32, 4, HALF),
            (3, 32, 3, LANES),
            (3, 100, 8, LANES),
            (3, 16, 1, LANES),
            (3, 1, 8, HALF),
        ] {
            assert_eq!(
                block_size(favourite, chains, workers),
                size,
                "{chains} for {workers}"
            );
        }
    }
}
