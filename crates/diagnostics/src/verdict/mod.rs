//! Which outcome of learning is it? Both axes of the paper, decided by tests.

mod estimate;
mod halves;
mod oscillation;
mod stability;

pub use estimate::Estimate;
pub use oscillation::{
    LagCorrelation, Oscillation, OscillationOptions, OscillationTest, test_oscillation,
};
pub use stability::{
    Balance, Instability, Stability, StabilityMeasures, StabilityOptions, StabilityTest,
    test_stability,
};
