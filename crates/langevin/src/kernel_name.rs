//! The kernels by name, for settings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a kernel that engines accelerate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelName {
    /// Every Langevin step is taken ([`Ula`](crate::Ula)).
    #[default]
    Ula,
    /// Langevin steps are proposed, and accepted or not ([`Mala`](crate::Mala)).
    Mala,
}

impl KernelName {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Ula, Self::Mala];

    /// Its name as a setting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ula => "ula",
            Self::Mala => "mala",
        }
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ula => "ULA",
            Self::Mala => "MALA",
        })
    }
}
