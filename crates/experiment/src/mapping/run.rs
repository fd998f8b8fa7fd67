//! A map from its start, or from where it was stopped, to its pages.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_landscape::{Minimum, Surface};

use super::job::map;
use super::{Cost, MapFolder, MapOptions, Page, State, Strength, Summary};
use crate::diagnosis::short;
use crate::{Computation, ExperimentError, Supervisor, Trained};

/// The outcome of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Its folder.
    pub folder: PathBuf,
    /// Its page.
    pub page: PathBuf,
    /// All results, as `map.json` has them.
    pub summary: Summary,
    /// The minima with their states, in the order of the summary.
    pub minima: Vec<Minimum>,
    /// A reason to doubt the map, if there is one.
    pub doubt: Option<String>,
}

impl Map {
    /// Maps the energy of a net, in the new folder `out`. Data sets are looked for in `data_directory`, or in the
    /// usual place.
    ///
    /// # Errors
    /// [`ExperimentError::Stopped`] after a stop, with all finished experiments saved. [`ExperimentError::Map`] where
    /// these settings give no map. [`ExperimentError::is_usage`] ones before anything is written.
    pub fn start(
        trained: &Trained,
        options: &MapOptions,
        out: &Path,
        data_directory: Option<&Path>,
        computation: Computation<'_>,
        supervisor: &dyn Supervisor,
    ) -> Result<Self, ExperimentError> {
        let Computation { compute, engine } = computation;
        options.strength.settings()?;
        MapFolder::check_free(out)?;
        let mut settings = options.settings(trained, data_directory)?;
        let initial = options.draw(trained, &mut settings.starts, data_directory)?;
        compute.name().clone_into(&mut settings.backend);
        // Net, weights and engine are known to go together before anything is written.
        let (shape, no_stop) = (settings.state_shape, Arc::default());
        let net = compute.trained_net(&settings.net, shape, &trained.weights, engine, &no_stop)?;
        net.landscape_name().clone_into(&mut settings.engine);
        let surface = Surface::new(&*net, settings.temperature()?);
        let cost = Cost::measure(&surface, &settings, &initial)?;
        supervisor.tell(&cost.describe());
        drop(net);
        let state = State {
            settings,
            chain_steps: 0,
            found: None,
            sweep: None,
            strength: None,
            groupings: Vec::new(),
            others: Vec::new(),
            barriers: None,
        };
        // The flag is requested before there is anything that a stop could leave half done.
        let stop = supervisor.stop_flag();
        let folder = MapFolder::create(out, &state, &trained.weights, initial)?;
        to_end(&folder, state, computation, supervisor, &stop)
    }

    /// Goes on with a map that was [opened](MapFolder::open), with another way to find α if one is given and no
    /// minimum has been grouped yet.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn resume(
        folder: &MapFolder,
        mut state: State,
        strength: Option<Strength>,
        computation: Computation<'_>,
        supervisor: &dyn Supervisor,
    ) -> Result<Self, ExperimentError> {
        if let Some(strength) = strength {
            let (alpha, alpha_range) = strength.settings()?;
            if !state.groupings.is_empty() {
                return Err(ExperimentError::Request(format!(
                    "{} has grouped minima with its α already; for another α make a new map in another folder",
                    folder.root().display()
                )));
            }
            (state.settings.alpha, state.settings.alpha_range) = (alpha, alpha_range);
            (state.sweep, state.strength) = (None, None);
        }
        to_end(
            folder,
            state,
            computation,
            supervisor,
            &supervisor.stop_flag(),
        )
    }
}

/// Runs from `state` to the end, with pictures and page.
fn to_end(
    folder: &MapFolder,
    state: State,
    computation: Computation<'_>,
    supervisor: &dyn Supervisor,
    stop: &Arc<AtomicBool>,
) -> Result<Map, ExperimentError> {
    let (state, minima) = map(folder, state, computation, supervisor, stop)?;
    let summary = Summary::new(&state, &minima)?;
    let page = Page {
        state: &state,
        minima: &minima,
        summary: &summary,
        folder,
    };
    page.write()?;
    let (held, resolution) = (summary.strength.flat_distance, summary.gathering.resolution);
    let doubt = (held > resolution).then(|| {
        format!(
            "where U is flat, noise holds a chain {} from its target, farther than δ = {}, so chains may have failed \
             that no barrier stopped; a lower temperature factor or a larger resolution would tell",
            short(held),
            short(resolution)
        )
    });
    Ok(Map {
        folder: folder.root().to_owned(),
        page: folder.page(),
        summary,
        minima,
        doubt,
    })
}
