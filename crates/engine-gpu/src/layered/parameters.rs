//! The gradient of F with respect to the parameters.

#![allow(unsafe_code)]

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::chains::{Block, Extra, arranged, even_blocks};
use super::gather::{Gather, numbers_of};
use super::head;
use super::memory::block_size;
use super::net::{LayeredNet, Stage};
use super::weight_gradient::{DEPTH, TILE, UNITS, add_slices, weigh, weight_gradient};
use crate::device::{Batch, Gpu, LaunchedGradients, Options, array};
use ebm_langevin::LangevinError;

/// As many as devices have cubes along an axis.
const MOST_SLICES: usize = 65_535;

/// Launches F of the states of a batch and ∂/∂θ Σᵢ wᵢ F(xᵢ), `weights` being w.
pub(crate) fn launch_gradients<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    batch: &Batch<'_>,
    weights: &Handle,
    options: Options,
) -> Result<LaunchedGradients, LangevinError> {
    let (chains, size) = (batch.chains, net.size());
    let block = even_blocks(chains, block_size(gpu, net, options)?);
    let parameters = arranged(gpu, net, batch);
    let places = batch.kept.gradients(|| {
        let places = net.gradient_places().into_iter();
        places.map(|places| gpu.upload_numbers(&places)).collect()
    });
    let sums = Sums {
        gradients: gpu.room(batch.parameters.1),
        numbers: batch.parameters.1,
        multiprocessors: gpu.multiprocessors(options),
    };
    let energies = gpu.room(chains);
    for first in (0..chains).step_by(block) {
        let chains = block.min(chains - first);
        let block = Block::new(gpu, net, &parameters, chains, options)?;
        gpu.copy(
            (batch.states, first * size),
            (&block.values[0], 0),
            chains * size,
        );
        gpu.copy((&block.energies(), 0), (&energies, first), chains);
        let own_weights = gpu.room(chains);
        gpu.copy((weights, first), (&own_weights, 0), chains);
        block.head_gradient();
        block.weigh(&own_weights);
        block.backward_from_head();
        let products = block.factors(&own_weights).into_iter();
        for (factors, places) in products.zip(places.iter()) {
            block.add_gradient(&factors, places, &sums, first > 0);
        }
    }
    Ok(LaunchedGradients {
        energies,
        gradients: sums.gradients,
    })
}

/// Where the sums over chains go.
struct Sums {
    gradients: Handle,
    numbers: usize,
    multiprocessors: usize,
}

/// The factors of the gradient of a product's weights.
struct Factors<'a> {
    gather: Gather,
    /// Of what comes out, before its activation.
    gradient: &'a Handle,
    source: &'a Handle,
}

impl<R: Runtime> Block<'_, R> {
    /// Those of every product in the order of their numbers, and of the last layer, whose values are F.
    fn factors<'a>(&'a self, weights: &'a Handle) -> Vec<Factors<'a>> {
        let mut all = Vec::new();
        for (number, stage) in self.net.stages.iter().enumerate() {
            let [source, gradient] = [&self.values[number], &self.gradients[number + 1]];
            match (stage, &self.extra[number]) {
                (Stage::Product(product), _) => all.push(Factors {
                    gather: product.forward,
                    gradient,
                    source,
                }),
                (Stage::NonLocal(block), Extra::Attention(room)) => {
                    all.push(Factors {
                        gather: block.maps.forward,
                        gradient: &room.maps[1],
                        source,
                    });
                    all.push(Factors {
                        gather: block.output.forward,
                        gradient,
                        source: &room.mixed[0],
                    });
                }
                _ => {}
            }
        }
        all.push(Factors {
            gather: self.net.head_gather(),
            gradient: weights,
            source: &self.values[self.net.stages.len()],
        });
        all
    }

    /// Multiplies the gradient of what the head sees by each chain's weight.
    fn weigh(&self, weights: &Handle) {
        let last = self.net.stages.len();
        let size = numbers_of(&self.net.shapes[last]);
        let values = self.chains * size;
        // SAFETY: the lengths are those of the buffers; a unit beyond the values does nothing.
        unsafe {
            weigh::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(values.div_ceil(head::UNITS)),
                CubeDim::new_1d(head::UNITS as u32),
                array(&self.gradients[last], values),
                array(weights, self.chains),
                values as u32,
                size,
            );
        }
    }

    /// Multiplies the factors, in slices of the columns so that every multiprocessor has some, and sums the slices.
    fn add_gradient(&self, factors: &Factors<'_>, places: &Handle, sums: &Sums, adds: bool) {
        let gather = factors.gather;
        let [rows, lines] = [gather.target[0], gather.depth() + 1];
        let columns = self.chains * gather.columns();
        let tiles = [lines.div_ceil(TILE), rows.div_ceil(TILE)];
        let wanted = (4 * sums.multiprocessors).div_ceil(tiles[0] * tiles[1]);
        let wanted = wanted.min(MOST_SLICES);
        let slice = columns.div_ceil(DEPTH).div_ceil(wanted) * DEPTH;
        let slices = columns.div_ceil(slice);
        let count = rows * lines;
        let partial = self.gpu.room(slices * count);
        // SAFETY: the lengths are those of the buffers; rows, lines and columns outside of products, chains and
        // images are left out, and places are those of the gradients.
        unsafe {
            weight_gradient::launch_unchecked::<R>(
                &self.gpu.client,
                CubeCount::Static(tiles[0] as u32, tiles[1] as u32, slices as u32),
                CubeDim::new_1d(UNITS as u32),
                array(factors.gradient, self.chains * numbers_of(&gather.target)),
                array(factors.source, self.chains * numbers_of(&gather.source)),
                array(&partial, slices * count),
                columns as u32,
                slice as u32,
                gather,
            );
            add_slices::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(count.div_ceil(head::UNITS)),
                CubeDim::new_1d(head::UNITS as u32),
                array(&partial, slices * count),
                array(places, count),
                array(&sums.gradients, sums.numbers),
                count as u32,
                slices as u32,
                adds,
            );
        }
    }
}
