//! An evaluation from its start, or from where it was stopped, to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ebm_langevin::ChainPlace;

use super::prepare::Preparation;
use super::walk::{Walked, walk};
use super::{
    Efficiency, EvaluationEnd, EvaluationFolder, EvaluationOptions, EvaluationSettings, Page,
    Record, Starts,
};
use crate::{Computation, ExperimentError, Supervisor, Trained, Work};

/// The outcome of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Its folder.
    pub folder: PathBuf,
    /// Its page.
    pub page: PathBuf,
    /// How it was made.
    pub settings: EvaluationSettings,
    /// All records, with those of earlier parts.
    pub records: Vec<Record>,
    /// How many independent draws it is worth, where there are records enough.
    pub efficiency: Option<Efficiency>,
    /// How it ended.
    pub ended: EvaluationEnd,
    /// The outcome of the chains in one sentence.
    pub sentence: String,
}

impl Evaluation {
    /// Runs chains under a net, in the new folder `out`. Data sets are looked for in `data_directory`, or in the
    /// usual place.
    ///
    /// # Errors
    /// [`ExperimentError::is_usage`] ones and, after a stop before the first record, [`ExperimentError::Stopped`], before
    /// anything is written; later those of files and engines. Chains that run away and a later stop are no errors:
    /// [`Self::ended`] tells them.
    pub fn start(
        trained: &Trained,
        options: &EvaluationOptions,
        out: &Path,
        data_directory: Option<&Path>,
        computation: Computation<'_>,
        supervisor: &dyn Supervisor,
    ) -> Result<Self, ExperimentError> {
        let Computation { compute, engine } = computation;
        EvaluationFolder::check_free(out)?;
        let starts = Starts {
            options: &options.start,
            trained,
            data_directory,
            seed: options.seed,
            setting: "chains",
        };
        let (from, states) = starts.draw()?;
        let mut settings = options.settings(trained, from)?;
        compute.name().clone_into(&mut settings.backend);
        // Net, weights and engine are known to go together before anything is written.
        let (shape, stop) = (settings.state_shape, supervisor.stop_flag());
        let net = compute.trained_net(&settings.net, shape, &trained.weights, engine, &stop)?;
        net.name().clone_into(&mut settings.engine);
        let preparation = Preparation {
            net: &*net,
            options,
            settle: trained.langevin.steps,
            supervisor,
        };
        let (scales, states) = preparation.run(&mut settings, states)?;
        let place = ChainPlace::new(states);
        let folder =
            EvaluationFolder::create(out, &settings, &trained.weights, &place, scales.as_ref())?;
        to_end(&folder, settings, place, computation, supervisor)
    }

    /// Goes on with an evaluation that was [opened](EvaluationFolder::open), to `steps` in total if that is given.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for fewer steps than it has, [`ExperimentError::RunFolder`] where the folder is
    /// damaged; otherwise as [`Self::start`].
    pub fn resume(
        folder: &EvaluationFolder,
        mut settings: EvaluationSettings,
        steps: Option<u64>,
        computation: Computation<'_>,
        supervisor: &dyn Supervisor,
    ) -> Result<Self, ExperimentError> {
        let place = folder.read_chains(&settings)?;
        if let Some(steps) = steps {
            if steps < settings.steps {
                let problem = format!(
                    "{steps}: the evaluation has {} steps in all; give more",
                    settings.steps
                );
                return Err(ExperimentError::setting("steps", problem));
            }
            settings.steps = steps;
        }
        to_end(folder, settings, place, computation, supervisor)
    }
}

/// Runs from `place` to the end, with pictures and page.
fn to_end(
    folder: &EvaluationFolder,
    mut settings: EvaluationSettings,
    mut place: ChainPlace,
    Computation { compute, engine }: Computation<'_>,
    supervisor: &dyn Supervisor,
) -> Result<Evaluation, ExperimentError> {
    let (records, traces) = folder.read_records(&place)?;
    place.is_new = records.is_empty();
    // Read even by the process that wrote them, so that all parts of an evaluation have the same.
    let scales = folder.read_scales(&settings)?;
    let stop: Arc<AtomicBool> = supervisor.stop_flag();
    let (shape, weights) = (settings.state_shape, folder.weights());
    let net = compute.trained_net(&settings.net, shape, &weights, engine, &stop)?;
    // A later part of an evaluation may run on another machine and for more steps.
    compute.name().clone_into(&mut settings.backend);
    net.name().clone_into(&mut settings.engine);
    folder.write_settings(&settings)?;
    let mut progress = supervisor.begin(Work::Evaluation, place.step, settings.steps);
    let (first_step, began) = (place.step, Instant::now());
    let before = Walked {
        ended: EvaluationEnd::Finished,
        records,
        traces,
        step: first_step,
    };
    let sampler = settings.sampler(scales.as_ref())?;
    let walked = walk(
        &settings,
        folder,
        &*net,
        &sampler,
        place,
        before,
        &mut *progress,
    )?;
    drop(progress);
    let gradients =
        (walked.step - first_step).saturating_mul(settings.gradients_per_step(settings.chains));
    let seconds = began.elapsed().as_secs_f64();
    let mut efficiency = Efficiency::of(&settings, &walked.traces);
    if let Some(efficiency) = &mut efficiency {
        let rate = gradients as f64 / seconds;
        efficiency.gradients_per_second = (gradients > 0).then_some(rate);
        folder.write_efficiency(efficiency)?;
    }
    let Walked { ended, records, .. } = walked;
    let page = Page {
        settings: &settings,
        folder,
        records: &records,
        efficiency: efficiency.as_ref(),
        ended,
    };
    page.write()?;
    let sentence = page.sentence();
    Ok(Evaluation {
        folder: folder.root().to_owned(),
        page: folder.page(),
        sentence,
        settings,
        records,
        efficiency,
        ended,
    })
}
