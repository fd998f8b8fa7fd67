//! A GPU behind its runtime, and the way of numbers to it and back.

#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use cubecl::bytes::Bytes;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::CubePrecision;
use super::dense::DenseNet;
use super::layered::LayeredNet;
use crate::{ChainRun, LangevinError, Ula};

/// A request for chains.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) ula: Ula,
    pub(super) run: &'a ChainRun,
    pub(super) cancel: Option<&'a AtomicBool>,
    pub(super) options: Options,
}

/// What the user of an engine may choose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) units_per_neuron: Option<NonZeroUsize>,
    pub(super) precision: CubePrecision,
    pub(super) multiprocessors: Option<NonZeroUsize>,
    pub(super) most_chains: Option<NonZeroUsize>,
}

impl Request<'_> {
    /// # Errors
    /// [`LangevinError::Cancelled`] once the caller has asked to stop.
    pub(super) fn check_cancelled(&self) -> Result<(), LangevinError> {
        match self.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(LangevinError::Cancelled),
            _ => Ok(()),
        }
    }
}

/// Chains after their steps, row by row.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) states: Vec<f32>,
    /// Σ over steps of ‖∇F‖₂, one for each chain.
    pub(super) norms: Vec<f64>,
    /// F, where the run asked for it.
    pub(super) energies: Vec<f32>,
}

/// A GPU, whatever its runtime.
pub(super) trait Device: Send + Sync {
    /// Whether whole chains of the net fit into a launch.
    fn fits_dense(&self, net: &DenseNet, options: Options) -> Result<(), LangevinError>;

    /// Runs the chains whose states lie row by row in `states`, whole chains a launch.
    fn walk_dense(
        &self,
        net: &DenseNet,
        states: Vec<f32>,
        request: Request<'_>,
    ) -> Result<Walked, LangevinError>;

    /// Whether every kernel for the net fits.
    fn fits_layered(&self, net: &LayeredNet, options: Options) -> Result<(), LangevinError>;

    /// Runs the chains whose states lie row by row in `states`, layer by layer.
    fn walk_layered(
        &self,
        net: &LayeredNet,
        states: Vec<f32>,
        request: Request<'_>,
    ) -> Result<Walked, LangevinError>;

    /// Bytes that the runtime has reserved on the device.
    fn reserved_memory(&self) -> Result<u64, LangevinError>;
}

/// A device of runtime `R`.
pub(super) struct Gpu<R: Runtime> {
    pub(super) client: ComputeClient<R>,
}

impl<R: Runtime> Gpu<R> {
    pub(super) fn new(device: &R::Device) -> Self {
        Self {
            client: R::client(device),
        }
    }

    /// Multiprocessors; where neither user nor runtime tell, as many as a mid-range card has.
    pub(super) fn multiprocessors(&self, options: Options) -> usize {
        const USUAL: u32 = 40;

        let hardware = &self.client.properties().hardware;
        let told = hardware.num_streaming_multiprocessors.unwrap_or(USUAL) as usize;
        options.multiprocessors.map_or(told, NonZeroUsize::get)
    }

    /// Numbers that a buffer can have, so that its places can be counted in 32 bits.
    pub(super) fn most_numbers(&self) -> usize {
        let page = self.client.properties().memory.max_page_size as usize;
        (page / size_of::<f32>()).min(u32::MAX as usize)
    }

    /// So many cubes or a few more, in rows: devices limit how many there are along an axis.
    pub(super) fn cubes(&self, count: usize) -> CubeCount {
        let limit = self.client.properties().hardware.max_cube_count.0 as usize;
        let rows = count.div_ceil(limit).max(1);
        CubeCount::Static(count.div_ceil(rows).max(1) as u32, rows as u32, 1)
    }

    pub(super) fn upload<T: CubeElement>(&self, values: &[T]) -> Handle {
        self.client.create_from_slice(T::as_bytes(values))
    }

    /// Room for so many numbers.
    pub(super) fn room(&self, numbers: usize) -> Handle {
        self.client.empty(numbers.max(1) * size_of::<f32>())
    }

    /// Hands over what was launched. A kernel that does not compile is only reported here; reading would return what was there
    /// before.
    pub(super) fn flush(&self) -> Result<(), LangevinError> {
        self.client.flush().map_err(failed)
    }

    pub(super) fn read(&self, handle: &Handle) -> Result<Bytes, LangevinError> {
        self.client.read_one(handle.clone()).map_err(failed)
    }
}

impl<R: Runtime> Device for Gpu<R> {
    fn fits_dense(&self, net: &DenseNet, options: Options) -> Result<(), LangevinError> {
        super::dense::fits(self, net, options)
    }

    fn walk_dense(
        &self,
        net: &DenseNet,
        states: Vec<f32>,
        request: Request<'_>,
    ) -> Result<Walked, LangevinError> {
        super::dense::walk(self, net, &states, request)
    }

    fn fits_layered(&self, net: &LayeredNet, options: Options) -> Result<(), LangevinError> {
        super::layered::fits(self, net, options)
    }

    fn walk_layered(
        &self,
        net: &LayeredNet,
        states: Vec<f32>,
        request: Request<'_>,
    ) -> Result<Walked, LangevinError> {
        super::layered::walk(self, net, &states, request)
    }

    fn reserved_memory(&self) -> Result<u64, LangevinError> {
        let usage = self.client.memory_usage().map_err(failed)?;
        Ok(usage.bytes_reserved)
    }
}

/// A buffer of so many numbers as a kernel's argument.
pub(super) fn array<R: Runtime>(handle: &Handle, length: usize) -> ArrayArg<R> {
    // SAFETY: kernels that use the argument say why they stay within it.
    unsafe { ArrayArg::from_raw_parts(handle.clone(), length) }
}

fn failed(error: impl std::fmt::Debug) -> LangevinError {
    LangevinError::Backend(format!("{error:?}"))
}
