//! d, the difference of mean energies that learning descends, and its gradient with respect to the parameters.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Energy, States};
use ebm_langevin::{Batch, BoundEngine, ChainRun, LangevinError, Numbers};

use crate::{Gradients, TrainerError};

/// The loss: scale · (mean F(x⁺) − mean F(x⁻) + α · (mean F(x⁺)² + mean F(x⁻)²)).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// 1/T.
    pub(crate) scale: f64,
    /// α.
    pub(crate) energy_penalty: Option<f64>,
}

/// The energies that d is made of, and the gradient of the loss.
pub(crate) struct Difference<B: AutodiffBackend> {
    /// F of the data and of the samples, in this order.
    pub(crate) energies: Numbers<B::InnerBackend>,
    pub(crate) gradients: Gradients<B>,
}

impl<B: AutodiffBackend> Difference<B> {
    /// Asks the engine for the energies and the gradient. If it returns none, automatic differentiation computes
    /// them.
    pub(crate) fn new<N: Module<B> + Energy<B>>(
        net: &N,
        chains: &dyn BoundEngine<B, N>,
        batches @ [data, samples]: [&Batch<B::InnerBackend>; 2],
        loss: Loss,
        device: &B::Device,
    ) -> Result<Self, TrainerError> {
        let Loss {
            scale,
            energy_penalty,
        } = loss;
        let counts = batches.map(Batch::len);
        // The derivatives of the loss with respect to the single energies.
        let mut weights = vec![(scale / counts[0] as f64) as f32; counts[0]];
        weights.resize(counts[0] + counts[1], (-scale / counts[1] as f64) as f32);
        if let Some(alpha) = energy_penalty {
            // Those of the penalty depend on the energies, so these come first.
            let energies = energies(chains, batches, device)?;
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
        if let Some(known) = chains.parameter_gradient(&batches, &weights)? {
            return Ok(Self {
                energies: known.energies,
                gradients: Gradients::ByParameter(known.gradients),
            });
        }
        let [of_data, of_samples] = [data, samples]
            .map(|states| net.energy(Tensor::from_inner(states.clone().into_tensor(device))));
        let squares = energy_penalty.map(|alpha| {
            let mean_square = |energies: &Tensor<B, 1>| energies.clone().powi_scalar(2).mean();
            (mean_square(&of_data) + mean_square(&of_samples)) * (scale * alpha)
        });
        let energies = Tensor::cat(vec![of_data.clone(), of_samples.clone()], 0).inner();
        let difference = (of_data.mean() - of_samples.mean()) * scale;
        let loss = match squares {
            Some(squares) => difference + squares,
            None => difference,
        };
        Ok(Self {
            energies: Numbers::Device(energies),
            gradients: Gradients::Automatic(loss.backward()),
        })
    }
}

/// F of the states of both batches, as a run without steps.
fn energies<B: AutodiffBackend, N>(
    chains: &dyn BoundEngine<B, N>,
    batches: [&Batch<B::InnerBackend>; 2],
    device: &B::Device,
) -> Result<Vec<f32>, LangevinError> {
    let states = match batches {
        [Batch::Host(data), Batch::Host(samples)] => {
            Batch::Host(States::concat(data.shape(), [data, samples])?)
        }
        _ => {
            let tensors = batches.map(|batch| batch.clone().into_tensor(device));
            Batch::Device(Tensor::cat(tensors.to_vec(), 0))
        }
    };
    let outcome = chains.launch(states, &ChainRun::of_energies())?;
    Ok(outcome.energies.unwrap_or_default())
}
