//! d, the difference of mean energies that learning descends, and its gradient with respect to the parameters.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_core::Energy;
use ebm_langevin::Engine;

use crate::{Gradients, TrainerError};

/// d = scale · (mean F(x⁺) − mean F(x⁻)).
pub(crate) struct Difference<B: AutodiffBackend> {
    /// Mean F(x⁺).
    pub(crate) energy_data: f64,
    /// Mean F(x⁻).
    pub(crate) energy_samples: f64,
    /// d.
    pub(crate) value: f64,
    gradient: Gradient<B>,
}

enum Gradient<B: AutodiffBackend> {
    /// Still to be computed from d.
    Of(Tensor<B, 1>),
    /// The engine has computed it along with the energies.
    Known(HashMap<ParamId, Vec<f32>>),
}

impl<B: AutodiffBackend> Difference<B> {
    /// Asks the engine for the energies and the gradient; if it leaves them to automatic differentiation, so be it.
    pub(crate) fn new<N: Energy<B>, E: Engine<B, N>>(
        net: &N,
        engine: &E,
        data: Tensor<B::InnerBackend, 4>,
        samples: Tensor<B::InnerBackend, 4>,
        scale: f64,
    ) -> Result<Self, TrainerError> {
        let counts = [data.dims()[0], samples.dims()[0]];
        // The weights of the single energies in d.
        let mut weights = vec![(scale / counts[0] as f64) as f32; counts[0]];
        weights.resize(counts[0] + counts[1], (-scale / counts[1] as f64) as f32);
        let states = Tensor::cat(vec![data.clone(), samples.clone()], 0);
        if let Some(known) = engine.parameter_gradient(net, &states, &weights)? {
            let (of_data, of_samples) = known.energies.split_at(counts[0]);
            let (energy_data, energy_samples) = (mean(of_data), mean(of_samples));
            return Ok(Self {
                energy_data,
                energy_samples,
                value: scale * (energy_data - energy_samples),
                gradient: Gradient::Known(known.gradients),
            });
        }
        let mean_energy = |states| net.energy(Tensor::from_inner(states)).mean();
        let [of_data, of_samples] = [mean_energy(data), mean_energy(samples)];
        let difference = (of_data.clone() - of_samples.clone()) * scale;
        Ok(Self {
            energy_data: number(&of_data)?,
            energy_samples: number(&of_samples)?,
            value: number(&difference)?,
            gradient: Gradient::Of(difference),
        })
    }

    /// ∂d/∂θ.
    pub(crate) fn gradients(self) -> Gradients<B> {
        match self.gradient {
            Gradient::Of(difference) => Gradients::Automatic(difference.backward()),
            Gradient::Known(gradients) => Gradients::Host(gradients),
        }
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}

fn number<B: Backend>(tensor: &Tensor<B, 1>) -> Result<f64, TrainerError> {
    tensor
        .to_data()
        .iter::<f64>()
        .next()
        .ok_or_else(|| TrainerError::Backend("an empty tensor".into()))
}
