//! The three nets of the paper by name (arXiv 1903.12370, appendix on architectures).

use std::collections::BTreeMap;

#[cfg(feature = "burn")]
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{LayerConfig, NetError, fit};
#[cfg(feature = "burn")]
use crate::{Net, NonLocalNet, Sequential};

/// Which net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// A multilayer perceptron as 1×1 convolutions, for points `[channels, 1, 1]`: n, 2n, 2n, 2n hidden units.
    Toy,
    /// A 3×3 convolution, three 4×4 convolutions of stride 2 and one over what is left; widths n, 2n, 4n, 8n.
    Vanilla,
    /// Three 3×3 convolutions with max-pooling and two non-local blocks, then two linear layers; widths n, 2n, 4n.
    Nonlocal,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Toy, Self::Vanilla, Self::Nonlocal];

    /// As it is written in a config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Toy => "toy",
            Self::Vanilla => "vanilla",
            Self::Nonlocal => "nonlocal",
        }
    }
}

/// A net's description; together with the state shape it determines every layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Which net.
    pub architecture: Architecture,
    /// The base width n; the paper uses 32.
    #[serde(default = "default_width")]
    pub width: usize,
    /// Leaky-ReLU slope; the paper uses 0.05.
    #[serde(default = "default_slope")]
    pub slope: f64,
}

fn default_width() -> usize {
    32
}

fn default_slope() -> f64 {
    0.05
}

impl NetConfig {
    /// The published net of this architecture: width 32, slope 0.05.
    #[must_use]
    pub fn published(architecture: Architecture) -> Self {
        Self {
            architecture,
            width: default_width(),
            slope: default_slope(),
        }
    }

    /// Checks the settings, and that the net can take states of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`NetError::Setting`] or [`NetError::Layer`].
    pub fn validate(&self, state_shape: [usize; 3]) -> Result<(), NetError> {
        if !(1..=4096).contains(&self.width) {
            return Err(setting("width", self.width, "must be from 1 to 4096"));
        }
        if !self.slope.is_finite() || !(0.0..1.0).contains(&self.slope) {
            return Err(setting("slope", self.slope, "must be from 0 to below 1"));
        }
        let [channels, height, width] = state_shape;
        if channels == 0 {
            return Err(setting(
                "architecture",
                self.architecture.name(),
                "states need at least one channel",
            ));
        }
        let fits = match self.architecture {
            Architecture::Toy => height == 1 && width == 1,
            Architecture::Vanilla | Architecture::Nonlocal => {
                height == width && height >= 8 && height % 8 == 0
            }
        };
        if !fits {
            let needs = match self.architecture {
                Architecture::Toy => {
                    "toy takes points [channels, 1, 1]; use vanilla or nonlocal for images"
                }
                _ => {
                    "takes square images whose side is a multiple of 8 (such as 32); use toy for points"
                }
            };
            return Err(setting(
                "architecture",
                self.architecture.name(),
                format!("does not fit states of {channels}×{height}×{width}: {needs}"),
            ));
        }
        let (convs, head) = self.layers(state_shape);
        LayerConfig::check_stack(&head, LayerConfig::check_stack(&convs, state_shape)?)?;
        Ok(())
    }

    /// The layers: the stack, and the head of `nonlocal` (empty for the others).
    #[must_use]
    pub fn layers(&self, state_shape: [usize; 3]) -> (Vec<LayerConfig>, Vec<LayerConfig>) {
        let [channels, side, _] = state_shape;
        let n = self.width;
        let act = LayerConfig::LeakyRelu { slope: self.slope };
        let conv = |inputs, outputs, kernel, stride, padding| LayerConfig::Conv2d {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
        };
        let point = |inputs, outputs| conv(inputs, outputs, 1, 1, 0);
        let down = |inputs, outputs| conv(inputs, outputs, 4, 2, 1);
        let same = |inputs, outputs| conv(inputs, outputs, 3, 1, 1);
        let pool = LayerConfig::MaxPool2d { size: 2 };
        let block = |channels| LayerConfig::NonLocal { channels };
        match self.architecture {
            Architecture::Toy => (
                vec![
                    point(channels, n),
                    act,
                    point(n, 2 * n),
                    act,
                    point(2 * n, 2 * n),
                    act,
                    point(2 * n, 2 * n),
                    act,
                    point(2 * n, 1),
                ],
                vec![],
            ),
            Architecture::Vanilla => (
                vec![
                    same(channels, n),
                    act,
                    down(n, 2 * n),
                    act,
                    down(2 * n, 4 * n),
                    act,
                    down(4 * n, 8 * n),
                    act,
                    conv(8 * n, 1, side / 8, 1, 0),
                ],
                vec![],
            ),
            Architecture::Nonlocal => (
                vec![
                    same(channels, n),
                    act,
                    pool,
                    block(n),
                    same(n, 2 * n),
                    act,
                    pool,
                    block(2 * n),
                    same(2 * n, 4 * n),
                    act,
                    pool,
                ],
                vec![
                    LayerConfig::Linear {
                        inputs: 4 * n * (side / 8) * (side / 8),
                        outputs: 8 * n,
                    },
                    act,
                    LayerConfig::Linear {
                        inputs: 8 * n,
                        outputs: 1,
                    },
                ],
            ),
        }
    }

    /// The layers with the names that they have in the published checkpoints, such as `f.0` or `convs.3`, in order.
    #[must_use]
    pub fn named_layers(&self, state_shape: [usize; 3]) -> Vec<(String, LayerConfig)> {
        let (stack, head) = self.layers(state_shape);
        let [stack_name, head_name] = match self.architecture {
            Architecture::Toy | Architecture::Vanilla => ["f", ""],
            Architecture::Nonlocal => ["convs", "fc"],
        };
        let name = |part: &'static str, layers: Vec<LayerConfig>| {
            let layers = layers.into_iter().enumerate();
            layers.map(move |(index, layer)| (format!("{part}.{index}"), layer))
        };
        name(stack_name, stack)
            .chain(name(head_name, head))
            .collect()
    }

    /// The net, with the published slope because no parameter shows it, and the state shape `[channels, height, width]`
    /// whose parameters have exactly these names and shapes, which are PyTorch's; `None` if no net of the paper has.
    #[must_use]
    pub fn of_parameters(shapes: &BTreeMap<&str, &[usize]>) -> Option<(Self, [usize; 3])> {
        fit::fitting_net(shapes)
    }

    /// The net for states of `[channels, height, width]`, with PyTorch's default initial parameters drawn from `seed`.
    ///
    /// # Errors
    /// As [`Self::validate`].
    #[cfg(feature = "burn")]
    pub fn init<B: Backend>(
        &self,
        state_shape: [usize; 3],
        seed: u64,
        device: &B::Device,
    ) -> Result<Net<B>, NetError> {
        self.validate(state_shape)?;
        let (stack, head) = self.layers(state_shape);
        Ok(if head.is_empty() {
            Net::Sequential(Sequential::new(&stack, state_shape, seed, device)?)
        } else {
            Net::NonLocal(NonLocalNet::new(&stack, &head, state_shape, seed, device)?)
        })
    }
}

fn setting(key: &'static str, value: impl ToString, allowed: impl Into<String>) -> NetError {
    NetError::Setting {
        key,
        value: value.to_string(),
        allowed: allowed.into(),
    }
}
