//! The experiments that come with the program.

use super::error::ConfigError;
use super::suggest::did_you_mean;

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../configs/", $folder, $name, ".json")))),*]
    };
}

/// Names and JSON texts: a short first experience, its convergent counterpart, then the published settings of arXiv
/// 1903.12370. They are compiled in, so that the program finds them from any folder.
pub fn named() -> &'static [(&'static str, &'static str)] {
    files!["":
        "short-run",
        "digits",
        "convergent-digits",
        "flowers-short-run",
        "convergent-flowers",
        "cifar10-short-run",
        "gmm-mala",
        "rings-mala",
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

/// Names and JSON texts of the studies that come with the program.
pub fn studies() -> &'static [(&'static str, &'static str)] {
    files!["studies/": "budget", "ablation", "samplers", "samplers-digits"]
}

/// The text of an experiment or a study.
pub(super) fn find(name: &str) -> Result<&'static str, ConfigError> {
    let names = |texts: &'static [(&'static str, &'static str)]| {
        texts.iter().map(|&(name, _)| name).collect::<Vec<_>>()
    };
    let all = [names(named()), names(studies())].concat();
    named()
        .iter()
        .chain(studies())
        .find(|&&(known, _)| known == name)
        .map(|&(_, text)| text)
        .ok_or_else(|| ConfigError::UnknownName {
            name: name.to_owned(),
            suggestion: did_you_mean(name, all),
            known: names(named()).join(", "),
            studies: names(studies()).join(", "),
        })
}
