//! What can be wrong with a request for chains.

use ebm_core::CoreError;

/// An impossible request, or an energy that does not keep its contract.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LangevinError {
    /// The energy's output or the states have the wrong shape, a net's description does not fit, a step size or
    /// temperature is impossible, or a device did not return its values.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// More states asked of the bank than it holds.
    #[error(
        "a batch of {count} chains cannot be drawn from a persistent bank of {size} states: lower the batch size or \
         enlarge the bank"
    )]
    BankTooSmall {
        /// States asked for.
        count: usize,
        /// States in the bank.
        size: usize,
    },
    /// Not one state for each place of the bank, or places that it does not have.
    #[error("{got} states cannot be written to {places} places of a bank of {size} states")]
    BankShape {
        /// Places given.
        places: usize,
        /// States of the bank.
        size: usize,
        /// States given.
        got: usize,
    },
    /// The start's factor is not a positive finite number.
    #[error("the factor of the chain start is {0}: must be a finite number > 0")]
    StartFactor(f64),
    /// An invalid bound of gradients or states.
    #[error("the bound is {0}: must be a number > 0 that single precision can hold")]
    Bound(f64),
    /// An engine cannot compute this net or this run.
    #[error("the {engine} engine does not have {what}; {advice}")]
    Lacking {
        /// Its name.
        engine: &'static str,
        /// A layer, a kernel, a precision or room for something.
        what: String,
        /// What to use instead.
        advice: &'static str,
    },
    /// A kernel of the caller's was made for the tensors of another backend than the energy's.
    #[error("the kernel was made for another backend: name that of the states in `AnyKernel::own`")]
    KernelOfOtherBackend,
    /// Not one weight for each state.
    #[error("{weights} weights were given for the energies of {chains} states")]
    Weights {
        /// Weights given.
        weights: usize,
        /// States given.
        chains: usize,
    },
    /// An invalid strength of the attraction.
    #[error(
        "the strength of the attraction is {0}: must be a number of nats per unit of distance, ≥ 0, and less than \
         1e15 in units of F"
    )]
    AttractionStrength(f64),
    /// Not one target and one record for each chain.
    #[error(
        "chains of shape {states:?} need targets of the same shape and as many records of paths, and got targets of \
         shape {targets:?} and {paths} records"
    )]
    Targets {
        /// Shape of the chains.
        states: [usize; 4],
        /// Shape of the targets.
        targets: [usize; 4],
        /// Records.
        paths: usize,
    },
    /// A kernel other than ULA with ε = 0.
    #[error("{0} needs a step size ε > 0; to descend F without noise take ULA with ε = 0")]
    NoStepSize(&'static str),
    /// An impossible friction.
    #[error("the friction is {0}: must be a finite number ≥ 0")]
    Friction(f64),
    /// HMC without leapfrog steps.
    #[error("a trajectory of HMC was given 0 leapfrog steps: must have at least 1")]
    Leapfrogs,
    /// Impossible lengths of the elements of a state.
    #[error("the lengths by which steps are preconditioned are impossible: {0}")]
    Scales(String),
    /// Impossible temperatures or exchanges of parallel tempering.
    #[error("the ladder of temperatures is impossible: {0}")]
    Ladder(String),
    /// A Gaussian that is none.
    #[error("the Gaussian to begin at is impossible: {0}")]
    Base(String),
    /// Annealing with impossible settings.
    #[error("the annealing cannot start: {0}")]
    Annealing(String),
    /// A search for a step size with impossible settings.
    #[error("the search for a step size cannot start: {0}")]
    StepSizeSearch(String),
    /// No step size that was tried has the wanted acceptance rate.
    #[error(
        "no step size from {low} to {high} has an acceptance rate within {tolerance} of {target}: the closest tried \
         is {closest} with the rate {acceptance_rate}; {advice}"
    )]
    AcceptanceNotReached {
        /// Smallest ε of the search.
        low: f64,
        /// Largest ε of the search.
        high: f64,
        /// Acceptance rate wanted.
        target: f64,
        /// The tolerance around the target.
        tolerance: f64,
        /// The ε whose rate came closest.
        closest: f64,
        /// That rate.
        acceptance_rate: f64,
        /// What to change.
        advice: &'static str,
    },
    /// The caller asked to stop.
    #[error("the chains were stopped before their last step")]
    Cancelled,
    /// The cube engine was given tensors that are not on its device.
    #[error(
        "the cube engine was made for the tensors of another backend or device: make it for these with \
         `for_backend`, or for any with `on`"
    )]
    OtherBackend,
    /// The backend did not return its values.
    #[error("the backend returned no data: {0}")]
    Backend(String),
}

impl LangevinError {
    /// An engine, by its name, that does not have what the tensor engine has.
    pub fn lacking(engine: &'static str, what: impl Into<String>) -> Self {
        Self::Lacking {
            engine,
            what: what.into(),
            advice: "use the tensor engine",
        }
    }

    /// Whether an engine was asked for what it does not have.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        matches!(self, Self::Lacking { .. })
    }
}
