//! The kernels that an engine can run.

use crate::{Mala, Ula};

/// How a chain goes from one state to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// Every Langevin step is taken: the kernel of learning. Its stationary density is exp(−F/T) up to a bias that grows with ε.
    Ula(Ula),
    /// Langevin steps are proposed, and taken or not: exp(−F/T) exactly.
    Mala(Mala),
}

impl From<Ula> for Kernel {
    fn from(kernel: Ula) -> Self {
        Self::Ula(kernel)
    }
}

impl From<Mala> for Kernel {
    fn from(kernel: Mala) -> Self {
        Self::Mala(kernel)
    }
}
