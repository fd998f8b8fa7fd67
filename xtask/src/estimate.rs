//! What an experiment will cost: steps from the config, seconds from a short measurement on this machine.

use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_core::{NoiseKey, Stream};
use ebm_langevin::{ChainRun, Engine, Ula};

use crate::backend::{BackendName, BackendTask};
use crate::config::{CostEstimate, ExperimentConfig};
use crate::error::DriverError;
use crate::observers::rounded;

const MEASURE: Duration = Duration::from_millis(1500);

/// Measures the seconds of one Langevin step of the whole batch.
pub(crate) struct MeasureStep<'a> {
    pub(crate) config: &'a ExperimentConfig,
    pub(crate) backend: BackendName,
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
        let [channels, height, width] = shape;
        let start = Tensor::zeros([self.config.batch_size, channels, height, width], &device);
        let engine = self.backend.engine(shape);
        let mut states = start;
        let mut take_step = |step| -> Result<(), DriverError> {
            let run = ChainRun {
                kernel: Ula::learned(self.config.langevin.epsilon),
                steps: 1,
                first_step: step,
                noise: NoiseKey::new(self.config.seed, Stream::Watch, 0),
            };
            states = Engine::<B, _>::run(&engine, &net, states.clone(), &run)?.states;
            <B::InnerBackend as Backend>::sync(&device)
                .map_err(|error| DriverError::Backend(format!("{error:?}")))
        };
        for step in 0..2 {
            take_step(step)?;
        }
        let start = Instant::now();
        let mut steps = 0;
        while steps == 0 || start.elapsed() < MEASURE {
            take_step(steps + 2)?;
            steps += 1;
        }
        Ok(start.elapsed().as_secs_f64() / steps as f64)
    }
}

/// The estimate in words.
pub(crate) fn describe(config: &ExperimentConfig, seconds_per_step: f64) -> String {
    let learning = CostEstimate::learning(config);
    let watching =
        CostEstimate::long_runs(config).chain_steps + CostEstimate::landscapes(config).chain_steps;
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
            ", and {} for chains that watch (long runs, density plots)",
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
