//! An evaluation from its start, or from where it was stopped, to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_core::{NoiseKey, Stream};
use ebm_langevin::ChainRun;

use super::{
    ChainState, Ended, EvaluationFolder, EvaluationOptions, Page, Record, Settings, Starts, Sums,
    Walk, find_step_size,
};
use crate::{Compute, EngineChoice, ExperimentError, Supervisor, Trained, Work};

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Its folder.
    pub folder: PathBuf,
    /// Its page.
    pub page: PathBuf,
    /// How it was made.
    pub settings: Settings,
    /// All records, with those of earlier parts.
    pub records: Vec<Record>,
    /// How it ended.
    pub ended: Ended,
    /// Where the chains went, in one sentence.
    pub sentence: String,
}

impl Evaluation {
    /// Runs chains under a net, in the new folder `out`. Data sets are looked for in `data_directory`, or in the usual place.
    ///
    /// # Errors
    /// [`ExperimentError::is_usage`] ones before anything is written; later those of files and engines. Chains that run
    /// away and a stop are no errors: [`Self::ended`] tells them.
    pub fn start(
        trained: &Trained,
        options: &EvaluationOptions,
        out: &Path,
        data_directory: Option<&Path>,
        (compute, engine): (&dyn Compute, EngineChoice),
        supervisor: &dyn Supervisor,
    ) -> Result<Self, ExperimentError> {
        EvaluationFolder::check_free(out)?;
        let starts = Starts {
            options: &options.start,
            trained,
            data_directory,
            seed: options.seed,
        };
        let (from, states) = starts.draw()?;
        let mut settings = options.settings(trained, from)?;
        compute.name().clone_into(&mut settings.backend);
        // Net, weights and engine are known to go together before anything is written.
        let net = settings.net_on(compute, &trained.weights, engine, &Arc::default())?;
        net.engine_name().clone_into(&mut settings.engine);
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
        let chains = ChainState {
            step: 0,
            states,
            since: Sums::default(),
        };
        let folder = EvaluationFolder::create(out, &settings, &trained.weights, &chains)?;
        walk(&folder, settings, chains, (compute, engine), supervisor)
    }

    /// Goes on with an evaluation that was [opened](EvaluationFolder::open), to `steps` in all where that is given.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for fewer steps than it has, [`ExperimentError::RunFolder`] where the folder is
    /// damaged; otherwise as [`Self::start`].
    pub fn resume(
        folder: &EvaluationFolder,
        mut settings: Settings,
        steps: Option<u64>,
        (compute, engine): (&dyn Compute, EngineChoice),
        supervisor: &dyn Supervisor,
    ) -> Result<Self, ExperimentError> {
        let chains = folder.read_chains(&settings)?;
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
        walk(folder, settings, chains, (compute, engine), supervisor)
    }
}

/// From `chains` to the end, with pictures and page.
fn walk(
    folder: &EvaluationFolder,
    mut settings: Settings,
    chains: ChainState,
    (compute, engine): (&dyn Compute, EngineChoice),
    supervisor: &dyn Supervisor,
) -> Result<Evaluation, ExperimentError> {
    let records = folder.read_records(&settings, chains.step)?;
    let stop: Arc<AtomicBool> = supervisor.stop_flag();
    let net = settings.net_on(compute, &folder.weights(), engine, &stop)?;
    // A later part of an evaluation may run elsewhere and farther.
    compute.name().clone_into(&mut settings.backend);
    net.engine_name().clone_into(&mut settings.engine);
    folder.write_settings(&settings)?;
    let kernel = settings.kernel()?;
    let mut progress = supervisor.begin(Work::Evaluation, chains.step, settings.steps);
    let walk = Walk {
        settings: &settings,
        folder,
        steps: &|states, first_step, steps| {
            let run = ChainRun {
                kernel,
                steps,
                first_step,
                noise: NoiseKey::new(settings.seed, Stream::Watch, 0),
                final_energies: true,
            };
            net.run(states, &run)
        },
    };
    let (ended, records) = walk.run(chains, records, &mut *progress)?;
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
