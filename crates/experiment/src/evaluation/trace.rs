//! What single chains did: numbers by which their draws can be counted.

use serde::{Deserialize, Serialize};

use super::EvaluationSettings;

/// Two numbers of each chain at a record, of at most a thousand chains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Langevin steps taken.
    pub step: u64,
    /// U of each chain, in nats.
    pub energies: Vec<f32>,
    /// The mean over the elements of the state of each chain.
    pub means: Vec<f32>,
}

/// How many independent draws the second half of the chains is worth, and at what cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Efficiency {
    /// The step of the first record that counts.
    pub from_step: u64,
    /// Records of each chain from there on.
    pub draws: usize,
    /// U of the chains.
    pub energy: EffectiveDraws,
    /// The mean element of the states.
    pub mean: EffectiveDraws,
    /// Gradients of F from the first of these records to the last, counted chain by chain and over all temperatures. Left
    /// out is the one that MALA, HMC and underdamped Langevin take again after a hundred steps and after an exchange of
    /// temperatures.
    pub gradients: u64,
    /// Gradients for each independent draw of U.
    pub gradients_per_draw: f64,
    /// Gradients a second in the part of the evaluation that this process ran; none if it ran no steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradients_per_second: Option<f64>,
}

/// How well a number is known from the draws of all chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EffectiveDraws {
    /// Bulk effective sample size.
    pub effective: f64,
    /// Rank-normalised split R̂; near 1 where chains agree, and else the effective size says little.
    pub rhat: f64,
}

/// The most chains that are traced, so that records of many chains stay small.
const MOST_TRACED: usize = 1_000;

/// R̂ up to which draws are counted in words. Vehtari et al. ask for 1.01 of the numbers that are published.
const AGREEING: f64 = 1.1;

/// The fewest records of a chain by which it is judged.
const FEWEST: usize = 8;

impl Trace {
    /// From U of the chains and their states. Of more than a thousand chains the first thousand are traced.
    pub(super) fn of(step: u64, energies: &[f64], states: &[f32]) -> Self {
        let size = states.len() / energies.len().max(1);
        let energies = &energies[..energies.len().min(MOST_TRACED)];
        let states = &states[..energies.len() * size];
        let mean = |state: &[f32]| {
            let sum: f64 = state.iter().map(|x| f64::from(*x)).sum();
            (sum / state.len() as f64) as f32
        };
        // Beyond the range of f32 they would be no numbers in JSON.
        let most = f64::from(f32::MAX);
        Self {
            step,
            energies: energies
                .iter()
                .map(|u| u.clamp(-most, most) as f32)
                .collect(),
            means: states.chunks_exact(size.max(1)).map(mean).collect(),
        }
    }
}

impl Efficiency {
    /// Of the second half of the steps. None where there are too few records, or numbers that do not change.
    pub(super) fn of(settings: &EvaluationSettings, traces: &[Trace]) -> Option<Self> {
        let every = settings.record_every.max(1);
        let last = traces.last()?.step;
        let counted = |trace: &&Trace| trace.step.is_multiple_of(every) && trace.step > last / 2;
        let second: Vec<&Trace> = traces.iter().filter(counted).collect();
        if second.len() < FEWEST {
            return None;
        }
        let (first, end) = (second.first()?.step, second.last()?.step);
        let traced = second.first()?.energies.len();
        let draws_of = |values: fn(&Trace) -> &[f32]| {
            let chain = |chain| {
                let values = second.iter().map(|trace| values(trace).get(chain).copied());
                values
                    .map(|x| x.map(f64::from))
                    .collect::<Option<Vec<f64>>>()
            };
            let chains = (0..traced).map(chain).collect::<Option<Vec<_>>>()?;
            Some(EffectiveDraws {
                effective: ebm_diagnostics::bulk_effective_size(&chains).ok()?,
                rhat: ebm_diagnostics::split_rhat(&chains).ok()?,
            })
        };
        let energy = draws_of(|trace| &trace.energies)?;
        let gradients = (end - first).saturating_mul(settings.gradients_per_step(traced));
        Some(Self {
            from_step: first,
            draws: second.len(),
            energy,
            mean: draws_of(|trace| &trace.means)?,
            gradients,
            gradients_per_draw: gradients as f64 / energy.effective,
            gradients_per_second: None,
        })
    }

    /// For the sentence on the outcome.
    pub(super) fn in_words(&self) -> String {
        if self.energy.rhat > AGREEING {
            return format!(
                "the chains do not agree on U yet (R̂ {:.2}), so that their draws cannot be counted",
                self.energy.rhat
            );
        }
        format!(
            "the second half is worth {:.0} independent draws of U (R̂ {:.2}), one in {} gradients",
            self.energy.effective,
            self.energy.rhat,
            crate::words::rounded(self.gradients_per_draw),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ebm_core::{NoiseKey, Stream};
    use ebm_langevin::KernelName;

    use super::*;
    use crate::evaluation::settings::tests::settings;

    /// Chains xₜ = ρxₜ₋₁ + √(1 − ρ²)zₜ of 40 × 1,000 draws are worth (1 − ρ)/(1 + ρ) of them: 20,000 of the second half for
    /// ρ = 0, a third of these for ρ = 0.5. Half chains of 250 draws bias the autocorrelations down, and so the estimate up by some per cent: within 15 % for this
    /// seed.
    #[test]
    fn draws_are_counted_by_their_correlation() {
        let mut settings = settings(1_000, 1);
        (settings.chains, settings.kernel) = (40, KernelName::Hmc);
        let key = NoiseKey::new(5, Stream::Watch, 0);
        for (correlation, share) in [(0.0, 1.0), (0.5, 1.0 / 3.0)] {
            let mut values = vec![0.0; 40];
            let traces: Vec<_> = (0..=1_000)
                .map(|step| {
                    let mut draws = vec![0.0f32; 40];
                    key.normals(step, 0, 1, &mut draws);
                    for (value, draw) in values.iter_mut().zip(&draws) {
                        let fresh = (1.0f64 - correlation * correlation).sqrt();
                        *value = correlation * *value + fresh * f64::from(*draw);
                    }
                    Trace::of(step, &values, &draws)
                })
                .collect();
            let found = Efficiency::of(&settings, &traces).unwrap();
            assert_eq!((found.from_step, found.draws), (501, 500));
            let wanted = 20_000.0 * share;
            let ratio = found.energy.effective / wanted;
            assert!((ratio - 1.0).abs() < 0.15, "{correlation}: {ratio}");
            assert!((found.mean.effective / 20_000.0 - 1.0).abs() < 0.15);
            assert!((found.energy.rhat - 1.0).abs() < 0.01);
            // 499 steps of 40 chains with 5 leapfrogs each.
            assert_eq!(found.gradients, 499 * 40 * 5);
            let few = &traces[..FEWEST];
            assert_eq!(Efficiency::of(&settings, few), None);
        }
    }

    #[test]
    fn many_chains_are_traced_in_part() {
        let trace = Trace::of(3, &[1.0; 1_500], &[0.5; 3_000]);
        assert_eq!((trace.energies.len(), trace.means.len()), (1_000, 1_000));
        assert_eq!(trace.means[999], 0.5);
        let far = Trace::of(3, &[1e300, -1e300], &[0.5; 2]);
        assert_eq!(far.energies, [f32::MAX, f32::MIN]);
    }
}
