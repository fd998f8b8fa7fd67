//! The settings of an evaluation.

use ebm_core::{NoiseKey, StepSize, Stream, Temperature};
use ebm_energy_net::NetConfig;
use ebm_langevin::{
    AnyKernel, KernelName, Ladder, LangevinError, Momentum, Preconditioned, Sampler, Scales,
    Tempering, Ula,
};
use ebm_trainer::Stabilisers;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::compute::MOST_NUMBERS;

/// The largest number of steps that a stop may lose.
pub(super) const PIECE: u64 = 100;

/// Everything that determines an evaluation, besides the weights and the initial states, which are files in the same
/// folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Where the weights came from.
    pub weights: String,
    /// The net.
    pub net: NetConfig,
    /// `[channels, height, width]` of a state.
    pub state_shape: [usize; 3],
    /// ε of the training.
    pub training_epsilon: f64,
    /// T = temperature_factor · ε²/2 with ε of the training.
    pub temperature_factor: f64,
    /// The kernel.
    pub kernel: KernelName,
    /// What only kernels with momenta have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub momentum: Momentum,
    /// Whether the steps of ULA and MALA have a length for each element, which a file in the same folder holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scaled: bool,
    /// T of each rung of parallel tempering as a multiple of the coldest, which is 1; none without tempering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ladder: Vec<f64>,
    /// Steps between two exchanges of parallel tempering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_every: Option<u64>,
    /// The stabilisers of the training; their bounds apply to the steps of ULA.
    #[serde(default, skip_serializing_if = "Stabilisers::is_plain")]
    pub stabilisers: Stabilisers,
    /// ε of the chains.
    pub epsilon: f64,
    /// Where the chains started, in words.
    pub start: String,
    /// How many chains.
    pub chains: usize,
    /// Langevin steps of each.
    pub steps: u64,
    /// Steps between two records.
    pub record_every: u64,
    /// Seed of the chains.
    pub seed: u64,
    /// The backend.
    pub backend: String,
    /// The engine.
    pub engine: String,
    /// Version of this program.
    pub version: String,
    /// The command line that started it.
    pub command: String,
}

fn is_default(momentum: &Momentum) -> bool {
    *momentum == Momentum::default()
}

impl EvaluationSettings {
    /// T in units of F: the chains sample exp(−F/T).
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for a factor that gives no temperature.
    pub fn temperature(&self) -> Result<Temperature, ExperimentError> {
        temperature(self.training_epsilon, self.temperature_factor)
    }

    /// The kernel with its ε and T, its lengths of elements where they are given, and its ladder of temperatures.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for an ε that is no step size, and as [`Self::temperature`].
    pub fn kernel(&self, scales: Option<&Scales>) -> Result<AnyKernel, ExperimentError> {
        step_size(self.epsilon)?;
        let coldest = self.temperature()?;
        let kernel = match self.ladder.as_slice() {
            [] => self.kernel_at(coldest, scales),
            factors => {
                let temperatures = factors
                    .iter()
                    .map(|factor| Ok(Temperature::new(factor * coldest.get())?));
                temperatures
                    .collect::<Result<_, _>>()
                    .and_then(Ladder::new)
                    .and_then(|ladder| self.tempering(&ladder, scales))
                    .map(AnyKernel::from)
            }
        };
        kernel.map_err(|error| {
            let setting = match error {
                LangevinError::Friction(_) => "friction",
                LangevinError::Leapfrogs => "leapfrogs",
                LangevinError::Ladder(_) => "rungs",
                _ => "epsilon",
            };
            ExperimentError::setting(setting, error.to_string())
        })
    }

    /// Parallel tempering on a ladder.
    pub(super) fn tempering(
        &self,
        ladder: &Ladder,
        scales: Option<&Scales>,
    ) -> Result<Tempering, LangevinError> {
        let swap_every = self.swap_every.unwrap_or(0);
        Tempering::new(ladder, swap_every, |temperature| {
            self.kernel_at(temperature, scales)
        })
    }

    /// The kernel at a temperature of the ladder; ε is in proportion to √T, so that the drift is the same.
    pub(super) fn kernel_at(
        &self,
        temperature: Temperature,
        scales: Option<&Scales>,
    ) -> Result<AnyKernel, LangevinError> {
        let coldest = StepSize::new(self.training_epsilon)?.learned_temperature();
        let hotter = temperature.get() / (self.temperature_factor * coldest.get());
        let size = StepSize::new(self.epsilon * hotter.sqrt())?;
        self.kernel_of_size(size, temperature, scales)
    }

    /// The kernel at a temperature with steps of a size.
    pub(super) fn kernel_of_size(
        &self,
        size: StepSize,
        temperature: Temperature,
        scales: Option<&Scales>,
    ) -> Result<AnyKernel, LangevinError> {
        let scales = scales.cloned();
        Ok(match (self.kernel, scales) {
            (KernelName::Ula, Some(scales)) => {
                Preconditioned::ula(size, temperature, scales)?.into()
            }
            (KernelName::Mala, Some(scales)) => {
                Preconditioned::mala(size, temperature, scales)?.into()
            }
            (KernelName::Ula, None) => self.stabilisers.bounded(Ula::new(size, temperature)).into(),
            (name, _) => name.kernel(size, temperature, self.momentum)?,
        })
    }

    /// How many temperatures.
    #[must_use]
    pub fn rungs(&self) -> usize {
        self.ladder.len().max(1)
    }

    /// Gradients of F that a step of so many chains asks for, over all temperatures.
    pub(super) fn gradients_per_step(&self, chains: usize) -> u64 {
        let each = self.kernel.gradients_per_step(self.momentum);
        each * (chains * self.rungs()) as u64
    }

    /// The sampler: it makes a record at each multiple of the interval, at each milestone and at the end.
    pub(super) fn sampler(&self, scales: Option<&Scales>) -> Result<Sampler, ExperimentError> {
        Ok(Sampler::new(self.kernel(scales)?)
            .with_steps(self.steps)
            .with_noise(NoiseKey::new(self.seed, Stream::Watch, 0))
            .with_record_every(self.record_every)
            .with_records_at(self.milestones())
            .with_piece(PIECE))
    }

    /// The last record up to `step`; 0 is the start.
    pub(crate) fn last_record(&self, step: u64) -> u64 {
        let every = self.record_every.max(1);
        let milestones = self.milestones().into_iter();
        let milestone = milestones.filter(|at| *at <= step).max().unwrap_or(0);
        milestone.max(step / every * every)
    }

    /// The steps at which pictures are taken: the start, 1 % and 10 % of all steps, and the end.
    pub(crate) fn milestones(&self) -> Vec<u64> {
        let mut milestones = vec![
            0,
            self.steps.div_ceil(100),
            self.steps.div_ceil(10),
            self.steps,
        ];
        milestones.dedup();
        milestones
    }

    /// Refuses settings that no evaluation has, such as those of a damaged file.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let rungs = self.rungs();
        let numbers = self
            .state_shape
            .iter()
            .chain([&rungs])
            .try_fold(self.chains, |product, side| product.checked_mul(*side));
        if !numbers.is_some_and(|numbers| (1..=MOST_NUMBERS).contains(&numbers)) {
            return Err(format!(
                "{} chains of {:?} are not from 1 to {MOST_NUMBERS} numbers",
                self.chains, self.state_shape
            ));
        }
        if self.ladder.first().is_some_and(|factor| *factor != 1.0) {
            return Err("the first of the ladder's temperatures is not 1".into());
        }
        match self.kernel(None) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// T = factor · ε²/2.
pub(crate) fn temperature(
    training_epsilon: f64,
    factor: f64,
) -> Result<Temperature, ExperimentError> {
    let learned = step_size(training_epsilon)?.learned_temperature().get();
    Temperature::new(factor * learned)
        .map_err(|error| ExperimentError::setting("temperature_factor", format!("{error}")))
}

/// ε as a setting.
pub(crate) fn step_size(epsilon: f64) -> Result<StepSize, ExperimentError> {
    StepSize::new(epsilon).map_err(|error| ExperimentError::setting("epsilon", format!("{error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use ebm_energy_net::Architecture;
    use proptest::prelude::*;

    pub(crate) fn settings(steps: u64, record_every: u64) -> EvaluationSettings {
        EvaluationSettings {
            weights: "w".into(),
            net: NetConfig::published(Architecture::Toy),
            state_shape: [2, 1, 1],
            training_epsilon: 0.1,
            temperature_factor: 1.0,
            kernel: KernelName::Ula,
            momentum: Momentum::default(),
            scaled: false,
            ladder: Vec::new(),
            swap_every: None,
            stabilisers: Stabilisers::default(),
            epsilon: 0.1,
            start: "noise".into(),
            chains: 2,
            steps,
            record_every,
            seed: 1,
            backend: "flex".into(),
            engine: "fused".into(),
            version: "0".into(),
            command: "c".into(),
        }
    }

    fn records(settings: &EvaluationSettings) -> Vec<u64> {
        let sampler = settings.sampler(None).unwrap();
        std::iter::successors(sampler.next_record(0), |step| sampler.next_record(*step)).collect()
    }

    #[test]
    fn records_come_at_multiples_milestones_and_at_the_end() {
        assert_eq!(records(&settings(10, 4)), [1, 4, 8, 10]);
        assert_eq!(records(&settings(1, 1)), [1]);
        // There are records at 1 % and 10 % even if the interval is longer.
        assert_eq!(records(&settings(1_000, 1_000)), [10, 100, 1_000]);
        assert_eq!(settings(250, 7).milestones(), [0, 3, 25, 250]);
    }

    #[test]
    fn damaged_settings_are_refused() {
        settings(1, 1).check().unwrap();
        for damage in [
            |s: &mut EvaluationSettings| s.chains = usize::MAX,
            |s: &mut EvaluationSettings| s.chains = 0,
            |s: &mut EvaluationSettings| s.state_shape = [1 << 40, 1 << 40, 1],
            |s: &mut EvaluationSettings| s.epsilon = -1.0,
            |s: &mut EvaluationSettings| s.temperature_factor = 0.0,
            |s: &mut EvaluationSettings| s.ladder = vec![1.0, 2.0],
            |s: &mut EvaluationSettings| (s.ladder, s.swap_every) = (vec![1.0, 0.5], Some(10)),
        ] {
            let mut damaged = settings(1, 1);
            damage(&mut damaged);
            damaged.check().unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn records_rise_to_the_end_and_are_found_again(steps in 1u64..5_000, every in 1u64..400) {
            let settings = settings(steps, every);
            let records = records(&settings);
            prop_assert_eq!(records.last(), Some(&steps));
            prop_assert!(records.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= every));
            for milestone in &settings.milestones()[1..] {
                prop_assert!(records.contains(milestone));
            }
            for step in 0..=steps {
                let last = records.iter().rev().find(|record| **record <= step);
                prop_assert_eq!(settings.last_record(step), last.copied().unwrap_or(0));
            }
        }
    }
}
