//! GPU backends and the engine `cube`: on wgpu's software driver, where there is one, and what is said where there is
//! none.
#![cfg(any(feature = "cuda", feature = "wgpu"))]
#![allow(clippy::unwrap_used)]

mod common;

use common::{Ended, Place, TINY_TOY, experiment};

/// The program, with what it compiles for the GPU kept between tests. Without a folder of the session Vulkan drivers
/// complain.
fn run(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = place.command(arguments);
    command
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("XDG_RUNTIME_DIR", place.path(""))
        .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
        .envs(variables.iter().copied());
    Ended::of(command.output().unwrap())
}

/// No driver of Vulkan, and no GPU of CUDA.
const NO_GPU: [(&str, &str); 3] = [
    ("VK_DRIVER_FILES", "/nowhere.json"),
    ("VK_ICD_FILENAMES", "/nowhere.json"),
    ("CUDA_VISIBLE_DEVICES", ""),
];

fn toy<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    experiment("gmm_convergent", &[&TINY_TOY, arguments])
}

#[cfg(feature = "wgpu")]
mod on_a_software_driver {
    use super::*;

    /// None, with a word about it, where there is no such driver; a failure where `EBM_NEEDS_GPU` says that there is
    /// one.
    fn started(ended: Ended) -> Option<Ended> {
        if ended.stderr.contains("backend cannot start here") {
            assert!(
                std::env::var_os("EBM_NEEDS_GPU").is_none(),
                "{}",
                ended.stderr
            );
            eprintln!(
                "no software driver for Vulkan, nothing is tested: {}",
                ended.stderr
            );
            return None;
        }
        Some(ended.well())
    }

    fn names(place: &Place) -> [String; 2] {
        let info = place.json("gpu/run.json");
        ["backend", "engine"].map(|key| info[key].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_toy_learns_as_on_the_cpu_and_resumes() {
        let place = Place::new();
        let arguments = "--iterations 2 --out gpu --backend wgpu:cpu --engine cube".split(' ');
        let arguments = toy(&arguments.collect::<Vec<_>>());
        if started(run(&place, &arguments, &[])).is_none() {
            return;
        }
        assert_eq!(names(&place), ["wgpu:cpu", "cube"]);
        let arguments = "experiment --resume gpu --iterations 3".split(' ');
        run(&place, &arguments.collect::<Vec<_>>(), &[]).well();
        assert_eq!(names(&place), ["wgpu:cpu", "cube"]);

        let arguments = "--iterations 4 --out cpu --backend flex --engine fused".split(' ');
        run(&place, &toy(&arguments.collect::<Vec<_>>()), &[]).well();
        // The engine of the GPU stays behind.
        let arguments = "experiment --resume gpu --iterations 4 --backend flex".split(' ');
        run(&place, &arguments.collect::<Vec<_>>(), &[]).well();
        assert_eq!(names(&place), ["flex", "fused"]);

        let (gpu, cpu) = (place.metrics("gpu"), place.metrics("cpu"));
        assert_eq!((gpu.len(), cpu.len()), (4, 4));
        for (gpu, cpu) in gpu.iter().zip(&cpu) {
            // F is about 0.2, in single precision, and d a difference of F in units of ε²/2 = 0.008.
            for (key, tolerance) in [
                ("energy_data", 1e-7),
                ("energy_difference", 1e-5),
                ("gradient_magnitude", 1e-8),
            ] {
                let [a, b] = [gpu, cpu].map(|record| record[key].as_f64().unwrap());
                assert!((a - b).abs() < tolerance, "{key}: {gpu} {cpu}");
            }
        }
    }

    /// Numbers are read together, and chains of a small bank walk on before they are back in it.
    #[test]
    fn iterations_that_are_not_waited_for_are_those_of_the_cpu() {
        let place = Place::new();
        let learned = |out: &str, backend: &str| {
            let arguments = format!("--iterations 12 --out {out} --backend {backend}");
            let arguments: Vec<_> = arguments.split(' ').collect();
            let small = [
                "--set",
                "langevin.bank_size=120",
                "--set",
                "landscape.samples=50",
            ];
            run(&place, &toy(&[&small[..], &arguments].concat()), &[])
        };
        if started(learned("gpu", "wgpu:cpu")).is_none() {
            return;
        }
        learned("cpu", "flex").well();
        let (gpu, cpu) = (place.metrics("gpu"), place.metrics("cpu"));
        assert_eq!((gpu.len(), cpu.len()), (12, 12));
        for (gpu, cpu) in gpu.iter().zip(&cpu) {
            assert_eq!(gpu["iteration"], cpu["iteration"]);
            for (key, tolerance) in [
                ("energy_data", 1e-6),
                ("energy_difference", 1e-4),
                ("gradient_magnitude", 1e-7),
            ] {
                let [a, b] = [gpu, cpu].map(|record| record[key].as_f64().unwrap());
                assert!((a - b).abs() < tolerance, "{key}: {gpu} {cpu}");
            }
        }
    }

    /// With the other name of the same devices.
    #[test]
    fn mala_runs_on_tensors() {
        let place = Place::with_toy_run("1");
        let arguments = "evaluate --run run --kernel mala --chains 4 --steps 2 --backend vulkan:cpu --engine cube";
        let arguments: Vec<_> = arguments.split(' ').collect();
        let Some(ended) = started(run(&place, &arguments, &[])) else {
            return;
        };
        let said = ended
            .stderr
            .matches("the cube engine has ULA alone")
            .count();
        assert_eq!(said, 1, "{ended:#?}");
        let settings = place.json("run/evaluation/evaluation.json");
        assert_eq!(settings["backend"], "vulkan:cpu");
        assert_eq!(settings["engine"], "tensor");
    }

    #[test]
    fn a_device_that_is_not_there() {
        let place = Place::new();
        for backend in ["wgpu:77", "wgpu:integrated-77", "vulkan:77"] {
            let ended = run(&place, &toy(&["--backend", backend]), &[]);
            let cannot = format!("the {backend} backend cannot start here: ");
            ended.badly(1, &[&cannot, "device", "--backend flex"]);
        }
        assert!(place.contents().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_driver() {
        let place = Place::new();
        for backend in ["wgpu", "vulkan"] {
            let ended = run(&place, &toy(&["--backend", backend]), &NO_GPU);
            ended.badly(1, &[backend, "no GPU with a Vulkan", "--backend flex"]);
        }
        let ended = run(&place, &toy(&["--backend", "wgpu:cpu"]), &NO_GPU);
        ended.badly(1, &["wgpu:cpu", "no device at all", "--backend flex"]);
        assert!(place.contents().is_empty());
    }
}

/// Also on a machine with such a GPU, as the program sees none.
#[cfg(feature = "cuda")]
#[test]
fn no_gpu_for_cuda() {
    let place = Place::new();
    for backend in ["cuda", "cuda:1"] {
        let ended = run(&place, &toy(&["--backend", backend]), &NO_GPU);
        let cannot = format!("the {backend} backend cannot start here: ");
        ended.badly(1, &[&cannot, "NVIDIA driver", "--backend flex"]);
    }
    assert!(place.contents().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn auto_falls_back_to_the_cpu() {
    let place = Place::new();
    let arguments = "--iterations 1 --out run --backend auto".split(' ');
    let ended = run(&place, &toy(&arguments.collect::<Vec<_>>()), &NO_GPU).well();
    let said = ended
        .stderr
        .matches("--backend auto is flex here (")
        .count();
    assert_eq!(said, 1, "{ended:#?}");
    assert_eq!(place.json("run/run.json")["backend"], "flex");
}
