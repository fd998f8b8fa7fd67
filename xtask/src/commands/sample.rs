//! `sample`: chains from noise under a learned energy.

use std::path::{Path, PathBuf};

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_energy_net::{NamedParameter, load_weights, write_tensors};
use ebm_langevin::{ChainRun, Engine, EngineChoice, NoiseStart, Ula};

use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::SampleArguments;
use crate::error::DriverError;
use crate::logging::Screen;
use crate::npy::npy;
use crate::observers::write_grid;
use crate::trained::Trained;

/// 1 GiB of samples.
const MOST_NUMBERS: usize = 1 << 28;

pub(crate) fn run(arguments: &SampleArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let epsilon = match arguments.epsilon {
        Some(epsilon) => StepSize::new(epsilon)
            .map_err(|error| DriverError::Usage(format!("--epsilon: {error}")))?,
        None => trained.langevin.epsilon,
    };
    let out = match (&arguments.out, &arguments.trained.run) {
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
/// The file that `quality` reads.
pub(crate) const TENSORS: &str = "samples.safetensors";

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
