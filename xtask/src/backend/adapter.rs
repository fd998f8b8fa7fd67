//! The devices of wgpu.

use std::sync::{Mutex, PoisonError};

use cubecl::Runtime;
use cubecl::device::Device;
use cubecl::wgpu::{
    AutoGraphicsApi, GraphicsApi, RuntimeOptions, Vulkan, WgpuDevice, WgpuRuntime, init_setup,
};

use super::name::{Adapter, BackendName};

impl From<Adapter> for WgpuDevice {
    fn from(adapter: Adapter) -> Self {
        match adapter {
            Adapter::Fastest => Self::DefaultDevice,
            Adapter::Discrete(index) => Self::DiscreteGpu(index.into()),
            Adapter::Integrated(index) => Self::IntegratedGpu(index.into()),
            Adapter::Cpu => Self::Cpu,
        }
    }
}

/// Gives a device its graphics API before anything uses it, which can be done once in a process. May panic.
///
/// # Errors
/// Says so when the device was given another one before.
pub(super) fn set_up(name: BackendName, device: &WgpuDevice) -> Result<(), String> {
    /// Devices that were set up, and whether with Vulkan.
    static SET_UP: Mutex<Vec<(WgpuDevice, bool)>> = Mutex::new(Vec::new());

    let wants_vulkan = matches!(name, BackendName::Vulkan(_));
    let is_vulkan = wants_vulkan || AutoGraphicsApi::backend() == Vulkan::backend();
    let mut set_up = SET_UP.lock().unwrap_or_else(PoisonError::into_inner);
    match set_up.iter().find(|(other, _)| other == device) {
        Some((_, before)) if *before == is_vulkan => return Ok(()),
        Some(_) => {
            return Err(
                "this process computes on the device with another graphics API already: use one of wgpu and vulkan"
                    .to_owned(),
            );
        }
        None => {}
    }
    if wants_vulkan {
        init_setup::<Vulkan>(device, RuntimeOptions::default());
    }
    set_up.push((device.clone(), is_vulkan));
    Ok(())
}

/// The first GPU that is no software driver, discrete ones before integrated ones. May panic.
pub(super) fn hardware() -> Option<Adapter> {
    let found = Found::of::<AutoGraphicsApi>();
    match found {
        Found { discrete: 1.., .. } => Some(Adapter::Discrete(0)),
        Found {
            integrated: 1.., ..
        } => Some(Adapter::Integrated(0)),
        // Those of virtual machines have no name, but are what wgpu prefers then.
        Found { r#virtual: 1.., .. } => Some(Adapter::Fastest),
        Found { .. } => None,
    }
}

/// The names of the devices that there are for a backend of wgpu. May panic.
pub(super) fn names(name: BackendName) -> Vec<String> {
    let (found, named): (_, fn(Adapter) -> BackendName) = match name {
        BackendName::Vulkan(_) => (Found::of::<Vulkan>(), BackendName::Vulkan),
        _ => (Found::of::<AutoGraphicsApi>(), BackendName::Wgpu),
    };
    let discrete = (0..found.discrete).map(Adapter::Discrete);
    let integrated = (0..found.integrated).map(Adapter::Integrated);
    let software = (found.software > 0).then_some(Adapter::Cpu);
    // Those of virtual machines and of kinds that wgpu does not know have no name of their own.
    let unnamed = (found.r#virtual + found.other > 0).then_some(Adapter::Fastest);
    let all = discrete.chain(integrated).chain(software).chain(unnamed);
    all.map(|adapter| named(adapter).to_string()).collect()
}

/// How many devices of each kind there are.
#[derive(Default)]
struct Found {
    discrete: u16,
    integrated: u16,
    r#virtual: u16,
    software: u16,
    other: u16,
}

impl Found {
    fn of<G: GraphicsApi>() -> Self {
        let mut found = Self::default();
        for device in WgpuRuntime::enumerate_all_devices(&G::backend()) {
            match WgpuDevice::from_id(device) {
                WgpuDevice::DiscreteGpu(_) => found.discrete += 1,
                WgpuDevice::IntegratedGpu(_) => found.integrated += 1,
                WgpuDevice::VirtualGpu(_) => found.r#virtual += 1,
                WgpuDevice::Cpu => found.software += 1,
                _ => found.other += 1,
            }
        }
        found
    }
}
