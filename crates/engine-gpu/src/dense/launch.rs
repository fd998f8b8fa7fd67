//! Blocks of chains, and their launches.

#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::ops::Range;

use cubecl::features::Plane;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::few::walk_few;
use super::few_layout::FewLayout;
use super::many::walk_many;
use super::many_layout::ManyLayout;
use super::net::DenseNet;
use crate::device::{Batch, Gpu, Launched, Options, Request, array};
use crate::missing;
use crate::noise::draws_arguments;
use crate::norms::Norms;
use crate::step::{is_bounded, step_arguments};
use ebm_langevin::LangevinError;

/// The largest number of steps in a launch, because norms are summed in f32 within it.
const TURN: u64 = 1_000;

/// The largest number of multiply-adds in a launch, because a driver may stop kernels that run for seconds.
const MOST_WORK: u64 = 500_000_000_000;

/// The largest number of units that share a neuron.
const MOST_PARTS: usize = 4;

/// How chains are spread over the cubes of a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spread {
    Few(FewLayout),
    Many(ManyLayout),
}

impl Spread {
    fn chains_of_a_cube(&self) -> usize {
        match self {
            Self::Few(layout) => layout.lanes,
            Self::Many(layout) => 4 * layout.fours,
        }
    }

    /// Numbers that kernels read of the parameters.
    fn numbers(&self) -> usize {
        match self {
            Self::Few(layout) => layout.entries() * layout.units,
            Self::Many(layout) => 4 * layout.parameters(),
        }
    }
}

/// Registers for the weights where chains are few and the weights fit, otherwise fours of neurons and chains.
fn spread<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    chains: usize,
    is_bounded: bool,
    options: Options,
) -> Result<Spread, LangevinError> {
    let hardware = &gpu.client.properties().hardware;
    let most_units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize;
    let most_shared = hardware.max_shared_memory_size;
    // One chain to a cube while there are multiprocessors to spare, then up to four; beyond eight for each
    // multiprocessor they would have to wait for each other.
    let multiprocessors = gpu.multiprocessors(options);
    let lanes = match chains / (2 * multiprocessors) {
        0 => Some(1),
        1 => Some(2),
        2..4 => Some(4),
        _ => None,
    };
    let few = |lanes| {
        let all = [MOST_PARTS, 2, 1].into_iter();
        all.filter(|parts| *parts <= most_parts(gpu, options))
            .map(|parts| FewLayout::new(net, lanes, parts, is_bounded))
            .find(|layout| {
                let fits = layout.units <= most_units && layout.shared_bytes() <= most_shared;
                fits && layout.holds_weights()
            })
    };
    if let Some(layout) = lanes.and_then(few) {
        return Ok(Spread::Few(layout));
    }
    let mut fitting = [8, 4, 2, 1]
        .map(|fours| ManyLayout::new(net, fours, is_bounded))
        .into_iter()
        .filter(|layout| layout.units() <= most_units && layout.shared_bytes() <= most_shared);
    // The most chains to a cube that leave no multiprocessor without work.
    let is_busy = |layout: &ManyLayout| chains / (4 * layout.fours) >= multiprocessors;
    let busy = fitting.clone().find(is_busy);
    let layout = busy.or_else(|| fitting.next_back());
    layout.map(Spread::Many).ok_or_else(|| {
        missing(format!(
            "room on this device for {} layers of up to {} values",
            net.widths.len(),
            net.width()
        ))
    })
}

/// How many units may share a neuron: as many as were asked for, or where the runtime says that units can shuffle.
fn most_parts<R: Runtime>(gpu: &Gpu<R>, options: Options) -> usize {
    let properties = gpu.client.properties();
    let can_shuffle = properties.features.plane.contains(Plane::Ops);
    let wanted = if can_shuffle { MOST_PARTS } else { 1 };
    let wanted = options.units_per_neuron.map_or(wanted, NonZeroUsize::get);
    wanted.min(properties.hardware.plane_size_min as usize)
}

/// Whether the kernel for the net fits.
pub(crate) fn fits<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    options: Options,
) -> Result<(), LangevinError> {
    // One chain for each cube needs the least memory; this is tried last.
    spread(gpu, net, 1 << 20, false, options).map(|_| ())
}

/// Launches chains.
pub(crate) fn launch<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    batch: &Batch<'_>,
    request: Request<'_>,
) -> Result<Launched, LangevinError> {
    let chains = batch.chains;
    let asked = request
        .options
        .most_chains
        .map_or(chains, NonZeroUsize::get);
    let block = chains.min(asked).max(1);
    let states = gpu.room(chains * net.size());
    let energies = gpu.room(chains);
    let mut norms = Norms::new(chains);
    for first in (0..chains).step_by(block) {
        let count = block.min(chains - first);
        let (place, numbers) = (first * net.size(), count * net.size());
        // If the block holds all chains, they run where the final states are to be.
        let is_all = count == chains;
        let [moved, of_block] = if is_all {
            [states.clone(), energies.clone()]
        } else {
            [gpu.room(numbers), gpu.room(count)]
        };
        gpu.copy((batch.states, place), (&moved, 0), numbers);
        let buffers = [&moved, &of_block];
        let chains = first..first + count;
        walk_block(gpu, net, batch, buffers, chains, request, &mut norms)?;
        if !is_all {
            gpu.copy((&moved, 0), (&states, place), numbers);
            gpu.copy((&of_block, 0), (&energies, first), count);
        }
    }
    Ok(Launched {
        states,
        norms,
        energies: request.run.final_energies.then_some(energies),
    })
}

/// Runs the chains of these numbers in the batch, whose states are `moved` in place.
fn walk_block<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    batch: &Batch<'_>,
    [moved, energies]: [&Handle; 2],
    numbers: Range<usize>,
    request: Request<'_>,
    norms: &mut Norms,
) -> Result<(), LangevinError> {
    let Request { ula, run, .. } = request;
    let chains = numbers.len();
    let spread = spread(gpu, net, chains, is_bounded(ula), request.options)?;
    let kept = batch.kept.dense(&spread, || {
        let places = match &spread {
            Spread::Few(layout) => net.by_units(layout),
            Spread::Many(layout) => net.by_fours(layout),
        };
        vec![gpu.upload_numbers(&places), gpu.upload_numbers(&net.slopes)]
    });
    let length = spread.numbers();
    let parameters = gpu.arranged(batch.parameters, (&kept[0], length));
    let cubes = gpu.cubes(chains.div_ceil(spread.chains_of_a_cube()));
    let mut done = 0;
    loop {
        request.check_cancelled()?;
        let norm_sums = gpu.room(chains);
        let first = run.first_step + done;
        let before_carry = (1 << 32) - (first & 0xffff_ffff);
        let turn = (MOST_WORK / (net.multiply_adds() * chains as u64).max(1)).clamp(1, TURN);
        let steps = (run.steps - done).min(turn).min(before_carry);
        let parameters_read = array(&parameters, length);
        let slopes_read = array(&kept[1], net.slopes.len());
        let states = array(moved, chains * net.size());
        let [norms_out, energies_out] = [&norm_sums, energies].map(|each| array(each, chains));
        let draws = draws_arguments(run.noise, first);
        let step = step_arguments(ula);
        let first_chain = batch.first_chain + numbers.start;
        // SAFETY: the lengths are those of the buffers; kernels read parameters as they are packed for their layout,
        // and of the rest only what belongs to a chain.
        match &spread {
            Spread::Few(layout) => unsafe {
                walk_few::launch_unchecked::<R>(
                    &gpu.client,
                    cubes.clone(),
                    CubeDim::new_1d(layout.units as u32),
                    layout.lanes,
                    parameters_read,
                    slopes_read,
                    states,
                    norms_out,
                    energies_out,
                    draws,
                    step,
                    steps as u32,
                    chains as u32,
                    first_chain as u32,
                    layout.clone(),
                );
            },
            Spread::Many(layout) => unsafe {
                walk_many::launch_unchecked::<R>(
                    &gpu.client,
                    cubes.clone(),
                    CubeDim::new_1d(layout.units() as u32),
                    4,
                    parameters_read,
                    slopes_read,
                    states,
                    norms_out,
                    energies_out,
                    draws,
                    step,
                    steps as u32,
                    chains as u32,
                    first_chain as u32,
                    layout.clone(),
                );
            },
        }
        done += steps;
        norms.add(numbers.start, norm_sums, request.most_unread(), gpu)?;
        if done >= run.steps {
            return Ok(());
        }
    }
}
