//! The rounding of products.

use cubecl::ir::FloatKind;

/// The precision of the factors of a product. Sums, and all stored numbers, are f32 in every case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CubePrecision {
    /// All 24 bits.
    #[default]
    F32,
    /// A mantissa of 10 bits, on tensor cores. PyTorch's convolutions do the same by default on GPUs that support it.
    Tf32,
    /// A mantissa of 7 bits, on tensor cores, which multiply twice as many of these as of TF32.
    Bf16,
}

impl CubePrecision {
    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "TF32",
            Self::Bf16 => "BF16",
        }
    }

    /// Lines of the factors that are multiplied at a time.
    pub(super) fn step(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Tf32 => 8,
            Self::Bf16 => 16,
        }
    }

    /// Bytes of a factor in shared memory.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 4,
            Self::Bf16 => 2,
        }
    }

    pub(super) fn kind(self) -> FloatKind {
        match self {
            Self::F32 => FloatKind::F32,
            Self::Tf32 => FloatKind::TF32,
            Self::Bf16 => FloatKind::BF16,
        }
    }
}
