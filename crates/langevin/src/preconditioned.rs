//! Langevin steps that are longer where the density is wider.

use ebm_core::{States, StepSize, Temperature};

use crate::gradient_kernel::{HostEnergy, HostNoise, Phase};
use crate::{AnyKernel, GradientKernel, LangevinError, Mala, Move, Scales, Ula};

/// [`Ula`] or [`Mala`] with a length sᵢ for each element of the state, X ← X − (ε²/2T)s²∇F(X) + εsZ: the same kernel on the
/// energy of y = x/s (Roberts and Stramer, "Langevin diffusions and Metropolis-Hastings algorithms", Methodology and
/// Computing in Applied Probability 4, 2002, for a constant matrix that is diagonal).
///
/// A single ε has to be short enough for the narrowest element, and is then too short for wide ones. With lengths in
/// proportion to the standard deviations all are alike. [`Scales::adapted`] learns them in a burn-in.
///
/// # Precision
/// Differences are taken and summed in f64, and states rounded to f32 once a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Preconditioned {
    scales: Scales,
    proposal: Ula,
    metropolis: Option<Mala>,
}

impl Preconditioned {
    /// Every step is taken. Bounds that [`Ula`] may have do not exist here.
    ///
    /// # Errors
    /// [`LangevinError::NoStepSize`] for ε = 0.
    pub fn ula(
        step_size: StepSize,
        temperature: Temperature,
        scales: Scales,
    ) -> Result<Self, LangevinError> {
        if step_size.get() == 0.0 {
            return Err(LangevinError::NoStepSize("preconditioned ULA"));
        }
        Ok(Self {
            scales,
            proposal: Ula::new(step_size, temperature),
            metropolis: None,
        })
    }

    /// Steps are proposed, then accepted or rejected, so that exp(−F/T) is invariant exactly.
    ///
    /// # Errors
    /// [`LangevinError::NoStepSize`] for ε = 0.
    pub fn mala(
        step_size: StepSize,
        temperature: Temperature,
        scales: Scales,
    ) -> Result<Self, LangevinError> {
        let mala = Mala::new(step_size, temperature)?;
        Ok(Self {
            scales,
            proposal: mala.proposal(),
            metropolis: Some(mala),
        })
    }

    /// The length of each element.
    #[must_use]
    pub fn scales(&self) -> &Scales {
        &self.scales
    }

    /// One step, and which chains took their proposals, if there were such.
    ///
    /// # Errors
    /// [`LangevinError::Scales`] if there is not one length for each element, and those of `energy`.
    pub(crate) fn step(
        &self,
        mut here: Phase,
        energy: &HostEnergy<'_>,
        noise: HostNoise,
    ) -> Result<(Phase, Option<Vec<bool>>), LangevinError> {
        let shape = here.states.shape();
        let lengths = self.scales.lengths();
        if lengths.len() != shape.size() {
            let (lengths, elements) = (lengths.len(), shape.size());
            return Err(LangevinError::Scales(format!(
                "there are {lengths} for states of {elements} elements"
            )));
        }
        let count = here.energies.len();
        let epsilon = self.proposal.step_size().get();
        let drift = self.proposal.drift();
        let draws = noise.normals(count, shape.size());
        let slopes = here.gradient.iter().zip(lengths.iter().cycle());
        let moved = here.states.values().iter().zip(slopes).zip(&draws);
        let moved = moved.map(|((x, (slope, length)), draw)| {
            let step = epsilon * length * draw - drift * length * length * slope;
            (f64::from(*x) + step) as f32
        });
        let states = States::new(shape, moved.collect())?;
        let (energies, gradient) = energy(&states)?;
        let there = Phase {
            velocities: Vec::new(),
            states,
            energies,
            gradient,
        };
        let Some(mala) = self.metropolis else {
            return Ok((there, None));
        };
        let accepted = (0..count)
            .map(|chain| mala.accepts(self.between(&here, &there, chain), noise.decision(chain)))
            .collect::<Vec<_>>();
        here.take(&there, &accepted);
        Ok((here, Some(accepted)))
    }

    /// What the acceptance depends on, in the coordinates y = x/s, where the proposal is that of [`Mala`]: ∇ is s times as
    /// long there, and a difference 1/s times.
    fn between(&self, here: &Phase, there: &Phase, chain: usize) -> Move {
        let elements = here.elements(chain);
        let (mut work, mut square_change) = (0.0, 0.0);
        for (length, at) in self.scales.lengths().iter().zip(elements) {
            let (before, after) = (here.gradient[at], there.gradient[at]);
            let by = f64::from(there.states.values()[at]) - f64::from(here.states.values()[at]);
            work += by * (before + after);
            square_change += length * length * (after * after - before * before);
        }
        Move {
            energy_change: there.energies[chain] - here.energies[chain],
            work,
            square_change,
        }
    }
}

impl From<Preconditioned> for AnyKernel {
    fn from(kernel: Preconditioned) -> Self {
        Self::Gradient(GradientKernel::Preconditioned(kernel))
    }
}
