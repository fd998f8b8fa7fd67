//! Which cases there are on which backends.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_energy_net::{Architecture, NetConfig};
use ebm_experiment::classifier::{
    Classifier, Lesson, Reading, TrainedClassifier, TrainingSettings,
};
use ebm_experiment::{Compute, EngineChoice, ExperimentConfig, ExperimentError, LearnerRequest};
use ebm_langevin::Chains;
use ebm_trainer::AnyLearner;

use super::Plan;
use crate::{
    Backends, BenchError, BenchSettings, ChainSettings, MeasuredBackend, TimedBackend, TimedChains,
};

/// A backend that has a name and a device, and computes nothing.
struct Named(&'static str);

fn nothing<T>() -> Result<T, ExperimentError> {
    Err(ExperimentError::Request("it computes nothing".to_owned()))
}

impl Compute for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn trained_net(
        &self,
        _: &NetConfig,
        _: [usize; 3],
        _: &Path,
        _: EngineChoice,
        _: &Arc<AtomicBool>,
    ) -> Result<Box<dyn Chains>, ExperimentError> {
        nothing()
    }

    fn learner(&self, _: LearnerRequest<'_>) -> Result<Box<dyn AnyLearner>, ExperimentError> {
        nothing()
    }

    fn check(&self, _: &ExperimentConfig, _: EngineChoice) -> Result<(), ExperimentError> {
        nothing()
    }

    fn seconds_per_step(
        &self,
        _: &ExperimentConfig,
        _: EngineChoice,
    ) -> Result<f64, ExperimentError> {
        nothing()
    }

    fn classify(&self, _: &Classifier, _: &[f32]) -> Result<Reading, ExperimentError> {
        nothing()
    }

    fn train_classifier(
        &self,
        _: &Lesson,
        _: TrainingSettings,
        _: &mut dyn FnMut(u32, f64),
    ) -> Result<TrainedClassifier, ExperimentError> {
        nothing()
    }
}

impl TimedBackend for Named {
    fn is_gpu(&self) -> bool {
        self.0.starts_with("gpu")
    }

    fn chains(
        &self,
        _: &ChainSettings,
        _: EngineChoice,
    ) -> Result<Box<dyn TimedChains>, ExperimentError> {
        nothing()
    }

    fn wait(&self) -> Result<(), ExperimentError> {
        nothing()
    }

    fn matrix_product(&self, _: usize, _: u32) -> Result<f64, ExperimentError> {
        nothing()
    }
}

/// Those that are called slow are.
fn backends(names: &[&'static str]) -> Backends {
    let measured = names.iter().map(|&name| MeasuredBackend {
        backend: Box::new(Named(name)),
        cuda_index: None,
        is_slow: name.starts_with("slow"),
    });
    Backends {
        measured: measured.collect(),
        are_named: false,
        reference: None,
        skipped: Vec::new(),
    }
}

fn all() -> BenchSettings {
    BenchSettings {
        command: String::new(),
        nets: Vec::new(),
        engines: Vec::new(),
        batches: Vec::new(),
        learning: Vec::new(),
        endurance: None,
        seconds: 1.0,
        rounds: None,
        peers: None,
        out: None,
    }
}

/// The names of the cases, and what is left out with its reason.
fn planned(settings: &BenchSettings, backends: &Backends) -> (Vec<String>, Vec<String>) {
    let plan = Plan::new(settings, backends, &()).unwrap();
    let skipped = plan.skipped.iter();
    (
        plan.cases.iter().map(|planned| planned.name()).collect(),
        skipped
            .map(|left| format!("{}: {}", left.what, left.reason))
            .collect(),
    )
}

#[test]
fn all_there_is_on_the_cpu() {
    let (cases, skipped) = planned(&all(), &backends(&["cpu"]));
    assert_eq!(
        cases,
        [
            "fused-cpu/toy/100",
            "fused-bf16-cpu/toy/100",
            "tensor-cpu/toy/100",
            "fused-cpu/toy/10000",
            "fused-bf16-cpu/toy/10000",
            "tensor-cpu/toy/10000",
            "fused-cpu/vanilla/100",
            "fused-bf16-cpu/vanilla/100",
            "tensor-cpu/vanilla/100",
            "fused-cpu/nonlocal/100",
            "fused-bf16-cpu/nonlocal/100",
            "tensor-cpu/nonlocal/100",
        ]
    );
    assert!(skipped.is_empty());
}

/// Whole chains of the toy have f32 products only, and fused is a matter of the CPU.
#[test]
fn a_gpu_has_its_own_engines_and_batches() {
    let settings = BenchSettings {
        nets: vec![Architecture::Vanilla, Architecture::Toy],
        batches: vec![8, 8],
        ..all()
    };
    let (cases, skipped) = planned(&settings, &backends(&["gpu"]));
    assert_eq!(
        cases,
        [
            "cube-gpu/vanilla/8",
            "cube-tf32-gpu/vanilla/8",
            "cube-bf16-gpu/vanilla/8",
            "tensor-gpu/vanilla/8",
            "cube-gpu/toy/8",
            "tensor-gpu/toy/8",
        ]
    );
    assert_eq!(
        skipped,
        [
            "fused-gpu: the fused engine runs on the CPU",
            "fused-bf16-gpu: the fused engine runs on the CPU",
            "cube-tf32-gpu/toy: whole chains of a small dense net have f32 products only",
            "cube-bf16-gpu/toy: whole chains of a small dense net have f32 products only",
        ]
    );
    let settings = BenchSettings {
        nets: vec![Architecture::Vanilla],
        engines: vec![EngineChoice::Cube, EngineChoice::Auto],
        ..all()
    };
    let (cases, _) = planned(&settings, &backends(&["gpu"]));
    assert_eq!(cases, ["cube-gpu/vanilla/100", "cube-gpu/vanilla/1000"]);
}

#[test]
fn the_fused_engine_is_measured_once() {
    let settings = BenchSettings {
        engines: vec![EngineChoice::Fused],
        batches: vec![8],
        nets: vec![Architecture::Nonlocal],
        ..all()
    };
    let (cases, skipped) = planned(&settings, &backends(&["gpu", "cpu", "other"]));
    assert_eq!(cases, ["fused-cpu/nonlocal/8"]);
    assert!(skipped.is_empty());
}

#[test]
fn what_takes_long_is_measured_when_it_is_asked_for() {
    let mut settings = BenchSettings {
        engines: vec![EngineChoice::Tensor],
        batches: vec![8],
        ..all()
    };
    let mut backends = backends(&["slow"]);
    let (cases, skipped) = planned(&settings, &backends);
    assert_eq!(cases, ["tensor-slow/toy/8"]);
    assert_eq!(
        skipped,
        [
            "tensor-slow/vanilla: takes seconds a step",
            "tensor-slow/nonlocal: takes seconds a step",
        ]
    );
    backends.are_named = true;
    settings.nets = vec![Architecture::Vanilla];
    assert_eq!(planned(&settings, &backends).0, ["tensor-slow/vanilla/8"]);
}

#[test]
fn nothing_is_no_result() {
    let settings = BenchSettings {
        engines: vec![EngineChoice::Cube],
        ..all()
    };
    let refused = Plan::new(&settings, &backends(&["cpu"]), &())
        .err()
        .unwrap();
    assert!(refused.is_usage());
    assert!(
        matches!(refused, BenchError::Nothing(reasons) if reasons == "the cube engine runs on a GPU")
    );
}
