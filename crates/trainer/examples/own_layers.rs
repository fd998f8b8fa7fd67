//! Two custom nets: one says what it is made of and runs on the fused engine, the other has a layer that this engine
//! lacks and runs with tensor operations. Both learn.

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{silu, tanh};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Activation, Energy, LayerDescription, Layered, ParameterValues, States};
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{Engine, TensorEngine};
use ebm_trainer::*;

type B = Autodiff<Flex>;

/// Linear layers with an activation after all but the last.
#[derive(Module, Debug)]
struct Perceptron<B: Backend> {
    hidden: [Linear<B>; 2],
    output: Linear<B>,
    is_smooth: bool,
}

impl<B: Backend> Perceptron<B> {
    fn new(is_smooth: bool, device: &B::Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            hidden: [linear(2, 64), linear(64, 64)],
            output: linear(64, 1),
            is_smooth,
        }
    }
}

impl<B: Backend> Energy<B> for Perceptron<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let activation = if self.is_smooth { silu } else { tanh };
        let features = self
            .hidden
            .iter()
            .fold(states.flatten::<2>(1, 3), |features, layer| {
                activation(layer.forward(features))
            });
        self.output.forward(features).squeeze_dim::<1>(1)
    }
}

/// What `energy` above computes, as a list.
impl<B: Backend> Layered for Perceptron<B> {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        if !self.is_smooth {
            return Err("a tanh layer".into());
        }
        let mut layers = Vec::new();
        for hidden in &self.hidden {
            layers.push(describe(hidden));
            layers.push(LayerDescription::Activation(Activation::Silu));
        }
        layers.push(describe(&self.output));
        Ok(layers)
    }
}

fn describe<B: Backend>(linear: &Linear<B>) -> LayerDescription {
    let [inputs, outputs] = linear.weight.dims();
    LayerDescription::Linear {
        inputs,
        outputs,
        weight: ParameterValues::of(&linear.weight),
        bias: linear.bias.as_ref().map(ParameterValues::of),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, is_smooth) in [("SiLU", true), ("tanh", false)] {
        let device = Default::default();
        <B as Backend>::seed(&device, 1);
        let net = Perceptron::<B>::new(is_smooth, &device);
        let data = LoadedData::Toy(Toy::Gmm(Gmm::default()));
        // The engine for CPUs has SiLU, and says what it lacks for tanh.
        let fused = FusedEngine::default();
        let engine: Box<dyn Engine<B, Perceptron<B>>> = match fused.supports(&net, 2) {
            Ok(()) => Box::new(fused),
            Err(lacking) => {
                println!("{lacking}");
                Box::new(TensorEngine::default())
            }
        };
        let config = LearningConfig::for_toys()
            .with_iterations(500)
            .with_langevin(LearningConfig::for_toys().langevin.with_steps(50))
            .with_optimizer(OptimizerConfig::adam(1e-3));
        let mut learner = Learner::new(config, net, engine, data, device)?;
        println!("{name} learns with the {} engine", learner.engine_name());
        let start = std::time::Instant::now();
        Trainer::new().run(&mut learner)?;
        // A good energy is lower at a mode of the data than outside.
        let points = States::points([[1.0, 0.0], [1.7, 0.0]]);
        let energies = learner.chains().energies(&points)?;
        let temperature = learner.config().langevin.epsilon.learned_temperature();
        println!(
            "  {:.1} s, U(outside) − U(mode) = {:.2} nats",
            start.elapsed().as_secs_f64(),
            f64::from(energies[1] - energies[0]) / temperature.get()
        );
    }
    Ok(())
}
