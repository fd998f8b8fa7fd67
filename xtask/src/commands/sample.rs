//! `sample`: chains from noise under a learned energy.

use std::path::{Path, PathBuf};

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_energy_net::{NamedParameter, NetConfig, load_weights, read_metadata, write_tensors};
use ebm_langevin::{ChainRun, Engine, EngineChoice, NoiseStart, Ula};
use ebm_trainer::{LangevinConfig, Stabilisers, latest_checkpoint};

use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::SampleArguments;
use crate::config::{ExperimentConfig, Source};
use crate::error::DriverError;
use crate::logging::Screen;
use crate::observers::write_grid;
use crate::run_folder::RunFolder;

/// A net and how it was trained.
struct Trained {
    weights: PathBuf,
    net: NetConfig,
    state_shape: [usize; 3],
    langevin: LangevinConfig,
    stabilisers: Stabilisers,
}

impl Trained {
    /// Steps of size ε on the energy that was learned, with the bounds that learning had.
    fn kernel(&self, epsilon: StepSize) -> Ula {
        let temperature = self.langevin.epsilon.learned_temperature();
        self.stabilisers.bounded(Ula::new(epsilon, temperature))
    }
}

/// 1 GiB of samples.
const MOST_NUMBERS: usize = 1 << 28;

pub(crate) fn run(arguments: &SampleArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = find(arguments)?;
    let epsilon = match arguments.epsilon {
        Some(epsilon) => StepSize::new(epsilon)
            .map_err(|error| DriverError::Usage(format!("--epsilon: {error}")))?,
        None => trained.langevin.epsilon,
    };
    let out = match (&arguments.out, &arguments.run) {
        (Some(out), _) => out.clone(),
        (None, Some(run)) => run.join("samples"),
        (None, None) => PathBuf::from("samples"),
    };
    for name in [GRID, ARRAY, TENSORS] {
        if out.join(name).exists() {
            return Err(DriverError::Usage(format!(
                "{} already holds samples; choose another folder with --out",
                out.display()
            )));
        }
    }
    let (backend, engine) = arguments.backend.resolve(None)?;
    let numbers = arguments.count as usize * trained.state_shape.iter().product::<usize>();
    if numbers > MOST_NUMBERS {
        return Err(DriverError::Usage(format!(
            "--count {} makes {numbers} numbers, more than {MOST_NUMBERS} at once; draw fewer and change --seed for more",
            arguments.count
        )));
    }
    let job = SampleJob {
        steps: arguments.steps.unwrap_or(trained.langevin.steps),
        start: arguments
            .start
            .map(NoiseStart::from)
            .or(trained.langevin.start.noise())
            .unwrap_or(NoiseStart::Uniform),
        count: arguments.count as usize,
        seed: arguments.seed,
        kernel: trained.kernel(epsilon),
        backend,
        engine,
        trained: &trained,
    };
    let samples = dispatch(backend, job)?;
    samples.write(&out, trained.state_shape)?;
    samples.tell(&out, screen);
    Ok(())
}

/// The weights and the settings they belong to, from a run folder or a file.
fn find(arguments: &SampleArguments) -> Result<Trained, DriverError> {
    if let Some(run) = &arguments.run {
        let folder = RunFolder::open(run)?;
        let (config, _) = ExperimentConfig::load(&Source::File(folder.config()), &[])?;
        let weights = if folder.weights().is_file() {
            folder.weights()
        } else {
            latest_checkpoint(&folder.checkpoints())?.join("weights.safetensors")
        };
        return Ok(of_config(weights, &config));
    }
    let Some(weights) = &arguments.weights else {
        return Err(DriverError::Usage(
            "say what to sample from: --run DIR or --weights FILE".into(),
        ));
    };
    let source = match (&arguments.experiment, &arguments.config) {
        (Some(name), _) => Some(Source::Named(name.clone())),
        (None, Some(file)) => Some(Source::File(file.clone())),
        (None, None) => None,
    };
    if let Some(source) = source {
        let (config, _) = ExperimentConfig::load(&source, &[])?;
        return Ok(of_config(weights.clone(), &config));
    }
    let metadata = read_metadata(weights)?;
    let entry = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
    let parsed = (
        serde_json::from_str(entry("ebm.net")),
        serde_json::from_str(entry("ebm.state_shape")),
        serde_json::from_str(entry("ebm.langevin")),
    );
    let (Ok(net), Ok(state_shape), Ok(langevin)) = parsed else {
        return Err(DriverError::Usage(format!(
            "{} does not say which net it belongs to; name it with --experiment NAME or --config FILE",
            weights.display()
        )));
    };
    // Written where there are any.
    let stabilisers = serde_json::from_str(entry("ebm.stabilisers")).unwrap_or_default();
    Ok(Trained {
        stabilisers,
        weights: weights.clone(),
        net,
        state_shape,
        langevin,
    })
}

fn of_config(weights: PathBuf, config: &ExperimentConfig) -> Trained {
    Trained {
        weights,
        net: config.net,
        state_shape: config.data.shape(),
        langevin: config.langevin,
        stabilisers: config.stabilisers,
    }
}

struct SampleJob<'a> {
    trained: &'a Trained,
    kernel: Ula,
    steps: u64,
    start: NoiseStart,
    count: usize,
    seed: u64,
    backend: BackendName,
    engine: EngineChoice,
}

/// Final states and their energies.
struct Samples {
    states: Vec<f32>,
    energies: Vec<f32>,
    gradient_magnitude: f64,
    steps: u64,
}

impl BackendTask for SampleJob<'_> {
    type Output = Samples;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Samples, DriverError> {
        let shape = self.trained.state_shape;
        let net = self.trained.net.init::<B>(shape, 0, &device)?;
        let net = burn::module::Module::no_grad(load_weights(net, &self.trained.weights)?);
        let [channels, height, width] = shape;
        let start = self.start.draw(
            self.trained.langevin.start_factor,
            NoiseKey::new(self.seed, Stream::WatchStart, 0),
            self.count,
            channels * height * width,
        )?;
        let data = TensorData::new(start, [self.count, channels, height, width]);
        let run = ChainRun {
            kernel: self.kernel.into(),
            steps: self.steps,
            first_step: 0,
            noise: NoiseKey::new(self.seed, Stream::Watch, 0),
            final_energies: true,
        };
        let initial = Tensor::from_data(data, &device);
        let engine = self.backend.engine(self.engine, &net, shape)?;
        let outcome = Engine::<B, _>::run(&engine, &net, initial, &run)?;
        Ok(Samples {
            states: outcome.states.into_data().iter::<f32>().collect(),
            energies: outcome.energies.unwrap_or_default(),
            gradient_magnitude: outcome.gradient_magnitude,
            steps: self.steps,
        })
    }
}

const GRID: &str = "samples.png";
const ARRAY: &str = "samples.npy";
const TENSORS: &str = "samples.safetensors";

impl Samples {
    fn write(&self, out: &Path, shape: [usize; 3]) -> Result<(), DriverError> {
        if !self.states.iter().all(|value| value.is_finite()) {
            return Err(DriverError::RunawayChains);
        }
        std::fs::create_dir_all(out).map_err(|error| DriverError::io(out, error))?;
        let [channels, height, width] = shape;
        let full_shape = [self.energies.len(), channels, height, width];
        // Points of the plane have no picture.
        if height > 1 {
            write_grid(&self.states, shape, &out.join(GRID))?;
        }
        let array = out.join(ARRAY);
        ebm_core::write_atomically(&array, &npy(&self.states, &full_shape))
            .map_err(|error| DriverError::io(&array, error))?;
        let tensors = [
            NamedParameter {
                name: "states".into(),
                shape: full_shape.to_vec(),
                values: self.states.clone(),
            },
            NamedParameter {
                name: "energies".into(),
                shape: vec![self.energies.len()],
                values: self.energies.clone(),
            },
        ];
        Ok(write_tensors(
            &tensors,
            &out.join(TENSORS),
            Default::default(),
        )?)
    }

    fn tell(&self, out: &Path, screen: &Screen) {
        let sum: f64 = self.energies.iter().map(|&energy| f64::from(energy)).sum();
        let mean = sum / self.energies.len().max(1) as f64;
        screen.tell(&format!(
            "{} chains of {} steps: mean F {mean:.4}, r {:.4}\nSamples: {}",
            self.energies.len(),
            self.steps,
            self.gradient_magnitude,
            out.display()
        ));
    }
}

/// A little-endian f32 array in NumPy's format, version 1.0 (NEP 1): magic, header length, header padded to 64, values.
fn npy(values: &[f32], shape: &[usize]) -> Vec<u8> {
    let shape: Vec<_> = shape.iter().map(ToString::to_string).collect();
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}",
        shape.join(", ")
    );
    let prefix = 10;
    while (prefix + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::npy;

    #[test]
    fn an_npy_file_is_magic_aligned_header_and_values() {
        let file = npy(&[1.0, -2.5], &[2, 1]);
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let length = usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = String::from_utf8_lossy(&file[10..10 + length]);
        assert!(header.contains("'shape': (2, 1,)") && header.ends_with('\n'));
        assert_eq!(
            &file[10 + length..],
            [1.0f32.to_le_bytes(), (-2.5f32).to_le_bytes()].as_flattened()
        );
    }
}
