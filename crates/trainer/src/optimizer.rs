//! The update of the parameters, with a state that can be written and read by name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use burn::module::{AutodiffModule, ModuleMapper, Param, ParamId};
use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, SimpleOptimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Tensor};
use ebm_core::device_tensor;
use ebm_energy_net::{NamedParameter, ParameterPath};
use ebm_langevin::Numbers;

use crate::descent::{EPSILON, adam, descend};
use crate::{Method, OptimizerConfig};

/// Adam or plain descent over the parameters of a burn module. Adam's moments are kept by parameter name, on the host
/// where the gradient is.
#[derive(Clone)]
pub struct Optimizer<B: Backend> {
    method: Method,
    betas: [f32; 2],
    adam: Adam,
    steps: u64,
    moments: BTreeMap<String, [Numbers<B>; 2]>,
}

/// The gradient of a scalar with respect to the parameters of a module, by its origin.
pub enum Gradients<A: AutodiffBackend> {
    /// Automatic differentiation.
    Automatic(A::Gradients),
    /// An engine that differentiates itself: by the id of the parameter, flattened in burn's layout.
    ByParameter(HashMap<ParamId, Numbers<A::InnerBackend>>),
}

impl<A: AutodiffBackend> Gradients<A> {
    /// That of a parameter, flattened. A parameter that the scalar does not depend on, or that its owner froze, has
    /// none.
    pub(crate) fn of<const D: usize>(
        &self,
        id: ParamId,
        parameter: &Tensor<A, D>,
    ) -> Option<Cow<'_, Numbers<A::InnerBackend>>> {
        match self {
            Self::Automatic(gradients) => {
                let gradient = parameter.grad(gradients)?;
                let count = gradient.shape().num_elements();
                Some(Cow::Owned(Numbers::Device(gradient.reshape([count]))))
            }
            Self::ByParameter(gradients) => {
                let gradient = gradients.get(&id).filter(|_| parameter.is_require_grad())?;
                Some(Cow::Borrowed(gradient))
            }
        }
    }
}

impl<B: Backend> Optimizer<B> {
    /// An optimiser before its first step. Of the settings it takes the method and Adam's moments; the rate is given to
    /// every step.
    #[must_use]
    pub fn new(settings: &OptimizerConfig) -> Self {
        let betas = [settings.beta1, settings.beta2].map(|beta| beta as f32);
        Self {
            method: settings.method,
            betas,
            adam: AdamConfig::new()
                .with_beta_1(betas[0])
                .with_beta_2(betas[1])
                .with_epsilon(EPSILON)
                .build(),
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// One step down the gradient that `gradients` holds for the parameters of `module`. `sgd_scale` (ε²/2, or 1)
    /// multiplies the rate of plain descent.
    pub fn step<A, M>(
        &mut self,
        module: M,
        gradients: &Gradients<A>,
        learning_rate: f64,
        sgd_scale: f64,
    ) -> M
    where
        A: AutodiffBackend<InnerBackend = B>,
        M: AutodiffModule<A>,
    {
        let rate = match self.method {
            Method::Adam => learning_rate,
            Method::Sgd => learning_rate * sgd_scale,
        };
        let module = module.map(&mut Update::<A> {
            path: ParameterPath::default(),
            gradients,
            rate,
            optimizer: self,
        });
        self.steps += 1;
        module
    }

    /// Adam's moments as named host tensors, `{parameter}.first_moment` and `{parameter}.second_moment`, flattened in
    /// burn's layout; nothing for plain descent.
    #[must_use]
    pub fn state(&self) -> Vec<NamedParameter> {
        let mut state = Vec::new();
        for (name, moments) in &self.moments {
            for (moment, kind) in moments.iter().zip(MOMENTS) {
                state.push(NamedParameter {
                    name: format!("{name}.{kind}"),
                    shape: vec![moment.len()],
                    values: on_host(moment.clone()),
                });
            }
        }
        state
    }

    /// An optimiser that goes on from `state` after `steps` steps.
    ///
    /// # Errors
    /// The name of a tensor that is no moment, or whose counterpart is missing.
    pub fn from_state(
        settings: &OptimizerConfig,
        steps: u64,
        state: Vec<NamedParameter>,
    ) -> Result<Self, String> {
        let mut parts: BTreeMap<String, [Option<Numbers<B>>; 2]> = BTreeMap::new();
        for tensor in state {
            let found = tensor.name.rsplit_once('.').and_then(|(parameter, kind)| {
                let which = MOMENTS.iter().position(|moment| *moment == kind)?;
                Some((parameter.to_owned(), which))
            });
            let Some((parameter, which)) = found else {
                return Err(tensor.name);
            };
            parts.entry(parameter).or_default()[which] = Some(Numbers::Host(tensor.values));
        }
        let mut optimizer = Self::new(settings);
        optimizer.steps = steps;
        for (name, part) in parts {
            let [Some(first), Some(second)] = part else {
                return Err(name);
            };
            optimizer.moments.insert(name, [first, second]);
        }
        Ok(optimizer)
    }

    /// The parameter after a step. Where the gradient is on the host, the step is made there too, in one pass instead
    /// of one for each operation.
    fn updated<const D: usize>(
        &mut self,
        name: String,
        rate: f64,
        parameter: Tensor<B, D>,
        gradient: &Numbers<B>,
    ) -> Tensor<B, D> {
        let shape = parameter.shape();
        match gradient {
            Numbers::Host(gradient) if parameter.dtype() == DType::F32 => {
                let device = parameter.device();
                let mut values = on_host(Numbers::Device(parameter.reshape([gradient.len()])));
                self.update_row(name, rate, &mut values, gradient);
                device_tensor(values, shape, &device)
            }
            gradient => {
                let row = [shape.num_elements()];
                let gradient = gradient.to_tensor(row.into(), &parameter.device());
                self.update_tensor(name, rate, parameter.reshape(row), gradient)
                    .reshape(shape)
            }
        }
    }

    fn update_row(&mut self, name: String, rate: f64, parameter: &mut [f32], gradient: &[f32]) {
        if self.method == Method::Sgd {
            return descend(parameter, gradient, rate);
        }
        let moments = self.moments.remove(&name).map(|both| both.map(on_host));
        let none = || [vec![0.0; gradient.len()], vec![0.0; gradient.len()]];
        let [mut first, mut second] = moments.unwrap_or_else(none);
        let moments = [&mut first[..], &mut second[..]];
        let time = self.steps + 1;
        adam(parameter, gradient, moments, self.betas, time, rate);
        let moments = [first, second].map(Numbers::Host);
        self.moments.insert(name, moments);
    }

    fn update_tensor(
        &mut self,
        name: String,
        rate: f64,
        parameter: Tensor<B, 1>,
        gradient: Tensor<B, 1>,
    ) -> Tensor<B, 1> {
        if self.method == Method::Sgd {
            return parameter - gradient * rate;
        }
        let device = parameter.device();
        let state = self.moments.remove(&name).map(|moments| {
            let [first, second] =
                moments.map(|moment| moment.to_tensor(parameter.shape(), &device));
            AdamState::new(AdaptiveMomentumState::new(
                self.steps as usize,
                first,
                second,
            ))
        });
        let (parameter, state) = self.adam.step(rate, parameter, gradient, state);
        if let Some(AdamState { momentum }) = state {
            let moments = [momentum.moment_1, momentum.moment_2].map(Numbers::Device);
            self.moments.insert(name, moments);
        }
        parameter
    }
}

/// The numbers of a row.
pub(crate) fn on_host<B: Backend>(row: Numbers<B>) -> Vec<f32> {
    match row {
        Numbers::Host(values) => values,
        Numbers::Device(tensor) => tensor.into_data().iter::<f32>().collect(),
    }
}

const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

struct Update<'a, A: AutodiffBackend> {
    path: ParameterPath,
    gradients: &'a Gradients<A>,
    rate: f64,
    optimizer: &'a mut Optimizer<A::InnerBackend>,
}

impl<A: AutodiffBackend> ModuleMapper<A> for Update<'_, A> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let id = param.id;
        param.map(|tensor| {
            let Some(gradient) = self.gradients.of(id, &tensor) else {
                return tensor;
            };
            let (name, rate) = (self.path.name(), self.rate);
            let updated = self
                .optimizer
                .updated(name, rate, tensor.inner(), &gradient);
            Tensor::from_inner(updated).require_grad()
        })
    }
}
