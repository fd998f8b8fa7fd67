//! A user's own energy in a few lines, with its gradient by automatic differentiation.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, energy_and_gradient};

/// A banana in the plane: U(x, y) = (1 − x)² / 2 + 5 (y − x²)², in nats.
struct Banana;

impl<B: Backend> Energy<B> for Banana {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let chains = states.dims()[0];
        let [x, y] = [0, 1].map(|axis| states.clone().narrow(1, axis, 1).reshape([chains]));
        let bend = y - x.clone().powi_scalar(2);
        (x - 1.0).powi_scalar(2) / 2.0 + bend.powi_scalar(2) * 5.0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Default::default();
    let points = [[1.0_f32, 1.0], [0.0, 0.0], [-1.0, 2.0]];
    let states = Tensor::<Flex, 2>::from_floats(points, &device).reshape([points.len(), 2, 1, 1]);
    let (energies, gradients) = energy_and_gradient::<Autodiff<Flex>, _>(&Banana, states)?;
    let energies = energies.into_data().to_vec::<f32>()?;
    let gradients = gradients.into_data().to_vec::<f32>()?;
    for (index, [x, y]) in points.iter().enumerate() {
        println!(
            "U({x:4.1}, {y:4.1}) = {:5.2} nats, gradient ({:6.2}, {:6.2})",
            energies[index],
            gradients[2 * index],
            gradients[2 * index + 1],
        );
    }
    Ok(())
}
