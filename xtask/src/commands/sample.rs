//! `sample`: chains from noise under a learned energy.

use std::path::{Path, PathBuf};

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_energy_net::{NamedParameter, write_tensors};
use ebm_experiment::EngineChoice;
use ebm_langevin::{ChainRun, NoiseStart, Ula};

use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::SampleArguments;
use crate::error::DriverError;
use crate::logging::Screen;
use crate::npy::npy;
use crate::observers::write_grid;
use crate::trained::Trained;
use crate::trained_chains::{MOST_NUMBERS, TrainedChains, Walked};

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
    walked: Walked,
    steps: u64,
}

impl BackendTask for SampleJob<'_> {
    type Output = Samples;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Samples, DriverError> {
        let shape = self.trained.state_shape;
        let start = self.start.draw(
            self.trained.langevin.start_factor,
            NoiseKey::new(self.seed, Stream::WatchStart, 0),
            self.count,
            shape,
        )?;
        let run = ChainRun {
            kernel: self.kernel.into(),
            steps: self.steps,
            first_step: 0,
            noise: NoiseKey::new(self.seed, Stream::Watch, 0),
            final_energies: true,
        };
        let engine = (self.backend, self.engine);
        let Trained { net, weights, .. } = self.trained;
        let walked = TrainedChains::<B>::new(net, shape, weights, engine, device, None)?
            .run(start.into_values(), &run)?;
        Ok(Samples {
            walked,
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
        if !self.walked.states.iter().all(|value| value.is_finite()) {
            return Err(DriverError::RunawayChains);
        }
        std::fs::create_dir_all(out).map_err(|error| DriverError::io(out, error))?;
        let [channels, height, width] = shape;
        let full_shape = [self.walked.energies.len(), channels, height, width];
        // Points of the plane have no picture.
        if height > 1 {
            write_grid(&self.walked.states, shape, &out.join(GRID))?;
        }
        let array = out.join(ARRAY);
        ebm_core::write_atomically(&array, &npy(&self.walked.states, &full_shape))
            .map_err(|error| DriverError::io(&array, error))?;
        let tensors = [
            NamedParameter {
                name: "states".into(),
                shape: full_shape.to_vec(),
                values: self.walked.states.clone(),
            },
            NamedParameter {
                name: "energies".into(),
                shape: vec![self.walked.energies.len()],
                values: self.walked.energies.iter().map(|f| *f as f32).collect(),
            },
        ];
        Ok(write_tensors(
            &tensors,
            &out.join(TENSORS),
            Default::default(),
        )?)
    }

    fn tell(&self, out: &Path, screen: &Screen) {
        let sum: f64 = self.walked.energies.iter().sum();
        let mean = sum / self.walked.energies.len().max(1) as f64;
        screen.tell(&format!(
            "{} chains of {} steps: mean F {mean:.4}, r {:.4}\nSamples: {}",
            self.walked.energies.len(),
            self.steps,
            self.walked.gradient_magnitude,
            out.display()
        ));
    }
}
