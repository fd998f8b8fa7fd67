//! The launches of single kernels.

#![allow(unsafe_code)]

use cubecl::prelude::*;
use cubecl::server::Handle;
use half::bf16;

use super::activation::Curve;
use super::attention::{Attention, SUM_UNITS, attend, attend_gradient, pooled_gradient};
use super::chains::{AttentionRoom, Block, Operands};
use super::finish::{Finish, NumbersLaunch};
use super::gather::{Shape, numbers_of};
use super::head::{UNITS, head_energy, head_gradient};
use super::net::{NonLocal, Product};
use super::pool::{Pool, pool_gradient, take_largest};
use super::product::product_f32;
use super::tensor_cores::product_rounded;
use super::update::update;
use crate::CubePrecision;
use crate::device::{Request, array};
use crate::noise::draws_arguments;
use crate::step::{is_bounded, step_arguments};

/// The direction of a product.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass {
    Forward,
    Backward,
}

impl<R: Runtime> Block<'_, R> {
    /// From what the head sees to F.
    pub(super) fn head_energy(&self, energies: &Handle) {
        let last = self.net.stages.len();
        let inputs = numbers_of(&self.net.shapes[last]);
        // SAFETY: the lengths are those of the buffers; a cube reads and writes only for its own chain.
        unsafe {
            head_energy::launch_unchecked::<R>(
                &self.gpu.client,
                self.gpu.cubes(self.chains),
                CubeDim::new_1d(UNITS as u32),
                array(&self.parameters[self.net.head], inputs + 1),
                array(&self.values[last], self.chains * inputs),
                array(energies, self.chains),
                self.chains as u32,
                inputs,
            );
        }
    }

    /// Where the gradient starts.
    pub(super) fn head_gradient(&self) {
        let last = self.net.stages.len();
        let inputs = numbers_of(&self.net.shapes[last]);
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
    }

    /// Weights and mixture of a non-local block.
    pub(super) fn attend(&self, block: &NonLocal, room: &AttentionRoom) {
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
    }

    /// From the mixture's gradient to that of queries, and of pooled keys and values.
    pub(super) fn attend_gradients(&self, block: &NonLocal, room: &AttentionRoom) {
        let attention = block.attention;
        let pixels = self.chains * attention.pixels;
        let weights = |handle| array(handle, pixels * attention.pooled_pixels);
        let mixed = |handle| array(handle, pixels * attention.inner);
        // SAFETY: the lengths are those of the buffers; a unit beyond the pixels or entries of its chain does
        // nothing, and cubes stay within their chain.
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
    }

    pub(super) fn product(&self, product: &Product, pass: Pass, operands: &Operands<'_>) {
        let cut = self.cuts[product.number][pass as usize];
        let weights = product.weights[pass as usize];
        let gather = cut.gather;
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
            CubePrecision::F32 => product_f32::launch_unchecked::<R>,
            CubePrecision::Tf32 => product_rounded::launch_unchecked::<tf32, R>,
            CubePrecision::Bf16 => product_rounded::launch_unchecked::<bf16, R>,
        };
        // SAFETY: the lengths are those of the buffers; rows, columns and taps outside of weights, chains and images
        // are left out.
        unsafe {
            launch(
                &self.gpu.client,
                cubes,
                CubeDim::new_1d(cut.tile.units() as u32),
                4,
                array(&self.parameters[weights], self.net.packings[weights].len()),
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

    pub(super) fn pool(&self, shape: &Pool, source: &Handle, target: &Handle) {
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

    pub(super) fn pool_gradient(
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

    pub(super) fn update(
        &self,
        norms: &Handle,
        is_first: bool,
        first_chain: usize,
        request: Request<'_>,
        step: u64,
    ) {
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
                first_chain as u32,
                u32::from(is_first),
                size,
                is_bounded(request.ula),
            );
        }
    }

    fn image(&self, handle: &Handle, shape: Shape) -> ArrayArg<R> {
        array(handle, self.chains * numbers_of(&shape))
    }

    /// Some cubes for the pixels of each chain.
    fn pixel_cubes(&self, attention: &Attention) -> CubeCount {
        CubeCount::Static(attention.cubes() as u32, self.chains as u32, 1)
    }
}
