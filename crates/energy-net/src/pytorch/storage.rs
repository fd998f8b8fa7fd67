//! Stored numbers, and tensors as views of them.

use half::{bf16, f16};

use super::Problem;

/// The type of the numbers in a storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum StorageKind {
    F32,
    F64,
    F16,
    BF16,
    /// A type that no net here has, with its name in PyTorch and its size in bytes. It is known so that a file may hold
    /// such tensors beside the weights.
    Other(&'static str, usize),
}

impl StorageKind {
    /// By the name of the class in the module `torch`.
    pub(super) fn named(class: &str) -> Option<Self> {
        Some(match class {
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::Other("int64", 8),
            "IntStorage" => Self::Other("int32", 4),
            "ShortStorage" => Self::Other("int16", 2),
            "CharStorage" => Self::Other("int8", 1),
            "ByteStorage" => Self::Other("uint8", 1),
            "BoolStorage" => Self::Other("bool", 1),
            "ComplexFloatStorage" => Self::Other("complex64", 8),
            "ComplexDoubleStorage" => Self::Other("complex128", 16),
            _ => return None,
        })
    }

    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
            Self::F16 | Self::BF16 => 2,
            Self::Other(_, size) => size,
        }
    }
}

/// Where the numbers of a tensor lie. The device they lay on is not kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StorageReference<'a> {
    pub(super) key: &'a str,
    pub(super) kind: StorageKind,
    /// How many numbers.
    pub(super) count: usize,
}

impl StorageReference<'_> {
    /// Its size in bytes.
    pub(super) fn bytes(&self) -> Result<usize, Problem> {
        self.count
            .checked_mul(self.kind.size())
            .ok_or_else(|| Problem::Damaged(format!("storage `{}` is impossibly large", self.key)))
    }
}

/// A tensor: element i₀, i₁, … is number offset + Σ iₖ · strideₖ of the storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TensorView<'a> {
    pub(super) storage: StorageReference<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl TensorView<'_> {
    /// How many elements, once it is sure that all of them lie in the storage and that there are no more of them than
    /// numbers.
    ///
    /// # Errors
    /// [`Problem::Damaged`] where they do not, [`Problem::Contents`] for a tensor that repeats numbers.
    pub(super) fn checked_count(&self, name: &str) -> Result<usize, Problem> {
        let outside =
            || Problem::Damaged(format!("tensor `{name}` reaches beyond its stored numbers"));
        if self.shape.contains(&0) {
            return Ok(0);
        }
        let mut last = self.offset;
        let mut count = 1usize;
        for (&side, &stride) in self.shape.iter().zip(&self.strides) {
            let reach = (side - 1).checked_mul(stride).ok_or_else(outside)?;
            last = last.checked_add(reach).ok_or_else(outside)?;
            count = count.saturating_mul(side);
        }
        if last >= self.storage.count {
            return Err(outside());
        }
        if count > self.storage.count {
            return Err(Problem::Contents(format!(
                "tensor `{name}` repeats its {} stored numbers",
                self.storage.count
            )));
        }
        Ok(count)
    }

    /// The elements in row-major order, after [`Self::checked_count`].
    ///
    /// # Errors
    /// [`Problem::Damaged`] for a storage of another size, [`Problem::Contents`] for numbers of another type.
    pub(super) fn values(&self, name: &str, storage: &[u8]) -> Result<Vec<f32>, Problem> {
        if storage.len() != self.storage.bytes()? {
            return Err(Problem::Damaged(format!(
                "the storage of tensor `{name}` has {} bytes where {} numbers are due",
                storage.len(),
                self.storage.count
            )));
        }
        match self.storage.kind {
            StorageKind::F32 => {
                Ok(self.gather(storage, |bytes: &[u8; 4]| f32::from_le_bytes(*bytes)))
            }
            StorageKind::F64 => {
                Ok(self.gather(storage, |bytes: &[u8; 8]| f64::from_le_bytes(*bytes) as f32))
            }
            StorageKind::F16 => Ok(self.gather(storage, |bytes: &[u8; 2]| {
                f16::from_le_bytes(*bytes).to_f32()
            })),
            StorageKind::BF16 => Ok(self.gather(storage, |bytes: &[u8; 2]| {
                bf16::from_le_bytes(*bytes).to_f32()
            })),
            StorageKind::Other(kind, _) => Err(Problem::Contents(format!(
                "tensor `{name}` is of type {kind} where a type of floats is needed"
            ))),
        }
    }

    fn gather<const N: usize>(&self, storage: &[u8], number: impl Fn(&[u8; N]) -> f32) -> Vec<f32> {
        let (numbers, _) = storage.as_chunks::<N>();
        if self.shape.contains(&0) {
            return Vec::new();
        }
        let mut values = Vec::with_capacity(self.shape.iter().product());
        let mut index = vec![0; self.shape.len()];
        let mut position = self.offset;
        loop {
            // All positions lie inside: the caller has checked the last.
            values.extend(numbers.get(position).map(&number));
            let mut axis = self.shape.len();
            loop {
                if axis == 0 {
                    return values;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    position += self.strides[axis];
                    break;
                }
                position -= (self.shape[axis] - 1) * self.strides[axis];
                index[axis] = 0;
            }
        }
    }
}
