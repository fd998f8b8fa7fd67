//! The paper's three nets, layer by layer, with their parameter names, and an energy of each.

use burn::backend::Flex;
use burn::tensor::Tensor;
use ebm_core::Energy;
use ebm_energy_net::{Architecture, NetConfig, named_parameters};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Default::default();
    for (architecture, shape) in [
        (Architecture::Toy, [2, 1, 1]),
        (Architecture::Vanilla, [3, 32, 32]),
        (Architecture::Nonlocal, [3, 32, 32]),
    ] {
        let config = NetConfig::published(architecture);
        let net = config.init::<Flex>(shape, 123, &device)?;
        let parameters = named_parameters(&net);
        let count: usize = parameters.iter().map(|p| p.values.len()).sum();
        println!("{architecture:?}, states {shape:?}, {count} parameters");
        for parameter in parameters {
            println!("  {:20} {:?}", parameter.name, parameter.shape);
        }
        let [channels, height, width] = shape;
        let states = Tensor::<Flex, 4>::zeros([1, channels, height, width], &device);
        println!("  F(0) = {:.5}", net.energy(states).into_scalar());
    }
    Ok(())
}
