//! What does not fit into memory is refused before any of it is allocated. The system may promise more memory than
//! there is, and end the program when it is used.

use ebm_core::{Layered, StateShape, available_memory, layer_shapes};
use ebm_energy_net::Net;

use crate::any_engine::AnyEngine;
use crate::{ExperimentConfig, ExperimentError};

const FLOAT: u64 = size_of::<f32>() as u64;
const GIBIBYTE: f64 = (1u64 << 30) as f64;

/// Copies of the states of a batch, such as data, samples and noise, at the moment at which there are most; measured on
/// short runs of `short-run` with batches of 64 to 2,048.
const COPIES: u64 = 12;
/// The copies of a layer's output that automatic differentiation of a batch of data and one of samples holds; measured
/// in the same way.
const TAPES: u64 = 2;
/// Copies of a bank while a checkpoint is written.
const BANKS: u64 = 3;

/// Checks that chains with states of a shape fit; `setting` is the name of their number.
///
/// # Errors
/// [`ExperimentError::Setting`].
pub(crate) fn check_chains(
    setting: &'static str,
    count: usize,
    shape: impl Into<StateShape>,
) -> Result<(), ExperimentError> {
    const HELD: u64 = 6;
    let needed = states(count, shape.into()).saturating_mul(HELD);
    match lack(needed) {
        None => Ok(()),
        Some(lack) => Err(ExperimentError::setting(
            setting,
            format!("is {count}: so many chains {lack}; ask for fewer"),
        )),
    }
}

/// Checks that the chains of learning fit, and the differentiation of their energies. Nothing is known of the memory of
/// a GPU.
///
/// # Errors
/// [`ExperimentError::Request`].
pub(crate) fn check_learning<B: burn::tensor::backend::Backend>(
    config: &ExperimentConfig,
    net: &Net<B>,
    engine: &AnyEngine,
    data: Option<usize>,
) -> Result<(), ExperimentError> {
    let shape: StateShape = config.data.shape().into();
    let batch = config.batch_size;
    let bank = config.learning().bank_size(data).unwrap_or(0);
    let of_states = states(batch, shape)
        .saturating_mul(COPIES)
        .saturating_add(states(bank, shape).saturating_mul(BANKS));
    let of_engine = match engine {
        AnyEngine::Tensor(_) => {
            let layers = net.layers().unwrap_or_default();
            let shapes = layer_shapes(&layers, shape).unwrap_or_default();
            let outputs = shapes.iter().map(|shape| states(batch, *shape));
            outputs.fold(0, u64::saturating_add).saturating_mul(TAPES)
        }
        // Its blocks of chains do not grow with the batch.
        _ => 0,
    };
    match lack(of_states.saturating_add(of_engine)) {
        None => Ok(()),
        Some(lack) => Err(ExperimentError::Request(format!(
            "batches of {batch} chains {lack}; lower batch_size, langevin.bank_size or net.width"
        ))),
    }
}

fn states(count: usize, shape: StateShape) -> u64 {
    (count as u64)
        .saturating_mul(shape.size() as u64)
        .saturating_mul(FLOAT)
}

/// What is wrong, as the rest of a sentence, if so many bytes are not there.
fn lack(needed: u64) -> Option<String> {
    let available = available_memory()?;
    (needed > available).then(|| {
        let [needed, available] = [needed, available].map(|bytes| bytes as f64 / GIBIBYTE);
        format!("take about {needed:.1} GiB of memory, and {available:.1} GiB are free")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_cannot_fit_are_refused_with_their_bytes() {
        assert!(check_chains("chains", 1_000, [3, 32, 32]).is_ok());
        // 6 copies of 10^9 states of 12 kB.
        if available_memory().is_some() {
            let refused = check_chains("chains", 1_000_000_000, [3, 32, 32]).unwrap_err();
            let message = refused.to_string();
            assert!(message.contains("68664.6 GiB"), "{message}");
        }
        assert!(lack(u64::MAX).is_some() || available_memory().is_none());
        assert_eq!(lack(0), None);
    }
}
