//! A GPU behind its runtime, and the transfer of numbers to it and back.

#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::CubePrecision;
use super::dense::DenseNet;
use super::kept::Kept;
use super::layered::LayeredNet;
use super::norms::Norms;
use ebm_langevin::{ChainRun, LangevinError, Ula};

/// A request for chains.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) ula: Ula,
    pub(super) run: &'a ChainRun,
    pub(super) cancel: Option<&'a AtomicBool>,
    pub(super) options: Options,
    /// Whether the host keeps up with the device.
    pub(super) is_waiting: bool,
}

/// The settings of an engine that its user may choose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) units_per_neuron: Option<NonZeroUsize>,
    pub(super) precision: CubePrecision,
    pub(super) multiprocessors: Option<NonZeroUsize>,
    pub(super) most_chains: Option<NonZeroUsize>,
}

impl Request<'_> {
    /// The number of sums of norms that may stay on the device.
    pub(super) fn most_unread(&self) -> usize {
        if self.is_waiting { 0 } else { 100 }
    }

    /// # Errors
    /// [`LangevinError::Cancelled`] once the caller has asked to stop.
    pub(super) fn check_cancelled(&self) -> Result<(), LangevinError> {
        match self.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(LangevinError::Cancelled),
            _ => Ok(()),
        }
    }
}

/// A net without its parameters, as the kernels want it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CubeNet {
    /// All steps of a chain in one launch.
    Dense(DenseNet),
    /// Layer by layer.
    Layered(LayeredNet),
}

/// Buffers that a device is to work on.
pub(super) struct Batch<'a> {
    /// All parameters, in the order of the layers, and how many.
    pub(super) parameters: (&'a Handle, usize),
    /// What belongs to the net.
    pub(super) kept: &'a Kept,
    /// Initial states, row by row. They stay as they are.
    pub(super) states: &'a Handle,
    /// How many chains, and the number of the first in the noise.
    pub(super) chains: usize,
    pub(super) first_chain: usize,
}

/// Chains that a device walks, or has walked.
pub(super) struct Launched {
    /// Final states, row by row.
    pub(super) states: Handle,
    pub(super) norms: Norms,
    /// F, where the run asked for it, of a dense net without the last layer's bias.
    pub(super) energies: Option<Handle>,
}

/// F of states, and the gradients of all parameters, one after the other.
pub(super) struct LaunchedGradients {
    pub(super) energies: Handle,
    pub(super) gradients: Handle,
}

/// A GPU, whatever its runtime.
pub(super) trait Device: Send + Sync {
    /// Whether there are kernels for the net, and room for them.
    fn fits(&self, net: &CubeNet, options: Options) -> Result<(), LangevinError>;

    /// Numbers that a buffer can have.
    fn most_numbers(&self) -> usize;

    fn upload(&self, values: &[f32]) -> Handle;

    /// Allocates room for this number of values.
    fn room(&self, numbers: usize) -> Handle;

    /// Copies so many numbers from a place in one buffer to a place in another.
    fn copy_numbers(&self, from: (&Handle, usize), to: (&Handle, usize), count: usize);

    /// Waits for the buffers.
    fn read(&self, buffers: Vec<Handle>) -> Result<Vec<Vec<f32>>, LangevinError>;

    /// Queues chains on the device.
    fn launch(
        &self,
        net: &CubeNet,
        batch: &Batch<'_>,
        request: Request<'_>,
    ) -> Result<Launched, LangevinError>;

    /// Queues the gradient of Σᵢ wᵢ F(xᵢ) over the states of a batch on the device, `weights` being w.
    fn launch_gradients(
        &self,
        net: &LayeredNet,
        batch: &Batch<'_>,
        weights: &Handle,
        options: Options,
    ) -> Result<LaunchedGradients, LangevinError>;

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

    /// The number of multiprocessors. If neither user nor runtime gives it, that of a mid-range card is assumed.
    pub(super) fn multiprocessors(&self, options: Options) -> usize {
        const USUAL: u32 = 40;

        let hardware = &self.client.properties().hardware;
        let told = hardware.num_streaming_multiprocessors.unwrap_or(USUAL) as usize;
        options.multiprocessors.map_or(told, NonZeroUsize::get)
    }

    /// This number of cubes or a few more, in rows, because devices limit the number along an axis.
    pub(super) fn cubes(&self, count: usize) -> CubeCount {
        let limit = self.client.properties().hardware.max_cube_count.0 as usize;
        let rows = count.div_ceil(limit).max(1);
        CubeCount::Static(count.div_ceil(rows).max(1) as u32, rows as u32, 1)
    }

    pub(super) fn upload_numbers<T: CubeElement>(&self, values: &[T]) -> Handle {
        self.client.create_from_slice(T::as_bytes(values))
    }

    /// Allocates room for this number of values.
    pub(super) fn room(&self, numbers: usize) -> Handle {
        self.client.empty(numbers.max(1) * size_of::<f32>())
    }
}

impl<R: Runtime> Device for Gpu<R> {
    fn fits(&self, net: &CubeNet, options: Options) -> Result<(), LangevinError> {
        match net {
            CubeNet::Dense(net) => super::dense::fits(self, net, options),
            CubeNet::Layered(net) => super::layered::fits(self, net, options),
        }
    }

    /// So few that places can be counted in 32 bits.
    fn most_numbers(&self) -> usize {
        let page = self.client.properties().memory.max_page_size as usize;
        (page / size_of::<f32>()).min(u32::MAX as usize)
    }

    fn upload(&self, values: &[f32]) -> Handle {
        self.upload_numbers(values)
    }

    fn room(&self, numbers: usize) -> Handle {
        Self::room(self, numbers)
    }

    fn copy_numbers(&self, from: (&Handle, usize), to: (&Handle, usize), count: usize) {
        self.copy(from, to, count);
    }

    fn read(&self, buffers: Vec<Handle>) -> Result<Vec<Vec<f32>>, LangevinError> {
        // A kernel that does not compile is only reported here; reading would return the old contents. This is not
        // done after every launch, because on CUDA it waits for earlier launches.
        self.client.flush().map_err(failed)?;
        let reading = self.client.read_async(buffers);
        let read = cubecl::reader::read_sync(reading).map_err(failed)?;
        Ok(read
            .iter()
            .map(|bytes| f32::from_bytes(bytes).to_vec())
            .collect())
    }

    fn launch(
        &self,
        net: &CubeNet,
        batch: &Batch<'_>,
        request: Request<'_>,
    ) -> Result<Launched, LangevinError> {
        match net {
            CubeNet::Dense(net) => super::dense::launch(self, net, batch, request),
            CubeNet::Layered(net) => super::layered::launch(self, net, batch, request),
        }
    }

    fn launch_gradients(
        &self,
        net: &LayeredNet,
        batch: &Batch<'_>,
        weights: &Handle,
        options: Options,
    ) -> Result<LaunchedGradients, LangevinError> {
        super::layered::launch_gradients(self, net, batch, weights, options)
    }

    fn reserved_memory(&self) -> Result<u64, LangevinError> {
        let usage = self.client.memory_usage().map_err(failed)?;
        Ok(usage.bytes_reserved)
    }
}

/// A buffer of this number of values as a kernel's argument.
pub(super) fn array<R: Runtime>(handle: &Handle, length: usize) -> ArrayArg<R> {
    // SAFETY: kernels that use the argument say why they stay within it.
    unsafe { ArrayArg::from_raw_parts(handle.clone(), length) }
}

fn failed(error: impl std::fmt::Debug) -> LangevinError {
    LangevinError::Backend(format!("{error:?}"))
}
