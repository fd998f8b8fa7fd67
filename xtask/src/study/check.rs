//! What would stop a study half-way, found before it begins.

use burn::tensor::backend::AutodiffBackend;
use ebm_data::DataConfig;
use ebm_experiment::EngineChoice;

use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::DataDirectory;
use crate::config::{ConfigError, ExperimentConfig, Study};
use crate::error::DriverError;
use crate::job::load_data;

/// Checks that the data of every variant are there, that batches and the chains of the diagnosis can be drawn from them
/// and from the bank, and that the engine can compute the net.
///
/// # Errors
/// [`DriverError::Variant`] for the first variant that cannot end.
pub(crate) fn check_variants(
    study: &Study,
    backend: BackendName,
    engine: EngineChoice,
    data: &DataDirectory,
) -> Result<(), DriverError> {
    let mut counted: Vec<(&DataConfig, Option<usize>)> = Vec::new();
    for (variant, config) in study.config.variants.iter().zip(&study.experiments) {
        let mut check = || {
            let known = counted.iter().find(|(data, _)| **data == config.data);
            let count = match known {
                Some((_, count)) => *count,
                None => {
                    let count = load_data(&config.data, data)?.len();
                    counted.push((&config.data, count));
                    count
                }
            };
            config.learning().check_batch(count)?;
            check_diagnosis(study, config, count)?;
            let net = NetCheck {
                config,
                backend,
                engine,
            };
            dispatch(backend, net)
        };
        check().map_err(|error| DriverError::Variant {
            variant: variant.name.clone(),
            error: Box::new(error),
        })?;
    }
    Ok(())
}

fn check_diagnosis(
    study: &Study,
    config: &ExperimentConfig,
    data: Option<usize>,
) -> Result<(), DriverError> {
    let chains = study.config.diagnosis.chains;
    let bank = config.learning().bank_size(data);
    for (count, what) in [(data, "data"), (bank, "states of the bank")] {
        if let Some(count) = count
            && chains as usize > count
        {
            return Err(DriverError::Config(ConfigError::Key {
                origin: study.name.clone(),
                key: "diagnosis.chains".into(),
                problem: format!(
                    "is {chains}: must be at most {count}, since so many different {what} start its chains"
                ),
            }));
        }
    }
    Ok(())
}

/// Whether there is such a net and the engine has its layers.
struct NetCheck<'a> {
    config: &'a ExperimentConfig,
    backend: BackendName,
    engine: EngineChoice,
}

impl BackendTask for NetCheck<'_> {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<(), DriverError> {
        let shape = self.config.data.shape();
        let net = self
            .config
            .net
            .init::<B>(shape, self.config.seed, &device)?;
        self.backend.engine(self.engine, &net, shape).map(|_| ())
    }
}
