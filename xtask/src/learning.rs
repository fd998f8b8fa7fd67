//! A run from its first or next iteration to its end: observers on, results and last words out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ebm_data::Dataset;
use ebm_langevin::LangevinError;
use ebm_trainer::{
    Checkpoints, Event, LearnerView, Learning, Observer, ObserverError, Outcome, Trainer,
    TrainerError, latest_checkpoint,
};

use crate::advice::{divergence_advice, shell_word};
use crate::config::ExperimentConfig;
use crate::error::DriverError;
use crate::estimate::duration;
use crate::logging::Screen;
use crate::observers::{
    LandscapePlots, LongRuns, MetricsFile, Pictures, ProgressLog, ProgressView, rounded,
};
use crate::report::{Ending, ReportMaker};
use crate::run_folder::{RunFolder, RunInfo};

/// How long the numbers of iterations on a GPU may wait to be read, about.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

/// Learns in a run folder until the end, a stop or a failure, and leaves results and advice in every case. `resumed_by` is the
/// folder that `--resume` should be given.
///
/// # Errors
/// [`DriverError::Interrupted`] after a stop, [`DriverError::Diverged`] and [`DriverError::Halted`] with what to do next.
#[allow(clippy::too_many_arguments)]
pub(crate) fn learn(
    learner: &mut dyn Learning,
    dataset: &Dataset,
    config: &ExperimentConfig,
    info: &RunInfo,
    folder: &RunFolder,
    resumed_by: &Path,
    stop: Arc<AtomicBool>,
    screen: &Screen,
) -> Result<(), DriverError> {
    let per_iteration = config
        .langevin
        .steps
        .saturating_mul(config.batch_size as u64);
    let first = learner.iteration();
    let started = Instant::now();
    let mut metrics = MetricsFile::open(folder)?;
    let mut pictures = Pictures::new(folder, config.output.images_every);
    let mut landscape = config
        .landscape
        .zip(dataset.toy())
        .map(|(plots, toy)| LandscapePlots::new(folder, plots, toy.clone()));
    let mut long_runs = config
        .long_run
        .map(|runs| LongRuns::new(folder, runs, screen));
    let mut refresh = PlotRefresh {
        folder,
        info,
        config,
        dataset,
        last: Instant::now(),
    };
    let mut bar = ProgressView::new(screen, config.iterations, per_iteration);
    let mut log = ProgressLog::new(per_iteration);

    // Numbers first: whatever fails later, they are on disk.
    let mut trainer = Trainer::new().observer(&mut metrics);
    trainer = if screen.has_no_bars() {
        trainer.observer(&mut log)
    } else {
        trainer.observer(&mut bar)
    };
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
    drop(bar);

    let elapsed = started.elapsed();
    let maker = ReportMaker {
        folder,
        info,
        config,
        dataset,
        landscape: landscape.as_ref(),
    };
    let root = folder.root().display();
    match result {
        Ok(Outcome::Finished) => {
            learner.save_weights(&folder.weights())?;
            learner.save_average(&folder.average())?;
            // That of an earlier moment: a run without a report is one that still has to write it.
            folder.remove_report()?;
            let summary = match maker.write(learner, &Ending::Finished) {
                Err(DriverError::Langevin(LangevinError::Cancelled)) => {
                    screen.say(&format!(
                        "Stopped before the report; learning is done and the net is written. Write the report with:\n  cargo xtask experiment --resume {}",
                        shell_word(resumed_by)
                    ));
                    return Err(DriverError::Interrupted);
                }
                written => written?,
            };
            let chain_steps = (learner.iteration() - first) as f64 * per_iteration as f64;
            screen.tell(&format!(
                "\n{} iterations in {}, {} chain steps/s overall.",
                learner.iteration() - first,
                duration(elapsed.as_secs_f64()),
                rounded(chain_steps / elapsed.as_secs_f64().max(1e-9)),
            ));
            if let Some(summary) = summary {
                screen.tell(&format!("{summary}"));
            }
            screen.tell(&format!(
                "Results: {root} — open {}",
                folder.report().display()
            ));
            Ok(())
        }
        Ok(Outcome::Stopped { iteration, .. }) => {
            write_or_warn(&maker, learner, &Ending::Unfinished);
            screen.say(&format!(
                "Stopped after iteration {iteration}; the checkpoint is written. Go on with:\n  cargo xtask experiment --resume {}",
                shell_word(resumed_by)
            ));
            Err(DriverError::Interrupted)
        }
        Err(error @ TrainerError::Diverged { .. }) => {
            write_or_warn(&maker, learner, &Ending::Diverged(&error.to_string()));
            let info = RunInfo {
                ran_away: Some(error.to_string()),
                ..info.clone()
            };
            if let Err(problem) = folder.write_info(&info) {
                tracing::warn!("the run folder does not say that it ran away: {problem}");
            }
            let advice = divergence_advice(config, folder);
            Err(DriverError::Diverged { error, advice })
        }
        Err(error) => {
            let advice = match latest_checkpoint(&folder.checkpoints()) {
                Ok(checkpoint) => format!(
                    "The newest checkpoint is {}. When the cause is mended, go on with:\n  cargo xtask experiment --resume {}",
                    checkpoint.display(),
                    shell_word(resumed_by)
                ),
                Err(_) => "There is no checkpoint yet.".to_owned(),
            };
            Err(DriverError::Halted { error, advice })
        }
    }
}

/// The end of a run has its own message, which a report that fails must not hide.
fn write_or_warn(maker: &ReportMaker<'_>, learner: &dyn LearnerView, ending: &Ending<'_>) {
    if let Err(error) = maker.write(learner, ending) {
        tracing::warn!("there is no report: {error}");
    }
}

/// Keeps plots and report fresh while learning goes on, at most every half minute.
struct PlotRefresh<'a> {
    folder: &'a RunFolder,
    info: &'a RunInfo,
    config: &'a ExperimentConfig,
    dataset: &'a Dataset,
    last: Instant,
}

impl Observer for PlotRefresh<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone {
            metrics, learner, ..
        } = event
            && metrics.iteration < learner.config().iterations
            // A learner that is further on is about to be shown with metrics that are, too.
            && metrics.iteration == learner.iteration()
            && self.looks_at(metrics.iteration)
        {
            let Self {
                folder,
                info,
                config,
                dataset,
                ..
            } = self;
            let maker = ReportMaker {
                folder,
                info,
                config,
                dataset,
                landscape: None,
            };
            maker
                .write(*learner, &Ending::Unfinished)
                .map_err(ObserverError::new)?;
            self.last = Instant::now();
        }
        Ok(())
    }

    fn looks_at(&self, _iteration: u64) -> bool {
        self.last.elapsed() > Duration::from_secs(30)
    }
}
