//! An engine whose r is read later, and that fails when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use burn::backend::Flex;
use burn::tensor::Tensor;
use ebm_energy_net::Net;
use ebm_langevin::{
    ChainOutcome, ChainRun, Engine, LangevinError, LaunchedChains, ParameterGradient, PendingNumber,
};

use super::B;

/// What happens at a launch.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The chains end nowhere.
    NotFinite,
    /// The device fails after the launch.
    Device,
    /// The engine refuses.
    Refused,
    /// The engine is cancelled.
    Cancelled,
    /// All is well, but somebody asks to stop meanwhile.
    Stop(Arc<AtomicBool>),
}

/// Computes at once with another engine, and pretends not to have.
#[derive(Clone)]
pub(crate) struct Ahead<T> {
    inner: T,
    /// When, counted in launches from 1, and what.
    fault: Option<(usize, Fault)>,
    log: Arc<Mutex<Log>>,
}

/// What was asked of the engine.
#[derive(Default)]
pub(crate) struct Log {
    launches: usize,
    /// The launches whose r was read, in the order of reading.
    reads: Vec<usize>,
}

impl<T> Ahead<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            fault: None,
            log: Arc::default(),
        }
    }

    pub(crate) fn failing(inner: T, launch: usize, fault: Fault) -> Self {
        Self {
            fault: Some((launch, fault)),
            ..Self::new(inner)
        }
    }

    /// The launches whose r was read, in the order of reading.
    pub(crate) fn reads(&self) -> Vec<usize> {
        self.log.lock().unwrap().reads.clone()
    }
}

impl<T: Engine<B, Net<B>>> Engine<B, Net<B>> for Ahead<T> {
    fn name(&self) -> &'static str {
        "ahead"
    }

    fn run(
        &self,
        energy: &Net<B>,
        initial: Tensor<Flex, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<Flex>, LangevinError> {
        self.inner.run(energy, initial, run)
    }

    fn launch(
        &self,
        energy: &Net<B>,
        initial: Tensor<Flex, 4>,
        run: &ChainRun,
    ) -> Result<LaunchedChains<Flex>, LangevinError> {
        let mut log = self.log.lock().unwrap();
        log.launches += 1;
        let launch = log.launches;
        drop(log);
        let fault = match &self.fault {
            Some((at, fault)) if *at == launch => Some(fault),
            _ => None,
        };
        match fault {
            Some(Fault::Refused) => return Err(LangevinError::NotCubed("this".into())),
            Some(Fault::Cancelled) => return Err(LangevinError::Cancelled),
            Some(Fault::Stop(stop)) => stop.store(true, Ordering::Relaxed),
            _ => {}
        }
        let is_lost = matches!(fault, Some(Fault::Device));
        let mut outcome = self.inner.run(energy, initial, run)?;
        if matches!(fault, Some(Fault::NotFinite)) {
            outcome.states = outcome.states * f32::NAN;
        }
        let log = Arc::clone(&self.log);
        let number = outcome.gradient_magnitude;
        Ok(LaunchedChains {
            states: outcome.states,
            gradient_magnitude: PendingNumber::new(move || {
                log.lock().unwrap().reads.push(launch);
                if is_lost {
                    return Err(LangevinError::Backend("the device is gone".into()));
                }
                Ok(number)
            }),
        })
    }

    fn runs_ahead(&self) -> bool {
        true
    }

    fn parameter_gradient(
        &self,
        energy: &Net<B>,
        states: &Tensor<Flex, 4>,
        weights: &[f32],
    ) -> Result<Option<ParameterGradient>, LangevinError> {
        self.inner.parameter_gradient(energy, states, weights)
    }
}
