//! `sample`.
#![allow(clippy::unwrap_used)]

use ebm_core::checksum::seal;

use crate::common::Place;

/// Shape and values of an .npy file of little-endian floats.
fn read_npy(bytes: &[u8]) -> (Vec<usize>, Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..header]).unwrap();
    assert!(text.contains("'descr': '<f4'") && text.contains("'fortran_order': False"));
    let shape = text.split(['(', ')']).nth(1).unwrap();
    let shape = shape
        .split(',')
        .filter_map(|side| side.trim().parse().ok())
        .collect();
    let values = bytes[header..]
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    (shape, values.collect())
}

#[test]
fn samples_come_as_picture_array_and_tensors() {
    let place = Place::with_image_run("2");
    let arguments = ["sample", "--run", "run", "--count", "5", "--steps", "4"];
    let ended = place.run(arguments).well();
    assert!(ended.stdout.contains("Samples: run/samples"), "{ended:?}");
    let (shape, values) = read_npy(&place.bytes("run/samples/samples.npy"));
    assert_eq!(shape, [5, 1, 16, 16]);
    assert_eq!(values.len(), 5 * 16 * 16);
    assert!(values.iter().all(|value| value.is_finite()));
    image::open(place.path("run/samples/samples.png")).unwrap();
    let bytes = place.bytes("run/samples/samples.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("energies").unwrap().shape(), [5]);
    assert_eq!(tensors.tensor("states").unwrap().shape(), [5, 1, 16, 16]);

    let before = place.contents();
    place
        .run(arguments)
        .badly(2, &["run/samples already holds samples", "--out"]);
    assert_eq!(before, place.contents());
}

#[test]
fn the_seed_and_the_weights_decide() {
    let place = Place::with_image_run("2");
    let draw = |out: &str, extra: &[&str]| {
        let arguments = ["sample", "--count", "3", "--steps", "2", "--out", out];
        place.run([&arguments, extra].concat()).well();
        place.bytes(&format!("{out}/samples.npy"))
    };
    let run = ["--run", "run"];
    let weights = ["--weights", "run/weights.safetensors"];
    let first = draw("a", &run);
    assert!(first == draw("b", &run), "same seed");
    assert!(first == draw("c", &weights), "a file knows its net");
    assert!(
        first != draw("d", &["--run", "run", "--seed", "2"]),
        "other seed"
    );
    assert!(
        first != draw("e", &["--run", "run", "--start", "gaussian"]),
        "other start"
    );
}

#[test]
fn steps_without_noise_follow_the_others_and_go_downhill() {
    let place = Place::with_image_run("2");
    let draw = |out: &str, extra: &[&str]| {
        let arguments = ["sample", "--run", "run", "--count", "3"];
        place
            .run([&arguments[..], &["--out", out], extra].concat())
            .well();
        let bytes = place.bytes(&format!("{out}/samples.safetensors"));
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let energies = tensors.tensor("energies").unwrap();
        let energies = energies.data().as_chunks().0.iter();
        let energies: Vec<f32> = energies.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (place.bytes(&format!("{out}/samples.npy")), energies)
    };
    let (plain, energies) = draw("plain", &[]);
    assert!(plain == draw("none", &["--noiseless-steps", "0"]).0);
    let (_, lower) = draw("quiet", &["--noiseless-steps", "5"]);
    for (lower, energy) in lower.iter().zip(&energies) {
        assert!(lower < energy, "{lower} against {energy}");
    }
    // Where the chain has no noise, both are one longer chain.
    let still = ["--epsilon", "0", "--steps"];
    let (split, _) = draw(
        "split",
        &[&still[..], &["2", "--noiseless-steps", "3"]].concat(),
    );
    assert!(split == draw("whole", &[&still[..], &["5"]].concat()).0);
}

#[test]
fn points_of_the_plane_have_no_picture() {
    let place = Place::with_toy_run("2");
    place
        .run(["sample", "--run", "run", "--count", "150", "--steps", "2"])
        .well();
    let (shape, _) = read_npy(&place.bytes("run/samples/samples.npy"));
    assert_eq!(shape, [150, 2, 1, 1]);
    assert!(!place.path("run/samples/samples.png").exists());
}

/// Chains of a persistent run go on from its bank, of which all 200 states are samples of no further step.
#[test]
fn samples_of_a_persistent_run_come_from_its_bank() {
    let place = Place::with_toy_run("2");
    let arguments = ["sample", "--run", "run", "--steps", "0", "--count"];
    let ended = place.run([&arguments[..], &["200"]].concat()).well();
    assert!(ended.stdout.contains("from the bank"), "{ended:?}");
    let (_, states) = read_npy(&place.bytes("run/samples/samples.npy"));
    let bank = place.bytes("run/checkpoints/00000002/bank.safetensors");
    let bank = safetensors::SafeTensors::deserialize(&bank).unwrap();
    let (_, tensor) = bank.iter().next().unwrap();
    let values: Vec<f32> = tensor
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(states, values);
    let more = [&arguments[..], &["201", "--out", "more"]].concat();
    place
        .run(more)
        .badly(2, &["count", "the bank has 200 states", "200 or fewer"]);
    let noise = [
        &arguments[..],
        &["201", "--out", "noise", "--start", "uniform"],
    ]
    .concat();
    place.run(noise).well();
}

/// A file of `torch.save`, and the config of the net that it belongs to.
fn of_pytorch() -> Place {
    let place = Place::new();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/energy-net/tests/golden/pytorch");
    for file in [
        "nonlocal.pth",
        "nonlocal.zip.pth",
        "module.zip.pth",
        "command.pth",
    ] {
        place.write(file, std::fs::read(golden.join(file)).unwrap());
    }
    place.write(
        "tiny.json",
        r#"{"data": {"source": "embedded-digits", "size": 16}, "net": {"architecture": "nonlocal", "width": 2}}"#,
    );
    place
}

#[test]
fn files_of_pytorch_are_sampled_from() {
    let place = of_pytorch();
    let draw = |weights: &str, engine: &str| {
        let out = format!("{weights}-{engine}");
        place
            .run([
                "sample",
                "--weights",
                weights,
                "--config",
                "tiny.json",
                "--engine",
                engine,
                "--count",
                "3",
                "--steps",
                "2",
                "--out",
                &out,
            ])
            .well();
        read_npy(&place.bytes(&format!("{out}/samples.npy")))
    };
    let (shape, values) = draw("nonlocal.pth", "fused");
    assert_eq!(shape, [3, 1, 16, 16]);
    assert_eq!(draw("nonlocal.zip.pth", "fused").1, values);
    let (_, others) = draw("nonlocal.pth", "tensor");
    for (value, other) in values.iter().zip(&others) {
        assert!((value - other).abs() < 1e-4, "{value} and {other}");
    }
}

#[test]
fn what_a_file_of_pytorch_lacks_is_said() {
    let place = of_pytorch();
    let bytes = place.bytes("nonlocal.pth");
    place.write("half.pth", &bytes[..bytes.len() / 2]);
    let before = place.contents();
    let sample = |arguments: &[&str]| place.run([&["sample", "--out", "new"], arguments].concat());
    let weights = |file| sample(&["--weights", file, "--config", "tiny.json"]);

    for file in ["nonlocal.pth", "nonlocal.zip.pth", "half.pth"] {
        sample(&["--weights", file]).badly(
            2,
            &[
                file,
                "does not say which net",
                "--experiment NAME or --config FILE",
            ],
        );
    }
    sample(&["--weights", "nonlocal.pth", "--experiment", "short-run"]).badly(
        1,
        &[
            "nonlocal.pth",
            "another net",
            "`f.0.weight` is missing",
            "they fit net.architecture = nonlocal, net.width = 2 and states of 1×16×16",
        ],
    );
    weights("half.pth").badly(1, &["half.pth", "not a readable PyTorch file", "truncated"]);
    let save = "torch.save(net.state_dict(), FILE)";
    weights("module.zip.pth").badly(1, &["module.zip.pth", "`make_golden.Sequential`", save]);
    weights("command.pth").badly(1, &["command.pth", "`posix.system`", save]);
    assert_eq!(before, place.contents());
}

#[test]
fn what_cannot_be_sampled_from_says_why() {
    let place = Place::with_image_run("2");
    let weights = place.bytes("run/weights.safetensors");
    place.write("half.safetensors", &weights[..weights.len() / 2]);
    let (data, mut damaged) = (b"\"ebm.data\":\"{", weights.clone());
    let at = weights.windows(data.len()).position(|part| part == data);
    damaged[at.unwrap() + data.len() - 1] = b'[';
    seal(&mut damaged, "ebm.crc32");
    place.write("damaged.safetensors", damaged);
    place.write("file", "in the way");
    let before = place.contents();
    let sample = |arguments: &[&str]| place.run([&["sample", "--out", "new"], arguments].concat());

    sample(&[]).badly(2, &["--run", "--weights"]);
    sample(&["--run", "nowhere"]).badly(2, &["nowhere is not a run folder"]);
    sample(&["--weights", "nowhere"]).badly(1, &["nowhere: No such file"]);
    sample(&["--weights", "half.safetensors"]).badly(1, &["half.safetensors", "truncated"]);
    sample(&["--weights", "half.safetensors", "--experiment", "short-run"])
        .badly(1, &["truncated"]);
    sample(&["--weights", "damaged.safetensors"]).badly(2, &["`ebm.data`", "--experiment NAME"]);
    let other = [
        "--weights",
        "run/weights.safetensors",
        "--experiment",
        "mnist_convergent",
    ];
    sample(&other).badly(1, &["another net", "run/weights.safetensors"]);
    sample(&[
        "--weights",
        "run/checkpoints/00000002/optimizer.safetensors",
    ])
    .badly(2, &["does not say which net", "--experiment"]);
    sample(&["--run", "run", "--count", "0"]).badly(2, &["--count", "1..=1000000"]);
    sample(&["--run", "run", "--epsilon=-0.1"]).badly(2, &["--epsilon", "-0.1"]);
    sample(&["--run", "run", "--epsilon", "1e30"]).badly(1, &["non-finite", "--epsilon"]);
    place
        .run([
            "sample",
            "--run",
            "run",
            "--out",
            "file/below",
            "--count",
            "1",
            "--steps",
            "1",
        ])
        .badly(1, &["file/below", "--out"]);
    assert_eq!(before, place.contents());
}
