//! What can be wrong with a net's description or its weight file.

use std::path::PathBuf;

/// An impossible net or an unfit weight file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// A setting of the net is out of range.
    #[error("net.{key} = {value}: {allowed}")]
    Setting {
        /// The key in the config.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        allowed: String,
    },
    /// The layers do not fit each other or the states.
    #[error(
        "layer {index} ({layer}) cannot take an input of {channels}×{height}×{width}: {reason}"
    )]
    Layer {
        /// Position in the stack, counted from 0 as in a PyTorch `Sequential`.
        index: usize,
        /// The layer's description.
        layer: String,
        /// Channels that arrive.
        channels: usize,
        /// Height that arrives.
        height: usize,
        /// Width that arrives.
        width: usize,
        /// What does not fit and what would.
        reason: String,
    },
    /// The last layer does not give one scalar.
    #[error(
        "the net ends with {0} values for each state, an energy needs one: end with a layer of a single output"
    )]
    NotScalar(usize),
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is of no known format, or damaged.
    #[error(
        "{path}: not a readable {format} file ({reason}); the file may be truncated or damaged, write it again"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it begins like, or those it could have.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The file of PyTorch holds more than tensors in containers.
    #[error(
        "{path}: asks for the Python object `{name}`, and nothing in a file of weights is ever run; save the weights \
         alone: torch.save(net.state_dict(), FILE)"
    )]
    NotOnlyWeights {
        /// The file.
        path: PathBuf,
        /// Module and name of the type or function.
        name: String,
    },
    /// The file is sound, but does not hold one set of weights.
    #[error(
        "{path}: no weights to load: {reason}; save those of one net: torch.save(net.state_dict(), FILE)"
    )]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        reason: String,
    },
    /// The tensors in the file are not those of the net.
    #[error("{path}: these are the weights of another net: {difference}; {advice}")]
    OtherNet {
        /// The file.
        path: PathBuf,
        /// The first few differences.
        difference: String,
        /// The net they fit, if it is one of the paper's.
        advice: String,
    },
    /// The file holds a value that is not finite.
    #[error("{path}: tensor `{name}` holds NaN or infinite values; use an earlier checkpoint")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
}
