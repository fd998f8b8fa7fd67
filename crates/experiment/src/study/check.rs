//! Finds problems that would stop a study half-way before it begins.

use std::path::Path;

use ebm_data::DataConfig;

use crate::config::{ConfigError, ExperimentConfig, Study};
use crate::data::load_data;
use crate::{Compute, EngineChoice, ExperimentError};

/// Checks that the data of every run are there, that batches and the chains of the diagnosis can be drawn from them
/// and from the bank, and that the engine can compute the net.
///
/// # Errors
/// [`ExperimentError::Variant`] for the first run that cannot be learned to its end.
pub(crate) fn check_runs(
    study: &Study,
    compute: &dyn Compute,
    engine: EngineChoice,
    data_directory: Option<&Path>,
) -> Result<(), ExperimentError> {
    let mut counted: Vec<(&DataConfig, Option<usize>)> = Vec::new();
    for run in &study.runs {
        let config = &run.experiment;
        let mut check = || {
            let known = counted.iter().find(|(data, _)| **data == config.data);
            let count = match known {
                Some((_, count)) => *count,
                None => {
                    let count = load_data(&config.data, data_directory)?.count();
                    counted.push((&config.data, count));
                    count
                }
            };
            config.learning().check_batch(count)?;
            check_diagnosis(study, config, count)?;
            compute.check(config, engine)
        };
        check().map_err(|error| ExperimentError::Variant {
            variant: run.name.clone(),
            error: Box::new(error),
        })?;
    }
    Ok(())
}

fn check_diagnosis(
    study: &Study,
    config: &ExperimentConfig,
    data: Option<usize>,
) -> Result<(), ExperimentError> {
    if study.config.diagnosis.judged_multiple.is_some() && !config.is_digits() {
        return Err(ExperimentError::Config(ConfigError::Key {
            origin: study.name.as_str().into(),
            key: "diagnosis.judged_multiple".into(),
            problem: "is set, but only digits can be judged; leave it out".into(),
        }));
    }
    let chains = study.config.diagnosis.chains;
    let bank = config.learning().bank_size(data);
    for (count, what) in [(data, "data"), (bank, "states of the bank")] {
        if let Some(count) = count
            && chains as usize > count
        {
            return Err(ExperimentError::Config(ConfigError::Key {
                origin: study.name.as_str().into(),
                key: "diagnosis.chains".into(),
                problem: format!(
                    "is {chains}: must be at most {count}, since so many different {what} start its chains"
                ),
            }));
        }
    }
    Ok(())
}
