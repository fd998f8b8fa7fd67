//! The engine bound to a net: the layout of the net for the kernels, its parameters on the device, and the transfer
//! of chains to the device and back.

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::ParamId;
use burn::tensor::backend::AutodiffBackend;
use cubecl::server::Handle;
use ebm_core::{Layered, ParameterValues, StateShape, States};

use crate::CubeEngine;
use crate::bridge::Bridge;
use crate::device::{Batch as DeviceBatch, Device, Launched as OnDevice, Request};
use crate::kept::Kept;
use crate::layout::Layout;
use crate::missing;
use crate::norms::Norms;
use ebm_langevin::{
    AnyKernel, AttractionPath, AttractionRun, Batch, BoundEngine, ChainOutcome, ChainRun, Chains,
    EnergyGradient, LangevinError, Launched, Numbers, ParameterGradient, PendingNumber, Ula,
    check_weights,
};

/// Chains that the engine for GPUs runs on a net; made by [`CubeEngine::bind`].
pub struct CubeChains {
    engine: CubeEngine,
    shape: StateShape,
    layout: Layout,
    /// All parameters, one after the other.
    parameters: Handle,
    kept: Kept,
}

impl std::fmt::Debug for CubeChains {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CubeChains")
            .field("engine", &self.engine)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl CubeChains {
    pub(crate) fn new<E: Layered>(
        engine: CubeEngine,
        energy: &E,
        shape: StateShape,
    ) -> Result<Self, LangevinError> {
        let layout = Layout::new(energy, shape, &*engine.device, engine.options)?;
        Ok(Self {
            parameters: joined(&engine, &layout.parameters)?,
            engine,
            shape,
            layout,
            kept: Kept::default(),
        })
    }

    fn device(&self) -> &dyn Device {
        &*self.engine.device
    }

    /// Whether a batch of this number of chains fits into one buffer.
    fn fits(&self, chains: usize) -> bool {
        chains * self.shape.size() <= self.device().most_numbers()
    }

    /// Queues chains on the device.
    fn launch_on_device(
        &self,
        states: &Handle,
        chains: usize,
        first_chain: usize,
        run: &ChainRun,
        is_waiting: bool,
    ) -> Result<OnDevice, LangevinError> {
        let request = Request {
            ula: ula(&run.kernel)?,
            run,
            cancel: self.engine.cancel.as_deref(),
            options: self.engine.options,
            is_waiting,
        };
        let batch = self.batch(states, chains, first_chain);
        self.device().launch(&self.layout.net, &batch, request)
    }

    fn batch<'a>(
        &'a self,
        states: &'a Handle,
        chains: usize,
        first_chain: usize,
    ) -> DeviceBatch<'a> {
        DeviceBatch {
            parameters: (&self.parameters, self.layout.numbers()),
            kept: &self.kept,
            states,
            chains,
            first_chain,
        }
    }

    fn energies(&self, energies: Handle) -> Result<Vec<f32>, LangevinError> {
        let bias = self.layout.last_bias()?;
        let energies = self.read(energies)?;
        Ok(energies.into_iter().map(|energy| energy + bias).collect())
    }

    fn read(&self, buffer: Handle) -> Result<Vec<f32>, LangevinError> {
        let mut read = self.device().read(vec![buffer])?;
        Ok(read.pop().unwrap_or_default())
    }

    /// The buffer of states, uploaded where they are on the host.
    fn buffer<B: AutodiffBackend>(
        &self,
        bridge: &dyn Bridge,
        states: Batch<B::InnerBackend>,
    ) -> Result<Handle, LangevinError> {
        match states {
            Batch::Host(states) => Ok(self.device().upload(states.values())),
            Batch::Device(states) => bridge.buffer_of(states),
        }
    }

    /// The buffer of the states of some batches, one after the other.
    fn joined_states<B: AutodiffBackend>(
        &self,
        batches: &[&Batch<B::InnerBackend>],
    ) -> Result<Handle, LangevinError> {
        let chains: usize = batches.iter().map(|batch| batch.len()).sum();
        let all = self.device().room(chains * self.shape.size());
        let mut at = 0;
        for batch in batches {
            batch.shape().check(self.shape)?;
            let numbers = batch.len() * self.shape.size();
            let own = match (&self.engine.bridge, (*batch).clone()) {
                (Some(bridge), batch) => self.buffer::<B>(&**bridge, batch)?,
                (None, batch) => self.device().upload(batch.into_states()?.values()),
            };
            self.device().copy_numbers((&own, 0), (&all, at), numbers);
            at += numbers;
        }
        Ok(all)
    }
}

impl Chains for CubeChains {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn shape(&self) -> StateShape {
        self.shape
    }

    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError> {
        if let AnyKernel::Tempering(tempering) = &run.kernel {
            return tempering.run(self, states, run);
        }
        states.check_shape(self.shape)?;
        ula(&run.kernel)?;
        let (chains, size) = (states.len(), self.shape.size().max(1));
        let most = (self.device().most_numbers() / size).max(1);
        let mut moved = Vec::with_capacity(states.values().len());
        let mut energies = Vec::new();
        let mut norm_sum = 0.0;
        for (number, values) in states.values().chunks(most * size).enumerate() {
            let of_piece = values.len() / size;
            let buffer = self.device().upload(values);
            let launched = self.launch_on_device(&buffer, of_piece, number * most, run, true)?;
            moved.extend(self.read(launched.states)?);
            norm_sum += launched.norms.total(self.device())?;
            if let Some(part) = launched.energies {
                energies.extend(self.energies(part)?);
            }
        }
        Ok(ChainOutcome {
            states: States::new(self.shape, moved)?,
            gradient_magnitude: run.mean(norm_sum, chains),
            acceptance_rate: None,
            energies: run.final_energies.then_some(energies),
            swaps: Vec::new(),
        })
    }

    fn energy_gradient(&self, _states: &States) -> Result<EnergyGradient, LangevinError> {
        Err(missing("the mapping of landscapes"))
    }

    fn attract(
        &self,
        _states: &States,
        _targets: &States,
        _paths: &mut [AttractionPath],
        _run: &AttractionRun,
    ) -> Result<States, LangevinError> {
        Err(missing("the mapping of landscapes"))
    }
}

impl<B: AutodiffBackend, E: Layered> BoundEngine<B, E> for CubeChains {
    fn update(&mut self, energy: E) -> Result<(), LangevinError> {
        let CubeEngine {
            device, options, ..
        } = &self.engine;
        let layout = Layout::new(&energy, self.shape, &**device, *options)?;
        self.parameters = joined(&self.engine, &layout.parameters)?;
        if layout.net != self.layout.net {
            self.kept = Kept::default();
        }
        self.layout = layout;
        Ok(())
    }

    fn launch(
        &self,
        initial: Batch<B::InnerBackend>,
        run: &ChainRun,
    ) -> Result<Launched<B::InnerBackend>, LangevinError> {
        initial.shape().check(self.shape)?;
        let chains = initial.len();
        let bridge = match &self.engine.bridge {
            Some(bridge) if chains > 0 && self.fits(chains) => bridge,
            _ => return self.run(&initial.into_states()?, run).map(Launched::from),
        };
        let buffer = self.buffer::<B>(&**bridge, initial)?;
        let launched = self.launch_on_device(&buffer, chains, 0, run, false)?;
        let energies = launched.energies.map(|energies| self.energies(energies));
        let numbers = chains * self.shape.size();
        let states = bridge.tensor_of::<B::InnerBackend>(launched.states, numbers)?;
        Ok(Launched {
            states: Batch::Device(states.reshape(self.shape.batch(chains))),
            gradient_magnitude: self.magnitude(launched.norms, run, chains),
            acceptance_rate: None,
            energies: energies.transpose()?,
        })
    }

    fn runs_ahead(&self) -> bool {
        self.engine.bridge.is_some()
    }

    fn parameter_gradient(
        &self,
        batches: &[&Batch<B::InnerBackend>],
        weights: &[f32],
    ) -> Result<Option<ParameterGradient<B::InnerBackend>>, LangevinError> {
        let chains: usize = batches.iter().map(|batch| batch.len()).sum();
        check_weights(weights, chains)?;
        let Some(net) = self.layout.gradients.as_ref() else {
            return Ok(None);
        };
        if chains == 0 || !self.fits(chains) {
            return Ok(None);
        }
        let states = self.joined_states::<B>(batches)?;
        let batch = self.batch(&states, chains, 0);
        let weights = self.device().upload(weights);
        let options = self.engine.options;
        let launched = self
            .device()
            .launch_gradients(net, &batch, &weights, options)?;
        match &self.engine.bridge {
            Some(bridge) => {
                let energies = bridge.tensor_of(launched.energies, chains)?;
                let all = bridge
                    .tensor_of::<B::InnerBackend>(launched.gradients, self.layout.numbers())?;
                let own = |first, count| all.clone().narrow(0, first, count);
                let gradients = self.by_id(own, |sum, own| own + sum);
                Ok(Some(ParameterGradient {
                    energies: Numbers::Device(energies),
                    gradients: each(gradients, Numbers::Device),
                }))
            }
            None => {
                let energies = self.read(launched.energies)?;
                let all = self.read(launched.gradients)?;
                let own = |first: usize, count: usize| all[first..first + count].to_vec();
                let gradients = self.by_id(own, |mut sum, own| {
                    sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                    sum
                });
                Ok(Some(ParameterGradient {
                    energies: Numbers::Host(energies),
                    gradients: each(gradients, Numbers::Host),
                }))
            }
        }
    }
}

impl CubeChains {
    /// The gradient of each parameter. `own` takes the place of its first number and the count of its numbers. A
    /// parameter that several layers share has the sum of their gradients.
    fn by_id<T>(
        &self,
        own: impl Fn(usize, usize) -> T,
        add: impl Fn(T, T) -> T,
    ) -> HashMap<ParamId, T> {
        let mut gradients = HashMap::new();
        let mut first = 0;
        for parameter in &self.layout.parameters {
            let own = own(first, parameter.len());
            first += parameter.len();
            let sum = match gradients.remove(&parameter.id) {
                Some(sum) => add(sum, own),
                None => own,
            };
            gradients.insert(parameter.id, sum);
        }
        gradients
    }

    /// r, read when it is asked for.
    fn magnitude(&self, norms: Norms, run: &ChainRun, chains: usize) -> PendingNumber {
        let (device, run) = (Arc::clone(&self.engine.device), run.clone());
        PendingNumber::new(move || Ok(run.mean(norms.total(&*device)?, chains)))
    }
}

fn each<T, U>(gradients: HashMap<ParamId, T>, of: impl Fn(T) -> U) -> HashMap<ParamId, U> {
    gradients.into_iter().map(|(id, g)| (id, of(g))).collect()
}

/// ULA, the only kernel of this engine.
fn ula(kernel: &AnyKernel) -> Result<Ula, LangevinError> {
    match kernel {
        AnyKernel::Ula(ula) => Ok(*ula),
        AnyKernel::Mala(_) => Err(missing("MALA")),
        AnyKernel::Gradient(_) | AnyKernel::Tempering(_) | AnyKernel::Own(_) => {
            Err(missing("other kernels than ULA"))
        }
    }
}

/// All parameters in a buffer, one after the other.
fn joined(engine: &CubeEngine, parameters: &[ParameterValues]) -> Result<Handle, LangevinError> {
    if let Some(bridge) = &engine.bridge {
        return bridge.joined(parameters);
    }
    let mut all = Vec::new();
    for parameter in parameters {
        all.extend_from_slice(parameter.values()?);
    }
    Ok(engine.device.upload(&all))
}
