//! From states on the host to launches and back.

#![allow(unsafe_code)]

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::kernel::{Layout, walk as walk_kernel};
use super::net::DenseNet;
use crate::LangevinError;
use crate::cube::device::{Gpu, Request, Walked};
use crate::cube::noise::draws_arguments;
use crate::cube::step::{is_bounded, step_arguments};

/// Steps of a launch at most: norms are summed in f32 within it, and a driver may stop kernels that run for seconds.
const TURN: u64 = 1_000;

/// How chains are spread over the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spread {
    layout: Layout,
    /// Chains of a vector.
    lanes: usize,
    /// In a row, and rows.
    cubes: [usize; 2],
}

impl Spread {
    fn vectors(&self) -> usize {
        self.cubes.iter().product::<usize>() * self.layout.groups
    }
}

/// Few chains to a unit while there are units to spare, then more, because a weight that is read serves all of them.
fn spread<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    chains: usize,
    is_bounded: bool,
) -> Result<Spread, LangevinError> {
    /// Chains that keep a large card busy with one to a unit.
    const FEW: usize = 512;

    let hardware = &gpu.client.properties().hardware;
    let width = net.width.next_multiple_of(32);
    let no_room = || {
        LangevinError::NotCubed(format!(
            "room on this device for {} layers of up to {} values",
            net.layers(),
            net.width
        ))
    };
    if width > hardware.max_cube_dim.0 as usize {
        return Err(no_room());
    }
    let most_groups = hardware.max_units_per_cube as usize / width;
    let lanes = match chains / FEW {
        0 => 1,
        1..4 => 2,
        _ => 4,
    };
    let vectors = chains.div_ceil(lanes);
    let layout = |groups| Layout {
        size: net.size,
        layers: net.layers(),
        width,
        groups,
        is_bounded,
    };
    let bytes = |groups| layout(groups).shared_vectors() * lanes * size_of::<f32>();
    // Two groups fill the lanes of a multiprocessor that waits for memory; more only where cubes abound.
    let wanted = if vectors > 2 * FEW { 2 } else { 1 };
    let groups = (1..=most_groups.min(wanted))
        .rev()
        .find(|groups| bytes(*groups) <= hardware.max_shared_memory_size)
        .ok_or_else(no_room)?;
    // Devices limit how many cubes there are along an axis; their numbers run on from row to row.
    let cubes = vectors.div_ceil(groups).max(1);
    let rows = cubes.div_ceil(hardware.max_cube_count.0 as usize);
    Ok(Spread {
        layout: layout(groups),
        lanes,
        cubes: [cubes.div_ceil(rows), rows],
    })
}

/// Whether the kernel for the net fits.
pub(in crate::cube) fn fits<R: Runtime>(gpu: &Gpu<R>, net: &DenseNet) -> Result<(), LangevinError> {
    // The most memory is needed with the most chains to a unit.
    spread(gpu, net, 1 << 20, false).map(|_| ())
}

/// Runs the chains whose states lie row by row in `states`.
pub(in crate::cube) fn walk<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    states: &[f32],
    request: Request<'_>,
) -> Result<Walked, LangevinError> {
    let Request { ula, run, .. } = request;
    let chains = states.len() / net.size;
    let spread = spread(gpu, net, chains, is_bounded(ula))?;
    let vectors = spread.vectors();
    let (lanes, values) = (spread.lanes, vectors * spread.lanes);
    let parameters = gpu.upload(&net.parameters);
    let table = gpu.upload(&net.table);
    let slopes = gpu.upload(&net.slopes);
    let moving = gpu.upload(&across_lanes(states, net.size, vectors, lanes));
    let norm_sums = gpu.room(values);
    let energies = gpu.room(values);
    let cubes = CubeCount::Static(spread.cubes[0] as u32, spread.cubes[1] as u32, 1);
    let units = CubeDim::new_2d(spread.layout.width as u32, spread.layout.groups as u32);
    let mut norms = vec![0.0; chains];
    let mut done = 0;
    loop {
        request.check_cancelled()?;
        let first = run.first_step + done;
        let before_carry = (1 << 32) - (first & 0xffff_ffff);
        let steps = (run.steps - done).min(TURN).min(before_carry);
        // SAFETY: the lengths are those of the buffers, and units stay within them: neurons below the widths of
        // their layers, vectors below that of the states.
        unsafe {
            let array = |handle: &Handle, length| ArrayArg::from_raw_parts(handle.clone(), length);
            walk_kernel::launch_unchecked::<R>(
                &gpu.client,
                cubes.clone(),
                units,
                lanes,
                array(&parameters, net.parameters.len()),
                array(&table, net.table.len()),
                array(&slopes, net.slopes.len()),
                array(&moving, values * net.size),
                array(&norm_sums, values),
                array(&energies, values),
                draws_arguments(run.noise, first),
                step_arguments(ula),
                steps as u32,
                spread.layout,
            );
        }
        gpu.flush()?;
        done += steps;
        // The vectors of neighbours lie one after the other, so these are the chains in their order.
        let sums = gpu.read(&norm_sums)?;
        for (norm, sum) in norms.iter_mut().zip(f32::from_bytes(&sums)) {
            *norm += f64::from(*sum);
        }
        if done >= run.steps {
            break;
        }
    }
    let moved = gpu.read(&moving)?;
    let energies = gpu.read(&energies)?;
    Ok(Walked {
        states: by_rows(f32::from_bytes(&moved), net.size, chains, lanes),
        norms,
        energies: f32::from_bytes(&energies)[..chains].to_vec(),
    })
}

/// `[vectors][size][lanes]` from states row by row; lanes without a chain start at zero.
fn across_lanes(rows: &[f32], size: usize, vectors: usize, lanes: usize) -> Vec<f32> {
    let mut values = vec![0.0; vectors * size * lanes];
    for (chain, state) in rows.chunks_exact(size).enumerate() {
        let first = first_place(chain, size, lanes);
        for (element, value) in state.iter().enumerate() {
            values[first + element * lanes] = *value;
        }
    }
    values
}

/// Where the first element of a chain lies; the next ones follow `lanes` apart.
fn first_place(chain: usize, size: usize, lanes: usize) -> usize {
    chain / lanes * size * lanes + chain % lanes
}

/// The other way round.
fn by_rows(values: &[f32], size: usize, chains: usize, lanes: usize) -> Vec<f32> {
    let places = (0..chains).flat_map(|chain| {
        let first = first_place(chain, size, lanes);
        (0..size).map(move |element| first + element * lanes)
    });
    places.map(|place| values[place]).collect()
}
