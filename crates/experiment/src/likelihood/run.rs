//! An estimate from a trained net to its page.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ebm_core::{NoiseKey, States, Stream, Temperature};
use ebm_data::{LoadedData, Toy};
use ebm_diagnostics::DensityGrid;
use ebm_langevin::{
    Annealing, ChainRun, Chains, GaussianBase, Hmc, LangevinError, LogMean, NoiseStart, Rung,
};

use super::page::{PAGE, Page, RECORD};
use super::{Agreement, Likelihood, LikelihoodOptions, SetLikelihood, Side};
use crate::evaluation::{EvaluationStart, Starts};
use crate::landscape::{energies_of, flat};
use crate::other_data::{data_of, draw};
use crate::run_folder::refuse_second;
use crate::words::rounded;
use crate::{Computation, ExperimentError, Progress, Supervisor, Trained, Work, memory};

/// The most data that the Gaussian is fitted to.
const FITTED: usize = 10_000;
/// Chains whose states would take as much memory as a chain here: velocities and gradients are kept twice, in double
/// precision.
const COPIES: usize = 4;
/// Points of the grid of a toy density along an axis.
const GRID: usize = 500;
/// The side of that grid beside the side of the plots: the tails of a learned density are wider than those of the data.
const GRID_WIDTH: f64 = 2.0;

/// The page of an estimate in its folder.
#[must_use]
pub fn page_in(folder: &Path) -> PathBuf {
    folder.join(PAGE)
}

/// Estimates log Z from both sides and the likelihood of the data, and writes `likelihood.json`, a figure and a page into
/// the folder `out`. Data sets are looked for in `data_directory`, or in the usual place.
///
/// # Errors
/// [`ExperimentError::Occupied`] when `out` holds an estimate, [`ExperimentError::Stopped`] after a stop; `out` is then as it
/// was, but for being there. [`ExperimentError::is_usage`] ones before chains run; later those of files and engines.
pub fn likelihood(
    trained: &Trained,
    options: &LikelihoodOptions,
    out: &Path,
    data_directory: Option<&Path>,
    Computation { compute, engine }: Computation<'_>,
    supervisor: &dyn Supervisor,
) -> Result<Likelihood, ExperimentError> {
    options.check(trained)?;
    refuse_second(out, RECORD, "an estimate of the likelihood")?;
    let shape = trained.state_shape;
    memory::check_chains("chains", options.start.chains.saturating_mul(COPIES), shape)?;
    let (start, states) = start(trained, options, data_directory)?;
    let data = data_of(trained, data_directory)?;
    let sets = image_sets(trained, options, &data, data_directory)?;
    let noise = trained.data_noise.unwrap_or(0.0);
    // Pixels that never change have the noise of the data, or at least that of a step.
    let least = noise.max(trained.langevin.epsilon.get());
    let base = GaussianBase::fitted(&draw(&data, FITTED, noise, options.seed).states, least)?;
    // A folder that cannot be written costs no chains.
    std::fs::create_dir_all(out).map_err(|error| ExperimentError::io(out, error))?;

    let stop = supervisor.stop_flag();
    let net = compute.trained_net(&trained.net, shape, &trained.weights, engine, &stop)?;
    let temperature = trained.langevin.epsilon.learned_temperature();
    supervisor.tell(&format!(
        "{} chains a side, {} steps of β: {} gradients of F.",
        options.start.chains,
        options.annealing.rungs,
        rounded(options.gradients() as f64)
    ));
    let mut work = Worker {
        net: &*net,
        options,
        temperature,
        progress: supervisor.begin(Work::Likelihood, 0, options.gradients()),
    };
    let began = Instant::now();
    let (forward, reverse) = work.both_sides(base, states)?;
    let seconds = began.elapsed().as_secs_f64();
    drop(work.progress);
    let energies = |states: &States| {
        let found = net.energies(states)?;
        Ok::<_, ExperimentError>(found.into_iter().map(|f| f64::from(f) / temperature.get()))
    };
    let mut judged = Vec::with_capacity(sets.len());
    for (name, states) in sets {
        let energies = energies(&states)?.collect();
        judged.push(SetLikelihood::new(name, energies, [&forward, &reverse]));
    }
    let dimension = shape.iter().product();
    let (agreement, gap) = Agreement::of(&forward, &reverse, dimension);
    let grid_log_partition = match data.toy() {
        Some(toy) => grid_log_partition(toy, &*net, temperature.get())?,
        None => None,
    };
    let mut found = Likelihood {
        sentence: String::new(),
        agreement,
        forward,
        reverse,
        grid_log_partition,
        sets: judged,
        weights: trained.weights.display().to_string(),
        iteration: trained.iteration,
        average: trained.average,
        temperature: temperature.get(),
        dimension,
        start,
        burn_in: options.burn_in,
        chains: options.start.chains,
        rungs: options.annealing.rungs,
        leapfrogs: options.annealing.leapfrogs,
        gradients: options.gradients(),
        seconds,
        seed: options.seed,
        backend: compute.name().to_owned(),
        engine: net.landscape_name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    found.sentence = super::page::sentence(&found, gap);
    Page { found: &found }.write(out)?;
    Ok(found)
}

/// Where the reverse side begins: by default the bank, or the data.
fn start(
    trained: &Trained,
    options: &LikelihoodOptions,
    data_directory: Option<&Path>,
) -> Result<(String, States), ExperimentError> {
    let seed = options.seed;
    let mut chosen = options.start.clone();
    let starts = |options| Starts {
        options,
        trained,
        data_directory,
        seed,
        setting: "chains",
    };
    if chosen.start.is_none() && chosen.states.is_none() && chosen.data_of.is_none() {
        let has_bank = starts(&options.start).has_bank();
        chosen.start = Some(if has_bank {
            EvaluationStart::Bank
        } else {
            EvaluationStart::Data
        });
    }
    starts(&chosen).draw()
}

/// The sets whose likelihood is told: data of learning, others, and, for images, inverted ones and noise.
fn image_sets(
    trained: &Trained,
    options: &LikelihoodOptions,
    data: &LoadedData,
    data_directory: Option<&Path>,
) -> Result<Vec<(String, States)>, ExperimentError> {
    let (most, seed) = (options.images, options.seed);
    let some = |data: &LoadedData| draw(data, most, trained.data_noise.unwrap_or(0.0), seed).states;
    let own = some(data);
    let mut sets = vec![("data of learning".to_owned(), own.clone())];
    for other in &options.others {
        let data = other.load("data", trained.state_shape, data_directory)?;
        sets.push((other.label(), some(&data)));
    }
    if trained.state_shape[1] > 1 {
        let inverted = own.values().iter().map(|x| -x).collect();
        let inverted = States::new(own.shape(), inverted).map_err(LangevinError::from)?;
        sets.push(("data of learning, inverted".to_owned(), inverted));
        let key = NoiseKey::new(seed, Stream::WatchStart, 2);
        let noise = NoiseStart::Uniform.draw(1.0, key, own.len(), trained.state_shape)?;
        sets.push(("uniform noise".to_owned(), noise));
    }
    Ok(sets)
}

struct Worker<'a> {
    net: &'a dyn Chains,
    options: &'a LikelihoodOptions,
    temperature: Temperature,
    progress: Box<dyn Progress>,
}

impl Worker<'_> {
    fn both_sides(
        &mut self,
        base: GaussianBase,
        states: States,
    ) -> Result<(Side, Side), ExperimentError> {
        let (options, net) = (self.options, self.net);
        let (annealing, chains) = (&options.annealing, options.start.chains as u64);
        let (pilots, leapfrogs) = (annealing.pilot_chains as u64, annealing.leapfrogs);
        let (length, rungs) = (options.gradients(), annealing.rungs as u64);
        let progress = &mut self.progress;
        let temperature = self.temperature;

        progress.message("step sizes");
        let path = Annealing::tuned_telling(net, base, temperature, annealing, &mut |rung| {
            progress.advance_to(rung as u64 * leapfrogs * pilots, length);
        })?;
        let mut done = rungs * leapfrogs * pilots;
        progress.message("from the Gaussian");
        let up = path.forward_telling(net, chains as usize, options.seed, &mut |rung| {
            progress.advance_to(done + rung as u64 * leapfrogs * chains, length);
        })?;
        done += rungs * leapfrogs * chains;
        progress.message("burn-in");
        let states = match path.rungs().last() {
            Some(Rung { step_size, .. }) if options.burn_in > 0 => {
                let hmc = Hmc::new(*step_size, leapfrogs, temperature)?;
                let noise = NoiseKey::new(options.seed, Stream::Watch, 0);
                let run = ChainRun::new(hmc, options.burn_in).with_noise(noise);
                net.run(&states, &run)?.states
            }
            _ => states,
        };
        done += options.burn_in * leapfrogs * chains;
        progress.message("to the Gaussian");
        let down = path.reverse_telling(net, states, options.seed, &mut |rung| {
            progress.advance_to(done + rung as u64 * leapfrogs * chains, length);
        })?;
        let base = path.base_log_partition();
        Ok((Side::of(&up, base, 1.0), Side::of(&down, base, -1.0)))
    }
}

/// log ∫ exp(−F/T) over a square of the plane: its area times the mean over the cells of a grid. None where that is not
/// finite.
fn grid_log_partition(
    toy: &Toy,
    net: &dyn Chains,
    temperature: f64,
) -> Result<Option<f64>, ExperimentError> {
    let half_width = GRID_WIDTH * toy.plot_extent().half_width;
    let centres = DensityGrid::cell_centres(GRID, half_width)?;
    let energies = energies_of(net, &flat(&centres))?;
    let terms: Vec<f64> = energies.into_iter().map(|f| -f / temperature).collect();
    let side = 2.0 * half_width;
    Ok(LogMean::of(&terms).map(|mean| mean.value + 2.0 * side.ln()))
}
