//! What is found before the first record: ε for a wanted acceptance rate, lengths of elements, a ladder of temperatures.

use ebm_core::{NoiseKey, States, StepSize, Stream, Temperature};
use ebm_langevin::{
    ChainRun, Chains, FoundStepSize, Ladder, LadderSearch, LangevinError, ScaleAdaptation, Scales,
    StepSizeSearch, Ula,
};

use super::{EvaluationOptions, EvaluationSettings};
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
        let (scales, states) = match self.options.adapt_scales {
            Some(steps) => {
                let (scales, states) = self.find_scales(settings, &states, steps)?;
                (Some(scales), states)
            }
            None => (None, states),
        };
        self.find_step_size(settings, &states, scales.as_ref())?;
        let states = match self.options.rungs {
            1 => states,
            rungs => self.find_ladder(settings, &states, rungs, scales.as_ref())?,
        };
        Ok((scales, states))
    }

    /// The ε at which chains from `states` have the wanted acceptance rate, if one is wanted.
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
        let keys = [1, 2].map(|number| watch(settings, number));
        let found = self
            .search(settings, temperature, states, scales, target, keys)
            .map_err(|error| self.own("target_acceptance", error))?;
        settings.epsilon = found.step_size.get();
        let with = if scales.is_some() {
            " with the lengths of the elements"
        } else {
            ""
        };
        self.supervisor.tell(&format!(
            "ε = {:.3e} accepts {:.1} % of the proposals{with}, from states {} steps of ULA after the start.",
            settings.epsilon,
            100.0 * found.acceptance_rate,
            self.settle,
        ));
        Ok(())
    }

    /// Searches from `states`, after some steps of ULA with the first noise; pilot runs have the second.
    fn search(
        &self,
        settings: &EvaluationSettings,
        temperature: Temperature,
        states: &States,
        scales: Option<&Scales>,
        target: f64,
        [settling, piloting]: [NoiseKey; 2],
    ) -> Result<FoundStepSize, LangevinError> {
        // The drift ε²/2T of a low temperature must not be longer than that of learning.
        let shorter = settings.temperature_factor.min(1.0).sqrt();
        let size = StepSize::new(settings.training_epsilon * shorter)?;
        let kernel = Ula::new(size, temperature);
        let kernel = settings.stabilisers.bounded(kernel);
        let run = ChainRun::new(kernel, self.settle).with_noise(settling);
        let settled = self.net.run(states, &run)?.states;
        let search = StepSizeSearch {
            target,
            ..StepSizeSearch::new(piloting)
        };
        ebm_langevin::find_step_size_for(self.net, &settled, &search, |size| {
            settings.kernel_of_size(size, temperature, scales)
        })
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
        self.supervisor.tell(&format!(
            "A burn-in of {steps} steps finds the lengths of the elements."
        ));
        let target = self.options.target_acceptance;
        let mut window = 0;
        let noise = watch(settings, 3);
        let found = Scales::adapted(self.net, states, noise, adaptation, |scales, states| {
            let Some(target) = target else {
                return settings.kernel_at(temperature, Some(scales));
            };
            // What was short enough for the narrowest element alone would be too short for all with their lengths.
            window += 1;
            let keys = [0, 1].map(|key| watch(settings, 2 * window + 8 + key));
            let found = self.search(settings, temperature, states, Some(scales), target, keys)?;
            settings.kernel_of_size(found.step_size, temperature, Some(scales))
        });
        let (scales, states) = found.map_err(|error| self.own("adapt_scales", error))?;
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
        let (ladder, replicas) = found.map_err(|error| self.own("rungs", error))?;
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

    /// The error of the setting that asked for what was not found, where it is one: a burn-in for lengths searches for ε
    /// too.
    fn own(&self, setting: &'static str, error: LangevinError) -> ExperimentError {
        match (error, self.options.target_acceptance) {
            (
                error @ (LangevinError::StepSizeSearch(_)
                | LangevinError::AcceptanceNotReached { .. }),
                Some(target),
            ) => ExperimentError::setting(
                "target_acceptance",
                format!(
                    "{target}: {error}. Give another rate, more chains, another temperature factor, or the step size itself"
                ),
            ),
            (error @ (LangevinError::Scales(_) | LangevinError::Ladder(_)), _) => {
                ExperimentError::setting(setting, error.to_string())
            }
            (other, _) => other.into(),
        }
    }
}

/// Noise of chains before the first record.
fn watch(settings: &EvaluationSettings, number: u64) -> NoiseKey {
    NoiseKey::new(settings.seed, Stream::Watch, number)
}
