//! MALA for a block of chains: a proposal in the block's own memory, and where the chains are meanwhile.

use std::sync::Arc;

use pulp::Arch;

use crate::block::Block;
use crate::buffer::{Buffer, Spare};
use crate::chains::{StepNoise, langevin_step};
use crate::vector::{HALF, LANES};
use ebm_langevin::{Mala, Move};

/// The chains of a block between two steps. Everything about a lane is summed in the order of its elements, so it
/// depends neither on its neighbours nor on the instructions.
pub(crate) struct Metropolis {
    mala: Mala,
    /// Where the chains are, `[channels][height][width][lanes]`, and ∇F there.
    pub(crate) states: Buffer,
    gradient: Buffer,
    /// F there.
    energies: Vec<f32>,
    /// For each lane, ‖∇F‖² there.
    squares: Vec<f64>,
    /// For each lane, of a proposal: (X' − X) · (∇F(X) + ∇F(X')), and ‖∇F(X')‖².
    work: Vec<f64>,
    proposed_squares: Vec<f64>,
    /// For each lane, all bits set where the proposal was accepted.
    taken: Vec<u32>,
    /// Lanes that hold a chain.
    chains: usize,
    /// Proposals accepted so far, in all chains together.
    pub(crate) accepted: u64,
    is_evaluated: bool,
}

impl Metropolis {
    /// For the chains whose states have been loaded into `block`.
    pub(crate) fn new(mala: Mala, block: &Block<'_>, chains: usize, spare: &Arc<Spare>) -> Self {
        let mut states = spare.lend(block.values[0].len());
        states.copy_from_slice(&block.values[0]);
        Self {
            mala,
            gradient: spare.lend(states.len()),
            states,
            energies: vec![0.0; block.lanes],
            squares: vec![0.0; block.lanes],
            work: vec![0.0; block.lanes],
            proposed_squares: vec![0.0; block.lanes],
            taken: vec![0; block.lanes],
            chains,
            accepted: 0,
            is_evaluated: false,
        }
    }

    /// Proposes, decides, and adds ‖∇F‖² of where the step began to `squares`.
    pub(crate) fn step(&mut self, block: &mut Block<'_>, noise: StepNoise, squares: &mut [f32]) {
        let arch = block.vectors.lanes;
        if !self.is_evaluated {
            // As an accepted proposal from anywhere: the states are those in the block.
            self.evaluate(block);
            self.taken.fill(u32::MAX);
            self.follow(block);
            self.is_evaluated = true;
        }
        let proposal = &mut block.values[0];
        proposal.copy_from_slice(&self.states);
        let ula = self.mala.proposal();
        langevin_step(arch, ula, noise, proposal, &self.gradient, squares);
        self.evaluate(block);
        self.decide(block.energies(), noise);
        self.follow(block);
    }

    /// F, ∇F and the sums of the states in the block.
    fn evaluate(&mut self, block: &mut Block<'_>) {
        block.forward();
        block.backward();
        let (here, there) = (
            (&*self.states, &*self.gradient),
            (&*block.values[0], &*block.gradient),
        );
        let arch = block.vectors.lanes;
        compare(
            arch,
            here,
            there,
            &mut self.work,
            &mut self.proposed_squares,
        );
    }

    fn decide(&mut self, energies: &[f32], noise: StepNoise) {
        for lane in (0..self.taken.len()).step_by(HALF) {
            let first = (noise.first + lane) as u32;
            let decisions = noise.key.decisions::<HALF>(noise.step, first);
            for (lane, decision) in (lane..).zip(decisions) {
                let to = Move {
                    energy_change: f64::from(energies[lane]) - f64::from(self.energies[lane]),
                    work: self.work[lane],
                    square_change: self.proposed_squares[lane] - self.squares[lane],
                };
                let is_taken = self.mala.accepts(to, decision);
                self.taken[lane] = if is_taken { u32::MAX } else { 0 };
                self.accepted += u64::from(is_taken && lane < self.chains);
            }
        }
    }

    /// Brings the chains that were accepted to where the block is.
    fn follow(&mut self, block: &Block<'_>) {
        let arch = block.vectors.lanes;
        select(arch, &self.taken, &block.values[0], &mut self.states);
        select(arch, &self.taken, &block.gradient, &mut self.gradient);
        select(arch, &self.taken, block.energies(), &mut self.energies);
        for (lane, _) in self
            .taken
            .iter()
            .enumerate()
            .filter(|(_, mask)| **mask != 0)
        {
            self.squares[lane] = self.proposed_squares[lane];
        }
    }
}

/// The sums that the moves of all lanes depend on, in f64; states and gradients of here and there.
fn compare(
    arch: Arch,
    here: (&[f32], &[f32]),
    there: (&[f32], &[f32]),
    work: &mut [f64],
    squares: &mut [f64],
) {
    arch.dispatch(
        #[inline(always)]
        || {
            if work.len() == HALF {
                compare_rows::<HALF>(here, there, work, squares);
            } else {
                compare_rows::<LANES>(here, there, work, squares);
            }
        },
    );
}

/// The sums, `N` lanes at a time.
#[inline(always)]
fn compare_rows<const N: usize>(
    (states, gradient): (&[f32], &[f32]),
    (proposal, proposed_gradient): (&[f32], &[f32]),
    work: &mut [f64],
    squares: &mut [f64],
) {
    let lanes = work.len();
    for lane in (0..lanes).step_by(N) {
        let (mut works, mut sums) = ([0.0; N], [0.0; N]);
        for row in (lane..states.len()).step_by(lanes) {
            let [x, slope, y, other] =
                [states, gradient, proposal, proposed_gradient].map(|values| &values[row..row + N]);
            for at in 0..N {
                let other = f64::from(other[at]);
                works[at] += (f64::from(y[at]) - f64::from(x[at])) * (f64::from(slope[at]) + other);
                sums[at] += other * other;
            }
        }
        work[lane..lane + N].copy_from_slice(&works);
        squares[lane..lane + N].copy_from_slice(&sums);
    }
}

/// Copies the lanes that were taken from rows of `from` to rows of `into`; by bits, because what is left behind may be
/// no number.
fn select(arch: Arch, taken: &[u32], from: &[f32], into: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            let lanes = taken.len();
            for (row, new) in into.chunks_exact_mut(lanes).zip(from.chunks_exact(lanes)) {
                for ((value, new), mask) in row.iter_mut().zip(new).zip(taken) {
                    let bits = new.to_bits() & mask | value.to_bits() & !mask;
                    *value = f32::from_bits(bits);
                }
            }
        },
    );
}
