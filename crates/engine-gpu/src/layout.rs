//! The choice of kernels for a net.

use ebm_core::{LayerDescription, Layered, ParameterValues};

use super::CubePrecision;
use super::dense::DenseNet;
use super::device::{CubeNet, Device, Options};
use super::layered::LayeredNet;
use ebm_langevin::LangevinError;

/// A net as the kernels want it, and its parameters in the order of the layers.
pub(super) struct Layout {
    pub(super) net: CubeNet,
    pub(super) parameters: Vec<ParameterValues>,
}

impl Layout {
    /// Whole chains a launch where that fits, otherwise layer by layer.
    ///
    /// # Errors
    /// As [`CubeEngine::supports`](super::CubeEngine::supports).
    pub(super) fn new<E: Layered>(
        energy: &E,
        state_shape: [usize; 3],
        device: &dyn Device,
        options: Options,
    ) -> Result<Self, LangevinError> {
        let (layers, parameters) = described(energy, device)?;
        if let Ok(net) = DenseNet::new(&layers, state_shape) {
            let net = CubeNet::Dense(net);
            if device.fits(&net, options).is_ok() {
                if options.precision != CubePrecision::F32 {
                    return Err(LangevinError::NoPrecision {
                        precision: options.precision.name(),
                        of: "a small dense net, whose chains run in one launch",
                    });
                }
                return Ok(Self { net, parameters });
            }
        }
        let net = CubeNet::Layered(LayeredNet::new(&layers, state_shape)?);
        device.fits(&net, options)?;
        Ok(Self { net, parameters })
    }

    /// Layer by layer, as parameter gradients always are. `None` where that lacks something, or there is no room.
    ///
    /// # Errors
    /// As [`CubeEngine::supports`](super::CubeEngine::supports), where the description does not fit the states.
    pub(super) fn layered<E: Layered>(
        energy: &E,
        state_shape: [usize; 3],
        device: &dyn Device,
        options: Options,
    ) -> Result<Option<Self>, LangevinError> {
        let laid_out = described(energy, device).and_then(|(layers, parameters)| {
            let net = CubeNet::Layered(LayeredNet::new(&layers, state_shape)?);
            device.fits(&net, options)?;
            Ok(Self { net, parameters })
        });
        match laid_out {
            Ok(layout) => Ok(Some(layout)),
            Err(error) if error.is_lacking() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many parameters.
    pub(super) fn numbers(&self) -> usize {
        self.parameters.iter().map(ParameterValues::len).sum()
    }

    /// What kernels leave out of F, to be added on the host: a dense net's last bias.
    pub(super) fn last_bias(&self) -> f32 {
        match (&self.net, self.parameters.last()) {
            (CubeNet::Dense(net), Some(bias)) if net.ends_in_bias() => {
                bias.values().first().copied().unwrap_or(f32::NAN)
            }
            _ => 0.0,
        }
    }
}

/// The layers and all their parameters, if the device has a buffer for them.
fn described<E: Layered>(
    energy: &E,
    device: &dyn Device,
) -> Result<(Vec<LayerDescription>, Vec<ParameterValues>), LangevinError> {
    let layers = energy.layers().map_err(LangevinError::NotCubed)?;
    let parameters = layers.iter().flat_map(LayerDescription::parameters);
    let parameters: Vec<_> = parameters.cloned().collect();
    let count: usize = parameters.iter().map(ParameterValues::len).sum();
    if count >= device.most_numbers() {
        return Err(LangevinError::NotCubed(format!(
            "room on this device for a net of {count} weights"
        )));
    }
    Ok((layers, parameters))
}
