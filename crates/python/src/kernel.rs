//! The kernel of a run from the arguments of `Net.sample`.

use ebm_core::{StepSize, Temperature};
use ebm_langevin::{AnyKernel, Bound, KernelName, Momentum, Ula};
use pyo3::prelude::*;

use crate::error::{engine_error, value_error, whole};

/// The arguments that say what a step is.
pub(crate) struct Settings<'a> {
    pub(crate) kernel: &'a str,
    pub(crate) epsilon: f64,
    pub(crate) temperature: Option<f64>,
    pub(crate) friction: Option<f64>,
    pub(crate) leapfrogs: Option<i128>,
    pub(crate) gradient_clip: Option<f64>,
    pub(crate) state_clamp: Option<f64>,
}

impl Settings<'_> {
    /// # Errors
    /// `ValueError` names the argument.
    pub(crate) fn kernel(&self) -> PyResult<AnyKernel> {
        let size = StepSize::new(self.epsilon).map_err(|_| {
            let epsilon = self.epsilon;
            value_error(format!(
                "epsilon = {epsilon}: must be a finite number >= 0 (0 is gradient descent on F without noise)"
            ))
        })?;
        let temperature = match self.temperature {
            None => size.learned_temperature(),
            Some(temperature) => Temperature::new(temperature).map_err(|_| {
                value_error(format!(
                    "temperature = {temperature}: must be a finite number > 0, or None for that of learning, \
                     epsilon**2 / 2"
                ))
            })?,
        };
        let name = self.name()?;
        refuse_for_others(
            "friction",
            self.friction.is_some(),
            KernelName::Underdamped,
            name,
        )?;
        refuse_for_others("leapfrogs", self.leapfrogs.is_some(), KernelName::Hmc, name)?;
        if name == KernelName::Ula {
            let kernel = Ula::new(size, temperature)
                .with_gradient_clip(bound("gradient_clip", self.gradient_clip)?)
                .with_state_clamp(bound("state_clamp", self.state_clamp)?);
            return Ok(kernel.into());
        }
        if self.gradient_clip.is_some() || self.state_clamp.is_some() {
            return Err(value_error(format!(
                "gradient_clip and state_clamp exist for kernel = \"ula\" alone: with them \"{}\" would sample another \
                 density",
                name.name()
            )));
        }
        let usual = Momentum::default();
        let leapfrogs = self.leapfrogs.map(|number| whole("leapfrogs", number));
        let momentum = Momentum {
            friction: self.friction.unwrap_or(usual.friction),
            leapfrogs: leapfrogs.transpose()?.unwrap_or(usual.leapfrogs),
        };
        name.kernel(size, temperature, momentum)
            .map_err(engine_error)
    }

    fn name(&self) -> PyResult<KernelName> {
        let mut all = KernelName::ALL.iter().copied();
        all.find(|name| name.name() == self.kernel).ok_or_else(|| {
            let names: Vec<_> = KernelName::ALL.iter().map(|name| name.name()).collect();
            value_error(format!(
                "kernel = \"{}\": must be one of {}",
                self.kernel,
                names.join(", ")
            ))
        })
    }
}

/// An argument of another kernel would have no effect.
fn refuse_for_others(
    argument: &str,
    is_given: bool,
    owner: KernelName,
    name: KernelName,
) -> PyResult<()> {
    if is_given && name != owner {
        return Err(value_error(format!(
            "{argument} exists for kernel = \"{}\" alone, and kernel = \"{}\": leave it out",
            owner.name(),
            name.name()
        )));
    }
    Ok(())
}

fn bound(name: &str, value: Option<f64>) -> PyResult<Option<Bound>> {
    value.map(Bound::new).transpose().map_err(|_| {
        let value = value.unwrap_or(f64::NAN);
        value_error(format!(
            "{name} = {value}: must be a finite number > 0, or None"
        ))
    })
}
