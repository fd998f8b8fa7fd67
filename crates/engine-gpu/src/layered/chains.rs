//! The steps of a block of chains as launches.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::activation::Curve;
use super::gather::numbers_of;
use super::launches::Pass;
use super::memory::{block_size, cuts};
use super::net::{LayeredNet, NonLocal, Product, Stage};
use super::packing::Packing;
use super::tile::Cut;
use crate::device::{Batch, Gpu, Launched, Options, Request};
use crate::norms::Norms;
use ebm_langevin::LangevinError;

/// Steps whose norms are summed in single precision, between looks at the wish to stop.
const TURN: u64 = 50;

/// Whether the device can hold the net with one chain, and has the precision.
pub(crate) fn fits<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    options: Options,
) -> Result<(), LangevinError> {
    block_size(gpu, net, options).map(|_| ())
}

/// Launches chains, in blocks that fit into memory.
pub(crate) fn launch<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    batch: &Batch<'_>,
    request: Request<'_>,
) -> Result<Launched, LangevinError> {
    let (chains, size) = (batch.chains, net.size());
    let block = even_blocks(chains, block_size(gpu, net, request.options)?);
    let parameters = arranged(gpu, net, batch);
    let states = gpu.room(chains * size);
    let energies = request.run.final_energies.then(|| gpu.room(chains));
    let mut norms = Norms::new(chains);
    for first in (0..chains).step_by(block) {
        let chains = block.min(chains - first);
        let block = Block::new(gpu, net, &parameters, chains, request.options)?;
        let first_chain = batch.first_chain + first;
        gpu.copy(
            (batch.states, first * size),
            (&block.values[0], 0),
            chains * size,
        );
        block.run(first_chain, request, |sums| {
            norms.add(first, sums, request.most_unread(), gpu)
        })?;
        if let Some(energies) = &energies {
            gpu.copy((&block.energies(), 0), (energies, first), chains);
        }
        gpu.copy(
            (&block.values[0], 0),
            (&states, first * size),
            chains * size,
        );
    }
    Ok(Launched {
        states,
        norms,
        energies,
    })
}

/// Chains of a block, where at most so many go together.
pub(super) fn even_blocks(chains: usize, most: usize) -> usize {
    chains.div_ceil(chains.div_ceil(most).max(1)).max(1)
}

/// The parameters as the kernels read them.
pub(super) fn arranged<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    batch: &Batch<'_>,
) -> Vec<Handle> {
    let places = batch.kept.layered(|| {
        let places = net.packings.iter().map(Packing::places);
        places.map(|places| gpu.upload_numbers(&places)).collect()
    });
    let places = places.iter().zip(&net.packings);
    places
        .map(|(places, packing)| gpu.arranged(batch.parameters, (places, packing.len())))
        .collect()
}

/// Chains that step together, with all their buffers.
pub(super) struct Block<'a, R: Runtime> {
    pub(super) gpu: &'a Gpu<R>,
    pub(super) net: &'a LayeredNet,
    pub(super) parameters: &'a [Handle],
    pub(super) chains: usize,
    /// What goes into each stage and into the head, and F's gradient with respect to it.
    pub(super) values: Vec<Handle>,
    pub(super) gradients: Vec<Handle>,
    /// What each stage needs beside.
    pub(super) extra: Vec<Extra>,
    /// A buffer for arguments that a kernel does not touch.
    pub(super) nothing: [Handle; 2],
    /// How products are cut, by their numbers.
    pub(super) cuts: Vec<[Cut; 2]>,
}

pub(super) enum Extra {
    None,
    /// What went into an activation.
    Before(Handle),
    Attention(Box<AttentionRoom>),
}

/// Each with its gradient.
pub(super) struct AttentionRoom {
    pub(super) maps: [Handle; 2],
    pub(super) pooled: [Handle; 2],
    pub(super) weights: [Handle; 2],
    pub(super) mixed: [Handle; 2],
}

/// The operands of a product beside its weights.
pub(super) struct Operands<'a> {
    pub(super) source: &'a Handle,
    pub(super) target: &'a Handle,
    pub(super) addend: Option<&'a Handle>,
    pub(super) bias: Option<&'a Handle>,
    pub(super) before: Option<&'a Handle>,
    pub(super) activation: (Curve, f32),
    /// Whose derivative is taken, and where.
    pub(super) derivative: (Curve, f32, Option<&'a Handle>),
}

impl<'a, R: Runtime> Block<'a, R> {
    pub(super) fn new(
        gpu: &'a Gpu<R>,
        net: &'a LayeredNet,
        parameters: &'a [Handle],
        chains: usize,
        options: Options,
    ) -> Result<Self, LangevinError> {
        let room = |numbers: usize| gpu.room(chains * numbers);
        let pair = |numbers: usize| [room(numbers), room(numbers)];
        let extra = net.stages.iter().map(|stage| match stage {
            Stage::Product(product) if !product.curve().0.is_invertible() => {
                Extra::Before(room(numbers_of(&product.forward.target)))
            }
            Stage::NonLocal(block) => Extra::Attention(Box::new(AttentionRoom {
                maps: pair(numbers_of(&block.maps.forward.target)),
                pooled: pair(block.pool.outputs()),
                weights: pair(block.attention.pooled_pixels * block.attention.pixels),
                mixed: pair(block.attention.inner * block.attention.pixels),
            })),
            _ => Extra::None,
        });
        let rooms = || net.shapes.iter().map(|shape| room(numbers_of(shape)));
        Ok(Self {
            gpu,
            net,
            parameters,
            chains,
            values: rooms().collect(),
            gradients: rooms().collect(),
            extra: extra.collect(),
            nothing: [gpu.room(4), gpu.room(4)],
            cuts: cuts(gpu, net, chains, options)?,
        })
    }

    /// Runs all steps, the noise being that of the chains from `first_chain` on; hands out each chain's Σ‖∇F‖₂ over
    /// some steps after these.
    fn run(
        &self,
        first_chain: usize,
        request: Request<'_>,
        mut hand_out: impl FnMut(Handle) -> Result<(), LangevinError>,
    ) -> Result<(), LangevinError> {
        let run = request.run;
        let mut done = 0;
        while done < run.steps {
            request.check_cancelled()?;
            let sums = self.gpu.room(self.chains);
            let steps = (run.steps - done).min(TURN);
            for step in done..done + steps {
                self.forward();
                self.backward();
                let is_first = step == done;
                self.update(&sums, is_first, first_chain, request, run.first_step + step);
            }
            done += steps;
            hand_out(sums)?;
        }
        Ok(())
    }

    /// F of the states as they are.
    pub(super) fn energies(&self) -> Handle {
        self.forward();
        let energies = self.gpu.room(self.chains);
        self.head_energy(&energies);
        energies
    }

    /// From the states to what the head sees.
    fn forward(&self) {
        for (number, stage) in self.net.stages.iter().enumerate() {
            let [source, target] = [&self.values[number], &self.values[number + 1]];
            match (stage, &self.extra[number]) {
                (Stage::Product(product), extra) => {
                    let before = match extra {
                        Extra::Before(before) => Some(before),
                        _ => None,
                    };
                    self.forward_product(product, source, target, None, before);
                }
                (Stage::Pool(shape), _) => self.pool(shape, source, target),
                (Stage::NonLocal(block), Extra::Attention(room)) => {
                    self.forward_block(block, room, source, target);
                }
                (Stage::NonLocal(_), _) => {}
            }
        }
    }

    /// From the head to the gradient with respect to the states.
    fn backward(&self) {
        self.head_gradient();
        self.backward_from_head();
    }

    /// The same, given how F depends on the input of the head.
    pub(super) fn backward_from_head(&self) {
        for (number, stage) in self.net.stages.iter().enumerate().rev() {
            let [source, target] = [&self.gradients[number + 1], &self.gradients[number]];
            match (stage, &self.extra[number]) {
                (Stage::Product(product), _) => {
                    let derivative = self.derivative_at(number);
                    self.backward_product(product, source, target, None, derivative);
                }
                (Stage::Pool(pool), _) => {
                    let derivative = self.derivative_at(number);
                    self.pool_gradient(pool, &self.values[number], source, target, derivative);
                }
                (Stage::NonLocal(block), Extra::Attention(room)) => {
                    let derivative = self.derivative_at(number);
                    self.backward_block(block, room, source, target, derivative);
                }
                (Stage::NonLocal(_), _) => {}
            }
        }
    }

    /// The activation that made the input of a stage, its number, and where its derivative can be taken.
    pub(super) fn derivative_at(&self, stage: usize) -> (Curve, f32, Option<&Handle>) {
        let (curve, number) = Curve::of(self.net.activation_before(stage));
        let before = stage.checked_sub(1).map(|before| &self.extra[before]);
        let kept = match (curve, before) {
            (Curve::Identity, _) => None,
            (_, Some(Extra::Before(before))) => Some(before),
            _ => Some(&self.values[stage]),
        };
        (curve, number, kept)
    }

    fn forward_product(
        &self,
        product: &Product,
        source: &Handle,
        target: &Handle,
        addend: Option<&Handle>,
        before: Option<&Handle>,
    ) {
        let operands = Operands {
            source,
            target,
            addend,
            bias: Some(&self.parameters[product.bias]),
            before,
            activation: product.curve(),
            derivative: (Curve::Identity, 1.0, None),
        };
        self.product(product, Pass::Forward, &operands);
    }

    fn backward_product(
        &self,
        product: &Product,
        source: &Handle,
        target: &Handle,
        addend: Option<&Handle>,
        derivative: (Curve, f32, Option<&Handle>),
    ) {
        let operands = Operands {
            source,
            target,
            addend,
            bias: None,
            before: None,
            activation: (Curve::Identity, 1.0),
            derivative,
        };
        self.product(product, Pass::Backward, &operands);
    }

    fn forward_block(
        &self,
        block: &NonLocal,
        room: &AttentionRoom,
        source: &Handle,
        target: &Handle,
    ) {
        self.forward_product(&block.maps, source, &room.maps[0], None, None);
        self.pool(&block.pool, &room.maps[0], &room.pooled[0]);
        self.attend(block, room);
        self.forward_product(&block.output, &room.mixed[0], target, Some(source), None);
    }

    fn backward_block(
        &self,
        block: &NonLocal,
        room: &AttentionRoom,
        source: &Handle,
        target: &Handle,
        derivative: (Curve, f32, Option<&Handle>),
    ) {
        let none = (Curve::Identity, 1.0, None);
        self.backward_product(&block.output, source, &room.mixed[1], None, none);
        self.attend_gradients(block, room);
        let [maps, gradient] = &room.maps;
        self.pool_gradient(&block.pool, maps, &room.pooled[1], gradient, none);
        self.backward_product(&block.maps, gradient, target, Some(source), derivative);
    }
}
