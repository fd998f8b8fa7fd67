//! The choice of kernels for a net.

use ebm_core::{LayerDescription, Layered, ParameterValues, StateShape, layer_shapes};

use super::CubePrecision;
use super::dense::DenseNet;
use super::device::{CubeNet, Device, Options};
use super::layered::LayeredNet;
use super::{missing, missing_precision};
use ebm_langevin::LangevinError;

/// A net laid out for the kernels, and its parameters in the order of the layers.
pub(super) struct Layout {
    pub(super) net: CubeNet,
    /// The net for kernels that go layer by layer, as parameter gradients always do. `None` if these lack a layer or
    /// there is no room.
    pub(super) gradients: Option<LayeredNet>,
    pub(super) parameters: Vec<ParameterValues>,
}

impl Layout {
    /// All steps of a chain in one launch if the net fits, otherwise layer by layer.
    ///
    /// # Errors
    /// As [`CubeEngine::supports`](super::CubeEngine::supports).
    pub(super) fn new<E: Layered>(
        energy: &E,
        shape: StateShape,
        device: &dyn Device,
        options: Options,
    ) -> Result<Self, LangevinError> {
        let (layers, parameters) = described(energy, device)?;
        let shapes = layer_shapes(&layers, shape)?;
        let fitting = |net: CubeNet| device.fits(&net, options).map(|()| net);
        let layered = LayeredNet::new(&layers, &shapes).map(CubeNet::Layered);
        let layered = layered.and_then(fitting);
        let gradients = match &layered {
            Ok(CubeNet::Layered(net)) => Some(net.clone()),
            _ => None,
        };
        let dense = DenseNet::new(&layers, &shapes).map(CubeNet::Dense);
        let net = match dense.and_then(fitting) {
            Ok(_) if options.precision != CubePrecision::F32 => {
                return Err(missing_precision(
                    options.precision,
                    "a small dense net, whose chains run in one launch",
                ));
            }
            Ok(dense) => dense,
            Err(_) => layered?,
        };
        Ok(Self {
            net,
            gradients,
            parameters,
        })
    }

    /// How many parameters.
    pub(super) fn numbers(&self) -> usize {
        self.parameters.iter().map(ParameterValues::len).sum()
    }

    /// The part of F that kernels leave out and the host adds: the last bias of a dense net.
    ///
    /// # Errors
    /// [`LangevinError::Core`] when the device does not return it.
    pub(super) fn last_bias(&self) -> Result<f32, LangevinError> {
        match (&self.net, self.parameters.last()) {
            (CubeNet::Dense(net), Some(bias)) if net.ends_in_bias() => {
                Ok(bias.values()?.first().copied().unwrap_or(f32::NAN))
            }
            _ => Ok(0.0),
        }
    }
}

/// The layers and all their parameters, if the device has a buffer for them.
fn described<E: Layered>(
    energy: &E,
    device: &dyn Device,
) -> Result<(Vec<LayerDescription>, Vec<ParameterValues>), LangevinError> {
    let layers = energy.layers().map_err(missing)?;
    let parameters = layers.iter().flat_map(LayerDescription::parameters);
    let parameters: Vec<_> = parameters.cloned().collect();
    let count: usize = parameters.iter().map(ParameterValues::len).sum();
    if count >= device.most_numbers() {
        return Err(missing(format!(
            "room on this device for a net of {count} weights"
        )));
    }
    Ok((layers, parameters))
}
