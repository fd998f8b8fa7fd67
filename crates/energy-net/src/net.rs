//! Energy nets: stacks of layers that end in one scalar.

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::Energy;

use crate::layer::ParameterDraw;
use crate::{Layer, LayerConfig, NetError};

/// A net of one stack; its parameters are named `f.{layer}.{weight|bias}`, as in the published checkpoints.
#[derive(Module, Debug)]
pub struct Sequential<B: Backend> {
    /// The layers in order.
    pub f: Vec<Layer<B>>,
}

impl<B: Backend> Sequential<B> {
    /// A net of the given layers for states of `[channels, height, width]`, with PyTorch's default initial parameters.
    ///
    /// # Errors
    /// [`NetError::Layer`] and [`NetError::NotScalar`] when the layers do not fit.
    pub fn new(
        layers: &[LayerConfig],
        state_shape: [usize; 3],
        seed: u64,
        device: &B::Device,
    ) -> Result<Self, NetError> {
        check_scalar(LayerConfig::check_stack(layers, state_shape)?)?;
        let f = LayerConfig::init_stack(layers, state_shape, seed, device)?;
        Ok(Self { f })
    }
}

/// A convolutional stack and a head; parameters are named `convs.…` and `fc.…`, as in the published checkpoints.
#[derive(Module, Debug)]
pub struct NonLocalNet<B: Backend> {
    /// Convolutions, pooling and non-local blocks.
    pub convs: Vec<Layer<B>>,
    /// The linear head.
    pub fc: Vec<Layer<B>>,
}

impl<B: Backend> NonLocalNet<B> {
    /// A net of two stacks for states of `[channels, height, width]`, with PyTorch's default initial parameters.
    ///
    /// # Errors
    /// [`NetError::Layer`] and [`NetError::NotScalar`] when the layers do not fit.
    pub fn new(
        convs: &[LayerConfig],
        fc: &[LayerConfig],
        state_shape: [usize; 3],
        seed: u64,
        device: &B::Device,
    ) -> Result<Self, NetError> {
        let features = LayerConfig::check_stack(convs, state_shape)?;
        check_scalar(LayerConfig::check_stack(fc, features)?)?;
        let draw = &mut ParameterDraw::new(seed, device);
        Ok(Self {
            convs: init(convs, draw),
            fc: init(fc, draw),
        })
    }
}

/// Any of the project's nets, chosen at run time by [`crate::NetConfig`].
#[derive(Module, Debug)]
pub enum Net<B: Backend> {
    /// `toy`, `vanilla`, or a user's own stack.
    Sequential(Sequential<B>),
    /// `nonlocal`.
    NonLocal(NonLocalNet<B>),
}

impl<B: Backend> Energy<B> for Sequential<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        scalars(forward(&self.f, states))
    }
}

impl<B: Backend> Energy<B> for NonLocalNet<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        scalars(forward(&self.fc, forward(&self.convs, states)))
    }
}

impl<B: Backend> Energy<B> for Net<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        match self {
            Self::Sequential(net) => net.energy(states),
            Self::NonLocal(net) => net.energy(states),
        }
    }
}

fn check_scalar(end: [usize; 3]) -> Result<(), NetError> {
    match end {
        [1, 1, 1] => Ok(()),
        [channels, height, width] => Err(NetError::NotScalar(channels * height * width)),
    }
}

fn init<B: Backend>(layers: &[LayerConfig], draw: &mut ParameterDraw<'_, B>) -> Vec<Layer<B>> {
    layers.iter().map(|layer| layer.init(draw)).collect()
}

fn forward<B: Backend>(layers: &[Layer<B>], states: Tensor<B, 4>) -> Tensor<B, 4> {
    layers
        .iter()
        .fold(states, |states, layer| layer.forward(states))
}

/// `[chains, 1, 1, 1]` → `[chains]`.
fn scalars<B: Backend>(output: Tensor<B, 4>) -> Tensor<B, 1> {
    let chains = output.dims()[0];
    output.reshape([chains])
}
