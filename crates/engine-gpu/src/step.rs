//! The numbers of a Langevin step in a kernel.

use cubecl::prelude::*;

use ebm_langevin::Ula;

/// The step X ← clamp(X − drift · clip(∇F) + ε Z).
#[derive(CubeLaunch, CubeType)]
pub(super) struct Step {
    pub(super) drift: f32,
    pub(super) epsilon: f32,
    pub(super) gradient_clip: f32,
    pub(super) state_clamp: f32,
}

/// The arguments of a step, infinite bounds where there are none.
pub(super) fn step_arguments<R: Runtime>(ula: Ula) -> StepLaunch<R> {
    let [gradient_clip, state_clamp] = [ula.gradient_clip(), ula.state_clamp()]
        .map(|bound| bound.map_or(f32::INFINITY, |bound| bound.get() as f32));
    StepLaunch::new(
        ula.drift() as f32,
        ula.step_size().get() as f32,
        gradient_clip,
        state_clamp,
    )
}

/// Whether gradients or states have a bound.
pub(super) fn is_bounded(ula: Ula) -> bool {
    ula.gradient_clip().is_some() || ula.state_clamp().is_some()
}

/// The value, or the bound if it lies beyond it; NaN stays NaN.
#[cube]
pub(super) fn within(value: f32, bound: f32) -> f32 {
    let value = select(value > bound, bound, value);
    select(value < -bound, -bound, value)
}
