//! The average of the parameters over learning.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_energy_net::ParameterPath;

/// The decay of the exponential moving average θ̄ ← β θ̄ + (1 − β) θ after iteration `iteration`: the `limit`, but
/// early on no more than (1 + t)/(10 + t), so that the average is over about the last tenth of the iterations until
/// it is as long as the limit allows, 1/(1 − limit) iterations.
///
/// Plain descent with a constant rate circles a minimum instead of reaching it, and the average of its path lies nearer
/// (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30, 1992).
/// Learning itself does not see the average.
pub(crate) fn decay(limit: f64, iteration: u64) -> f64 {
    let t = iteration as f64;
    limit.min((1.0 + t) / (10.0 + t))
}

/// The average after an iteration that led to `net`.
pub(crate) fn update<B, N>(average: N, net: &N, decay: f64) -> N
where
    B: AutodiffBackend,
    N: Module<B>,
{
    let mut newest = Newest::<B::InnerBackend>::default();
    net.visit(&mut InnerOf {
        newest: &mut newest,
    });
    average.map(&mut Mix {
        newest: &mut newest,
        decay,
    })
}

/// Parameters by name, flattened.
struct Newest<B: Backend> {
    path: ParameterPath,
    values: BTreeMap<String, Tensor<B, 1>>,
}

impl<B: Backend> Default for Newest<B> {
    fn default() -> Self {
        Self {
            path: ParameterPath::default(),
            values: BTreeMap::new(),
        }
    }
}

struct InnerOf<'a, B: Backend> {
    newest: &'a mut Newest<B>,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for InnerOf<'_, A::InnerBackend> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.newest.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.newest.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        let tensor = param.val().inner();
        let count = tensor.shape().num_elements();
        let name = self.newest.path.name();
        self.newest.values.insert(name, tensor.reshape([count]));
    }
}

struct Mix<'a, B: Backend> {
    newest: &'a mut Newest<B>,
    decay: f64,
}

impl<A: AutodiffBackend> ModuleMapper<A> for Mix<'_, A::InnerBackend> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.newest.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.newest.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let Some(newest) = self.newest.values.remove(&self.newest.path.name()) else {
            debug_assert!(false, "the average and the net are of one structure");
            return param;
        };
        param.map(|average| {
            let shape = average.shape();
            let average = average.inner();
            // Written as a correction, so that the average of equal parameters equals them exactly.
            let correction = newest.reshape(shape) - average.clone();
            Tensor::from_inner(average + correction * (1.0 - self.decay))
        })
    }
}
