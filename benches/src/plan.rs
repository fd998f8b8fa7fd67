//! Which cases are measured, and why others are not.

use ebm_energy_net::Architecture;
use ebm_experiment::EngineChoice;

use crate::record::CaseRecord;
use crate::{
    Backends, BenchError, BenchSettings, Case, LeftOut, MeasuredBackend, Precision, Skipped,
    Watcher,
};

/// Every engine, in the order of the tables. There is no `auto`: a figure belongs to an engine with a name.
pub const ENGINES: &[EngineChoice] = &[
    EngineChoice::Fused,
    EngineChoice::FusedBf16,
    EngineChoice::Cube,
    EngineChoice::CubeTf32,
    EngineChoice::CubeBf16,
    EngineChoice::Tensor,
];

/// Something to measure.
#[derive(Clone, Copy)]
pub(crate) struct Planned<'a> {
    pub(crate) engine: EngineChoice,
    pub(crate) backend: &'a MeasuredBackend,
    pub(crate) case: Case,
    pub(crate) batch: usize,
}

impl Planned<'_> {
    /// The name in tables.
    pub(crate) fn engine_name(&self) -> String {
        format!("{}-{}", self.engine, self.backend.name())
    }

    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}", self.engine_name(), self.case.net(), self.batch)
    }

    /// What is left of the factors of the engine's products. For `tensor` on a GPU burn decides, which may take TF32.
    fn precision(&self) -> &'static str {
        match self.engine {
            EngineChoice::Tensor if self.backend.backend.is_gpu() => "as burn has it",
            EngineChoice::CubeTf32 => Precision::Tf32.name(),
            EngineChoice::CubeBf16 | EngineChoice::FusedBf16 => Precision::Bf16.name(),
            _ => Precision::F32.name(),
        }
    }

    /// The record before anything is measured.
    pub(crate) fn record(&self) -> CaseRecord {
        CaseRecord {
            engine: self.engine_name(),
            precision: self.precision().to_owned(),
            device: self.backend.device().to_owned(),
            net: self.case.net().to_owned(),
            batch: self.batch,
            ms_per_step: f64::NAN,
            chain_steps_per_s: f64::NAN,
            gflops: f64::NAN,
            share_of_matrix_product: None,
            working_set: None,
            difference: None,
            endurance: None,
            rounds_ms: Vec::new(),
        }
    }
}

/// All cases, net by net, and what is left out.
pub(crate) struct Plan<'a> {
    pub(crate) cases: Vec<Planned<'a>>,
    pub(crate) skipped: Vec<Skipped>,
    settings: &'a BenchSettings,
    backends: &'a Backends,
    watcher: &'a dyn Watcher,
}

impl<'a> Plan<'a> {
    /// The cases that were asked for and that the backends can measure.
    ///
    /// # Errors
    /// [`BenchError::Nothing`] when there is none.
    pub(crate) fn new(
        settings: &'a BenchSettings,
        backends: &'a Backends,
        watcher: &'a dyn Watcher,
    ) -> Result<Self, BenchError> {
        let mut plan = Self {
            cases: Vec::new(),
            skipped: backends.skipped.clone(),
            settings,
            backends,
            watcher,
        };
        let mut engines = or_all(&settings.engines, ENGINES);
        engines.retain(|&engine| engine != EngineChoice::Auto);
        for architecture in or_all(&settings.nets, &Architecture::ALL) {
            let case = Case::published(architecture);
            for backend in &backends.measured {
                for batch in or_all(&settings.batches, case.batches(backend.backend.is_gpu())) {
                    for &engine in &engines {
                        plan.add(Planned {
                            engine,
                            backend,
                            case,
                            batch,
                        });
                    }
                }
            }
        }
        if plan.cases.is_empty() {
            let reasons: Vec<_> = plan.skipped.iter().map(|left| &*left.reason).collect();
            return Err(BenchError::Nothing(reasons.join("; ")));
        }
        Ok(plan)
    }

    fn add(&mut self, planned: Planned<'a>) {
        let Self {
            settings, backends, ..
        } = self;
        let Planned {
            engine,
            backend,
            case,
            ..
        } = planned;
        let is_gpu = backend.backend.is_gpu();
        let is_toy = case.config.architecture == Architecture::Toy;
        let is_fused = matches!(engine, EngineChoice::Fused | EngineChoice::FusedBf16);
        let mut on_cpu = backends
            .measured
            .iter()
            .filter(|other| !other.backend.is_gpu());
        if is_fused
            && on_cpu
                .next()
                .is_some_and(|first| first.name() != backend.name())
        {
            // Not a gap: the fused engine computes without a backend, and one figure is all there is.
            return;
        }
        let is_asked_for = backends.are_named && !settings.nets.is_empty();
        let net = || format!("{}/{}", planned.engine_name(), case.net());
        let is_rounded = matches!(engine, EngineChoice::CubeTf32 | EngineChoice::CubeBf16);
        if is_rounded && is_toy {
            if !settings.nets.is_empty() {
                self.skip(net(), LeftOut::RoundedToy);
            }
        } else if is_fused && is_gpu {
            self.skip(planned.engine_name(), LeftOut::FusedOnGpu);
        } else if !engine.runs_on(is_gpu) {
            if !settings.engines.is_empty() {
                self.skip(planned.engine_name(), LeftOut::CubeOnCpu);
            }
        } else if backend.is_slow && !is_fused && !is_toy && !is_asked_for {
            self.skip(net(), LeftOut::Slow);
        } else {
            self.cases.push(planned);
        }
    }

    fn skip(&mut self, what: String, left_out: LeftOut) {
        let reason = match self.watcher.advice(left_out) {
            Some(advice) => format!("{left_out}; {advice}"),
            None => left_out.to_string(),
        };
        Skipped::note(&mut self.skipped, what, reason);
    }
}

/// What was asked for, each thing once, or else all.
fn or_all<T: Copy + PartialEq>(asked: &[T], all: &[T]) -> Vec<T> {
    let from = if asked.is_empty() { all } else { asked };
    let mut found = Vec::new();
    for &item in from {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

#[cfg(test)]
mod tests;
