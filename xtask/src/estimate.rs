//! What an experiment will cost: steps from the config, seconds from a short measurement on this machine.

use std::time::{Duration, Instant};

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{NoiseKey, States, Stream};
use ebm_energy_net::Net;
use ebm_experiment::EngineChoice;
use ebm_langevin::{Batch, BoundEngine, ChainRun, Engine};

use crate::backend::{BackendName, BackendTask, synchronise};
use crate::config::{CostEstimate, ExperimentConfig};
use crate::error::DriverError;
use crate::observers::rounded;

const MEASURE: Duration = Duration::from_millis(1500);

/// Measures the seconds of one Langevin step of the whole batch.
pub(crate) struct MeasureStep<'a> {
    pub(crate) config: &'a ExperimentConfig,
    pub(crate) backend: BackendName,
    pub(crate) engine: EngineChoice,
}

impl BackendTask for MeasureStep<'_> {
    type Output = f64;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<f64, DriverError> {
        let shape = self.config.data.shape();
        let net = self
            .config
            .net
            .init::<B>(shape, self.config.seed, &device)?;
        let net = burn::module::Module::no_grad(net);
        let engine = self.backend.engine(self.engine, &net, shape)?;
        let chains: Box<dyn BoundEngine<B, Net<B>>> = engine.bind(net, shape.into(), &device)?;
        let mut states = Batch::Host(States::zeros(shape, self.config.batch_size));
        let mut take_steps = |first_step, steps| -> Result<(), DriverError> {
            let run = ChainRun {
                kernel: self.config.kernel().into(),
                steps,
                first_step,
                noise: NoiseKey::new(self.config.seed, Stream::Watch, 0),
                final_energies: false,
            };
            let launched = chains.launch(states.clone(), &run)?;
            launched.gradient_magnitude.read()?;
            states = launched.states;
            synchronise::<B::InnerBackend>(&device)
        };
        for step in 0..2 {
            take_steps(step, 1)?;
        }
        // As many steps at once as an iteration takes, if there is time for them, because a run has costs of its own.
        let (mut taken, mut at_once) = (2, 1);
        loop {
            let start = Instant::now();
            take_steps(taken, at_once)?;
            let elapsed = start.elapsed();
            taken += at_once;
            if at_once == self.config.langevin.steps || 2 * elapsed > MEASURE {
                return Ok(elapsed.as_secs_f64() / at_once as f64);
            }
            at_once = (2 * at_once).min(self.config.langevin.steps);
        }
    }
}

/// The estimate in words.
pub(crate) fn describe(config: &ExperimentConfig, seconds_per_step: f64) -> String {
    let learning = CostEstimate::learning(config);
    let watching = CostEstimate::watching(config);
    let per_chain_step = seconds_per_step / config.batch_size as f64;
    let seconds = |chain_steps: u64| chain_steps as f64 * per_chain_step;
    let mut text = format!(
        "Learning: {} iterations × {} Langevin steps × {} chains = {} chain steps\n\
         Measured here: {:.3} ms a step of all chains, {} chain steps/s\n\
         Expected time: {} for the chains of learning",
        config.iterations,
        config.langevin.steps,
        config.batch_size,
        rounded(learning.chain_steps as f64),
        seconds_per_step * 1e3,
        rounded(1.0 / per_chain_step),
        duration(seconds(learning.chain_steps)),
    );
    if watching > 0 {
        text += &format!(
            ", and {} for chains that watch (long runs, density plots, samples that are judged)",
            duration(seconds(watching))
        );
    }
    text
}

/// Seconds for people: 42 s, 5 min, 3.2 h, 12 days.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        for (seconds, text) in [
            (41.7, "42 s"),
            (300.0, "5 min"),
            (11_520.0, "3.2 h"),
            (1e6, "12 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
