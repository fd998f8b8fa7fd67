//! Numbers that a device is still computing.

use crate::LangevinError;

/// A number that is read from the device where it is computed only when it is asked for, because asking waits for all
/// that the device was given before. Ask on the thread that launched it: GPU runtimes order work by thread.
pub struct PendingNumber(Source);

enum Source {
    Known(f64),
    Device(Box<dyn FnOnce() -> Result<f64, LangevinError> + Send>),
}

impl PendingNumber {
    /// A number that `read` waits for.
    pub fn new(read: impl FnOnce() -> Result<f64, LangevinError> + Send + 'static) -> Self {
        Self(Source::Device(Box::new(read)))
    }

    /// The number, once it is there.
    ///
    /// # Errors
    /// [`LangevinError::Backend`] when the device has failed.
    pub fn read(self) -> Result<f64, LangevinError> {
        match self.0 {
            Source::Known(number) => Ok(number),
            Source::Device(read) => read(),
        }
    }
}

impl From<f64> for PendingNumber {
    fn from(number: f64) -> Self {
        Self(Source::Known(number))
    }
}

impl std::fmt::Debug for PendingNumber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Source::Known(number) => formatter
                .debug_tuple("PendingNumber")
                .field(&number)
                .finish(),
            Source::Device(_) => formatter
                .debug_struct("PendingNumber")
                .finish_non_exhaustive(),
        }
    }
}
