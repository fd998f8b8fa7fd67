//! An evaluation from its start, or from where it was stopped, to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_langevin::ChainPlace;

use super::walk::walk;
use super::{
    EvaluationEnd, EvaluationFolder, EvaluationOptions, EvaluationSettings, Page, Record, Starts,
    find_step_size,
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
    /// [`ExperimentError::is_usage`] ones before anything is written; later those of files and engines. Chains that run
    /// away and a stop are no errors: [`Self::ended`] tells them.
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
        let (shape, no_stop) = (settings.state_shape, Arc::default());
        let net = compute.trained_net(&settings.net, shape, &trained.weights, engine, &no_stop)?;
        net.name().clone_into(&mut settings.engine);
        if let Some(target) = options.target_acceptance {
            let settle = trained.langevin.steps;
            let (epsilon, rate) = find_step_size(&*net, &settings, &states, target, settle)?;
            settings.epsilon = epsilon.get();
            supervisor.tell(&format!(
                "ε = {:.3e} accepts {:.1} % of the proposals, from states {settle} steps of ULA after the start.",
                epsilon.get(),
                100.0 * rate,
            ));
        }
        let place = ChainPlace::new(states);
        let folder = EvaluationFolder::create(out, &settings, &trained.weights, &place)?;
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
    let records = folder.read_records(&settings, place.step)?;
    place.is_new = records.is_empty();
    let stop: Arc<AtomicBool> = supervisor.stop_flag();
    let (shape, weights) = (settings.state_shape, folder.weights());
    let net = compute.trained_net(&settings.net, shape, &weights, engine, &stop)?;
    // A later part of an evaluation may run on another machine and for more steps.
    compute.name().clone_into(&mut settings.backend);
    net.name().clone_into(&mut settings.engine);
    folder.write_settings(&settings)?;
    let mut progress = supervisor.begin(Work::Evaluation, place.step, settings.steps);
    let (ended, records) = walk(&settings, folder, &*net, place, records, &mut *progress)?;
    drop(progress);
    let page = Page {
        settings: &settings,
        folder,
        records: &records,
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
        ended,
    })
}
