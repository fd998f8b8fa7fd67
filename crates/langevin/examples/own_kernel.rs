//! A kernel of your own: underdamped Langevin dynamics, in which chains have a momentum. Nothing in the library knows
//! of it.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_langevin::{
    AnyKernel, EnergyAt, Kernel, LangevinError, PointEnergy, Sampler, StepInfo, StepNoise,
    TensorEngine,
};

/// dX = P dt, dP = −∇U dt − γP dt + √(2γ) dW, by the splitting "BAOAB" but for its last half kick, which the next
/// step's first makes up for (Leimkuhler and Matthews, "Rational construction of stochastic numerical methods for
/// molecular sampling", 2013).
struct Underdamped {
    /// The time step.
    step: f64,
    /// γ.
    friction: f64,
}

/// Where chains are and where they are going.
struct Phase<B: Backend> {
    states: Tensor<B, 4>,
    momenta: Tensor<B, 4>,
}

impl<B: Backend> Kernel<B> for Underdamped {
    type State = Phase<B>;

    fn init(
        &self,
        states: Tensor<B, 4>,
        _energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<Phase<B>, LangevinError> {
        // Momenta from their stationary density N(0, I). Their noise is not that of the first step, but of a step that
        // no chain takes.
        let unused = StepNoise {
            step: u64::MAX - noise.step,
            ..noise
        };
        let momenta = unused.normals_like(&states);
        Ok(Phase { states, momenta })
    }

    fn step(
        &self,
        Phase { states, momenta }: Phase<B>,
        energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<(Phase<B>, StepInfo<B>), LangevinError> {
        let (_, gradient) = energy(states.clone())?;
        let info = StepInfo::of_gradient(gradient.clone());
        let kept = (-self.friction * self.step).exp();
        let momenta = momenta - gradient * self.step;
        let middle = states + momenta.clone() * (self.step / 2.0);
        let draws = noise.normals_like(&middle);
        let momenta = momenta * kept + draws * (1.0 - kept * kept).sqrt();
        let states = middle + momenta.clone() * (self.step / 2.0);
        Ok((Phase { states, momenta }, info))
    }

    fn states(&self, phase: Phase<B>) -> Tensor<B, 4> {
        phase.states
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // U = x²/2 + 8y²: standard deviations of 1 and 0.25.
    let valley = |points: Tensor<Autodiff<Flex>, 2>| {
        let [x, y] = [0, 1].map(|axis| points.clone().narrow(1, axis, 1).squeeze_dim::<1>(1));
        x.powi_scalar(2) / 2.0 + y.powi_scalar(2) * 8.0
    };
    let chains = TensorEngine::default().bind(PointEnergy(valley), 2, &Default::default());
    let kernel = Underdamped {
        step: 0.1,
        friction: 1.0,
    };
    let sampler = Sampler::new(AnyKernel::own::<Flex, _>(kernel))
        .with_steps(400)
        // A piece begins with new momenta: after ten units of time, in which friction has replaced the old ones anyway.
        .with_piece(100)
        .with_record_every(100);
    let start = sampler.start(&chains, 5_000)?;
    let end = sampler.run(&chains, start, |record| println!("{record}"))?;
    for (axis, exact) in [1.0f64, 0.25].into_iter().enumerate() {
        let states = &end.place.states;
        let squares = states.iter().map(|state| f64::from(state[axis]).powi(2));
        let deviation = (squares.sum::<f64>() / states.len() as f64).sqrt();
        println!("axis {axis}: standard deviation {deviation:.3}, exactly {exact}");
    }
    Ok(())
}
