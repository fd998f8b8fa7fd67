//! Steps of MALA with tensor operations; the decisions are made on the host.

use burn::tensor::{Bool, Tensor, TensorData, backend::AutodiffBackend, backend::Backend};
use ebm_core::{Energy, energy_and_gradient};

use crate::tensor_engine::{Walked, noise_like};
use crate::{ChainRun, LangevinError, Mala, Move};

/// Where chains are, with F and ∇F: on the device to go on from, and in f64 on the host to decide with. Not every device has
/// f64, and the differences of f32 energies, small against the energies and divided by a small T, need it.
struct Place<B: Backend> {
    /// `[chains, channels, height, width]`, as is the gradient.
    states: Tensor<B, 4>,
    gradient: Tensor<B, 4>,
    host_states: Vec<f64>,
    host_gradient: Vec<f64>,
    /// F of each chain.
    energies: Vec<f64>,
    /// ‖∇F‖² of each chain.
    squares: Vec<f64>,
}

impl<B: Backend> Place<B> {
    fn new<A, E>(energy: &E, states: Tensor<B, 4>) -> Result<Self, LangevinError>
    where
        A: AutodiffBackend<InnerBackend = B>,
        E: Energy<A>,
    {
        let (energies, gradient) = energy_and_gradient::<A, E>(energy, states.clone())?;
        let host_gradient = host(gradient.clone())?;
        let per_chain = states.dims()[1..].iter().product::<usize>().max(1);
        let square = |row: &[f64]| row.iter().map(|slope| slope * slope).sum();
        Ok(Self {
            host_states: host(states.clone())?,
            squares: host_gradient.chunks_exact(per_chain).map(square).collect(),
            energies: host(energies)?,
            host_gradient,
            gradient,
            states,
        })
    }

    fn elements(&self, chain: usize) -> std::ops::Range<usize> {
        let per_chain = self.host_states.len() / self.energies.len();
        chain * per_chain..(chain + 1) * per_chain
    }

    /// The move of a chain from here to `there`.
    fn move_to(&self, there: &Self, chain: usize) -> Move {
        let work = self
            .elements(chain)
            .map(|at| {
                let way = there.host_states[at] - self.host_states[at];
                way * (self.host_gradient[at] + there.host_gradient[at])
            })
            .sum();
        Move {
            energy_change: there.energies[chain] - self.energies[chain],
            work,
            square_change: there.squares[chain] - self.squares[chain],
        }
    }

    /// Brings the chains that were accepted to where they are `there`.
    fn follow(&mut self, there: Self, accepted: Vec<bool>) {
        for (chain, _) in accepted.iter().enumerate().filter(|(_, is)| **is) {
            let elements = self.elements(chain);
            self.host_states[elements.clone()]
                .copy_from_slice(&there.host_states[elements.clone()]);
            self.host_gradient[elements.clone()].copy_from_slice(&there.host_gradient[elements]);
            self.energies[chain] = there.energies[chain];
            self.squares[chain] = there.squares[chain];
        }
        let shape = self.states.dims();
        let mask = TensorData::new(accepted, [shape[0], 1, 1, 1]);
        let mask = Tensor::<B, 4, Bool>::from_data(mask, &self.states.device()).expand(shape);
        self.states = self.states.clone().mask_where(mask.clone(), there.states);
        self.gradient = self.gradient.clone().mask_where(mask, there.gradient);
    }
}

/// Runs chains `first_chain..` from `initial`, with one evaluation of F and ∇F a step and one more at the start.
pub(crate) fn walk<B: AutodiffBackend, E: Energy<B>>(
    energy: &E,
    mala: Mala,
    first_chain: usize,
    initial: Tensor<B::InnerBackend, 4>,
    run: &ChainRun,
    is_cancelled: impl Fn() -> bool,
) -> Result<Walked<B::InnerBackend>, LangevinError> {
    if run.steps == 0 {
        return Ok(Walked::from(initial));
    }
    let chains = initial.dims()[0];
    let mut here = Place::new::<B, E>(energy, initial)?;
    let mut norm_sum = 0.0;
    let mut accepted_count = 0;
    for step in run.first_step..run.first_step + run.steps {
        if is_cancelled() {
            return Err(LangevinError::Cancelled);
        }
        norm_sum += here.squares.iter().copied().map(f64::sqrt).sum::<f64>();
        let noise = noise_like(&here.states, first_chain, run.noise, step);
        let proposed =
            mala.proposal()
                .step(here.states.clone(), here.gradient.clone(), Some(noise));
        let there = Place::new::<B, E>(energy, proposed)?;
        let accepted: Vec<bool> = (0..chains)
            .map(|chain| {
                let [decision] = run.noise.decisions(step, (first_chain + chain) as u32);
                mala.accepts(here.move_to(&there, chain), decision)
            })
            .collect();
        accepted_count += accepted.iter().filter(|is| **is).count() as u64;
        here.follow(there, accepted);
    }
    Ok(Walked {
        states: here.states,
        norm_sum,
        accepted: accepted_count,
    })
}

fn host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f64>, LangevinError> {
    let data = tensor.into_data().convert::<f64>();
    data.into_vec()
        .map_err(|error| LangevinError::Backend(format!("{error:?}")))
}
