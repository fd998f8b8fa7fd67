//! Which cases are measured, and why others are not.

use ebm_benches::Case;
use serde::Serialize;

use super::arguments::{BenchArguments, MeasuredEngine, MeasuredNet};
use crate::backend::{BackendName, has_hardware, start};
use crate::error::DriverError;

/// Something to measure.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) engine: MeasuredEngine,
    pub(crate) backend: BackendName,
    pub(crate) case: Case,
    pub(crate) batch: usize,
}

impl Planned {
    /// The name in tables.
    pub(crate) fn engine_name(&self) -> String {
        format!("{}-{}", self.engine.as_str(), self.backend)
    }

    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}", self.engine_name(), self.case.net, self.batch)
    }

    /// The device: the CPU, or the backend that names it.
    pub(crate) fn device(&self) -> String {
        match self.backend {
            BackendName::Flex | BackendName::Ndarray => "cpu".to_owned(),
            gpu => gpu.to_string(),
        }
    }
}

/// Something that is not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Skipped {
    /// What.
    pub(crate) what: String,
    /// Why.
    pub(crate) reason: String,
}

impl Skipped {
    /// Puts it on a list, once.
    pub(crate) fn note(list: &mut Vec<Self>, what: String, reason: String) {
        let left = Self { what, reason };
        if !list.contains(&left) {
            list.push(left);
        }
    }
}

/// All cases, net by net, and what is left out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) cases: Vec<Planned>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Plan {
    /// The cases that were asked for and that this build and machine can measure.
    pub(crate) fn new(arguments: &BenchArguments) -> Result<Self, DriverError> {
        let mut skipped = Vec::new();
        let mut backends = Vec::new();
        let mut failure = None;
        let asked: Vec<_> = arguments
            .backend
            .iter()
            .map(|name| name.resolve())
            .collect();
        for backend in or_all(&asked, &BackendName::ALL) {
            // What computes on the CPU is no GPU, unless it is asked for.
            let is_software = || asked.is_empty() && !has_hardware(backend);
            match start(backend) {
                Ok(()) if is_software() => skipped.push(Skipped {
                    what: backend.to_string(),
                    reason: "finds a software driver only; --backend measures it all the same"
                        .to_owned(),
                }),
                Ok(()) => backends.push(backend),
                Err(error) => {
                    skipped.push(Skipped {
                        what: backend.to_string(),
                        reason: error.to_string(),
                    });
                    failure.get_or_insert(error);
                }
            }
        }
        // Nothing at all is no result; the first reason is the message.
        if let Some(error) = failure.filter(|_| backends.is_empty()) {
            return Err(error);
        }
        let mut plan = Self {
            cases: Vec::new(),
            skipped,
        };
        let engines = or_all(
            &arguments.engine,
            &[
                MeasuredEngine::Fused,
                MeasuredEngine::Cube,
                MeasuredEngine::CubeTf32,
                MeasuredEngine::CubeBf16,
                MeasuredEngine::Tensor,
            ],
        );
        let nets = or_all(
            &arguments.net,
            &[
                MeasuredNet::Toy,
                MeasuredNet::Vanilla,
                MeasuredNet::Nonlocal,
            ],
        );
        for net in nets {
            let asked: Vec<_> = arguments.batch.iter().map(|&n| n as usize).collect();
            for &backend in &backends {
                for batch in or_all(&asked, net.batches(backend.is_gpu())) {
                    for &engine in &engines {
                        plan.add(arguments, &backends, net, batch, backend, engine);
                    }
                }
            }
        }
        if plan.cases.is_empty() {
            let reasons: Vec<_> = plan
                .skipped
                .iter()
                .map(|left| left.reason.as_str())
                .collect();
            return Err(DriverError::Usage(format!(
                "nothing is left to measure: {}",
                reasons.join("; ")
            )));
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        arguments: &BenchArguments,
        backends: &[BackendName],
        net: MeasuredNet,
        batch: usize,
        backend: BackendName,
        engine: MeasuredEngine,
    ) {
        let planned = Planned {
            engine,
            backend,
            case: net.case(),
            batch,
        };
        let is_fused = engine == MeasuredEngine::Fused;
        if is_fused && backend != BackendName::Flex && backends.contains(&BackendName::Flex) {
            // Not a gap: the fused engine computes without a backend, and one figure is all there is.
            return;
        }
        if is_fused && backend.is_gpu() {
            self.skip(
                planned.engine_name(),
                "the fused engine runs on the CPU; add --backend flex",
            );
            return;
        }
        let is_rounded = matches!(engine, MeasuredEngine::CubeTf32 | MeasuredEngine::CubeBf16);
        let is_cube = is_rounded || engine == MeasuredEngine::Cube;
        if is_rounded && net == MeasuredNet::Toy {
            if !arguments.net.is_empty() {
                self.skip(
                    format!("{}/{}", planned.engine_name(), planned.case.net),
                    "whole chains of a small dense net have f32 products only",
                );
            }
            return;
        }
        if is_cube && !backend.is_gpu() {
            if !arguments.engine.is_empty() {
                self.skip(
                    planned.engine_name(),
                    "the cube engine runs on a GPU; add --backend cuda or --backend wgpu",
                );
            }
            return;
        }
        let is_slow = backend == BackendName::Ndarray && !is_fused && net != MeasuredNet::Toy;
        let is_asked_for = !arguments.backend.is_empty() && !arguments.net.is_empty();
        if is_slow && !is_asked_for {
            self.skip(
                format!("{}/{}", planned.engine_name(), planned.case.net),
                "takes seconds a step; --backend ndarray with --net measures it all the same",
            );
            return;
        }
        self.cases.push(planned);
    }

    fn skip(&mut self, what: String, reason: &str) {
        Skipped::note(&mut self.skipped, what, reason.to_owned());
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
