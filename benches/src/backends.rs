//! Where is measured.

use crate::{Skipped, TimedBackend};

/// The backends of a measurement, as the program that names them has found them.
pub struct Backends {
    /// What is measured, in the order of the tables.
    pub measured: Vec<MeasuredBackend>,
    /// Whether somebody asked for these by name. Then what takes very long is measured too.
    pub are_named: bool,
    /// A backend on the CPU that gives the matrix product that speeds are set against and the states that those of a
    /// GPU are compared with; `None` leaves both out.
    pub reference: Option<Box<dyn TimedBackend>>,
    /// Backends that are not measured, and why.
    pub skipped: Vec<Skipped>,
}

/// A backend that is measured.
pub struct MeasuredBackend {
    /// The backend.
    pub backend: Box<dyn TimedBackend>,
    /// The index of the NVIDIA GPU it computes on, for peers that shall use the same.
    pub cuda_index: Option<u16>,
    /// Whether a step of an image net takes seconds with its tensors.
    pub is_slow: bool,
}

impl MeasuredBackend {
    /// Its name, such as "flex" or "cuda:1".
    #[must_use]
    pub fn name(&self) -> &str {
        self.backend.name()
    }

    /// Its device as peers call it: the CPU, or the name of the backend.
    #[must_use]
    pub fn device(&self) -> &str {
        if self.backend.is_gpu() {
            self.name()
        } else {
            "cpu"
        }
    }
}
