//! The steps of a block of chains as launches.

#![allow(unsafe_code)]

use cubecl::features::MmaConfig;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::activation::Curve;
use super::attention::{Attention, SUM_UNITS, attend, attend_gradient, pooled_gradient};
use super::finish::{Finish, NumbersLaunch};
use super::gather::{Gather, Shape};
use super::head::{UNITS, head_energy, head_gradient};
use super::net::{LayeredNet, NonLocal, Product, Stage};
use super::pool::{Pool, pool_gradient, take_largest};
use super::product::product;
use super::tensor_cores::{PLANE, SIDE, STEP, product_tf32};
use super::tile::Cut;
use super::update::update;
use crate::LangevinError;
use crate::cube::device::{Gpu, Request, Walked};
use crate::cube::noise::draws_arguments;
use crate::cube::step::{is_bounded, step_arguments};
use crate::cube::{CubePrecision, missing};

/// Steps between looks at norms and at the wish to stop.
const TURN: u64 = 50;

/// Bytes that the buffers of a block of chains may take together.
const BUDGET: usize = 1 << 30;

/// Whether the device can hold the net with one chain, and has the precision.
pub(in crate::cube) fn fits<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    precision: CubePrecision,
) -> Result<(), LangevinError> {
    if precision == CubePrecision::Tf32 && !has_tf32(gpu) {
        return Err(missing("tensor cores for TF32 on this device"));
    }
    block_size(gpu, net, precision).map(|_| ())
}

/// Runs the chains whose states lie row by row in `states`, in blocks that fit into memory.
pub(in crate::cube) fn walk<R: Runtime>(
    gpu: &Gpu<R>,
    net: &LayeredNet,
    states: &[f32],
    request: Request<'_>,
) -> Result<Walked, LangevinError> {
    let size = net.size();
    let chains = states.len() / size;
    let blocks = chains
        .div_ceil(block_size(gpu, net, request.options.precision)?)
        .max(1);
    let block = chains.div_ceil(blocks).max(1);
    let parameters: Vec<_> = net.parameters.iter().map(|part| gpu.upload(part)).collect();
    let mut walked = Walked::default();
    for (number, states) in states.chunks(block * size).enumerate() {
        let chains = states.len() / size;
        let block = Block::new(gpu, net, &parameters, states, number * block, request);
        walked.norms.extend(block.run(request)?);
        if request.run.final_energies {
            walked.energies.extend(block.energies()?);
        }
        let moved = gpu.read(&block.values[0])?;
        walked
            .states
            .extend_from_slice(&f32::from_bytes(&moved)[..chains * size]);
    }
    Ok(walked)
}

/// The most chains that the device takes at once.
fn block_size<R: Runtime>(
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
fn cut<R: Runtime>(
    gpu: &Gpu<R>,
    gather: &Gather,
    chains: usize,
    precision: CubePrecision,
) -> Option<Cut> {
    let shared = shared_memory(gpu);
    Cut::best(*gather, chains, gpu.multiprocessors(), shared, precision)
}

/// Whether the device has tensor cores for TF32 as the kernel uses them.
fn has_tf32<R: Runtime>(gpu: &Gpu<R>) -> bool {
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

/// Chains that step together, with all the room they need.
struct Block<'a, R: Runtime> {
    gpu: &'a Gpu<R>,
    net: &'a LayeredNet,
    parameters: &'a [Handle],
    chains: usize,
    first_chain: usize,
    /// What goes into each stage and into the head, and F's gradient with respect to it.
    values: Vec<Handle>,
    gradients: Vec<Handle>,
    /// What each stage needs beside.
    extra: Vec<Extra>,
    /// Read and written where a kernel is given something that it does not touch.
    nothing: [Handle; 2],
    precision: CubePrecision,
}

enum Extra {
    None,
    /// What went into an activation.
    Before(Handle),
    Attention(Box<AttentionRoom>),
}

/// Each with its gradient.
struct AttentionRoom {
    maps: [Handle; 2],
    pooled: [Handle; 2],
    weights: [Handle; 2],
    mixed: [Handle; 2],
}

/// The operands of a product beside its weights.
struct Operands<'a> {
    source: &'a Handle,
    target: &'a Handle,
    addend: Option<&'a Handle>,
    bias: Option<&'a Handle>,
    before: Option<&'a Handle>,
    activation: (Curve, f32),
    /// Whose derivative is taken, and where.
    derivative: (Curve, f32, Option<&'a Handle>),
}

impl<'a, R: Runtime> Block<'a, R> {
    fn new(
        gpu: &'a Gpu<R>,
        net: &'a LayeredNet,
        parameters: &'a [Handle],
        states: &[f32],
        first_chain: usize,
        request: Request<'_>,
    ) -> Self {
        let chains = states.len() / net.size();
        let room = |numbers: usize| gpu.room(chains * numbers);
        let pair = |numbers: usize| [room(numbers), room(numbers)];
        let size = |shape: &Shape| shape.iter().product::<usize>();
        let extra = net.stages.iter().map(|stage| match stage {
            Stage::Product(product) if !product.curve().0.is_invertible() => {
                Extra::Before(room(size(&product.forward.target)))
            }
            Stage::NonLocal(block) => Extra::Attention(Box::new(AttentionRoom {
                maps: pair(size(&block.maps.forward.target)),
                pooled: pair(block.pool.outputs()),
                weights: pair(block.attention.pooled_pixels * block.attention.pixels),
                mixed: pair(block.attention.inner * block.attention.pixels),
            })),
            _ => Extra::None,
        });
        let mut values = vec![gpu.upload(states)];
        values.extend(net.shapes[1..].iter().map(|shape| room(size(shape))));
        Self {
            gpu,
            net,
            parameters,
            chains,
            first_chain,
            values,
            gradients: net.shapes.iter().map(|shape| room(size(shape))).collect(),
            extra: extra.collect(),
            nothing: [gpu.room(4), gpu.room(4)],
            precision: request.options.precision,
        }
    }

    /// Runs all steps; returns each chain's Σ‖∇F‖₂.
    fn run(&self, request: Request<'_>) -> Result<Vec<f64>, LangevinError> {
        let run = request.run;
        let mut norms = vec![0.0; self.chains];
        let mut done = 0;
        while done < run.steps {
            request.check_cancelled()?;
            let sums = self.gpu.upload(&vec![0.0f32; self.chains]);
            let steps = (run.steps - done).min(TURN);
            for step in done..done + steps {
                self.forward();
                self.backward();
                self.update(&sums, request, run.first_step + step);
            }
            self.gpu.flush()?;
            done += steps;
            let sums = self.gpu.read(&sums)?;
            for (norm, sum) in norms.iter_mut().zip(f32::from_bytes(&sums)) {
                *norm += f64::from(*sum);
            }
        }
        Ok(norms)
    }

    /// F of the states as they are.
    fn energies(&self) -> Result<Vec<f32>, LangevinError> {
        self.forward();
        let last = self.net.stages.len();
        let inputs = self.net.shapes[last].iter().product::<usize>();
        let energies = self.gpu.room(self.chains);
        // SAFETY: the lengths are those of the buffers; a cube reads and writes only for its own chain.
        unsafe {
            head_energy::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(self.chains),
                CubeDim::new_1d(UNITS as u32),
                array(&self.parameters[self.net.head], inputs + 1),
                array(&self.values[last], self.chains * inputs),
                array(&energies, self.chains),
                self.chains as u32,
                inputs,
            );
        }
        self.gpu.flush()?;
        let read = self.gpu.read(&energies)?;
        Ok(f32::from_bytes(&read)[..self.chains].to_vec())
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
        let last = self.net.stages.len();
        let inputs = self.net.shapes[last].iter().product::<usize>();
        let values = self.chains * inputs;
        let (curve, number, kept) = self.derivative_at(last);
        // SAFETY: the lengths are those of the buffers; a unit beyond the values does nothing.
        unsafe {
            head_gradient::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(values.div_ceil(UNITS)),
                CubeDim::new_1d(UNITS as u32),
                array(&self.parameters[self.net.head], inputs + 1),
                array(kept.unwrap_or(&self.nothing[0]), values),
                array(&self.gradients[last], values),
                values as u32,
                number,
                inputs,
                curve,
            );
        }
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
    fn derivative_at(&self, stage: usize) -> (Curve, f32, Option<&Handle>) {
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
        self.product(&product.forward, product.weights[0], &operands);
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
        self.product(&product.backward, product.weights[1], &operands);
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
        let attention = block.attention;
        let pixels = self.chains * attention.pixels;
        // SAFETY: as for the gradients below.
        unsafe {
            attend::launch_unchecked::<R>(
                &self.gpu.client,
                self.pixel_cubes(&attention),
                CubeDim::new_1d(attention.units() as u32),
                4,
                self.image(&room.maps[0], block.maps.forward.target),
                self.image(&room.pooled[0], block.pool.target()),
                array(&room.weights[0], pixels * attention.pooled_pixels),
                array(&room.mixed[0], pixels * attention.inner),
                attention,
            );
        }
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
        let attention = block.attention;
        let pixels = self.chains * attention.pixels;
        let weights = |handle| array(handle, pixels * attention.pooled_pixels);
        let mixed = |handle| array(handle, pixels * attention.inner);
        // SAFETY: the lengths are those of the buffers; a unit beyond the pixels or entries of its chain does nothing, and cubes stay
        // within their chain.
        unsafe {
            attend_gradient::launch_unchecked::<R>(
                &self.gpu.client,
                self.pixel_cubes(&attention),
                CubeDim::new_1d(attention.units() as u32),
                4,
                self.image(&room.pooled[0], block.pool.target()),
                weights(&room.weights[0]),
                mixed(&room.mixed[1]),
                weights(&room.weights[1]),
                self.image(&room.maps[1], block.maps.forward.target),
                attention,
            );
            pooled_gradient::launch_unchecked::<R>(
                &self.gpu.client,
                CubeCount::Static(self.chains as u32, 2, 1),
                CubeDim::new_1d(SUM_UNITS as u32),
                self.image(&room.maps[0], block.maps.forward.target),
                weights(&room.weights[0]),
                weights(&room.weights[1]),
                mixed(&room.mixed[1]),
                self.image(&room.pooled[1], block.pool.target()),
                attention,
            );
        }
        let [maps, gradient] = &room.maps;
        self.pool_gradient(&block.pool, maps, &room.pooled[1], gradient, none);
        self.backward_product(&block.maps, gradient, target, Some(source), derivative);
    }

    fn product(&self, gather: &Gather, weights: usize, operands: &Operands<'_>) {
        // That there is one was asked before the first step.
        let Some(cut) = cut(self.gpu, gather, self.chains, self.precision) else {
            return;
        };
        let [across, down] = cut.cubes(self.chains);
        let cubes = CubeCount::Static(across as u32, down as u32, gather.products() as u32);
        let (activation, activation_number) = operands.activation;
        let (derivative, derivative_number, kept) = operands.derivative;
        let ending = Finish {
            has_bias: operands.bias.is_some(),
            has_addend: operands.addend.is_some(),
            activation,
            derivative,
        };
        let [unread, unwritten] = &self.nothing;
        // Its length is not looked at where there is nothing.
        let target = |handle| self.image(handle, gather.target);
        let launch = match cut.precision {
            CubePrecision::F32 => product::launch_unchecked::<R>,
            CubePrecision::Tf32 => product_tf32::launch_unchecked::<R>,
        };
        // SAFETY: the lengths are those of the buffers; rows, columns and taps outside of weights, chains and images are left out.
        unsafe {
            launch(
                &self.gpu.client,
                cubes,
                CubeDim::new_1d(cut.tile.units() as u32),
                4,
                array(
                    &self.parameters[weights],
                    self.net.parameters[weights].len(),
                ),
                self.image(operands.source, gather.source),
                array(
                    operands.bias.unwrap_or(unread),
                    gather.target[0].next_multiple_of(4),
                ),
                target(operands.addend.unwrap_or(unread)),
                target(kept.unwrap_or(unread)),
                target(operands.before.unwrap_or(unwritten)),
                target(operands.target),
                (gather.columns() * self.chains) as u32,
                NumbersLaunch::new(activation_number, derivative_number),
                cut,
                ending,
            );
        }
    }

    fn pool(&self, shape: &Pool, source: &Handle, target: &Handle) {
        let windows = self.chains * shape.outputs();
        // SAFETY: the lengths are those of the buffers; a unit beyond the windows does nothing.
        unsafe {
            take_largest::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(windows.div_ceil(UNITS)),
                CubeDim::new_1d(UNITS as u32),
                self.image(source, shape.source),
                self.image(target, shape.target()),
                windows as u32,
                *shape,
            );
        }
    }

    fn pool_gradient(
        &self,
        shape: &Pool,
        values: &Handle,
        source: &Handle,
        target: &Handle,
        (curve, number, kept): (Curve, f32, Option<&Handle>),
    ) {
        let inputs = self.chains * shape.inputs();
        // SAFETY: the lengths are those of the buffers; a unit beyond the inputs does nothing.
        unsafe {
            pool_gradient::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(inputs.div_ceil(UNITS)),
                CubeDim::new_1d(UNITS as u32),
                self.image(values, shape.source),
                self.image(kept.unwrap_or(&self.nothing[0]), shape.source),
                self.image(source, shape.target()),
                self.image(target, shape.source),
                inputs as u32,
                number,
                *shape,
                curve,
            );
        }
    }

    fn update(&self, norms: &Handle, request: Request<'_>, step: u64) {
        let size = self.net.size();
        let values = self.chains * size;
        // SAFETY: the lengths are those of the buffers; a cube reads and writes only for its own chain.
        unsafe {
            update::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(self.chains),
                CubeDim::new_1d(UNITS as u32),
                array(&self.gradients[0], values),
                array(&self.values[0], values),
                array(norms, self.chains),
                draws_arguments(request.run.noise, step),
                step_arguments(request.ula),
                self.chains as u32,
                self.first_chain as u32,
                size,
                is_bounded(request.ula),
            );
        }
    }

    fn image(&self, handle: &Handle, shape: Shape) -> ArrayArg<R> {
        array(handle, self.chains * shape.iter().product::<usize>())
    }

    /// Some cubes for the pixels of each chain.
    fn pixel_cubes(&self, attention: &Attention) -> CubeCount {
        CubeCount::Static(attention.cubes() as u32, self.chains as u32, 1)
    }
}

fn array<R: Runtime>(handle: &Handle, length: usize) -> ArrayArg<R> {
    // SAFETY: kernels that use the argument say why they stay within it.
    unsafe { ArrayArg::from_raw_parts(handle.clone(), length) }
}
