//! From states on the host to launches and back.

#![allow(unsafe_code)]

use std::num::NonZeroUsize;

use cubecl::features::Plane;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::kernel::walk as walk_kernel;
use super::layout::Layout;
use super::net::DenseNet;
use crate::LangevinError;
use crate::cube::device::{Gpu, Request, Walked};
use crate::cube::noise::draws_arguments;
use crate::cube::step::{is_bounded, step_arguments};

/// Steps of a launch at most: norms are summed in f32 within it, and a driver may stop kernels that run for seconds.
const TURN: u64 = 1_000;

/// Units that share a neuron at most.
const MOST_PARTS: usize = 4;

/// How chains are spread over the device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spread {
    layout: Layout,
    /// Chains of a cube.
    lanes: usize,
    /// In a row, and rows.
    cubes: [usize; 2],
}

/// One chain to a cube while there are multiprocessors to spare, then up to four, because a weight that is held or read serves all
/// of them.
fn spread<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    chains: usize,
    is_bounded: bool,
    asked: Option<NonZeroUsize>,
) -> Result<Spread, LangevinError> {
    let properties = gpu.client.properties();
    let hardware = &properties.hardware;
    let most_units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize;
    let lanes = match chains / (2 * gpu.multiprocessors()) {
        0 => 1,
        1 => 2,
        _ => 4,
    };
    // Units that share a neuron must be able to shuffle, which not every runtime says of its devices.
    let can_shuffle = asked.is_some() || properties.features.plane.contains(Plane::Ops);
    let most_parts = if can_shuffle {
        asked.map_or(MOST_PARTS, NonZeroUsize::get)
    } else {
        1
    };
    let most_parts = most_parts.min(hardware.plane_size_min as usize);
    let fits = |layout: &Layout| {
        let bytes = layout.shared_vectors() * lanes * size_of::<f32>();
        layout.units <= most_units && bytes <= hardware.max_shared_memory_size
    };
    let layout = [MOST_PARTS, 2, 1]
        .into_iter()
        .filter(|parts| *parts <= most_parts)
        .map(|parts| Layout::new(net, parts, is_bounded))
        .find(fits);
    let layout = layout.ok_or_else(|| {
        LangevinError::NotCubed(format!(
            "room on this device for {} layers of up to {} values",
            net.widths.len(),
            net.width()
        ))
    })?;
    // Devices limit how many cubes there are along an axis; their numbers run on from row to row.
    let cubes = chains.div_ceil(lanes).max(1);
    let rows = cubes.div_ceil(hardware.max_cube_count.0 as usize);
    Ok(Spread {
        layout,
        lanes,
        cubes: [cubes.div_ceil(rows), rows],
    })
}

/// Whether the kernel for the net fits.
pub(in crate::cube) fn fits<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    asked: Option<NonZeroUsize>,
) -> Result<(), LangevinError> {
    // The most memory is needed with the most chains to a unit.
    spread(gpu, net, 1 << 20, false, asked).map(|_| ())
}

/// Runs the chains whose states lie row by row in `states`.
pub(in crate::cube) fn walk<R: Runtime>(
    gpu: &Gpu<R>,
    net: &DenseNet,
    states: &[f32],
    request: Request<'_>,
) -> Result<Walked, LangevinError> {
    let Request { ula, run, .. } = request;
    let size = net.size();
    let chains = states.len() / size;
    let spread = spread(gpu, net, chains, is_bounded(ula), request.units_per_neuron)?;
    let (layout, lanes) = (&spread.layout, spread.lanes);
    let vectors = spread.cubes.iter().product::<usize>();
    let values = vectors * lanes;
    let packed = net.packed(layout);
    let parameters = gpu.upload(&packed);
    let slopes = gpu.upload(&net.slopes);
    let moving = gpu.upload(&across_lanes(states, size, vectors, lanes));
    let norm_sums = gpu.room(values);
    let energies = gpu.room(values);
    let cubes = CubeCount::Static(spread.cubes[0] as u32, spread.cubes[1] as u32, 1);
    let mut norms = vec![0.0; chains];
    let mut done = 0;
    loop {
        request.check_cancelled()?;
        let first = run.first_step + done;
        let before_carry = (1 << 32) - (first & 0xffff_ffff);
        let steps = (run.steps - done).min(TURN).min(before_carry);
        // SAFETY: the lengths are those of the buffers; there is a cube for each vector of chains, which reads and writes its own
        // states alone, and entries are packed for every unit.
        unsafe {
            let array = |handle: &Handle, length| ArrayArg::from_raw_parts(handle.clone(), length);
            walk_kernel::launch_unchecked::<R>(
                &gpu.client,
                cubes.clone(),
                CubeDim::new_1d(layout.units as u32),
                lanes,
                array(&parameters, packed.len()),
                array(&slopes, net.slopes.len()),
                array(&moving, values * size),
                array(&norm_sums, values),
                array(&energies, values),
                draws_arguments(run.noise, first),
                step_arguments(ula),
                steps as u32,
                layout.clone(),
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
        states: by_rows(f32::from_bytes(&moved), size, chains, lanes),
        norms,
        energies: f32::from_bytes(&energies)[..chains]
            .iter()
            .map(|energy| energy + net.last_bias())
            .collect(),
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
