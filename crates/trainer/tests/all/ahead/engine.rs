//! An engine whose r is read later, and that fails when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use burn::backend::Flex;
use burn::backend::flex::FlexDevice;
use ebm_core::{StateShape, States};
use ebm_energy_net::Net;
use ebm_langevin::{
    AttractionPath, AttractionRun, Batch, BoundEngine, ChainOutcome, ChainRun, Chains,
    EnergyGradient, Engine, LangevinError, Launched, ParameterGradient, PendingNumber,
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

    fn bind(
        &self,
        energy: Net<B>,
        shape: StateShape,
        device: &FlexDevice,
    ) -> Result<Box<dyn BoundEngine<B, Net<B>>>, LangevinError> {
        Ok(Box::new(AheadChains {
            inner: self.inner.bind(energy, shape, device)?,
            fault: self.fault.clone(),
            log: Arc::clone(&self.log),
        }))
    }
}

struct AheadChains {
    inner: Box<dyn BoundEngine<B, Net<B>>>,
    fault: Option<(usize, Fault)>,
    log: Arc<Mutex<Log>>,
}

impl Chains for AheadChains {
    fn name(&self) -> &'static str {
        "ahead"
    }

    fn shape(&self) -> StateShape {
        self.inner.shape()
    }

    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError> {
        self.inner.run(states, run)
    }

    fn energy_gradient(&self, states: &States) -> Result<EnergyGradient, LangevinError> {
        self.inner.energy_gradient(states)
    }

    fn attract(
        &self,
        states: &States,
        targets: &States,
        paths: &mut [AttractionPath],
        run: &AttractionRun,
    ) -> Result<States, LangevinError> {
        self.inner.attract(states, targets, paths, run)
    }
}

impl BoundEngine<B, Net<B>> for AheadChains {
    fn update(&mut self, energy: Net<B>) -> Result<(), LangevinError> {
        self.inner.update(energy)
    }

    fn launch(
        &self,
        initial: Batch<Flex>,
        run: &ChainRun,
    ) -> Result<Launched<Flex>, LangevinError> {
        // Energies alone, which nobody reads later.
        if run.steps == 0 {
            return self.inner.launch(initial, run);
        }
        let mut log = self.log.lock().unwrap();
        log.launches += 1;
        let launch = log.launches;
        drop(log);
        let fault = match &self.fault {
            Some((at, fault)) if *at == launch => Some(fault),
            _ => None,
        };
        match fault {
            Some(Fault::Refused) => return Err(LangevinError::lacking("cube", "this")),
            Some(Fault::Cancelled) => return Err(LangevinError::Cancelled),
            Some(Fault::Stop(stop)) => stop.store(true, Ordering::Relaxed),
            _ => {}
        }
        let is_lost = matches!(fault, Some(Fault::Device));
        let mut launched = self.inner.launch(initial, run)?;
        if matches!(fault, Some(Fault::NotFinite)) {
            let mut states = launched.states.into_states()?;
            states.values_mut().fill(f32::NAN);
            launched.states = Batch::Host(states);
        }
        let log = Arc::clone(&self.log);
        let number = launched.gradient_magnitude.read()?;
        launched.gradient_magnitude = PendingNumber::new(move || {
            log.lock().unwrap().reads.push(launch);
            if is_lost {
                return Err(LangevinError::Backend("the device is gone".into()));
            }
            Ok(number)
        });
        Ok(launched)
    }

    fn runs_ahead(&self) -> bool {
        true
    }

    fn parameter_gradient(
        &self,
        batches: &[&Batch<Flex>],
        weights: &[f32],
    ) -> Result<Option<ParameterGradient<Flex>>, LangevinError> {
        self.inner.parameter_gradient(batches, weights)
    }
}
