//! Attracted chains of a block: their targets in the lanes beside them, and a record of each path.

use std::ops::Range;
use std::sync::Arc;

use pulp::Arch;

use crate::block::Block;
use crate::buffer::{Buffer, Spare};
use crate::chains::{StepNoise, fill_lanes, langevin_step};
use crate::vector::{HALF, LANES};
use ebm_langevin::NO_DISTANCE;
use ebm_langevin::{ArrivalRule, Attraction, AttractionPath};

/// Where chains are drawn to, row by row, and what is known of their paths.
#[derive(Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) kernel: Attraction,
    pub(crate) rule: ArrivalRule,
    pub(crate) states: &'a [f32],
    pub(crate) paths: &'a [AttractionPath],
}

impl Targets<'_> {
    /// Those of some of the chains.
    pub(crate) fn of(self, chains: Range<usize>, per_chain: usize) -> Self {
        Self {
            states: &self.states[chains.start * per_chain..chains.end * per_chain],
            paths: &self.paths[chains],
            ..self
        }
    }
}

/// The attracted chains of a block.
pub(crate) struct Attracted {
    kernel: Attraction,
    rule: ArrivalRule,
    /// X*, `[channels][height][width][lanes]`.
    targets: Buffer,
    /// ‖X − X*‖² of each lane, and then the factor of X − X* in the gradient.
    squares: Vec<f32>,
    pub(crate) paths: Vec<AttractionPath>,
}

impl Attracted {
    pub(crate) fn new(targets: Targets<'_>, block: &Block<'_>, spare: &Arc<Spare>) -> Self {
        let mut lanes = spare.lend(block.values[0].len());
        let states = targets.states.chunks_exact(block.plan.size(0));
        fill_lanes(block.lanes, states, &mut lanes);
        Self {
            kernel: targets.kernel,
            rule: targets.rule,
            targets: lanes,
            squares: vec![0.0; block.lanes],
            paths: targets.paths.to_vec(),
        }
    }

    /// Looks at the states, and takes the step; adds the square of the magnetised gradient to `squares`.
    pub(crate) fn step(&mut self, block: &mut Block<'_>, noise: StepNoise, squares: &mut [f32]) {
        block.forward();
        block.backward();
        let arch = block.vectors.lanes;
        square_distances(arch, &block.values[0], &self.targets, &mut self.squares);
        let seen = block.energies().iter().zip(&self.squares);
        for (path, (&energy, square)) in self.paths.iter_mut().zip(seen) {
            path.observe(self.rule, energy, square.sqrt());
        }
        let pull = self.kernel.pull() as f32;
        for square in &mut self.squares {
            *square = pull / square.sqrt().max(NO_DISTANCE);
        }
        let gradient = &mut block.gradient[..self.targets.len()];
        magnetise(
            arch,
            &block.values[0],
            &self.targets,
            &self.squares,
            gradient,
        );
        let states = &mut block.values[0];
        langevin_step(arch, self.kernel.ula(), noise, states, gradient, squares);
    }
}

/// ‖X − X*‖² of each lane.
fn square_distances(arch: Arch, states: &[f32], targets: &[f32], squares: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            if squares.len() == HALF {
                square_rows::<HALF>(states, targets, squares);
            } else {
                square_rows::<LANES>(states, targets, squares);
            }
        },
    );
}

/// The same, `N` lanes at a time.
#[inline(always)]
fn square_rows<const N: usize>(states: &[f32], targets: &[f32], squares: &mut [f32]) {
    let lanes = squares.len();
    for lane in (0..lanes).step_by(N) {
        let mut sums = [0.0; N];
        for row in (lane..states.len()).step_by(lanes) {
            let pair = states[row..row + N].iter().zip(&targets[row..row + N]);
            for (sum, (x, target)) in sums.iter_mut().zip(pair) {
                *sum += (x - target) * (x - target);
            }
        }
        squares[lane..lane + N].copy_from_slice(&sums);
    }
}

/// ∇F += factor · (X − X*), one factor a lane.
fn magnetise(arch: Arch, states: &[f32], targets: &[f32], factors: &[f32], gradient: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            let lanes = factors.len();
            let rows = states.chunks_exact(lanes).zip(targets.chunks_exact(lanes));
            for (slopes, (row, targets)) in gradient.chunks_exact_mut(lanes).zip(rows) {
                let places = row.iter().zip(targets).zip(factors);
                for (slope, ((x, target), factor)) in slopes.iter_mut().zip(places) {
                    *slope += factor * (x - target);
                }
            }
        },
    );
}
