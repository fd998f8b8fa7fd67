//! What is found before the first record: ε for a wanted acceptance rate, lengths of elements, a ladder of temperatures.

use ebm_core::{NoiseKey, States, Stream};
use ebm_langevin::{
    ChainRun, Chains, FoundStepSize, Ladder, LadderSearch, LangevinError, ScaleAdaptation, Scales,
    StepSizeSearch, Ula,
};

use super::{EvaluationOptions, EvaluationSettings, step_size};
use crate::{ExperimentError, Supervisor};

/// Finds what `options` ask for, writes it into the settings, and tells it.
pub(super) struct Preparation<'a> {
    pub(super) net: &'a dyn Chains,
    pub(super) options: &'a EvaluationOptions,
    /// Steps of ULA before pilot runs: chains that still fall in energy have another acceptance rate.
    pub(super) settle: u64,
    pub(super) supervisor: &'a dyn Supervisor,
}

impl Preparation<'_> {
    /// The lengths of the elements, if there are any, and the states to begin at: one replica for each temperature.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] where no ε has the wanted rate, or no ladder or lengths can be found; those of the engine.
    pub(super) fn run(
        &self,
        settings: &mut EvaluationSettings,
        states: States,
    ) -> Result<(Option<Scales>, States), ExperimentError> {
        if self.options.target_acceptance.is_some() {
            self.find_step_size(settings, &states, None)?;
        }
        let (scales, states) = match self.options.adapt_scales {
            Some(steps) => {
                let (scales, states) = self.find_scales(settings, &states, steps)?;
                // ε that was short enough for the narrowest element alone may be longer now.
                if self.options.target_acceptance.is_some() {
                    self.find_step_size(settings, &states, Some(&scales))?;
                }
                (Some(scales), states)
            }
            None => (None, states),
        };
        let states = match self.options.rungs {
            1 => states,
            rungs => self.find_ladder(settings, &states, rungs, scales.as_ref())?,
        };
        Ok((scales, states))
    }

    fn find_step_size(
        &self,
        settings: &mut EvaluationSettings,
        states: &States,
        scales: Option<&Scales>,
    ) -> Result<(), ExperimentError> {
        let Some(target) = self.options.target_acceptance else {
            return Ok(());
        };
        let temperature = settings.temperature()?;
        // The drift ε²/2T of a low temperature must not be longer than that of learning.
        let shorter = settings.temperature_factor.min(1.0).sqrt();
        let kernel = Ula::new(step_size(settings.training_epsilon * shorter)?, temperature);
        let kernel = settings.stabilisers.bounded(kernel);
        let run = ChainRun::new(kernel, self.settle).with_noise(watch(settings, 1));
        let settled = self.net.run(states, &run)?.states;
        let search = StepSizeSearch {
            target,
            ..StepSizeSearch::new(watch(settings, 2))
        };
        let found = ebm_langevin::find_step_size_of(self.net, &settled, &search, |size| {
            settings.kernel_of_size(size, temperature, scales)
        });
        let FoundStepSize {
            step_size: epsilon,
            acceptance_rate,
            ..
        } = found.map_err(|error| match error {
            LangevinError::StepSizeSearch(_) | LangevinError::AcceptanceNotReached { .. } => {
                ExperimentError::setting(
                    "target_acceptance",
                    format!(
                        "{target}: {error}. Give another rate, more chains, another temperature factor, or the step size itself"
                    ),
                )
            }
            other => other.into(),
        })?;
        settings.epsilon = epsilon.get();
        let with = if scales.is_some() {
            " with the lengths of the elements"
        } else {
            ""
        };
        self.supervisor.tell(&format!(
            "ε = {:.3e} accepts {:.1} % of the proposals{with}, from states {} steps of ULA after the start.",
            epsilon.get(),
            100.0 * acceptance_rate,
            self.settle,
        ));
        Ok(())
    }

    fn find_scales(
        &self,
        settings: &EvaluationSettings,
        states: &States,
        steps: u64,
    ) -> Result<(Scales, States), ExperimentError> {
        let temperature = settings.temperature()?;
        let adaptation = ScaleAdaptation {
            steps,
            ..ScaleAdaptation::default()
        };
        let noise = watch(settings, 3);
        let found = Scales::adapted(self.net, states, noise, adaptation, |scales| {
            settings.kernel_at(temperature, Some(&scales))
        });
        let (scales, states) = found.map_err(|error| own("adapt_scales", error))?;
        let lengths = scales.lengths().iter().copied();
        self.supervisor.tell(&format!(
            "Lengths of elements after {steps} steps: {:.2} to {:.2} of their geometric mean.",
            lengths.clone().fold(f64::INFINITY, f64::min),
            lengths.fold(0.0, f64::max),
        ));
        Ok((scales, states))
    }

    fn find_ladder(
        &self,
        settings: &mut EvaluationSettings,
        states: &States,
        rungs: usize,
        scales: Option<&Scales>,
    ) -> Result<States, ExperimentError> {
        let coldest = settings.temperature()?;
        let search = LadderSearch {
            swap_rate: self.options.swap_rate,
            swap_every: self.options.swap_every,
            ..LadderSearch::new(rungs, watch(settings, 4))
        };
        let found = Ladder::tuned(self.net, states, coldest, &search, |temperature| {
            settings.kernel_at(temperature, scales)
        });
        let (ladder, replicas) = found.map_err(|error| own("rungs", error))?;
        let factors = ladder
            .temperatures()
            .iter()
            .map(|t| t.get() / coldest.get());
        settings.ladder = factors.collect();
        let factors: Vec<_> = settings.ladder.iter().map(|f| format!("{f:.3}")).collect();
        self.supervisor.tell(&format!(
            "Temperatures of the ladder: {} times the coldest.",
            factors.join(", ")
        ));
        Ok(replicas)
    }
}

/// Noise of chains before the first record.
fn watch(settings: &EvaluationSettings, number: u64) -> NoiseKey {
    NoiseKey::new(settings.seed, Stream::Watch, number)
}

/// The error of a setting, where it is one.
fn own(setting: &'static str, error: LangevinError) -> ExperimentError {
    match error {
        LangevinError::Scales(_) | LangevinError::Ladder(_) => {
            ExperimentError::setting(setting, error.to_string())
        }
        other => other.into(),
    }
}
