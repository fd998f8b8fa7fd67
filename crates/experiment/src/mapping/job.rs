//! The stages of a map. Their experiments run one after the other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_core::States;
use ebm_landscape::{BarrierSearch, Barriers, Diffusion, Grouping, Minimum, Surface};
use ebm_langevin::Chains;

use super::gathering::{find_minima, gather};
use super::pictures::write_sweep;
use super::state::{Connections, Found, Sweep};
use super::strength::STRENGTHS;
use super::watch::Watch;
use super::{MapFolder, State};
use crate::{Computation, Compute, ExperimentError, Supervisor};

/// Runs a map from its current state to its end. The state is saved after every experiment, so that a stop loses only
/// the current one.
///
/// # Errors
/// [`ExperimentError::Stopped`] after a stop.
pub(super) fn map(
    folder: &MapFolder,
    mut state: State,
    Computation { compute, engine }: Computation<'_>,
    supervisor: &dyn Supervisor,
    stop: &Arc<AtomicBool>,
) -> Result<(State, Vec<Minimum>), ExperimentError> {
    let (shape, weights) = (state.settings.state_shape, folder.weights());
    let net = compute.trained_net(&state.settings.net, shape, &weights, engine, stop)?;
    // A later part of a map may run on another machine.
    compute.name().clone_into(&mut state.settings.backend);
    net.landscape_name().clone_into(&mut state.settings.engine);
    folder.write_state(&state)?;
    let mut watch = Watch::new(supervisor, stop);
    let surface = Surface::new(&*net, state.settings.temperature()?);
    let (minima, found) = match state.found.take() {
        Some(found) => (folder.read_minima(&state.settings, &found)?, found),
        None => descend(&*net, &surface, compute, &state, folder, &mut watch)?,
    };
    state.found = Some(found.clone());
    folder.write_state(&state)?;
    let mut mapper = Mapper {
        surface,
        rows: Minimum::states(state.settings.state_shape, &minima)?,
        minima,
        found,
        folder,
        state,
        watch,
    };
    let strength = mapper.strength()?;
    mapper.group(strength)?;
    mapper.connect(strength)?;
    mapper.group_at_multiples(strength)?;
    Ok((mapper.state, mapper.minima))
}

/// Gathers chains, lets them descend, and writes the minima.
fn descend(
    net: &dyn Chains,
    surface: &Surface<'_>,
    compute: &dyn Compute,
    state: &State,
    folder: &MapFolder,
    watch: &mut Watch<'_>,
) -> Result<(Vec<Minimum>, Found), ExperimentError> {
    let settings = &state.settings;
    let count = settings.all_chains() as u64;
    watch.begin("steps of the gathering", 0, settings.gather_steps);
    let mut done = 0;
    let states = gather(net, settings, folder, &mut |steps| {
        done += steps;
        watch.walked(steps * count);
        watch.advance_to(done, settings.gather_steps);
    })?;
    tracing::info!(
        chains = count,
        steps = settings.gather_steps,
        "chains gathered"
    );
    watch.begin("descents", 0, 1);
    let (minima, found) = find_minima(net, surface, compute, settings, &states)?;
    folder.write_minima(settings, &minima)?;
    tracing::info!(minima = minima.len(), "minima found");
    Ok((minima, found))
}

/// Everything after the descents.
struct Mapper<'a> {
    surface: Surface<'a>,
    minima: Vec<Minimum>,
    /// Their states.
    rows: States,
    found: Found,
    folder: &'a MapFolder,
    state: State,
    watch: Watch<'a>,
}

impl Mapper<'_> {
    /// α: the requested one, or the result of a sweep.
    fn strength(&mut self) -> Result<f64, ExperimentError> {
        if let Some(strength) = self.state.strength.or(self.state.settings.alpha) {
            self.state.strength = Some(strength);
            return Ok(strength);
        }
        let settings = &self.state.settings;
        let diffusion = settings.diffusion(self.found.resolution, 0)?;
        let mut sweep = match self.state.sweep.take() {
            Some(sweep) => sweep,
            None => Sweep::new(settings, &self.found)?,
        };
        let all = STRENGTHS as u64;
        self.watch.begin(
            "strengths of the sweep",
            sweep.search.tried().len() as u64,
            all,
        );
        while !sweep.search.is_done() {
            let mut steps = 0;
            sweep
                .search
                .advance(&self.surface, &self.rows, &diffusion, &mut |walked| {
                    steps += walked;
                    self.watch.walked(walked)
                })?;
            self.state.sweep = Some(sweep.clone());
            self.save(steps)?;
            self.watch
                .advance_to(sweep.search.tried().len() as u64, all);
            let alpha = sweep.search.tried().last().copied().unwrap_or_default();
            let together = sweep.together(alpha);
            tracing::info!(alpha, together = %format!("{together:.0} %"), "strength tried");
        }
        self.state.sweep = Some(sweep.clone());
        match sweep.choose(self.state.settings.temperature_factor) {
            Ok(strength) => {
                self.state.strength = Some(strength);
                self.save(0)?;
                Ok(strength)
            }
            Err(error) => {
                self.save(0)?;
                write_sweep(&self.state, self.folder)?;
                Err(error)
            }
        }
    }

    /// All groupings, each with its seed.
    fn group(&mut self, strength: f64) -> Result<(), ExperimentError> {
        for number in 0..self.state.settings.groupings {
            let diffusion = self
                .state
                .settings
                .diffusion(self.found.resolution, number)?;
            let stage = if number == 0 {
                "minima grouped"
            } else {
                "minima grouped with another seed"
            };
            self.one_grouping(stage, strength, number, &diffusion, |state| {
                &mut state.groupings
            })?;
        }
        Ok(())
    }

    /// Groupings with a stronger or weaker pull.
    fn group_at_multiples(&mut self, strength: f64) -> Result<(), ExperimentError> {
        let diffusion = self.state.settings.diffusion(self.found.resolution, 0)?;
        for number in 0..self.state.settings.multiples.len() {
            let strength = strength * self.state.settings.multiples[number];
            let stage = "minima grouped at another α";
            self.one_grouping(stage, strength, number, &diffusion, |state| {
                &mut state.others
            })?;
        }
        Ok(())
    }

    /// Continues the grouping of this number in a list to its end.
    fn one_grouping(
        &mut self,
        stage: &'static str,
        strength: f64,
        number: usize,
        diffusion: &Diffusion,
        list: impl Fn(&mut State) -> &mut Vec<Grouping>,
    ) -> Result<(), ExperimentError> {
        let all = self.minima.len() as u64;
        let mut grouping = match list(&mut self.state).get(number) {
            Some(grouping) => grouping.clone(),
            None => Grouping::new(&self.minima, strength)?,
        };
        self.watch.begin(stage, grouping.settled() as u64, all);
        while !grouping.is_done() {
            let mut steps = 0;
            grouping.advance(&self.surface, &self.minima, diffusion, &mut |walked| {
                steps += walked;
                self.watch.walked(walked)
            })?;
            let groupings = list(&mut self.state);
            groupings.truncate(number);
            groupings.push(grouping.clone());
            self.save(steps)?;
            let settled = grouping.settled();
            self.watch.advance_to(settled as u64, all);
            let basins = grouping.basin_count();
            tracing::info!(
                alpha = strength,
                grouping = number + 1,
                basins,
                settled,
                "basin tried"
            );
        }
        Ok(())
    }

    /// Barriers between the basins with the most members.
    fn connect(&mut self, strength: f64) -> Result<(), ExperimentError> {
        let search = BarrierSearch::default();
        let mut connections = match self.state.barriers.take() {
            Some(connections) => connections,
            None => {
                let basins = self.largest_basins();
                let representatives = basins.iter().map(|(_, minimum)| *minimum);
                let representatives = representatives
                    .map(|minimum| (minimum, self.minima[minimum].energy))
                    .collect();
                Connections {
                    basins: basins.into_iter().map(|(basin, _)| basin).collect(),
                    search: Barriers::new(representatives, strength, search)?,
                }
            }
        };
        let diffusion = self.state.settings.diffusion(self.found.resolution, 0)?;
        let count = |connections: &Connections| {
            let found = connections.search.found().len() as u64;
            (found, found + connections.search.open().len() as u64)
        };
        let (found, all) = count(&connections);
        self.watch.begin("barriers", found, all);
        while !connections.search.is_done() {
            let mut steps = 0;
            connections
                .search
                .advance(&self.surface, &self.rows, &diffusion, &mut |walked| {
                    steps += walked;
                    self.watch.walked(walked)
                })?;
            self.state.barriers = Some(connections.clone());
            self.save(steps)?;
            let (found, all) = count(&connections);
            self.watch.advance_to(found, all);
            tracing::info!(found, of = all, "barriers");
        }
        self.state.barriers = Some(connections);
        self.save(0)
    }

    /// Numbers and representatives of the basins of the first grouping that have the most members, in their order.
    fn largest_basins(&self) -> Vec<(usize, usize)> {
        let basins = self
            .state
            .groupings
            .first()
            .map(Grouping::basins)
            .unwrap_or_default();
        let mut numbers: Vec<usize> = (0..basins.len()).collect();
        // Among equals the deeper ones, which come first.
        numbers.sort_by_key(|number| std::cmp::Reverse(basins[*number].members.len()));
        numbers.truncate(self.state.settings.graph_basins);
        numbers.sort_unstable();
        let with_minimum = |number: usize| (number, basins[number].representative());
        numbers.into_iter().map(with_minimum).collect()
    }

    fn save(&mut self, steps: u64) -> Result<(), ExperimentError> {
        self.state.chain_steps += steps;
        self.folder.write_state(&self.state)
    }
}
