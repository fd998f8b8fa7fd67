//! Chains from record to record: pieces, finiteness, cancellation, resumption and progress in one place.

use std::fmt;
use std::ops::ControlFlow;

use ebm_core::{NoiseKey, States, Stream};

use crate::{AnyKernel, ChainOutcome, ChainRun, Chains, LangevinError, NoiseStart, Swaps};

/// Runs chains and looks at them every so many steps.
///
/// [`Self::run`] is for a few lines; [`Self::walk`] also hands over every piece, and goes on where chains were left.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    kernel: AnyKernel,
    steps: u64,
    seed: u64,
    noise: NoiseKey,
    record_every: Option<u64>,
    record_at: Vec<u64>,
    piece: u64,
    checks: bool,
}

impl Default for Sampler {
    /// 1,000 steps of the training dynamics with ε = 0.01, a record every 100.
    fn default() -> Self {
        Self {
            kernel: ChainRun::default().kernel,
            steps: 1_000,
            seed: 1,
            noise: ChainRun::default().noise,
            record_every: Some(100),
            record_at: Vec::new(),
            piece: 100,
            checks: true,
        }
    }
}

impl Sampler {
    /// A sampler with this kernel; all else has its default.
    #[must_use]
    pub fn new(kernel: impl Into<AnyKernel>) -> Self {
        Self {
            kernel: kernel.into(),
            ..Self::default()
        }
    }

    /// Runs this number of steps in total.
    #[must_use]
    pub fn with_steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// Draws [starts](Self::start), and the noise of chains that only watch, from this seed. By default the seed is
    /// 1.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        let noise = NoiseKey::new(seed, Stream::Watch, 0);
        Self {
            seed,
            noise,
            ..self
        }
    }

    /// Takes the noise from here.
    #[must_use]
    pub fn with_noise(self, noise: NoiseKey) -> Self {
        Self { noise, ..self }
    }

    /// Makes a record at every multiple of this number of steps, and at the end.
    #[must_use]
    pub fn with_record_every(self, steps: u64) -> Self {
        Self {
            record_every: Some(steps.max(1)),
            ..self
        }
    }

    /// Records at these steps as well.
    #[must_use]
    pub fn with_records_at(self, mut steps: Vec<u64>) -> Self {
        steps.sort_unstable();
        Self {
            record_at: steps,
            ..self
        }
    }

    /// Records only at the start, at the end and where [`Self::with_records_at`] says.
    #[must_use]
    pub fn without_regular_records(self) -> Self {
        Self {
            record_every: None,
            ..self
        }
    }

    /// The longest piece in steps, by default 100; a cancellation loses no more than that. Pieces end at its
    /// multiples and at records, wherever a walk was cut, so that sums over pieces are rounded in the same way.
    #[must_use]
    pub fn with_piece(self, steps: u64) -> Self {
        Self {
            piece: steps.max(1),
            ..self
        }
    }

    /// Goes on when states become NaN or infinite. By default that [ends](WalkEnd::RanAway) the walk.
    #[must_use]
    pub fn without_finite_check(self) -> Self {
        Self {
            checks: false,
            ..self
        }
    }

    /// All steps.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The first record after `step`; none after the end.
    #[must_use]
    pub fn next_record(&self, step: u64) -> Option<u64> {
        if step >= self.steps {
            return None;
        }
        let regular = self
            .record_every
            .map(|every| (step / every + 1).saturating_mul(every));
        let special = self.record_at.iter().copied().find(|at| *at > step);
        let next = [regular, special].into_iter().flatten().min();
        Some(next.unwrap_or(self.steps).min(self.steps))
    }

    /// `count` states of N(0, 1) noise for these chains to start from.
    ///
    /// # Errors
    /// None that can occur: those of [`NoiseStart::draw`] are about its factor.
    pub fn start(&self, chains: &dyn Chains, count: usize) -> Result<States, LangevinError> {
        let key = NoiseKey::new(self.seed, Stream::WatchStart, 0);
        NoiseStart::Gaussian.draw(1.0, key, count, chains.shape())
    }

    /// Runs chains from `start` and passes every record on; the first one is that of the start.
    ///
    /// # Errors
    /// Those of [`Chains::run`], but for a cancellation, which is an [end](WalkEnd::Cancelled) of its own.
    pub fn run(
        &self,
        chains: &dyn Chains,
        start: States,
        on_record: impl FnMut(&Record<'_>),
    ) -> Result<Sampled, LangevinError> {
        self.walk(chains, ChainPlace::new(start), &mut Shown(on_record))
    }

    /// Goes on from `place` to the end.
    ///
    /// # Errors
    /// Those of `watch` and of [`Chains::run`], but for a cancellation.
    pub fn walk<W: Watch + ?Sized>(
        &self,
        chains: &dyn Chains,
        mut place: ChainPlace,
        watch: &mut W,
    ) -> Result<Sampled, W::Error> {
        if place.is_new {
            let energies = chains.energies(&place.states)?;
            if let Some(ended) = self.runaway(&place, &energies) {
                return Ok(Sampled { place, ended });
            }
            place.is_new = false;
            if watch.record(&place.record(&energies))?.is_break() {
                return Ok(place.ended(WalkEnd::Stopped));
            }
        }
        while let Some(next) = self.next_record(place.step) {
            let end = (place.step / self.piece + 1).saturating_mul(self.piece);
            let end = end.min(next);
            let run = ChainRun {
                kernel: self.kernel.clone(),
                steps: end - place.step,
                first_step: place.step,
                noise: self.noise,
                final_energies: end == next,
            };
            let mut outcome = match chains.run(&place.states, &run) {
                Err(LangevinError::Cancelled) => return Ok(place.ended(WalkEnd::Cancelled)),
                outcome => outcome?,
            };
            let energies = outcome.energies.take();
            let mut walked = place.after(&run, outcome);
            let mut flow = ControlFlow::Continue(());
            if let Some(energies) = &energies {
                if let Some(ended) = self.runaway(&walked, energies) {
                    // The last finite states are worth a look.
                    return Ok(Sampled { place, ended });
                }
                flow = watch.record(&walked.record(energies))?;
                walked.since = SinceRecord::default();
            }
            place = walked;
            let piece = Piece {
                steps: run.steps,
                place: &place,
                energies: energies.as_deref(),
            };
            if watch.piece(&piece)?.is_break() || flow.is_break() {
                return Ok(place.ended(WalkEnd::Stopped));
            }
        }
        Ok(place.ended(WalkEnd::Finished))
    }

    /// How the walk ended, if states have become NaN or infinite.
    fn runaway(&self, place: &ChainPlace, energies: &[f32]) -> Option<WalkEnd> {
        let is_sound = |(state, energy): (&[f32], &f32)| {
            energy.is_finite() && state.iter().all(|value| value.is_finite())
        };
        let pairs = place.states.iter().zip(energies);
        let sound = pairs.filter(|pair| is_sound(*pair)).count();
        let chains = place.states.len() - sound;
        (self.checks && chains > 0).then_some(WalkEnd::RanAway {
            step: place.step,
            chains,
        })
    }
}

/// Where chains are.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainPlace {
    /// Steps taken.
    pub step: u64,
    /// The states.
    pub states: States,
    /// What has been summed up since the last record.
    pub since: SinceRecord,
    /// Whether a record is made before the first step.
    pub is_new: bool,
}

/// Sums over the steps since the last record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SinceRecord {
    /// Steps.
    pub steps: u64,
    /// Σ of r over the steps.
    pub gradient_magnitude: f64,
    /// Σ of the acceptance rate over the steps, for kernels that propose.
    pub acceptance_rate: Option<f64>,
    /// Exchanges of neighbouring temperatures, for parallel tempering.
    pub swaps: Vec<Swaps>,
}

impl ChainPlace {
    /// Before the first step.
    #[must_use]
    pub fn new(states: States) -> Self {
        Self {
            step: 0,
            states,
            since: SinceRecord::default(),
            is_new: true,
        }
    }

    /// After a run from here.
    fn after(&self, run: &ChainRun, outcome: ChainOutcome) -> Self {
        let mut since = self.since.clone();
        since.steps += run.steps;
        since.gradient_magnitude += outcome.gradient_magnitude * run.steps as f64;
        if let Some(rate) = outcome.acceptance_rate {
            *since.acceptance_rate.get_or_insert(0.0) += rate * run.steps as f64;
        }
        Swaps::accumulate(&mut since.swaps, &outcome.swaps);
        Self {
            step: self.step + run.steps,
            states: outcome.states,
            since,
            is_new: false,
        }
    }

    fn record<'a>(&'a self, energies: &'a [f32]) -> Record<'a> {
        let steps = self.since.steps as f64;
        let has_walked = self.since.steps > 0;
        Record {
            step: self.step,
            states: &self.states,
            energies,
            gradient_magnitude: has_walked.then(|| self.since.gradient_magnitude / steps),
            acceptance_rate: self.since.acceptance_rate.map(|sum| sum / steps),
            swaps: &self.since.swaps,
        }
    }

    fn ended(self, ended: WalkEnd) -> Sampled {
        Sampled { place: self, ended }
    }
}

/// The chains at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// Steps taken.
    pub step: u64,
    /// The states.
    pub states: &'a States,
    /// F of each.
    pub energies: &'a [f32],
    /// r since the record before; none at the start.
    pub gradient_magnitude: Option<f64>,
    /// The acceptance rate since the record before, for kernels that propose.
    pub acceptance_rate: Option<f64>,
    /// The exchanges of each pair of neighbouring temperatures since the record before; none but for parallel tempering.
    pub swaps: &'a [Swaps],
}

impl Record<'_> {
    /// Mean F over the chains.
    #[must_use]
    pub fn mean_energy(&self) -> f64 {
        let sum: f64 = self.energies.iter().map(|f| f64::from(*f)).sum();
        sum / self.energies.len().max(1) as f64
    }
}

impl fmt::Display for Record<'_> {
    /// Such as `step 200: mean F 0.998, r 1.21, accepted 87 %`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "step {}: mean F {:.4}",
            self.step,
            self.mean_energy()
        )?;
        if let Some(magnitude) = self.gradient_magnitude {
            write!(formatter, ", r {magnitude:.4}")?;
        }
        if let Some(rate) = self.acceptance_rate {
            write!(formatter, ", accepted {:.0} %", 100.0 * rate)?;
        }
        Ok(())
    }
}

/// A finished piece of a walk, with a record if it ends at one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece<'a> {
    /// Its steps.
    pub steps: u64,
    /// Where the chains are now.
    pub place: &'a ChainPlace,
    /// F of each, where the piece ends at a record.
    pub energies: Option<&'a [f32]>,
}

/// Looks at chains on their way: keeps records, saves states, shows progress.
pub trait Watch {
    /// What can go wrong.
    type Error: From<LangevinError>;

    /// Is called with every record. A break ends the walk there.
    ///
    /// # Errors
    /// Any; it ends the walk.
    fn record(&mut self, record: &Record<'_>) -> Result<ControlFlow<()>, Self::Error>;

    /// Is called with every piece, after the record at its end, if there is one. A break ends the walk there.
    ///
    /// # Errors
    /// Any; it ends the walk.
    fn piece(&mut self, _piece: &Piece<'_>) -> Result<ControlFlow<()>, Self::Error> {
        Ok(ControlFlow::Continue(()))
    }
}

struct Shown<F>(F);

impl<F: FnMut(&Record<'_>)> Watch for Shown<F> {
    type Error = LangevinError;

    fn record(&mut self, record: &Record<'_>) -> Result<ControlFlow<()>, LangevinError> {
        (self.0)(record);
        Ok(ControlFlow::Continue(()))
    }
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkEnd {
    /// After all its steps.
    Finished,
    /// The watcher asked for it.
    Stopped,
    /// The cancellation flag of the engine was raised.
    Cancelled,
    /// States became NaN or infinite. That is an outcome: the energy has no steady state that the chains could reach.
    RanAway {
        /// The record at which it was seen.
        step: u64,
        /// How many chains.
        chains: usize,
    },
}

/// Chains at the end of a walk.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// The states after the last complete piece; where states are checked, the last piece whose end was finite.
    pub place: ChainPlace,
    /// Why the walk ended there.
    pub ended: WalkEnd,
}
