//! How many threads compute.

use std::thread::available_parallelism;

use rayon::ThreadPoolBuilder;

const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Starts no more threads than there are processors, whatever the environment asks for: more only get in each other's
/// way, and where the system refuses them a run ends in the middle.
pub(crate) fn limit() {
    let asked = std::env::var(VARIABLE).ok();
    let Some(asked) = asked.and_then(|text| text.trim().parse::<usize>().ok()) else {
        return;
    };
    let Some(most) = available_parallelism().ok().map(usize::from) else {
        return;
    };
    if asked <= most {
        return;
    }
    tracing::warn!("{VARIABLE}={asked} is more than the {most} processors: {most} threads compute");
    // It fails only where threads compute already, and none do at the start.
    let _ = ThreadPoolBuilder::new().num_threads(most).build_global();
}
