//! Learns a toy density with a user's own burn module, watched by a custom observer.

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, States};
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_langevin::TensorEngine;
use ebm_trainer::*;

/// F(x) = a small multilayer perceptron plus a weak bowl that keeps the density proper.
#[derive(Module, Debug)]
struct SmoothNet<B: Backend> {
    hidden: [Linear<B>; 2],
    output: Linear<B>,
}

impl<B: Backend> SmoothNet<B> {
    fn new(device: &B::Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            hidden: [linear(2, 64), linear(64, 64)],
            output: linear(64, 1),
        }
    }
}

impl<B: Backend> Energy<B> for SmoothNet<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let points = states.flatten::<2>(1, 3);
        let bowl = points.clone().powi_scalar(2).sum_dim(1) * 1e-3;
        let features = self
            .hidden
            .iter()
            .fold(points, |points, layer| silu(layer.forward(points)));
        (self.output.forward(features) + bowl).squeeze_dim::<1>(1)
    }
}

/// Prints every fiftieth iteration.
struct Printer;

impl Observer for Printer {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone { metrics, .. } = event
            && metrics.iteration.is_multiple_of(50)
        {
            println!(
                "iteration {:4}   d = {:7.3}   r = {:.4}",
                metrics.iteration, metrics.energy_difference, metrics.gradient_magnitude
            );
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let net = SmoothNet::<B>::new(&device);
    let config = LearningConfig::for_toys()
        .with_iterations(500)
        .with_langevin(LearningConfig::for_toys().langevin.with_steps(50))
        .with_optimizer(OptimizerConfig::adam(1e-3));
    let data = LoadedData::Toy(Toy::Gmm(Gmm::default()));
    let mut learner = Learner::new(config, net, TensorEngine::default(), data, device)?;
    Trainer::new().observer(&mut Printer).run(&mut learner)?;

    // A good energy is lower at a mode of the data than between modes or at the centre.
    let points = States::points([[1.0, 0.0], [0.924, 0.383], [0.0, 0.0]]);
    let energies = learner.chains().energies(&points)?;
    let temperature = learner.config().langevin.epsilon.learned_temperature();
    let in_nats = |f: f32| f64::from(f) / temperature.get();
    println!("U(mode) = {:.2} nats", in_nats(energies[0]));
    println!("U(between two modes) = {:.2} nats", in_nats(energies[1]));
    println!("U(centre) = {:.2} nats", in_nats(energies[2]));
    Ok(())
}
