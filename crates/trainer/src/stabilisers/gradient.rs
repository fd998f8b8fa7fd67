//! The stabilisers that change the gradient before the optimiser sees it.

use burn::module::{AutodiffModule, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use ebm_langevin::Numbers;

use super::Stabilisers;
use crate::Gradients;
use crate::optimizer::on_host;

/// The gradient of d, clipped to a norm and with weight decay. `temperature` is T: T times the gradient of d is that
/// of the loss in units of F. If both are off, the gradient is returned unchanged.
pub(crate) fn adjusted<A: AutodiffBackend, M: AutodiffModule<A>>(
    stabilisers: &Stabilisers,
    module: &M,
    gradients: Gradients<A>,
    temperature: f64,
) -> Gradients<A> {
    let clip = stabilisers.parameter_gradient_clip;
    let decay = stabilisers.weight_decay;
    if clip.is_none() && decay.is_none() {
        return gradients;
    }
    let mut collected = Collected {
        gradients: &gradients,
        parts: Vec::new(),
    };
    module.visit(&mut collected);
    let mut parts = collected.parts;
    // In f64 no square of an f32 overflows.
    let squares = parts.iter().flat_map(|part| &part.gradient);
    let norm = squares.map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt() * temperature;
    // A gradient that is not finite stays what it is, for the check of the parameters to see.
    let factor = match clip {
        Some(most) if norm.is_finite() && norm > most => most / norm,
        _ => 1.0,
    };
    let decay = decay.unwrap_or(0.0) / temperature;
    for Part {
        gradient, values, ..
    } in &mut parts
    {
        for (gradient, &value) in gradient.iter_mut().zip(&*values) {
            *gradient = (f64::from(*gradient) * factor + decay * f64::from(value)) as f32;
        }
    }
    let by_id = parts
        .into_iter()
        .map(|part| (part.id, Numbers::Host(part.gradient)));
    Gradients::ByParameter(by_id.collect())
}

/// A parameter and its gradient on the host, in burn's layout.
struct Part {
    id: ParamId,
    values: Vec<f32>,
    gradient: Vec<f32>,
}

struct Collected<'a, A: AutodiffBackend> {
    gradients: &'a Gradients<A>,
    parts: Vec<Part>,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Collected<'_, A> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        let tensor = param.val();
        if let Some(gradient) = self.gradients.of(param.id, &tensor) {
            self.parts.push(Part {
                id: param.id,
                values: tensor.inner().into_data().iter::<f32>().collect(),
                gradient: on_host(gradient.into_owned()),
            });
        }
    }
}
