//! d, the difference of mean energies that learning descends, and its gradient with respect to the parameters.

use std::collections::HashMap;

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Energy, NoiseKey, StepSize, Stream};
use ebm_langevin::{ChainRun, Engine, LangevinError, Ula};

use crate::numbers::{MeanEnergies, means};
use crate::{Gradients, TrainerError};

/// What is descended: scale · (mean F(x⁺) − mean F(x⁻) + α · (mean F(x⁺)² + mean F(x⁻)²)).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// 1/T.
    pub(crate) scale: f64,
    /// α.
    pub(crate) energy_penalty: Option<f64>,
}

/// The mean energies that d is made of, and the gradient of the loss.
pub(crate) struct Difference<B: AutodiffBackend> {
    pub(crate) energies: MeanEnergies<B::InnerBackend>,
    pub(crate) gradient: Gradient<B>,
}

/// The gradient of the loss.
pub(crate) enum Gradient<B: AutodiffBackend> {
    /// Still to be computed from the loss.
    Of(Tensor<B, 1>),
    /// The engine has computed it along with the energies.
    Known(HashMap<ParamId, Vec<f32>>),
    /// The engine computes it along with the energies, on the device.
    Launched(HashMap<ParamId, Tensor<B::InnerBackend, 1>>),
}

impl<B: AutodiffBackend> Difference<B> {
    /// Asks the engine for the energies and the gradient; if it leaves them to automatic differentiation, so be it.
    pub(crate) fn new<N: Module<B> + Energy<B>, E: Engine<B, N>>(
        net: &N,
        engine: &E,
        data: Tensor<B::InnerBackend, 4>,
        samples: Tensor<B::InnerBackend, 4>,
        loss: Loss,
    ) -> Result<Self, TrainerError> {
        let Loss {
            scale,
            energy_penalty,
        } = loss;
        let counts = [data.dims()[0], samples.dims()[0]];
        // The derivatives of the loss with respect to the single energies.
        let mut weights = vec![(scale / counts[0] as f64) as f32; counts[0]];
        weights.resize(counts[0] + counts[1], (-scale / counts[1] as f64) as f32);
        let states = Tensor::cat(vec![data.clone(), samples.clone()], 0);
        if let Some(alpha) = energy_penalty {
            // Those of the penalty depend on the energies, so these come first.
            let energies = energies(net, engine, states.clone())?;
            if energies.len() != weights.len() {
                return Err(TrainerError::Energies {
                    energies: energies.len(),
                    states: weights.len(),
                });
            }
            let of_each = |index| {
                if index < counts[0] {
                    counts[0]
                } else {
                    counts[1]
                }
            };
            for (index, (weight, energy)) in weights.iter_mut().zip(energies).enumerate() {
                let slope = 2.0 * alpha * f64::from(energy) / of_each(index) as f64;
                *weight = (f64::from(*weight) + scale * slope) as f32;
            }
        }
        if let Some(launched) = engine.launch_parameter_gradient(net, &states, &weights)? {
            return Ok(Self {
                energies: MeanEnergies::Device(launched.energies, counts[0]),
                gradient: Gradient::Launched(launched.gradients),
            });
        }
        if let Some(known) = engine.parameter_gradient(net, &states, &weights)? {
            return Ok(Self {
                energies: MeanEnergies::Known(means(&known.energies, counts[0])),
                gradient: Gradient::Known(known.gradients),
            });
        }
        let [of_data, of_samples] =
            [data, samples].map(|states| net.energy(Tensor::from_inner(states)));
        let squares = energy_penalty.map(|alpha| {
            let mean_square = |energies: &Tensor<B, 1>| energies.clone().powi_scalar(2).mean();
            (mean_square(&of_data) + mean_square(&of_samples)) * (scale * alpha)
        });
        let energies = Tensor::cat(vec![of_data.clone(), of_samples.clone()], 0).inner();
        let difference = (of_data.mean() - of_samples.mean()) * scale;
        Ok(Self {
            energies: MeanEnergies::Device(energies, counts[0]),
            gradient: Gradient::Of(match squares {
                Some(squares) => difference + squares,
                None => difference,
            }),
        })
    }
}

impl<B: AutodiffBackend> Gradient<B> {
    /// Its values.
    pub(crate) fn compute(self) -> Gradients<B> {
        match self {
            Self::Of(loss) => Gradients::Automatic(loss.backward()),
            Self::Known(gradients) => Gradients::Host(gradients),
            Self::Launched(gradients) => Gradients::Device(gradients),
        }
    }
}

/// F of each state, as a run without steps.
fn energies<B: AutodiffBackend, N: Module<B> + Energy<B>, E: Engine<B, N>>(
    net: &N,
    engine: &E,
    states: Tensor<B::InnerBackend, 4>,
) -> Result<Vec<f32>, TrainerError> {
    let run = ChainRun {
        kernel: Ula::learned(StepSize::new(0.0).map_err(LangevinError::from)?).into(),
        steps: 0,
        first_step: 0,
        noise: NoiseKey::new(0, Stream::Watch, 0),
        final_energies: true,
    };
    let outcome = engine.run(&net.clone().no_grad(), states, &run)?;
    Ok(outcome.energies.unwrap_or_default())
}
