//! The types of numbers that NumPy stores.

use half::f16;

/// A type of real numbers, in one of the byte orders.
pub(super) struct NumberKind {
    is_big_endian: bool,
    number: Number,
}

/// A number from its bytes, the lowest first.
enum Number {
    One(fn([u8; 1]) -> f32),
    Two(fn([u8; 2]) -> f32),
    Four(fn([u8; 4]) -> f32),
    Eight(fn([u8; 8]) -> f32),
}

impl NumberKind {
    /// The type by NumPy's name for it: byte order, kind and size, such as `<f4`.
    ///
    /// # Errors
    /// What is wrong and what would be right, in words.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let number = match name.get(1..).unwrap_or_default() {
            "f2" => Number::Two(|bytes| f16::from_le_bytes(bytes).to_f32()),
            "f4" => Number::Four(f32::from_le_bytes),
            "f8" => Number::Eight(|bytes| f64::from_le_bytes(bytes) as f32),
            "i1" => Number::One(|bytes| i8::from_le_bytes(bytes).into()),
            "i2" => Number::Two(|bytes| i16::from_le_bytes(bytes).into()),
            "i4" => Number::Four(|bytes| i32::from_le_bytes(bytes) as f32),
            "i8" => Number::Eight(|bytes| i64::from_le_bytes(bytes) as f32),
            "u1" => Number::One(|bytes| u8::from_le_bytes(bytes).into()),
            "u2" => Number::Two(|bytes| u16::from_le_bytes(bytes).into()),
            "u4" => Number::Four(|bytes| u32::from_le_bytes(bytes) as f32),
            "u8" => Number::Eight(|bytes| u64::from_le_bytes(bytes) as f32),
            "b1" => Number::One(|[byte]| f32::from(u8::from(byte != 0))),
            _ => return Err(refusal(name)),
        };
        let is_big_endian = match (name.as_bytes().first(), &number) {
            (Some(b'|'), Number::One(_)) | (Some(b'<'), _) => false,
            (Some(b'>'), _) => true,
            _ => return Err(refusal(name)),
        };
        Ok(Self {
            is_big_endian,
            number,
        })
    }

    /// Bytes of a number.
    pub(super) fn size(&self) -> usize {
        match self.number {
            Number::One(_) => 1,
            Number::Two(_) => 2,
            Number::Four(_) => 4,
            Number::Eight(_) => 8,
        }
    }

    pub(super) fn numbers(&self, data: &[u8]) -> Vec<f32> {
        match self.number {
            Number::One(number) => self.each(data, number),
            Number::Two(number) => self.each(data, number),
            Number::Four(number) => self.each(data, number),
            Number::Eight(number) => self.each(data, number),
        }
    }

    fn each<const N: usize>(&self, data: &[u8], number: fn([u8; N]) -> f32) -> Vec<f32> {
        let ordered = |&(mut bytes): &[u8; N]| {
            if self.is_big_endian {
                bytes.reverse();
            }
            number(bytes)
        };
        data.as_chunks().0.iter().map(ordered).collect()
    }
}

fn refusal(name: &str) -> String {
    format!("of type {name}, real numbers are needed; save its .astype(numpy.float32)")
}
