//! The backend that was asked for, which may be the best there is.

use std::str::FromStr;

use super::{BackendName, open};
use crate::error::DriverError;

/// A backend as it can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendChoice {
    /// The best that this build has and that starts on this machine.
    Auto,
    /// This one.
    Named(BackendName),
}

impl BackendChoice {
    /// The backend; for `auto` after it has been tried, with a line that says which.
    pub(crate) fn resolve(self) -> BackendName {
        let Self::Named(name) = self else {
            return best();
        };
        name
    }
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let name = text.parse().map(Self::Named);
        name.map_err(|there_are: String| format!("{there_are}; auto is the best that starts here"))
    }
}

/// CUDA, then wgpu on hardware, then the CPU.
fn best() -> BackendName {
    let mut reasons = Vec::new();
    for candidate in [cuda(), wgpu()] {
        match candidate {
            Ok(name) => {
                tracing::info!("--backend auto is {name} here");
                return name;
            }
            Err(reason) => reasons.push(reason),
        }
    }
    let name = BackendName::default();
    let reasons = reasons.join("; ");
    tracing::info!("--backend auto is {name} here ({reasons})");
    name
}

fn cuda() -> Result<BackendName, String> {
    if !cfg!(feature = "cuda") {
        return Err("no cuda in this build".to_owned());
    }
    starting(BackendName::Cuda(0))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<BackendName, String> {
    let adapter = super::adapter::hardware();
    let adapter = adapter.ok_or("wgpu finds no GPU")?;
    starting(BackendName::Wgpu(adapter))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<BackendName, String> {
    Err("no wgpu in this build".to_owned())
}

/// Whether a backend computes on what it is for, and not on a software driver.
#[cfg(feature = "wgpu")]
pub(crate) fn has_hardware(name: BackendName) -> bool {
    !matches!(name, BackendName::Wgpu(_) | BackendName::Vulkan(_))
        || super::adapter::hardware().is_some()
}

/// Whether a backend computes on what it is for, and not on a software driver.
#[cfg(not(feature = "wgpu"))]
pub(crate) fn has_hardware(_: BackendName) -> bool {
    true
}

/// The backend, if it starts.
fn starting(name: BackendName) -> Result<BackendName, String> {
    match open(name) {
        Ok(_) => Ok(name),
        Err(DriverError::NoStart { fault, .. }) => Err(format!("{name}: {fault}")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!("auto".parse(), Ok(BackendChoice::Auto));
        assert_eq!(
            "cuda:1".parse(),
            Ok(BackendChoice::Named(BackendName::Cuda(1)))
        );
        let message = "auto:1".parse::<BackendChoice>().unwrap_err();
        assert!(message.contains("vulkan; "), "{message}");
        assert!(message.contains("auto is"), "{message}");
    }
}
