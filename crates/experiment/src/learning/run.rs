//! A run from its first or next iteration to its end: observers on, results out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ebm_data::LoadedData;
use ebm_diagnostics::RunSummary;
use ebm_trainer::{
    AnyLearner, Checkpoints, Event, LearnerView, Observer, ObserverError, Outcome, Trainer,
    TrainerError, latest_checkpoint,
};

use super::Shown;
use crate::config::ExperimentConfig;
use crate::data::load_data;
use crate::observers::{LandscapePlots, LongRuns, MetricsFile, Pictures, Recoveries};
use crate::report::{Ending, ReportMaker};
use crate::run_folder::{RunFolder, RunInfo};
use crate::{Compute, EngineChoice, ExperimentError, LearnerRequest, Supervisor};

/// About how long the numbers of iterations on a GPU may wait to be read.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

/// The folder of a run, and what is in it.
#[derive(Debug)]
pub enum Destination {
    /// A new folder: the given one, or one below runs/.
    New(Option<PathBuf>),
    /// A folder with its config and without a checkpoint, which starts with the first iteration.
    Prepared(RunFolder),
    /// A folder that continues from its newest checkpoint.
    Existing(RunFolder),
}

/// A run that is ready to be learned.
#[derive(Debug)]
pub struct LearningRun {
    /// All settings.
    pub config: ExperimentConfig,
    /// The name of the experiment.
    pub name: String,
    /// The engine.
    pub engine: EngineChoice,
    /// The data.
    pub dataset: LoadedData,
    /// The folder it is written to.
    pub destination: Destination,
    /// The folder for resuming a stopped run, if it is that of its study and not its own.
    pub resumed_by: Option<PathBuf>,
}

/// A run that was learned to its end or until it was stopped.
#[derive(Debug)]
pub struct LearnedRun {
    /// Its folder.
    pub folder: RunFolder,
    /// The folder for resuming it: its own, or that of its study.
    pub resumed_by: PathBuf,
    /// How it ended.
    pub end: LearningEnd,
    /// Iterations of this part of the run.
    pub iterations: u64,
    /// Langevin steps of single chains in these iterations.
    pub chain_steps: f64,
    /// Seconds that they took.
    pub seconds: f64,
    /// Means and spreads of d and r, if it is finished and has enough iterations.
    pub summary: Option<RunSummary>,
}

/// How learning ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearningEnd {
    /// All iterations are done, and net and report are written.
    Finished,
    /// It was stopped; the checkpoint is written.
    Stopped {
        /// The last iteration done.
        iteration: u64,
    },
    /// It was stopped after the net was written and before the report was.
    StoppedBeforeReport,
}

impl LearnedRun {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end == LearningEnd::Finished
    }
}

impl LearningRun {
    /// A new run of this config in a new folder below runs/, with the engine that suits the device. Data sets are
    /// looked for in the usual place; [`load_data`] takes them from another, for a run whose fields are filled in one
    /// by one.
    ///
    /// # Errors
    /// [`ExperimentError::Data`].
    pub fn new(config: ExperimentConfig, name: impl Into<String>) -> Result<Self, ExperimentError> {
        Ok(Self {
            dataset: load_data(&config.data, None)?,
            config,
            name: name.into(),
            engine: EngineChoice::Auto,
            destination: Destination::New(None),
            resumed_by: None,
        })
    }

    /// In this new folder instead.
    #[must_use]
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Self {
        Self {
            destination: Destination::New(Some(folder.into())),
            ..self
        }
    }

    /// Learns until the end, a stop or a failure, and leaves results in every case. `observers` are told after the
    /// metrics are written and before anything else.
    ///
    /// # Errors
    /// [`ExperimentError::Diverged`] when learning runs away, [`ExperimentError::Halted`] when something fails in the
    /// middle. Before anything is written: settings that do not go together, with each other or with the engine.
    pub fn learn(
        self,
        compute: &dyn Compute,
        supervisor: &dyn Supervisor,
        observers: &mut [&mut dyn Observer],
    ) -> Result<LearnedRun, ExperimentError> {
        let Self {
            config,
            name,
            engine,
            dataset,
            destination,
            resumed_by,
        } = self;
        let stop = supervisor.stop_flag();
        let dataset = Arc::new(dataset);
        let metadata = weight_metadata(&config, dataset.shape());
        let mut learner = compute.learner(LearnerRequest {
            config: &config,
            dataset: Arc::clone(&dataset),
            engine,
            metadata,
            stop: &stop,
        })?;
        // Nothing is created before all settings are known to be right.
        let begins = |folder: &RunFolder| {
            supervisor.tell(&format!("{name} → {}", folder.root().display()));
        };
        let mut earlier = None;
        let folder = match destination {
            Destination::New(out) => {
                let folder = RunFolder::create(out.as_deref(), &name)?;
                begins(&folder);
                folder
            }
            Destination::Prepared(folder) => {
                // The remains of a run that ended before its first checkpoint.
                folder.cut_metrics(0)?;
                earlier = folder.read_info().ok();
                begins(&folder);
                folder
            }
            Destination::Existing(folder) => {
                let checkpoint = latest_checkpoint(&folder.checkpoints())?;
                learner
                    .restore_from(&checkpoint)
                    .map_err(|error| unfit(error, &checkpoint))?;
                folder.cut_metrics(learner.iteration())?;
                earlier = Some(folder.read_info()?);
                let from = learner.iteration();
                supervisor.tell(&format!(
                    "{} goes on after iteration {from}",
                    folder.root().display()
                ));
                folder
            }
        };
        let engine = learner.chains().name();
        let mut info = RunInfo::new(&name, config.seed, &dataset, compute.name(), engine);
        if let Some(earlier) = earlier {
            if earlier.broken_images != info.broken_images {
                tracing::warn!(
                    "{}: other images are broken than when the run was begun; it goes on with other data",
                    folder.root().display()
                );
            }
            info.recoveries = earlier.recoveries;
            // Those since the checkpoint will be made again.
            info.recoveries.truncate(learner.attempt().number as usize);
        }
        folder.write_config(&config)?;
        folder.write_info(&info)?;
        let resumed_by = resumed_by.unwrap_or_else(|| folder.root().to_owned());
        let learning = Prepared {
            config: &config,
            dataset: &dataset,
            info: RefCell::new(info),
            folder: &folder,
            resumed_by: &resumed_by,
            compute,
            supervisor,
        };
        learning.run(&mut *learner, Arc::clone(&stop), observers)
    }
}

/// The entries of a weight file that `sample` needs, and that a resumed run must not change.
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

/// A checkpoint that cannot be read.
pub(crate) fn unfit(error: TrainerError, checkpoint: &Path) -> ExperimentError {
    ExperimentError::Unfit {
        error: Box::new(error),
        checkpoint: checkpoint.to_owned(),
    }
}

/// A run whose folder is there.
struct Prepared<'a> {
    config: &'a ExperimentConfig,
    dataset: &'a LoadedData,
    info: RefCell<RunInfo>,
    folder: &'a RunFolder,
    resumed_by: &'a Path,
    compute: &'a dyn Compute,
    supervisor: &'a dyn Supervisor,
}

impl Prepared<'_> {
    fn run(
        &self,
        learner: &mut dyn AnyLearner,
        stop: Arc<AtomicBool>,
        observers: &mut [&mut dyn Observer],
    ) -> Result<LearnedRun, ExperimentError> {
        let Self {
            config,
            folder,
            supervisor,
            ..
        } = *self;
        let first = learner.iteration();
        let started = Instant::now();
        let mut metrics = MetricsFile::open(folder)?;
        let mut recoveries = Recoveries::new(folder, &self.info, supervisor);
        let mut pictures = Pictures::new(folder, config.output.images_every);
        let mut landscape = config
            .landscape
            .zip(self.dataset.toy())
            .map(|(plots, toy)| LandscapePlots::new(folder, plots, *toy));
        let mut long_runs = config
            .long_run
            .map(|runs| LongRuns::new(folder, runs, supervisor));
        let mut refresh = PlotRefresh {
            learning: self,
            last: Instant::now(),
        };
        // Numbers are written first, so that they are on disk whatever fails later.
        let mut trainer = Trainer::new()
            .observer(&mut metrics)
            .observer(&mut recoveries);
        for observer in observers {
            trainer = trainer.observer(&mut **observer);
        }
        if !config.is_toy() {
            trainer = trainer.observer(&mut pictures);
        }
        if let Some(landscape) = &mut landscape {
            trainer = trainer.observer(landscape);
        }
        if let Some(long_runs) = &mut long_runs {
            trainer = trainer.observer(long_runs);
        }
        let result = trainer
            .observer(&mut refresh)
            .metrics_every(config.output.metrics_every)
            .metrics_within(LONGEST_SILENCE)
            .checkpoints(Checkpoints {
                folder: folder.checkpoints(),
                every: config.output.checkpoint_every,
                keep: config.output.keep_checkpoints,
            })
            .stop_on(stop)
            .run(learner);
        let seconds = started.elapsed().as_secs_f64();
        let iterations = (learner.iteration() + recoveries.undone()).saturating_sub(first);
        let per_iteration = config
            .langevin
            .steps
            .saturating_mul(config.batch_size as u64);
        let ended = |end, summary| LearnedRun {
            folder: folder.clone(),
            resumed_by: self.resumed_by.to_owned(),
            end,
            iterations,
            chain_steps: iterations as f64 * per_iteration as f64,
            seconds,
            summary,
        };
        let view: &dyn LearnerView = learner;
        match result {
            Ok(Outcome::Finished) => {
                view.save_weights(&folder.weights())?;
                view.save_average(&folder.average())?;
                // The report of an earlier iteration is removed: a run without a report still has to write it.
                folder.remove_report()?;
                match self.write_report(view, &Ending::Finished, landscape.as_ref()) {
                    Ok(summary) => Ok(ended(LearningEnd::Finished, summary)),
                    Err(ExperimentError::Stopped) => {
                        Ok(ended(LearningEnd::StoppedBeforeReport, None))
                    }
                    Err(error) => Err(error),
                }
            }
            Ok(Outcome::Stopped { iteration, .. }) => {
                self.write_report_or_warn(view, &Ending::Unfinished, landscape.as_ref());
                Ok(ended(LearningEnd::Stopped { iteration }, None))
            }
            Err(error @ TrainerError::Diverged { .. }) => {
                self.write_report_or_warn(
                    view,
                    &Ending::Diverged(&error.to_string()),
                    landscape.as_ref(),
                );
                self.info.borrow_mut().ran_away = Some(error.to_string());
                if let Err(problem) = folder.write_info(&self.info.borrow()) {
                    tracing::warn!("the run folder does not say that it ran away: {problem}");
                }
                Err(ExperimentError::Diverged {
                    error: Box::new(error),
                    folder: folder.root().to_owned(),
                })
            }
            Err(error) => Err(ExperimentError::Halted {
                error: Box::new(error),
                folder: self.resumed_by.to_owned(),
                checkpoint: latest_checkpoint(&folder.checkpoints()).ok(),
            }),
        }
    }

    fn write_report(
        &self,
        learner: &dyn LearnerView,
        ending: &Ending<'_>,
        landscape: Option<&LandscapePlots>,
    ) -> Result<Option<RunSummary>, ExperimentError> {
        let is_finished = matches!(ending, Ending::Finished);
        let shown = Shown::draw(
            self.config,
            self.dataset,
            learner,
            is_finished,
            self.compute,
        )?;
        let maker = ReportMaker {
            folder: self.folder,
            info: &self.info.borrow(),
            config: self.config,
            dataset: self.dataset,
            landscape,
            shown: &shown,
            supervisor: self.supervisor,
        };
        maker.write(learner, ending)
    }

    /// The end of a run has its own message, which a report that fails must not hide.
    fn write_report_or_warn(
        &self,
        learner: &dyn LearnerView,
        ending: &Ending<'_>,
        landscape: Option<&LandscapePlots>,
    ) {
        if let Err(error) = self.write_report(learner, ending, landscape) {
            tracing::warn!("there is no report: {error}");
        }
    }
}

/// Keeps plots and report fresh while learning goes on, at most every half minute.
struct PlotRefresh<'a> {
    learning: &'a Prepared<'a>,
    last: Instant,
}

impl Observer for PlotRefresh<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone { metrics, learner, .. } = event
            && metrics.iteration < learner.config().iterations
            // A learner at a later iteration will be shown with its own metrics.
            && metrics.iteration == learner.iteration()
            && self.reads_learner(metrics.iteration)
        {
            self.learning
                .write_report(*learner, &Ending::Unfinished, None)
                .map_err(ObserverError::new)?;
            self.last = Instant::now();
        }
        Ok(())
    }

    fn reads_learner(&self, _iteration: u64) -> bool {
        self.last.elapsed() > Duration::from_secs(30)
    }
}
