//! What the device has room and units for.

use cubecl::features::MmaConfig;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::gather::{Gather, Shape};
use super::net::{LayeredNet, Stage};
use super::tensor_cores::{PLANE, SIDE, STEP};
use super::tile::Cut;
use crate::LangevinError;
use crate::cube::CubePrecision;
use crate::cube::device::Gpu;

/// Bytes that the buffers of a block of chains may take together.
const BUDGET: usize = 1 << 30;

/// The most chains that the device takes at once.
pub(super) fn block_size<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    precision: CubePrecision,
) -> Result<usize, LangevinError> {
    let properties = gpu.client.properties();
    let numbers = buffers(net);
    let largest = numbers.iter().max().copied().unwrap_or(1).max(1);
    let per_chain = 4 * numbers.iter().sum::<usize>().max(1);
    let page = properties.memory.max_page_size as usize / 4;
    // The most columns of a product that has a cube for 32 of them, and counts within 32 bits.
    let (across, down, _) = properties.hardware.max_cube_count;
    let most_columns = across as usize * 32;
    let pixels = net.shapes.iter().map(|shape| shape[1] * shape[2]).max();
    let most = [
        BUDGET / per_chain,
        page / largest,
        most_columns / pixels.unwrap_or(1).max(1),
        u32::MAX as usize / largest,
        down as usize,
    ];
    let block = most.into_iter().min().unwrap_or(0);
    let parameters = net.parameters.iter().map(Vec::len).max().unwrap_or(0);
    let mut products = net.products();
    let has_tiles = products.all(|gather| cut(gpu, gather, 1, precision).is_some());
    let mut attentions = net.attentions();
    let has_room = attentions.all(|attention| attention.shared_bytes() <= shared_memory(gpu));
    if block == 0 || parameters > page || !has_tiles || !has_room {
        return Err(LangevinError::NotCubed(format!(
            "room on this device for a chain of {} MB",
            per_chain / 1_000_000
        )));
    }
    Ok(block)
}

/// How a product is cut on this device.
pub(super) fn cut<R: Runtime>(
    gpu: &Gpu<R>,
    gather: &Gather,
    chains: usize,
    precision: CubePrecision,
) -> Option<Cut> {
    let shared = shared_memory(gpu);
    Cut::best(*gather, chains, gpu.multiprocessors(), shared, precision)
}

/// Whether the device has tensor cores for TF32 as the kernel uses them.
pub(super) fn has_tf32<R: Runtime>(gpu: &Gpu<R>) -> bool {
    let properties = gpu.client.properties();
    let hardware = &properties.hardware;
    let tf32 = ElemType::Float(FloatKind::TF32).into();
    let config = MmaConfig {
        a_type: tf32,
        b_type: tf32,
        cd_type: ElemType::Float(FloatKind::F32).into(),
        m: SIDE as u32,
        n: SIDE as u32,
        k: STEP as u32,
    };
    let planes = [hardware.plane_size_min, hardware.plane_size_max];
    properties.features.matmul.cmma.contains(&config) && planes == [PLANE as u32; 2]
}

/// Bytes of shared memory that a cube may have.
fn shared_memory<R: Runtime>(gpu: &Gpu<R>) -> usize {
    /// More would leave room for few cubes, even where there is more.
    const ENOUGH: usize = 48 << 10;

    let hardware = &gpu.client.properties().hardware;
    hardware.max_shared_memory_size.min(ENOUGH)
}

/// Numbers that each buffer has for a chain.
fn buffers(net: &LayeredNet) -> Vec<usize> {
    let size = |shape: &Shape| shape.iter().product::<usize>();
    let mut numbers: Vec<_> = net.shapes.iter().map(|shape| 2 * size(shape)).collect();
    for stage in &net.stages {
        match stage {
            Stage::Product(product) if !product.curve().0.is_invertible() => {
                numbers.push(size(&product.forward.target));
            }
            Stage::NonLocal(block) => {
                let pixels = block.attention.pixels;
                numbers.push(2 * size(&block.maps.forward.target));
                numbers.push(2 * block.pool.outputs());
                numbers.push(2 * block.attention.pooled_pixels * pixels);
                numbers.push(2 * block.attention.inner * pixels);
            }
            _ => {}
        }
    }
    numbers
}
