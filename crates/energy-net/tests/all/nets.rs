//! The nets against PyTorch, against finite differences, and through files.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor, TensorData, backend::AutodiffBackend};
use burn_ndarray::NdArray;
use ebm_core::{Energy, NoiseKey, Stream, device_tensor, energy_and_gradient};
use ebm_energy_net::*;
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Golden {
    shape: [usize; 4],
    parameters: Vec<String>,
    energies: Vec<f64>,
    gradient_stride: usize,
    gradient: Vec<f64>,
    gradient_norms: Vec<f64>,
}

/// The formula of `golden/make_golden.py`.
fn values(count: usize, salt: usize, bound: f64) -> Vec<f32> {
    (0..count)
        .map(|index| {
            (bound * (1.0 + index as f64 * 0.754_877_666_2 + salt as f64 * 1.324_717_957_2).sin())
                as f32
        })
        .collect()
}

fn net_of(name: &str) -> NetConfig {
    let (architecture, width) = match name {
        "toy" => (Architecture::Toy, 8),
        "vanilla" => (Architecture::Vanilla, 4),
        "vanilla-32" => (Architecture::Vanilla, 2),
        _ => (Architecture::Nonlocal, 4),
    };
    NetConfig {
        width,
        ..NetConfig::published(architecture)
    }
}

/// The net with the golden formula's weights, passed through a file on the way.
fn golden_net<B: AutodiffBackend>(name: &str, golden: &Golden) -> Net<B> {
    let device = Default::default();
    let [_, channels, height, width] = golden.shape;
    let net = net_of(name)
        .init::<B>([channels, height, width], 1, &device)
        .unwrap();
    let mut parameters: BTreeMap<_, _> = named_parameters(&net)
        .into_iter()
        .map(|parameter| (parameter.name.clone(), parameter))
        .collect();
    assert_eq!(parameters.len(), golden.parameters.len());
    for (salt, name) in golden.parameters.iter().enumerate() {
        let parameter = parameters.get_mut(name).expect(name);
        let fan_in: usize = match parameter.shape.len() {
            1 => parameter.shape[0],
            _ => parameter.shape[1..].iter().product(),
        };
        parameter.values = values(parameter.values.len(), salt, 2.0 / (fan_in as f64).sqrt());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.safetensors");
    let parameters: Vec<_> = parameters.into_values().collect();
    write_tensors(&parameters, &path, Default::default()).unwrap();
    burn::module::Module::no_grad(load_weights(net, &path).unwrap())
}

/// `tolerance` is relative to |F| (or 1 where that is larger), to ‖∇F‖, and for single gradient elements to 100 times
/// the gradient's root mean square, because small elements come from cancelling large ones.
fn agree_with_pytorch<B: AutodiffBackend>(cases: &[&str], tolerance: f64) {
    let golden: BTreeMap<String, Golden> =
        serde_json::from_str(include_str!("../golden/nets.json")).unwrap();
    for &name in cases {
        let golden = &golden[name];
        let net = golden_net::<B>(name, golden);
        let count = golden.shape.iter().product();
        let per_chain = count / golden.shape[0];
        let states = device_tensor(values(count, 99, 1.0), golden.shape, &Default::default());
        let (energies, gradient) = energy_and_gradient(&net, states).unwrap();
        let close = |what: &str, got: f64, expected: f64, scale: f64| {
            assert!(
                (got - expected).abs() < tolerance * scale,
                "{name}: {what} {got} against PyTorch's {expected}"
            );
        };
        for (got, &expected) in energies.into_data().iter::<f64>().zip(&golden.energies) {
            close("F", got, expected, expected.abs().max(1.0));
        }
        let gradient: Vec<f64> = gradient.into_data().iter::<f64>().collect();
        let scale = 100.0 * golden.gradient_norms[0] / (per_chain as f64).sqrt();
        for (got, &expected) in gradient
            .iter()
            .step_by(golden.gradient_stride)
            .zip(&golden.gradient)
        {
            close("∇F", *got, expected, scale);
        }
        for (chain, &expected) in gradient.chunks(per_chain).zip(&golden.gradient_norms) {
            close("‖∇F‖", norm(chain), expected, expected);
        }
    }
}

const NETS: [&str; 4] = ["toy", "vanilla", "vanilla-32", "nonlocal"];

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn outputs_and_input_gradients_agree_with_pytorch_on_flex() {
    agree_with_pytorch::<Autodiff<Flex>>(&NETS, 1e-5);
}

#[test]
fn outputs_and_input_gradients_agree_with_pytorch_on_ndarray() {
    agree_with_pytorch::<Autodiff<NdArray>>(&NETS, 1e-5);
}

#[test]
fn outputs_and_input_gradients_agree_with_pytorch_in_double_precision() {
    agree_with_pytorch::<Autodiff<NdArray<f64>>>(&NETS, 1e-10);
}

/// Central differences in f64 along 24 random directions each, to 1e-6 of the gradient's norm. Crossing a kink of the
/// leaky ReLU within the step of 1e-6 would break the bound; the fixed seed does not.
#[test]
fn input_gradients_agree_with_central_differences() {
    type B = Autodiff<NdArray<f64>>;
    let device = Default::default();
    for (architecture, [channels, height, width]) in [
        (Architecture::Toy, [2, 1, 1]),
        (Architecture::Vanilla, [1, 16, 16]),
        (Architecture::Nonlocal, [2, 16, 16]),
    ] {
        let config = NetConfig {
            width: 6,
            ..NetConfig::published(architecture)
        };
        let shape = [channels, height, width];
        let net = burn::module::Module::no_grad(config.init::<B>(shape, 9, &device).unwrap());
        let elements = channels * height * width;
        let key = NoiseKey::new(3, Stream::Watch, 0);
        let draw = |step| {
            let mut values = vec![0.0; elements];
            key.normals(step, 0, elements, &mut values);
            values.into_iter().map(f64::from).collect::<Vec<_>>()
        };
        let tensor = |values: Vec<f64>| {
            let data = TensorData::new(values, [1, channels, height, width]);
            Tensor::<NdArray<f64>, 4>::from_data(data, (&device, DType::F64))
        };
        let start = draw(0);
        let (_, gradient) = energy_and_gradient(&net, tensor(start.clone())).unwrap();
        let gradient: Vec<f64> = gradient.into_data().to_vec().unwrap();
        for trial in 1..=24 {
            let direction = draw(trial);
            let energy_at = |distance: f64| {
                let moved = start.iter().zip(&direction).map(|(x, z)| x + distance * z);
                let states = Tensor::<B, 4>::from_inner(tensor(moved.collect()));
                net.energy(states).into_scalar()
            };
            let slope = (energy_at(1e-6) - energy_at(-1e-6)) / 2e-6;
            let expected: f64 = gradient.iter().zip(&direction).map(|(g, z)| g * z).sum();
            let scale = norm(&gradient) * norm(&direction);
            assert!(
                (slope - expected).abs() < 1e-6 * scale,
                "{architecture:?}: {slope} against {expected}"
            );
        }
    }
}

#[test]
fn initial_parameters_are_uniform_within_one_over_root_fan_in_and_the_block_starts_as_identity() {
    let net = NetConfig::published(Architecture::Nonlocal)
        .init::<Flex>([3, 32, 32], 7, &Default::default())
        .unwrap();
    for parameter in named_parameters(&net) {
        let largest = parameter.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        if parameter.name.contains(".W.") {
            assert_eq!(largest, 0.0, "{}", parameter.name);
        } else if parameter.shape.len() > 1 {
            let fan_in: usize = parameter.shape[1..].iter().product();
            let bound = 1.0 / (fan_in as f32).sqrt();
            assert!(
                largest <= bound && largest > 0.95 * bound,
                "{}",
                parameter.name
            );
        }
    }
}

#[test]
fn published_parameter_names_and_counts() {
    let count = |architecture, shape| {
        let net = NetConfig::published(architecture)
            .init::<Flex>(shape, 1, &Default::default())
            .unwrap();
        let parameters = named_parameters(&net);
        let names: Vec<_> = parameters.iter().map(|p| p.name.clone()).collect();
        (
            parameters.iter().map(|p| p.values.len()).sum::<usize>(),
            names,
        )
    };
    // (2·32 + 32) + (32·64 + 64) + 2 (64·64 + 64) + 65
    assert_eq!(
        count(Architecture::Toy, [2, 1, 1]).0,
        96 + 2112 + 2 * 4160 + 65
    );
    let (parameters, names) = count(Architecture::Vanilla, [3, 32, 32]);
    assert_eq!(parameters, 896 + 32_832 + 131_200 + 524_544 + 4_097);
    assert_eq!(
        names[..4],
        ["f.0.weight", "f.0.bias", "f.2.weight", "f.2.bias"]
    );
    let (_, names) = count(Architecture::Nonlocal, [3, 32, 32]);
    for name in [
        "convs.3.theta.weight",
        "convs.3.phi.0.bias",
        "convs.7.g.0.weight",
        "convs.7.W.bias",
        "convs.8.weight",
        "fc.0.weight",
        "fc.2.bias",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
}

#[test]
fn weights_of_another_net_and_damaged_files_are_refused_with_the_reason() {
    let device = Default::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let vanilla = NetConfig::published(Architecture::Vanilla);
    let net = vanilla.init::<Flex>([1, 16, 16], 1, &device).unwrap();
    save_weights(&net, &path, Default::default()).unwrap();
    let other = vanilla.init::<Flex>([3, 16, 16], 1, &device).unwrap();
    let message = load_weights(other, &path).unwrap_err().to_string();
    assert!(
        message.contains("f.0.weight") && message.contains("another net"),
        "{message}"
    );
    let nonlocal = NetConfig::published(Architecture::Nonlocal)
        .init::<Flex>([1, 16, 16], 1, &device)
        .unwrap();
    assert!(
        load_weights(nonlocal, &path)
            .unwrap_err()
            .to_string()
            .contains("more differences")
    );

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let net = vanilla.init::<Flex>([1, 16, 16], 1, &device).unwrap();
    let message = load_weights(net.clone(), &path).unwrap_err().to_string();
    assert!(message.contains("truncated"), "{message}");

    let mut poisoned = named_parameters(&net);
    poisoned[2].values[5] = f32::NAN;
    write_tensors(&poisoned, &path, Default::default()).unwrap();
    let message = load_weights(net, &path).unwrap_err().to_string();
    assert!(
        message.contains("f.2.weight") && message.contains("NaN"),
        "{message}"
    );
}

#[test]
fn impossible_nets_are_refused_with_key_value_and_fix() {
    let config = NetConfig::published(Architecture::Vanilla);
    for (config, shape, expected) in [
        (config, [1, 28, 28], "multiple of 8"),
        (config, [2, 1, 1], "use toy"),
        (
            NetConfig { width: 0, ..config },
            [1, 32, 32],
            "net.width = 0",
        ),
        (
            NetConfig {
                slope: -0.1,
                ..config
            },
            [1, 32, 32],
            "net.slope = -0.1",
        ),
        (
            NetConfig::published(Architecture::Toy),
            [1, 32, 32],
            "use vanilla",
        ),
    ] {
        let message = config
            .init::<Flex>(shape, 1, &Default::default())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(expected),
            "{message} should mention {expected}"
        );
    }
}

#[test]
fn analytic_energies_have_their_published_values() {
    let device = Default::default();
    let at = |points: &[[f32; 2]]| {
        Tensor::<Flex, 4>::from_data(
            TensorData::new(points.concat(), [points.len(), 2, 1, 1]),
            &device,
        )
    };
    let read = |energies: Tensor<Flex, 1>| energies.into_data().to_vec::<f32>().unwrap();
    let close = |got: f32, expected: f64| {
        assert!(
            (f64::from(got) - expected).abs() < 2e-5 * expected.abs().max(1.0),
            "{got} against {expected}"
        );
    };
    let gaussian = Gaussian {
        mean: 1.0,
        standard_deviation: 2.0,
    };
    close(read(gaussian.energy(at(&[[3.0, 1.0]])))[0], 0.5);
    let well = DoubleWell { height: 4.0 };
    let wells = read(well.energy(at(&[[1.0, 0.0], [-1.0, 2.0], [0.0, 0.0]])));
    close(wells[0], 0.0);
    close(wells[1], 2.0);
    close(wells[2], 4.0);
    let density = |x: f64, y: f64, sd: f64| {
        (-(x * x + y * y) / (2.0 * sd * sd)).exp() / (std::f64::consts::TAU * sd * sd)
    };
    let mixture = GaussianMixture::on_circle(8, 1.0, 0.15);
    let (x, y) = (0.9, 0.3);
    let total: f64 = (0..8)
        .map(|k| {
            let (sine, cosine) = (f64::from(k) * std::f64::consts::TAU / 8.0).sin_cos();
            density(x - cosine, y - sine, 0.15) / 8.0
        })
        .sum();
    close(
        read(mixture.energy(at(&[[x as f32, y as f32]])))[0],
        -total.ln(),
    );
    let rings = Rings {
        groups: 4,
        spacing: 1.0,
        standard_deviation: 0.15,
    };
    let normal =
        |x: f64| (-x * x / (2.0 * 0.15 * 0.15)).exp() / (std::f64::consts::TAU.sqrt() * 0.15);
    let radius = 1.3f64;
    let total: f64 = (1..=4)
        .map(|k| normal(radius - f64::from(k)) / (4.0 * std::f64::consts::TAU * radius))
        .sum();
    close(read(rings.energy(at(&[[0.0, 1.3]])))[0], -total.ln());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// F of a chain does not depend on which chains run beside it.
    #[test]
    fn chains_do_not_see_each_other(seed in any::<u64>(), chains in 2usize..5) {
        let device = Default::default();
        let net = NetConfig { width: 3, ..NetConfig::published(Architecture::Nonlocal) }.init::<Flex>([1, 16, 16], seed, &device).unwrap();
        let mut states = vec![0.0; chains * 256];
        NoiseKey::new(seed, Stream::Watch, 0).normals(0, 0, 256, &mut states);
        let states = Tensor::<Flex, 4>::from_data(TensorData::new(states, [chains, 1, 16, 16]), &device);
        let together: Vec<f32> = net.energy(states.clone()).into_data().to_vec().unwrap();
        for (chain, expected) in together.iter().enumerate() {
            let alone = net.energy(states.clone().narrow(0, chain, 1)).into_scalar();
            prop_assert!((alone - expected).abs() < 1e-5);
        }
    }
}

#[test]
fn the_same_weights_are_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = NamedParameter {
        name: "weight".into(),
        shape: vec![2],
        values: vec![1.0, -2.0],
    };
    let metadata = || {
        (0..8)
            .map(|number| (format!("key {number}"), "{\"a\": \"ü\"}".to_owned()))
            .collect::<std::collections::HashMap<_, _>>()
    };
    let files = [0, 1, 2].map(|number| {
        let path = folder.path().join(number.to_string());
        write_tensors(std::slice::from_ref(&tensor), &path, metadata()).unwrap();
        assert_eq!(read_metadata(&path).unwrap(), metadata());
        assert_eq!(read_tensors(&path).unwrap(), std::slice::from_ref(&tensor));
        std::fs::read(path).unwrap()
    });
    assert!(files[0] == files[1] && files[0] == files[2]);
}
