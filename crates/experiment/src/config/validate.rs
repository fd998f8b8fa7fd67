//! Checks of ranges, and of sections against each other.

use ebm_data::{DataConfig, DataError};
use ebm_energy_net::NetError;
use ebm_langevin::ChainStart;
use ebm_trainer::{TOY_BANK_SIZE, TrainerError};

use super::error::Fault;
use super::{DensityPlotConfig, ExperimentConfig, LongRunConfig, LongRunStart};

/// More chains or samples at once are surely a slip of the keyboard.
const MOST_STATES: usize = 1_000_000;
/// Numbers in a bank, 4 GiB of them: it is written with every checkpoint.
const LARGEST_BANK: usize = 1 << 30;
/// The largest number of iterations whose numbers, and with persistent chains whose samples, wait on the device.
const MOST_UNREAD: u32 = 1000;
/// Points along each axis of a grid; the work grows with their square times the samples.
const FINEST_GRID: usize = 2000;

impl ExperimentConfig {
    /// Checks every value without touching the disk.
    pub(super) fn validate(&self) -> Result<(), Fault> {
        self.learning().validate().map_err(of_learning)?;
        self.data.validate().map_err(of_data)?;
        self.net.validate(self.data.shape()).map_err(of_net)?;
        within("batch_size", self.batch_size, 1, MOST_STATES)?;
        if let Some(size) = self.langevin.bank_size {
            let per_state: usize = self.data.shape().iter().product();
            within(
                "langevin.bank_size",
                size,
                1,
                LARGEST_BANK / per_state.max(1),
            )?;
        }
        self.check_bank("batch_size", self.batch_size)?;
        within(
            "output.checkpoint_every",
            self.output.checkpoint_every,
            1,
            u64::MAX,
        )?;
        within("output.images_every", self.output.images_every, 1, u64::MAX)?;
        within(
            "output.keep_checkpoints",
            self.output.keep_checkpoints,
            1,
            usize::MAX,
        )?;
        within(
            "output.metrics_every",
            self.output.metrics_every,
            1,
            MOST_UNREAD,
        )?;
        self.long_run
            .map_or(Ok(()), |long_run| self.check_long_run(&long_run))?;
        self.landscape
            .map_or(Ok(()), |landscape| self.check_landscape(&landscape))
    }

    fn check_long_run(&self, long_run: &LongRunConfig) -> Result<(), Fault> {
        within("long_run.every", long_run.every, 1, u64::MAX)?;
        within("long_run.steps", long_run.steps, 1, u64::MAX)?;
        if long_run.start == LongRunStart::Bank && self.langevin.start != ChainStart::Persistent {
            return Err(Fault::new(
                "long_run.start",
                "is \"bank\", but only learning with \"langevin.start\" = \"persistent\" has a bank; \
                 use data, uniform or gaussian",
            ));
        }
        Ok(())
    }

    fn check_landscape(&self, landscape: &DensityPlotConfig) -> Result<(), Fault> {
        if !self.is_toy() {
            return Err(Fault::new(
                "landscape",
                format!(
                    "is for the toy densities gmm and rings, but \"data.source\" is \"{}\"; remove the section",
                    self.data.source()
                ),
            ));
        }
        within("landscape.resolution", landscape.resolution, 2, FINEST_GRID)?;
        within("landscape.samples", landscape.samples, 3, MOST_STATES)?;
        within("landscape.every", landscape.every, 1, u64::MAX)?;
        if !(landscape.bandwidth.is_finite() && landscape.bandwidth > 0.0) {
            return Err(Fault::new(
                "landscape.bandwidth",
                format!(
                    "is {}: must be a finite number above 0",
                    landscape.bandwidth
                ),
            ));
        }
        self.check_bank("landscape.samples", landscape.samples)
    }

    /// States are drawn from the bank without replacement. An image data set's own bank is as large as the data, whose
    /// number is known only when they are loaded.
    fn check_bank(&self, key: &str, count: usize) -> Result<(), Fault> {
        let size = match (self.langevin.bank_size, &self.data) {
            _ if self.langevin.start != ChainStart::Persistent => return Ok(()),
            (Some(size), _) => size,
            (None, DataConfig::Gmm(_) | DataConfig::Rings(_)) => TOY_BANK_SIZE,
            (None, _) => return Ok(()),
        };
        if count <= size {
            return Ok(());
        }
        Err(Fault::new(
            key,
            format!(
                "is {count}: must be at most \"langevin.bank_size\" ({size}), since so many states are drawn from \
                 the bank at once"
            ),
        ))
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), Fault> {
    if value < least {
        Err(Fault::new(
            key,
            format!("is {value}: must be at least {least}"),
        ))
    } else if value > most {
        Err(Fault::new(
            key,
            format!("is {value}: must be at most {most}"),
        ))
    } else {
        Ok(())
    }
}

fn of_learning(error: TrainerError) -> Fault {
    match error {
        TrainerError::Setting {
            key,
            value,
            allowed,
        } => Fault::new(key, format!("is {value}: {allowed}")),
        other => Fault::new("langevin", other.to_string()),
    }
}

pub(super) fn of_data(error: DataError) -> Fault {
    match error {
        DataError::Config { key, problem, fix } => {
            Fault::new(format!("data.{key}"), format!("is wrong: {problem}; {fix}"))
        }
        other => Fault::new("data", format!("is wrong: {other}")),
    }
}

fn of_net(error: NetError) -> Fault {
    match error {
        NetError::Setting {
            key,
            value,
            allowed,
        } => Fault::new(format!("net.{key}"), format!("is {value}: {allowed}")),
        other => Fault::new("net", format!("does not fit the data: {other}")),
    }
}
