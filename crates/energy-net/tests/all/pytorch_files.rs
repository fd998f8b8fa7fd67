//! Files of `torch.save`: weights in every form PyTorch users have them, and files that must be refused. What is read
//! is written by `golden/make_pytorch_files.py`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use burn_ndarray::NdArray;
use ebm_core::{device_tensor, energy_and_gradient};
use ebm_energy_net::*;

fn golden(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pytorch");
    folder.join(name)
}

fn toy() -> Vec<NamedParameter> {
    read_tensors(&golden("toy.pth")).unwrap()
}

fn tensor(name: &str, file: &str) -> NamedParameter {
    let tensors = read_tensors(&golden(file)).unwrap();
    tensors.into_iter().find(|t| t.name == name).unwrap()
}

fn refusal(file: &Path) -> String {
    read_tensors(file).unwrap_err().to_string()
}

/// The largest difference, relative to the largest expected value.
fn distance(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
    let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    // A maximum that keeps what is no number.
    let most = differences.fold(0.0, |most: f32, far| {
        if most.is_nan() || far <= most {
            most
        } else {
            far
        }
    });
    most / largest
}

/// Energies to 1e-5 of each, gradients to 1e-4 of the largest element, against float64.
fn computes_what_pytorch_computes<B: AutodiffBackend>() {
    for (name, architecture) in [
        ("toy", Architecture::Toy),
        ("vanilla", Architecture::Vanilla),
        ("nonlocal", Architecture::Nonlocal),
    ] {
        let expected = format!("{name}.safetensors");
        let states = tensor("states", &expected);
        let [_, channels, height, width] = states.shape[..] else {
            panic!("{:?}", states.shape);
        };
        let config = NetConfig {
            width: 2,
            ..NetConfig::published(architecture)
        };
        for file in [format!("{name}.pth"), format!("{name}.zip.pth")] {
            let shape = [channels, height, width];
            let net = config.init::<B>(shape, 1, &Default::default()).unwrap();
            let net = load_weights(net, &golden(&file)).unwrap().no_grad();
            let states = device_tensor(
                states.values.clone(),
                states.shape.clone(),
                &Default::default(),
            );
            let (energies, gradient) = energy_and_gradient(&net, states).unwrap();
            let energies: Vec<f32> = energies.into_data().iter().collect();
            let due = tensor("energies", &expected).values;
            assert_eq!(energies.len(), due.len());
            for (energy, due) in energies.iter().zip(&due) {
                let error = (energy / due - 1.0).abs();
                assert!(error < 1e-5, "{file}: F {energy} against {due}");
            }
            let gradient: Vec<f32> = gradient.into_data().iter().collect();
            let apart = distance(&gradient, &tensor("gradient", &expected).values);
            assert!(apart < 1e-4, "{file}: ∇F differs by {apart}");
        }
    }
}

#[test]
fn nets_compute_what_pytorch_computes_on_flex() {
    computes_what_pytorch_computes::<Autodiff<Flex>>();
}

#[test]
fn nets_compute_what_pytorch_computes_on_ndarray() {
    computes_what_pytorch_computes::<Autodiff<NdArray>>();
}

/// The first tensor, read from the file by hand.
#[test]
fn numbers_are_those_in_the_file() {
    let bytes = std::fs::read(golden("toy.pth")).unwrap();
    let first = &toy()[0];
    assert_eq!(first.name, "f.0.weight");
    assert_eq!(first.shape, [2, 2, 1, 1]);
    let stored: Vec<u8> = first.values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let numbers = [&4u64.to_le_bytes()[..], &stored].concat();
    assert!(bytes.windows(numbers.len()).any(|window| window == numbers));
}

#[test]
fn every_form_of_a_state_dict_gives_the_same_tensors() {
    let expected = toy();
    for form in [
        "toy",
        "plain-dict",
        "strided",
        "double",
        "gpu",
        "parameters",
        "checkpoint",
    ] {
        for file in [format!("{form}.pth"), format!("{form}.zip.pth")] {
            assert_eq!(read_tensors(&golden(&file)).unwrap(), expected, "{file}");
        }
    }
    let protocol_4 = read_tensors(&golden("protocol-4.pth")).unwrap();
    assert_eq!(protocol_4, expected);
}

/// Both types are parts of float32, so every number is the one that PyTorch makes of it, to the last bit.
#[test]
fn float16_and_bfloat16_are_read_exactly() {
    let read = |file: &str| {
        let tensors = read_tensors(&golden(file)).unwrap();
        let bits = |t: NamedParameter| {
            (
                t.name,
                (
                    t.shape,
                    t.values.into_iter().map(f32::to_bits).collect::<Vec<_>>(),
                ),
            )
        };
        tensors.into_iter().map(bits).collect::<BTreeMap<_, _>>()
    };
    for (name, smallest) in [("half", 0.5f32.powi(24)), ("bfloat16", 0.5f32.powi(133))] {
        let expected = read(&format!("{name}-in-float32.safetensors"));
        assert_eq!(expected["ends"].1[7], smallest.to_bits());
        for ending in ["pth", "zip.pth", "safetensors"] {
            let file = format!("{name}.{ending}");
            assert_eq!(read(&file), expected, "{file}");
        }
    }
}

#[test]
fn the_wrapper_of_data_parallel_is_left_out_of_names() {
    let config = NetConfig {
        width: 2,
        ..NetConfig::published(Architecture::Toy)
    };
    for file in ["data-parallel.pth", "data-parallel.zip.pth"] {
        assert_eq!(
            read_tensors(&golden(file)).unwrap()[0].name,
            "module.f.0.weight"
        );
        let net = config
            .init::<Flex>([2, 1, 1], 1, &Default::default())
            .unwrap();
        let net = load_weights(net, &golden(file)).unwrap();
        assert_eq!(named_parameters(&net), toy(), "{file}");
    }
}

#[test]
fn the_format_is_known_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::copy(golden("toy.zip.pth"), &path).unwrap();
    assert_eq!(read_tensors(&path).unwrap(), toy());
    assert!(read_metadata(&path).unwrap().is_empty());
    let path = folder.path().join("weights.pth");
    write_tensors(&toy(), &path, Default::default()).unwrap();
    // By name: safetensors files are sorted by it.
    let mut read = read_tensors(&path).unwrap();
    read.sort_by_key(|tensor| toy().iter().position(|t| t.name == tensor.name));
    assert_eq!(read, toy());
}

#[test]
fn files_that_hold_something_else_are_refused_with_what_they_hold() {
    let save = "torch.save(net.state_dict(), FILE)";
    for (file, parts) in [
        ("two-nets.pth", ["more than one", "under `net`, `average`"]),
        ("two-nets.zip.pth", ["more than one", "`average`"]),
        ("no-weights.pth", ["no weights to load", "`epoch`, `nets`"]),
        ("no-weights.zip.pth", ["no weights to load", "`nets`"]),
        ("integers.pth", ["`f.0.weight` is of type int64", "floats"]),
        ("integers.zip.pth", ["int64", "floats"]),
        (
            "integers.safetensors",
            ["`f.0.weight` is of type I64", "floats"],
        ),
        (
            "module.zip.pth",
            ["`make_golden.Sequential`", "weights alone"],
        ),
        ("command.pth", ["`posix.system`", "ever run"]),
        ("command.zip.pth", ["`posix.system`", "ever run"]),
    ] {
        let message = refusal(&golden(file));
        for part in [file, save].into_iter().chain(parts) {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
        assert!(!message.contains("truncated"), "{message}");
    }
    assert!(!Path::new("the-pickle-was-run").exists());
}

/// A bare pickle that runs a command when Python reads it: the words that call it, in each protocol's way to name it.
#[test]
fn commands_are_not_run_however_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    let trace = folder.path().join("trace");
    let command = format!("touch {}", trace.display());
    let text = |text: &str| [&[0x8c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let by_line = b"cposix\nsystem\n".to_vec();
    let by_stack = [text("posix"), text("system"), vec![0x93]].concat();
    for name in [by_line, by_stack] {
        let call = [&[0x80, 4][..], &name, &text(&command), &[0x85, b'R', b'.']].concat();
        std::fs::write(&path, call).unwrap();
        assert!(refusal(&path).contains("`posix.system`"));
    }
    assert!(!trace.exists());
}

#[test]
fn files_of_other_formats_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    for (bytes, part) in [
        (&b""[..], "it is empty"),
        (b"no weights", "begins like neither"),
        (b"\x80\x02}.", "a pickle that torch.save did not write"),
        (b"\x80\x02K\x01.", "a pickle that torch.save did not write"),
        (b"PK\x03\x04", "not a readable PyTorch file"),
        (
            b"\x00\x00\x00\x00\x00\x00\x00\x00{",
            "not a readable safetensors",
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let message = refusal(&path);
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

/// A toy net saved with width 2 for a net of width 3, a vanilla net for a toy net, and a net of nobody's.
#[test]
fn weights_of_another_net_say_which_net_they_fit() {
    let load = |architecture, width, shape, file: &Path| {
        let config = NetConfig {
            width,
            ..NetConfig::published(architecture)
        };
        let net = config.init::<Flex>(shape, 1, &Default::default()).unwrap();
        load_weights(net, file).unwrap_err().to_string()
    };
    for file in ["toy.pth", "data-parallel.zip.pth"] {
        let message = load(Architecture::Toy, 3, [2, 1, 1], &golden(file));
        for part in [
            "`f.0.weight` has shape [2, 2, 1, 1] where the net has [3, 2, 1, 1]",
            "net.architecture = toy, net.width = 2 and states of 2×1×1",
        ] {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
    }
    let message = load(Architecture::Toy, 2, [2, 1, 1], &golden("nonlocal.pth"));
    let part = "net.architecture = nonlocal, net.width = 2 and states of 1×16×16";
    assert!(message.contains(part), "{message}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    write_tensors(&toy()[1..], &path, Default::default()).unwrap();
    let message = load(Architecture::Toy, 2, [2, 1, 1], &path);
    assert!(message.contains("`f.0.weight` is missing"), "{message}");
    assert!(message.contains("use the net and state shape"), "{message}");
}
