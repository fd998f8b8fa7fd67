//! All numbers of a measurement, as `--out` has them.

use serde::Serialize;

use ebm_engine_cpu::WorkingSet;

use super::machine::Machine;
use super::measure::median;
use super::plan::Skipped;

/// A measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    /// The command line.
    pub(crate) command: String,
    /// When it began, UTC.
    pub(crate) date: String,
    /// Version of this program.
    pub(crate) version: String,
    /// Version of burn.
    pub(crate) burn: String,
    /// Where.
    pub(crate) machine: Machine,
    /// The machine's fastest f32 matrix product with all cores, GFLOP/s.
    pub(crate) peak_gflops: Option<f64>,
    /// Seconds that a case was measured for in a round.
    pub(crate) seconds: f64,
    /// Ours.
    pub(crate) cases: Vec<CaseRecord>,
    /// Learning iterations.
    pub(crate) learning: Vec<LearningRecord>,
    /// Theirs.
    pub(crate) peers: Vec<PeerRecord>,
    /// One against the other.
    pub(crate) ratios: Vec<Ratio>,
    /// What was left out, and why.
    pub(crate) skipped: Vec<Skipped>,
    /// What failed, and how.
    pub(crate) failed: Vec<Skipped>,
}

/// One of our cases.
#[derive(Debug, Serialize)]
pub(crate) struct CaseRecord {
    /// Engine and backend.
    pub(crate) engine: String,
    /// What is left of the factors of its products.
    pub(crate) precision: String,
    /// The device as peers call it.
    pub(crate) device: String,
    /// The net.
    pub(crate) net: String,
    /// Chains that step together.
    pub(crate) batch: usize,
    /// Median over rounds of the median over timed blocks.
    pub(crate) ms_per_step: f64,
    /// Updates of one chain in a second.
    pub(crate) chain_steps_per_s: f64,
    /// Direct count of operations by time.
    pub(crate) gflops: f64,
    /// `gflops` by the machine's peak, on the CPU.
    pub(crate) share_of_peak: Option<f64>,
    /// Memory beside the states, where the engine tells.
    pub(crate) working_set: Option<WorkingSetRecord>,
    /// On a GPU: the largest difference of a state from the fused engine's on the CPU after three steps, relative to the largest value.
    pub(crate) difference: Option<f64>,
    /// Bytes that the GPU had reserved before and after so many steps, where that was asked for.
    pub(crate) endurance: Option<Endurance>,
    /// Milliseconds a step of every timed block, round by round.
    pub(crate) rounds_ms: Vec<Vec<f64>>,
}

/// A long run and the memory of the GPU.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Endurance {
    /// Langevin steps.
    pub(crate) steps: u64,
    /// Bytes reserved before them.
    pub(crate) reserved_before: u64,
    /// Bytes reserved after them.
    pub(crate) reserved_after: u64,
}

/// What a learning iteration costs beside its Langevin steps.
#[derive(Debug, Serialize)]
pub(crate) struct LearningRecord {
    /// The experiment whose sizes these are.
    pub(crate) experiment: String,
    /// Engine and backend.
    pub(crate) engine: String,
    /// The device.
    pub(crate) device: String,
    /// Chains.
    pub(crate) batch: usize,
    /// L.
    pub(crate) steps: u64,
    /// Iterations, or their steps, that are timed together because the host waits for the device only after them; 1 where it
    /// waits after each.
    pub(crate) together: u32,
    /// Milliseconds of an iteration, the median.
    pub(crate) iteration_ms: f64,
    /// Milliseconds of its L steps alone, the median.
    pub(crate) steps_ms: f64,
    /// One by the other.
    pub(crate) ratio: f64,
    /// Milliseconds of every iteration; of several that are timed together, their mean.
    pub(crate) iterations_ms: Vec<f64>,
    /// Milliseconds of the steps alone, every time.
    pub(crate) all_steps_ms: Vec<f64>,
}

/// What the chains of a case need in memory beside their states, however many steps they go.
#[derive(Debug, Serialize)]
pub(crate) struct WorkingSetRecord {
    /// Packed weights, shared by all workers.
    pub(crate) weights_bytes: usize,
    /// Buffers of one block of chains.
    pub(crate) block_bytes: usize,
    /// Chains in the largest block.
    pub(crate) block_chains: usize,
    /// Blocks held at once.
    pub(crate) blocks: usize,
}

impl From<WorkingSet> for WorkingSetRecord {
    fn from(set: WorkingSet) -> Self {
        Self {
            weights_bytes: set.weights,
            block_bytes: set.block,
            block_chains: set.chains,
            blocks: set.blocks,
        }
    }
}

impl CaseRecord {
    /// Computes the figures from the rounds.
    pub(crate) fn finish(&mut self, chain_step_flops: f64, peak_gflops: Option<f64>) {
        if self.rounds_ms.is_empty() {
            return;
        }
        let rounds: Vec<_> = self.rounds_ms.iter().map(|blocks| median(blocks)).collect();
        self.ms_per_step = median(&rounds);
        self.chain_steps_per_s = 1e3 * self.batch as f64 / self.ms_per_step;
        self.gflops = chain_step_flops * self.chain_steps_per_s / 1e9;
        let peak = peak_gflops.filter(|_| self.device == "cpu");
        self.share_of_peak = peak.map(|peak| self.gflops / peak);
    }
}

/// One of a peer's cases.
#[derive(Debug, Serialize)]
pub(crate) struct PeerRecord {
    /// The peer.
    pub(crate) engine: String,
    /// Its version, where it tells.
    pub(crate) version: Option<String>,
    /// What is left of the factors of its products.
    pub(crate) precision: String,
    /// The device.
    pub(crate) device: String,
    /// The net.
    pub(crate) net: String,
    /// Chains that step together.
    pub(crate) batch: usize,
    /// Median over rounds.
    pub(crate) ms_per_step: f64,
    /// Updates of one chain in a second.
    pub(crate) chain_steps_per_s: f64,
    /// Milliseconds a step of every round.
    pub(crate) rounds_ms: Vec<f64>,
}

impl PeerRecord {
    pub(crate) fn finish(&mut self) {
        self.ms_per_step = median(&self.rounds_ms);
        self.chain_steps_per_s = 1e3 * self.batch as f64 / self.ms_per_step;
    }
}

/// How many times as fast one of ours is as a peer on the same case.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    /// Ours.
    pub(crate) engine: String,
    /// The net.
    pub(crate) net: String,
    /// Chains that step together.
    pub(crate) batch: usize,
    /// Theirs.
    pub(crate) peer: String,
    /// The peer's time by ours.
    pub(crate) times_as_fast: f64,
    /// Whether no peer of the same precision is faster on this case.
    pub(crate) is_best_peer: bool,
}

/// Every case of ours against every peer with the same net, batch, device and precision.
pub(crate) fn ratios(cases: &[CaseRecord], peers: &[PeerRecord]) -> Vec<Ratio> {
    let mut found = Vec::new();
    for ours in cases.iter().filter(|case| !case.rounds_ms.is_empty()) {
        let is_same = |peer: &&PeerRecord| {
            peer.net == ours.net
                && peer.batch == ours.batch
                && peer.device == ours.device
                && peer.precision == ours.precision
        };
        let theirs = || peers.iter().filter(is_same);
        let best = theirs()
            .map(|peer| peer.ms_per_step)
            .fold(f64::INFINITY, f64::min);
        found.extend(theirs().map(|peer| Ratio {
            engine: ours.engine.clone(),
            net: ours.net.clone(),
            batch: ours.batch,
            peer: peer.engine.clone(),
            times_as_fast: peer.ms_per_step / ours.ms_per_step,
            is_best_peer: peer.ms_per_step == best,
        }));
    }
    found
}
