//! A run that is ready to start or to go on, on some backend.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::backend::AutodiffBackend;
use ebm_data::{DataConfig, Dataset, data_directory};
use ebm_experiment::EngineChoice;
use ebm_trainer::{Learner, LearnerView, TrainerError, latest_checkpoint};

use crate::backend::{BackendName, BackendTask};
use crate::cli::DataDirectory;
use crate::config::ExperimentConfig;
use crate::error::DriverError;
use crate::learning::learn;
use crate::logging::Screen;
use crate::run_folder::{RunFolder, RunInfo};

/// Where the run's folder is or will be.
pub(crate) enum Place<'a> {
    /// A new folder, this one or one below runs/.
    New(Option<&'a Path>),
    /// With its config, and without a checkpoint: from the first iteration.
    Prepared(RunFolder),
    /// From its newest checkpoint.
    Existing(RunFolder),
}

/// A run that is ready to start on some backend.
pub(crate) struct Job<'a> {
    pub(crate) config: ExperimentConfig,
    pub(crate) experiment: String,
    pub(crate) backend: BackendName,
    pub(crate) engine: EngineChoice,
    pub(crate) dataset: Dataset,
    pub(crate) place: Place<'a>,
    /// The flag that stops it.
    pub(crate) stop: Arc<AtomicBool>,
    /// The folder with which a stopped run is resumed: its own, or that of its study; its own where it is not said.
    pub(crate) resumed_by: Option<&'a Path>,
    pub(crate) screen: &'a Screen,
}

impl BackendTask for Job<'_> {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<(), DriverError> {
        let Self {
            config,
            experiment,
            backend,
            engine,
            dataset,
            place,
            stop,
            resumed_by,
            screen,
        } = self;
        let net = config
            .net
            .init::<B>(dataset.shape(), config.seed, &device)?;
        let metadata = weight_metadata(&config, dataset.shape());
        let engine = backend
            .engine(engine, &net, dataset.shape())?
            .cancelled_by(Arc::clone(&stop));
        let dataset = Arc::new(dataset);
        let shared = Arc::clone(&dataset);
        let mut learner =
            Learner::new(config.learning(), net, engine, shared, device)?.with_metadata(metadata);
        // Only now that nothing in the settings can be wrong is anything created.
        let folder = match place {
            Place::New(out) => {
                let folder = RunFolder::create(out, &experiment)?;
                screen.tell(&format!("{} → {}", experiment, folder.root().display()));
                folder
            }
            Place::Prepared(folder) => {
                // What a run left that ended before its first checkpoint.
                folder.cut_metrics(0)?;
                screen.tell(&format!("{} → {}", experiment, folder.root().display()));
                folder
            }
            Place::Existing(folder) => {
                let checkpoint = latest_checkpoint(&folder.checkpoints())?;
                learner = learner
                    .restore(&checkpoint)
                    .map_err(|error| unfit(error, &checkpoint))?;
                folder.cut_metrics(learner.iteration())?;
                let from = learner.iteration();
                screen.tell(&format!(
                    "{} goes on after iteration {from}",
                    folder.root().display()
                ));
                folder
            }
        };
        let info = RunInfo::new(
            &experiment,
            config.seed,
            &backend.to_string(),
            learner.engine_name(),
        );
        folder.write_config(&config)?;
        folder.write_info(&info)?;
        let resumed_by = resumed_by.unwrap_or(folder.root());
        learn(
            &mut learner,
            &dataset,
            &config,
            &info,
            &folder,
            resumed_by,
            stop,
            screen,
        )
    }
}

/// What `sample --weights FILE` needs to know about the net, and what a resumed run must not have changed.
fn weight_metadata(config: &ExperimentConfig, shape: [usize; 3]) -> HashMap<String, String> {
    let entries = [
        ("ebm.net", serde_json::to_string(&config.net)),
        ("ebm.state_shape", serde_json::to_string(&shape)),
        ("ebm.langevin", serde_json::to_string(&config.langevin)),
        ("ebm.data", serde_json::to_string(&config.data)),
    ];
    let stabilisers = (!config.stabilisers.is_plain()).then(|| {
        (
            "ebm.stabilisers",
            serde_json::to_string(&config.stabilisers),
        )
    });
    entries
        .into_iter()
        .chain(stabilisers)
        .filter_map(|(key, json)| Some((key.to_owned(), json.ok()?)))
        .collect()
}

/// Data, of which only some need a folder.
pub(crate) fn load_data(
    data: &DataConfig,
    directory: &DataDirectory,
) -> Result<Dataset, DriverError> {
    // The others need none, and an account without a home has none.
    let directory = if data.is_fetched() {
        data_directory(directory.data_dir.as_deref())?
    } else {
        PathBuf::new()
    };
    Ok(data.load(&directory)?)
}

/// A checkpoint that cannot be read, and what to do then.
pub(crate) fn unfit(error: TrainerError, checkpoint: &Path) -> DriverError {
    let advice = format!(
        "To go on from the checkpoint before, if there is one, delete the folder {} and resume again.",
        checkpoint.display()
    );
    DriverError::Halted { error, advice }
}
