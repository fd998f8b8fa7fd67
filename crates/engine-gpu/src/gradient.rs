//! Parameter gradients from tensors to the device and back.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::{Tensor, backend::AutodiffBackend};
use cubecl::server::Handle;
use ebm_core::Layered;

use super::CubeEngine;
use super::bridge::Bridge;
use super::device::{Batch, CubeNet, LaunchedGradients};
use super::layout::Layout;
use ebm_langevin::host;
use ebm_langevin::{LangevinError, LaunchedGradient, ParameterGradient};

impl CubeEngine {
    /// Where states and parameters go over the host.
    pub(super) fn gradient_over_host<B: AutodiffBackend, E: Layered>(
        &self,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<ParameterGradient>, LangevinError> {
        let Some(layout) = self.layout_of_gradient::<B, E>(energy, states, weights)? else {
            return Ok(None);
        };
        let states = self.device.upload(&host(states.clone())?);
        let launched = self.launch_gradients(&layout, &states, weights)?;
        let mut read = self
            .device
            .read(vec![launched.energies, launched.gradients])?;
        let (gradients, energies) = (
            read.pop().unwrap_or_default(),
            read.pop().unwrap_or_default(),
        );
        let mut by_id: HashMap<ParamId, Vec<f32>> = HashMap::new();
        let mut rest = &gradients[..];
        for parameter in &layout.parameters {
            let (own, others) = rest.split_at(parameter.len());
            rest = others;
            // A parameter of several layers has the gradients of all of them.
            let sum = by_id
                .entry(parameter.id)
                .or_insert_with(|| vec![0.0; own.len()]);
            sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
        Ok(Some(ParameterGradient {
            energies,
            gradients: by_id,
        }))
    }

    /// Where they are on the device.
    pub(super) fn gradient_on_device<B: AutodiffBackend, E: Layered>(
        &self,
        bridge: &dyn Bridge,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<LaunchedGradient<B::InnerBackend>>, LangevinError> {
        let Some(layout) = self.layout_of_gradient::<B, E>(energy, states, weights)? else {
            return Ok(None);
        };
        let buffer = bridge.buffer_of(states.clone())?;
        let launched = self.launch_gradients(&layout, &buffer, weights)?;
        let energies = bridge.tensor_of(launched.energies, weights.len())?;
        let all = bridge.tensor_of::<B::InnerBackend>(launched.gradients, layout.numbers())?;
        let mut gradients = HashMap::new();
        let mut first = 0;
        for parameter in &layout.parameters {
            let own = all.clone().narrow(0, first, parameter.len());
            first += parameter.len();
            // As over the host.
            let sum = match gradients.remove(&parameter.id) {
                Some(sum) => own + sum,
                None => own,
            };
            gradients.insert(parameter.id, sum);
        }
        Ok(Some(LaunchedGradient {
            energies,
            gradients,
        }))
    }

    /// `None` where it is left to automatic differentiation.
    fn layout_of_gradient<B: AutodiffBackend, E: Layered>(
        &self,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<Layout>, LangevinError> {
        let [chains, channels, height, width] = states.dims();
        if weights.len() != chains {
            return Err(LangevinError::Weights {
                weights: weights.len(),
                chains,
            });
        }
        if chains == 0 || states.shape().num_elements() > self.device.most_numbers() {
            return Ok(None);
        }
        let shape = [channels, height, width];
        Layout::layered(energy, shape, &*self.device, self.options)
    }

    fn launch_gradients(
        &self,
        layout: &Layout,
        states: &Handle,
        weights: &[f32],
    ) -> Result<LaunchedGradients, LangevinError> {
        let CubeNet::Layered(net) = &layout.net else {
            return Err(super::missing("parameter gradients of this net"));
        };
        let parameters = self.parameters(layout)?;
        let batch = Batch {
            parameters: (&parameters, layout.numbers()),
            states,
            chains: weights.len(),
            first_chain: 0,
        };
        let weights = self.device.upload(weights);
        self.device
            .launch_gradients(net, &batch, &weights, self.options)
    }
}
