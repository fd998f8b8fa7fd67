//! The limits of the device: its memory and its units.

use std::num::NonZeroUsize;

use cubecl::features::MmaConfig;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::attention::SUM_UNITS;
use super::gather::{Gather, numbers_of};
use super::head::UNITS;
use super::net::{LayeredNet, Stage};
use super::packing::Packing;
use super::tensor_cores::{PLANE, SIDE};
use super::tile::Cut;
use crate::device::{Device, Gpu, Options};
use crate::{CubePrecision, missing, missing_precision};
use ebm_langevin::LangevinError;

/// Bytes that the buffers of a block of chains may take together.
const BUDGET: usize = 1 << 30;

/// The most chains that the device takes at once.
///
/// # Errors
/// [`LangevinError::Lacking`] says what it has no room for, or that it lacks the precision.
pub(super) fn block_size<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    options: Options,
) -> Result<usize, LangevinError> {
    if options.precision != CubePrecision::F32 && !has_tensor_cores(gpu, options.precision) {
        return Err(missing_precision(
            options.precision,
            "this device, which lacks tensor cores for them",
        ));
    }
    let hardware = &gpu.client.properties().hardware;
    let no_room = |what: String| missing(format!("room on this device for {what}"));
    let units = UNITS.max(SUM_UNITS);
    if units > hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize {
        return Err(no_room(format!("cubes of {units} units")));
    }
    cuts(gpu, net, 1, options)?;
    let shared = hardware.max_shared_memory_size;
    for bytes in net.attentions().map(|attention| attention.shared_bytes()) {
        if bytes > shared {
            return Err(no_room(format!(
                "{bytes} bytes of a non-local block in shared memory"
            )));
        }
    }
    let room = gpu.most_numbers();
    let parameters = net.packings.iter().map(Packing::len).max().unwrap_or(0);
    if parameters > room {
        return Err(no_room(format!("a layer of {parameters} weights")));
    }
    let numbers = buffers(net);
    let largest = numbers.iter().max().copied().unwrap_or(1).max(1);
    let per_chain = 4 * numbers.iter().sum::<usize>().max(1);
    // The most columns of a product that has a cube for 32 of them.
    let (across, down, _) = hardware.max_cube_count;
    let most_columns = across as usize * 32;
    let pixels = net.shapes.iter().map(|shape| shape[1] * shape[2]).max();
    let most = [
        BUDGET / per_chain,
        room / largest,
        most_columns / pixels.unwrap_or(1).max(1),
        down as usize,
        options.most_chains.map_or(usize::MAX, NonZeroUsize::get),
    ];
    match most.into_iter().min() {
        None | Some(0) => Err(no_room(format!("a chain of {} MB", per_chain / 1_000_000))),
        Some(block) => Ok(block),
    }
}

/// How every product of the net is cut on this device, forward and backward, in the order of their numbers.
///
/// # Errors
/// [`LangevinError::Lacking`] when there is no room for the pieces of one.
pub(super) fn cuts<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    chains: usize,
    options: Options,
) -> Result<Vec<[Cut; 2]>, LangevinError> {
    /// Bytes of shared memory; more would leave room for few cubes, even where there is more.
    const ENOUGH: usize = 48 << 10;

    let shared = gpu.client.properties().hardware.max_shared_memory_size;
    let multiprocessors = gpu.multiprocessors(options);
    let cut = |gather: &Gather| {
        let precision = options.precision;
        let cut = Cut::best(
            *gather,
            chains,
            multiprocessors,
            shared.min(ENOUGH),
            precision,
        );
        cut.ok_or_else(|| {
            missing(format!(
                "room in shared memory on this device for kernels of {} taps",
                gather.taps * gather.taps
            ))
        })
    };
    net.products()
        .map(|product| Ok([cut(&product.forward)?, cut(&product.backward)?]))
        .collect()
}

/// Whether the device has tensor cores for a precision as the kernel uses them.
fn has_tensor_cores<R: Runtime>(gpu: &Gpu<R>, precision: CubePrecision) -> bool {
    let properties = gpu.client.properties();
    let hardware = &properties.hardware;
    let factor = ElemType::Float(precision.kind()).into();
    let config = MmaConfig {
        a_type: factor,
        b_type: factor,
        cd_type: ElemType::Float(FloatKind::F32).into(),
        m: SIDE as u32,
        n: SIDE as u32,
        k: precision.step() as u32,
    };
    let planes = [hardware.plane_size_min, hardware.plane_size_max];
    properties.features.matmul.cmma.contains(&config) && planes == [PLANE as u32; 2]
}

/// Numbers that each buffer has for a chain.
fn buffers(net: &LayeredNet) -> Vec<usize> {
    let mut numbers: Vec<_> = net
        .shapes
        .iter()
        .map(|shape| 2 * numbers_of(shape))
        .collect();
    for stage in &net.stages {
        match stage {
            Stage::Product(product) if !product.curve().0.is_invertible() => {
                numbers.push(numbers_of(&product.forward.target));
            }
            Stage::NonLocal(block) => {
                let pixels = block.attention.pixels;
                numbers.push(2 * numbers_of(&block.maps.forward.target));
                numbers.push(2 * block.pool.outputs());
                numbers.push(2 * block.attention.pooled_pixels * pixels);
                numbers.push(2 * block.attention.inner * pixels);
            }
            _ => {}
        }
    }
    numbers
}
