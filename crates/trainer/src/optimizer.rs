//! The update of the parameters, with a state that can be written and read by name.

use std::collections::{BTreeMap, HashMap};

use burn::module::{AutodiffModule, ModuleMapper, Param, ParamId};
use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, SimpleOptimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use ebm_energy_net::{NamedParameter, ParameterPath};
use ebm_langevin::Numbers;

use crate::Method;

/// Adam or plain descent over the parameters of a burn module. Adam's moments are kept by parameter name.
#[derive(Clone)]
pub struct Optimizer<B: Backend> {
    method: Method,
    adam: Adam,
    steps: u64,
    moments: BTreeMap<String, [Tensor<B, 1>; 2]>,
}

/// The gradient of a scalar with respect to the parameters of a module, by where it comes from.
pub enum Gradients<A: AutodiffBackend> {
    /// Automatic differentiation.
    Automatic(A::Gradients),
    /// An engine that differentiates itself: by the id of the parameter, flattened in burn's layout.
    ByParameter(HashMap<ParamId, Numbers<A::InnerBackend>>),
}

impl<A: AutodiffBackend> Gradients<A> {
    /// A parameter that the scalar does not depend on, or that its owner froze, has none.
    pub(crate) fn of<const D: usize>(
        &self,
        id: ParamId,
        parameter: &Tensor<A, D>,
    ) -> Option<Tensor<A::InnerBackend, D>> {
        match self {
            Self::Automatic(gradients) => parameter.grad(gradients),
            Self::ByParameter(gradients) => {
                let gradient = gradients.get(&id).filter(|_| parameter.is_require_grad())?;
                Some(gradient.to_tensor(parameter.shape(), &parameter.device()))
            }
        }
    }
}

impl<B: Backend> Optimizer<B> {
    /// An optimiser that has seen nothing.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self {
            method,
            adam: AdamConfig::new().with_epsilon(1e-8).build(),
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
                    shape: moment.dims().to_vec(),
                    values: moment.to_data().iter::<f32>().collect(),
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
        method: Method,
        steps: u64,
        state: Vec<NamedParameter>,
        device: &B::Device,
    ) -> Result<Self, String> {
        let mut parts: BTreeMap<String, [Option<Tensor<B, 1>>; 2]> = BTreeMap::new();
        for tensor in state {
            let found = tensor.name.rsplit_once('.').and_then(|(parameter, kind)| {
                let which = MOMENTS.iter().position(|moment| *moment == kind)?;
                Some((parameter.to_owned(), which))
            });
            let Some((parameter, which)) = found else {
                return Err(tensor.name);
            };
            let count = tensor.values.len();
            let values = Tensor::from_data(TensorData::new(tensor.values, [count]), device);
            parts.entry(parameter).or_default()[which] = Some(values);
        }
        let mut optimizer = Self::new(method);
        optimizer.steps = steps;
        for (name, part) in parts {
            let [Some(first), Some(second)] = part else {
                return Err(name);
            };
            optimizer.moments.insert(name, [first, second]);
        }
        Ok(optimizer)
    }

    fn adam_step(
        &mut self,
        name: String,
        rate: f64,
        parameter: Tensor<B, 1>,
        gradient: Tensor<B, 1>,
    ) -> Tensor<B, 1> {
        let state = self.moments.remove(&name).map(|[first, second]| {
            AdamState::new(AdaptiveMomentumState::new(
                self.steps as usize,
                first,
                second,
            ))
        });
        let (parameter, state) = self.adam.step(rate, parameter, gradient, state);
        if let Some(AdamState { momentum }) = state {
            self.moments
                .insert(name, [momentum.moment_1, momentum.moment_2]);
        }
        parameter
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
            let parameter = tensor.inner();
            let updated = match self.optimizer.method {
                Method::Sgd => parameter - gradient * self.rate,
                Method::Adam => {
                    let shape = parameter.shape();
                    let count = shape.num_elements();
                    self.optimizer
                        .adam_step(
                            self.path.name(),
                            self.rate,
                            parameter.reshape([count]),
                            gradient.reshape([count]),
                        )
                        .reshape(shape)
                }
            };
            Tensor::from_inner(updated).require_grad()
        })
    }
}
