//! The names of types and functions that a pickle of weights may mention.

use super::Problem;
use super::storage::StorageKind;

/// A name with a meaning here. None of them is ever called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: storage, offset, shape, strides, and entries that do
    /// not affect the values.
    Tensor,
    /// `torch._utils._rebuild_parameter`: a tensor, and entries that do not affect the values.
    Parameter,
    /// `torch.FloatStorage` and its like.
    Storage(StorageKind),
}

impl Global {
    /// # Errors
    /// [`Problem::Global`] for every other name.
    pub(super) fn named(module: &str, name: &str) -> Result<Self, Problem> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::Tensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::Parameter),
            ("torch", name) => StorageKind::named(name).map(Self::Storage),
            _ => None,
        }
        .ok_or_else(|| Problem::Global(format!("{module}.{name}")))
    }
}
