//! Chains from tensors to the device and back.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use cubecl::server::Handle;
use ebm_core::{Layered, ParameterValues};

use super::CubeEngine;
use super::bridge::Bridge;
use super::device::{Batch, Device, Launched, Request};
use super::layout::Layout;
use super::norms::Norms;
use ebm_langevin::host;
use ebm_langevin::{ChainRun, Kernel, LangevinError};

/// Chains that are walked, or will be.
pub(super) struct Walked<B: AutodiffBackend> {
    pub(super) states: Tensor<B::InnerBackend, 4>,
    pub(super) norms: NormSum,
    /// F, where the run asked for it.
    pub(super) energies: Option<Vec<f32>>,
}

/// Σ over steps and chains of ‖∇F‖₂, in parts.
pub(super) struct NormSum(Vec<Norms>);

impl NormSum {
    /// Waits for it.
    pub(super) fn read(self, device: &dyn Device) -> Result<f64, LangevinError> {
        self.0.into_iter().map(|norms| norms.total(device)).sum()
    }
}

impl CubeEngine {
    /// Hands the chains to the device; waits for them where states are not tensors of its own.
    pub(super) fn walk<B: AutodiffBackend, E: Layered>(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
        is_waiting: bool,
    ) -> Result<Walked<B>, LangevinError> {
        let Kernel::Ula(ula) = run.kernel else {
            return Err(LangevinError::NotCubed("MALA".to_owned()));
        };
        let shape = initial.dims();
        if shape[0] == 0 {
            return Ok(Walked {
                states: initial,
                norms: NormSum(Vec::new()),
                energies: run.final_energies.then(Vec::new),
            });
        }
        let layout = Layout::new(
            energy,
            [shape[1], shape[2], shape[3]],
            &*self.device,
            self.options,
        )?;
        let work = Work {
            engine: self,
            parameters: (self.parameters(&layout)?, layout.numbers()),
            layout,
            request: Request {
                ula,
                run,
                cancel: self.cancel.as_deref(),
                options: self.options,
                is_waiting,
            },
        };
        let numbers: usize = shape.iter().product();
        match &self.bridge {
            Some(bridge) if numbers <= self.device.most_numbers() => {
                let states = bridge.buffer_of(initial)?;
                work.on_device::<B>(&**bridge, &states, shape)
            }
            _ => work.over_host::<B>(initial),
        }
    }

    /// All parameters in a buffer, one after the other.
    pub(super) fn parameters(&self, layout: &Layout) -> Result<Handle, LangevinError> {
        if let Some(bridge) = &self.bridge {
            let joined = bridge.joined(&layout.parameters);
            return joined.ok_or(LangevinError::OtherBackend);
        }
        let values = layout.parameters.iter().map(ParameterValues::values);
        Ok(self.device.upload(&values.collect::<Vec<_>>().concat()))
    }
}

/// All but the states.
struct Work<'a> {
    engine: &'a CubeEngine,
    layout: Layout,
    parameters: (Handle, usize),
    request: Request<'a>,
}

impl Work<'_> {
    fn on_device<B: AutodiffBackend>(
        &self,
        bridge: &dyn Bridge,
        states: &Handle,
        shape: [usize; 4],
    ) -> Result<Walked<B>, LangevinError> {
        let launched = self.launch(states, shape[0], 0)?;
        let energies = launched.energies.map(|energies| self.energies(energies));
        let states =
            bridge.tensor_of::<B::InnerBackend>(launched.states, shape.iter().product())?;
        Ok(Walked {
            states: states.reshape(shape),
            norms: NormSum(vec![launched.norms]),
            energies: energies.transpose()?,
        })
    }

    fn over_host<B: AutodiffBackend>(
        &self,
        initial: Tensor<B::InnerBackend, 4>,
    ) -> Result<Walked<B>, LangevinError> {
        let (shape, device) = (initial.dims(), initial.device());
        let size = shape[1..].iter().product::<usize>().max(1);
        let most = (self.engine.device.most_numbers() / size).max(1);
        let initial = host(initial)?;
        let mut moved = Vec::with_capacity(initial.len());
        let mut norms = Vec::new();
        let mut energies = Vec::new();
        for (number, states) in initial.chunks(most * size).enumerate() {
            let states = self.engine.device.upload(states);
            let chains = most.min(shape[0] - number * most);
            let launched = self.launch(&states, chains, number * most)?;
            moved.extend(self.read(launched.states)?);
            norms.push(launched.norms);
            if let Some(part) = launched.energies {
                energies.extend(self.energies(part)?);
            }
        }
        Ok(Walked {
            states: Tensor::from_data(TensorData::new(moved, shape), &device),
            norms: NormSum(norms),
            energies: self.request.run.final_energies.then_some(energies),
        })
    }

    fn launch(
        &self,
        states: &Handle,
        chains: usize,
        first_chain: usize,
    ) -> Result<Launched, LangevinError> {
        let (parameters, numbers) = &self.parameters;
        let batch = Batch {
            parameters: (parameters, *numbers),
            states,
            chains,
            first_chain,
        };
        let device = &self.engine.device;
        device.launch(&self.layout.net, &batch, self.request)
    }

    fn energies(&self, energies: Handle) -> Result<Vec<f32>, LangevinError> {
        let bias = self.layout.last_bias();
        let energies = self.read(energies)?;
        Ok(energies.into_iter().map(|energy| energy + bias).collect())
    }

    fn read(&self, buffer: Handle) -> Result<Vec<f32>, LangevinError> {
        let mut read = self.engine.device.read(vec![buffer])?;
        Ok(read.pop().unwrap_or_default())
    }
}
