//! The cube engine against tensor operations and automatic differentiation, on any Vulkan driver: `--features wgpu`.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, TensorData, activation::leaky_relu};
use cubecl::wgpu::{WgpuDevice, WgpuRuntime};
use ebm_core::{
    Activation, Energy, LayerDescription, Layered, NoiseKey, ParameterValues, StepSize, Stream,
    Temperature,
};
use ebm_langevin::{
    Bound, ChainOutcome, ChainRun, CubeEngine, Engine, LangevinError, Mala, TensorEngine, Ula,
};

type B = Autodiff<Flex>;

/// Linear layers with leaky ReLU between them.
struct Dense {
    weights: Vec<Tensor<B, 2>>,
    biases: Vec<Tensor<B, 1>>,
    slope: f32,
    /// Whether it describes itself as convolutions of a pixel.
    is_convolution: bool,
}

impl Dense {
    fn new(widths: &[usize], slope: f32) -> Self {
        let draw = |number: usize, count: usize, scale: f32| -> Vec<f32> {
            let mut values = vec![0.0; count];
            let key = NoiseKey::new(8, Stream::Parameters, number as u64);
            key.normals(0, 0, count, &mut values);
            values.iter().map(|value| value * scale).collect()
        };
        let device = Default::default();
        let pairs = || widths.windows(2).enumerate();
        let weight = |(number, pair): (usize, &[usize])| {
            let values = draw(2 * number, pair[0] * pair[1], (pair[0] as f32).powf(-0.5));
            Tensor::from_data(TensorData::new(values, [pair[0], pair[1]]), &device)
        };
        let bias = |(number, pair): (usize, &[usize])| {
            let values = draw(2 * number + 1, pair[1], 0.1);
            Tensor::from_data(TensorData::new(values, [pair[1]]), &device)
        };
        Self {
            weights: pairs().map(weight).collect(),
            biases: pairs().map(bias).collect(),
            slope,
            is_convolution: false,
        }
    }
}

impl Energy<B> for Dense {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let mut values = states.flatten::<2>(1, 3);
        let last = self.weights.len() - 1;
        for (number, (weight, bias)) in self.weights.iter().zip(&self.biases).enumerate() {
            values = values.matmul(weight.clone()) + bias.clone().unsqueeze();
            if number < last {
                values = leaky_relu(values, self.slope.into());
            }
        }
        values.squeeze_dim(1)
    }
}

impl Layered for Dense {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        let mut layers = Vec::new();
        for (weight, bias) in self.weights.iter().zip(&self.biases) {
            if !layers.is_empty() {
                let slope = self.slope;
                layers.push(LayerDescription::Activation(Activation::LeakyRelu {
                    slope,
                }));
            }
            let [inputs, outputs] = weight.dims();
            let bias = Param::initialized(ParamId::new(), bias.clone());
            let bias = Some(ParameterValues::read(&bias));
            if self.is_convolution {
                let weight = Param::initialized(ParamId::new(), weight.clone().transpose());
                layers.push(LayerDescription::Conv2d {
                    inputs,
                    outputs,
                    kernel: 1,
                    stride: 1,
                    padding: 0,
                    weight: ParameterValues::read(&weight),
                    bias,
                });
            } else {
                let weight = Param::initialized(ParamId::new(), weight.clone());
                let weight = ParameterValues::read(&weight);
                layers.push(LayerDescription::Linear {
                    inputs,
                    outputs,
                    weight,
                    bias,
                });
            }
        }
        Ok(layers)
    }
}

/// None, with a word about it, where there is no Vulkan driver.
fn engine() -> Option<CubeEngine> {
    let start = || CubeEngine::on::<WgpuRuntime>(&WgpuDevice::default());
    let engine = std::panic::catch_unwind(start).ok();
    if engine.is_none() {
        eprintln!("no device for wgpu: nothing is tested");
    }
    engine
}

fn states(chains: usize, size: usize) -> Tensor<Flex, 4> {
    let mut values = vec![0.0; chains * size];
    NoiseKey::new(4, Stream::ChainStart, 1).normals(0, 0, size, &mut values);
    let data = TensorData::new(values, [chains, size, 1, 1]);
    Tensor::from_data(data, &Default::default())
}

fn run_of(ula: Ula, first_step: u64, steps: u64) -> ChainRun {
    ChainRun {
        kernel: ula.into(),
        steps,
        first_step,
        noise: NoiseKey::new(2, Stream::Langevin, 5),
        final_energies: true,
    }
}

fn learned(epsilon: f64) -> Ula {
    Ula::learned(StepSize::new(epsilon).unwrap())
}

fn values(outcome: &ChainOutcome<Flex>) -> Vec<f32> {
    outcome.states.to_data().to_vec().unwrap()
}

/// The largest difference, relative to the largest value.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-6f32, |peak, value| peak.max(value.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

fn assert_alike(engine: &CubeEngine, energy: &Dense, chains: usize, run: &ChainRun) {
    let size = energy.weights[0].dims()[0];
    let walk =
        |engine: &dyn Engine<B, Dense>| engine.run(energy, states(chains, size), run).unwrap();
    let (ours, reference) = (walk(engine), walk(&TensorEngine::default()));
    let far = distance(&values(&ours), &values(&reference));
    assert!(far < 2e-5, "{chains} chains: states {far}");
    let far = distance(&ours.energies.unwrap(), &reference.energies.unwrap());
    assert!(far < 2e-5, "{chains} chains: energies {far}");
    let ratio = ours.gradient_magnitude / reference.gradient_magnitude;
    assert!((ratio - 1.0).abs() < 2e-5, "{chains} chains: r {ratio}");
}

/// The widths of the toy net of arXiv 1903.12370; batches that take one, two and four chains to a unit.
#[test]
fn chains_walk_as_with_tensors() {
    let Some(engine) = engine() else { return };
    let mut net = Dense::new(&[2, 32, 64, 64, 64, 1], 0.05);
    net.is_convolution = true;
    for chains in [1, 5, 700, 2_500] {
        assert_alike(&engine, &net, chains, &run_of(learned(0.125), 3, 6));
    }
}

/// Other depths and widths, ReLU, a temperature, no noise, and step numbers beyond 32 bits.
#[test]
fn nets_and_kernels_of_all_kinds() {
    let Some(engine) = engine() else { return };
    let cold = Ula::new(StepSize::new(0.1).unwrap(), Temperature::new(0.3).unwrap());
    assert_alike(
        &engine,
        &Dense::new(&[3, 7, 5, 1], 0.0),
        9,
        &run_of(cold, 0, 5),
    );
    assert_alike(
        &engine,
        &Dense::new(&[6, 40, 1], 0.2),
        33,
        &run_of(learned(0.0), 0, 4),
    );
    assert_alike(
        &engine,
        &Dense::new(&[5, 9, 1], 1.0),
        4,
        &run_of(learned(0.1), 0, 3),
    );
    let net = Dense::new(&[2, 8, 1], 0.05);
    assert_alike(&engine, &net, 4, &run_of(learned(0.1), (1 << 32) - 3, 6));
    let bounded = learned(0.3)
        .with_gradient_clip(Some(Bound::new(0.05).unwrap()))
        .with_state_clamp(Some(Bound::new(0.8).unwrap()));
    assert_alike(&engine, &net, 20, &run_of(bounded, 0, 5));
}

/// More steps than a launch has, and a run in two pieces.
#[test]
fn launches_join_without_a_seam() {
    let Some(engine) = engine() else { return };
    let net = Dense::new(&[2, 8, 1], 0.05);
    let walk = |from: Tensor<Flex, 4>, first, steps| {
        let run = run_of(learned(0.05), first, steps);
        Engine::<B, Dense>::run(&engine, &net, from, &run).unwrap()
    };
    let whole = walk(states(3, 2), 0, 2_500);
    let half = walk(states(3, 2), 0, 1_200);
    let rest = walk(half.states.clone(), 1_200, 1_300);
    assert_eq!(values(&whole), values(&rest));
    let joined = (half.gradient_magnitude * 1_200.0 + rest.gradient_magnitude * 1_300.0) / 2_500.0;
    // Norms are summed in f32 within a launch.
    assert!((joined / whole.gradient_magnitude - 1.0).abs() < 1e-5);
}

#[test]
fn what_it_lacks_is_named() {
    let Some(engine) = engine() else { return };
    let net = Dense::new(&[2, 8, 1], 0.05);
    let mala = Mala::new(StepSize::new(0.1).unwrap(), Temperature::new(1.0).unwrap()).unwrap();
    let run = ChainRun {
        kernel: mala.into(),
        ..run_of(learned(0.1), 0, 1)
    };
    let error = Engine::<B, Dense>::run(&engine, &net, states(2, 2), &run).unwrap_err();
    assert!(matches!(error, LangevinError::NotCubed(what) if what == "MALA"));
    let wide = Dense::new(&[2, 5_000, 1], 0.05);
    let error = engine.supports(&wide, [2, 1, 1]).unwrap_err();
    assert!(error.to_string().contains("room on this device"), "{error}");
    let linear = Dense::new(&[2, 1], 0.05);
    let error = engine.supports(&linear, [2, 1, 1]).unwrap_err();
    assert!(
        error.to_string().contains("fewer than two layers"),
        "{error}"
    );
    let error = engine.supports(&net, [3, 1, 1]).unwrap_err();
    assert!(
        error.to_string().contains("takes 2 values and is given 3"),
        "{error}"
    );
}
