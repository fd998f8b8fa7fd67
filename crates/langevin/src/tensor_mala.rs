//! Steps of MALA with tensor operations; the decisions are made on the host.

use burn::tensor::{Bool, Tensor, TensorData, backend::Backend};

use crate::EnergyAt;
use crate::{GradientNorm, Kernel, LangevinError, Mala, Move, StepInfo, StepNoise};

/// Where chains are, with F and ∇F: on the device to go on from, and in f64 on the host to decide with. Not every
/// device has f64, and the differences of f32 energies, small against the energies and divided by a small T, need it.
#[derive(Debug)]
pub struct MalaState<B: Backend> {
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

impl<B: Backend> MalaState<B> {
    fn new(energy: &EnergyAt<'_, B>, states: Tensor<B, 4>) -> Result<Self, LangevinError> {
        let (energies, gradient) = energy(states.clone())?;
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

    /// Moves the accepted chains to their places in `there`.
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

impl<B: Backend> Kernel<B> for Mala {
    type State = MalaState<B>;

    fn init(
        &self,
        states: Tensor<B, 4>,
        energy: &EnergyAt<'_, B>,
        _noise: StepNoise,
    ) -> Result<MalaState<B>, LangevinError> {
        MalaState::new(energy, states)
    }

    fn step(
        &self,
        mut here: MalaState<B>,
        energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<(MalaState<B>, StepInfo<B>), LangevinError> {
        let norm = here.squares.iter().copied().map(f64::sqrt).sum();
        let draws = noise.normals_like(&here.states);
        let proposed =
            self.proposal()
                .moved(here.states.clone(), here.gradient.clone(), Some(draws));
        let there = MalaState::new(energy, proposed)?;
        let accepted: Vec<bool> = (0..here.energies.len())
            .map(|chain| self.accepts(here.move_to(&there, chain), noise.decision(chain)))
            .collect();
        let count = accepted.iter().filter(|is| **is).count() as u64;
        here.follow(there, accepted);
        let info = StepInfo {
            gradient_norm: GradientNorm::Host(norm),
            accepted: Some(count),
        };
        Ok((here, info))
    }

    fn states(&self, at: MalaState<B>) -> Tensor<B, 4> {
        at.states
    }
}

fn host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f64>, LangevinError> {
    let failed = |error: &dyn std::fmt::Debug| LangevinError::Backend(format!("{error:?}"));
    let data = tensor.try_into_data().map_err(|error| failed(&error))?;
    data.convert::<f64>()
        .into_vec()
        .map_err(|error| failed(&error))
}
