//! The experiments that come with the program.

use super::error::ConfigError;
use super::suggest::did_you_mean;

macro_rules! experiments {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../configs/", $name, ".json")))),*]
    };
}

/// Names and JSON texts: a short first experience, then the published settings of arXiv 1903.12370. They are compiled
/// in, so that the program finds them from any folder.
pub(crate) fn named() -> &'static [(&'static str, &'static str)] {
    experiments![
        "short-run",
        "cifar10_nonconvergent",
        "cifar10_oscillate",
        "flowers_nonconvergent",
        "flowers_convergent",
        "mnist_convergent",
        "gmm_convergent",
        "gmm_nonconvergent",
        "rings_convergent",
        "rings_nonconvergent",
    ]
}

/// The text of an experiment.
pub(super) fn find(name: &str) -> Result<&'static str, ConfigError> {
    let names = || named().iter().map(|&(name, _)| name);
    named()
        .iter()
        .find(|&&(known, _)| known == name)
        .map(|&(_, text)| text)
        .ok_or_else(|| ConfigError::UnknownName {
            name: name.to_owned(),
            suggestion: did_you_mean(name, names()),
            known: names().collect::<Vec<_>>().join(", "),
        })
}
