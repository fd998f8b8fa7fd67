//! r, as far as it has been read from the device.

use cubecl::server::Handle;

use super::device::Device;
use ebm_langevin::LangevinError;

/// Σ over steps of ‖∇F‖₂ for every chain. The device sums up some steps in single precision; its sums are only read
/// from time to time.
#[derive(Debug)]
pub(super) struct Norms {
    sums: Vec<f64>,
    unread: Vec<(usize, Handle)>,
}

impl Norms {
    pub(super) fn new(chains: usize) -> Self {
        Self {
            sums: vec![0.0; chains],
            unread: Vec::new(),
        }
    }

    /// Adds the sums of a device for the chains from `first_chain` on. If there are then more than `most` unread
    /// sums, all are read.
    pub(super) fn add(
        &mut self,
        first_chain: usize,
        norms: Handle,
        most: usize,
        device: &dyn Device,
    ) -> Result<(), LangevinError> {
        self.unread.push((first_chain, norms));
        if self.unread.len() > most {
            self.read(device)?;
        }
        Ok(())
    }

    fn read(&mut self, device: &dyn Device) -> Result<(), LangevinError> {
        let (firsts, handles): (Vec<_>, Vec<_>) = self.unread.drain(..).unzip();
        for (first, norms) in firsts.into_iter().zip(device.read(handles)?) {
            for (sum, norm) in self.sums[first..].iter_mut().zip(norms) {
                *sum += f64::from(norm);
            }
        }
        Ok(())
    }

    /// The sum over all chains.
    pub(super) fn total(mut self, device: &dyn Device) -> Result<f64, LangevinError> {
        if !self.unread.is_empty() {
            self.read(device)?;
        }
        Ok(self.sums.iter().sum())
    }
}
