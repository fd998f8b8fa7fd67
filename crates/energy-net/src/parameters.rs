//! Parameters by name, with the names and layouts PyTorch gives them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, backend::Backend};

/// The current place of a walk through a module. Enum variants leave no trace in names and list positions do, so that
/// a `Vec` of layers reads like a PyTorch `Sequential`: `f.0.weight`.
#[derive(Debug, Default, Clone)]
pub struct ParameterPath(Vec<(String, String)>);

impl ParameterPath {
    /// To be called from a visitor's or mapper's `enter_module`.
    pub fn enter(&mut self, name: &str, container_type: &str) {
        self.0.push((name.to_owned(), container_type.to_owned()));
    }

    /// To be called from a visitor's or mapper's `exit_module`.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The dotted name of the parameter at the current place.
    #[must_use]
    pub fn name(&self) -> String {
        let names: Vec<_> = self
            .0
            .iter()
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(name, _)| name.as_str())
            .collect();
        names.join(".")
    }

    /// Whether this is the weight of a `Linear`, which burn stores as `[inputs, outputs]` and PyTorch as `[outputs,
    /// inputs]`.
    #[must_use]
    pub fn is_linear_weight(&self) -> bool {
        self.0
            .last()
            .is_some_and(|(name, container)| name == "weight" && container == "Struct:Linear")
    }
}

/// A parameter on the host, in PyTorch's layout.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedParameter {
    /// Dotted name, such as `f.0.weight`.
    pub name: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// All float parameters of a module in the order of its fields.
pub fn named_parameters<B: Backend, M: Module<B>>(module: &M) -> Vec<NamedParameter> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.parameters
}

#[derive(Default)]
struct Collector {
    path: ParameterPath,
    parameters: Vec<NamedParameter>,
}

impl<B: Backend> ModuleVisitor<B> for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let tensor = param.val();
        let tensor = if self.path.is_linear_weight() {
            tensor.transpose()
        } else {
            tensor
        };
        self.parameters.push(NamedParameter {
            name: self.path.name(),
            shape: tensor.dims().to_vec(),
            values: tensor.into_data().iter::<f32>().collect(),
        });
    }
}
