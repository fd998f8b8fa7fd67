//! All numbers of a measurement, as `--out` has them.

use std::path::Path;

use ebm_engine_cpu::WorkingSet;
use serde::Serialize;

use crate::median::median;
use crate::{BenchError, Machine, Skipped};

/// A measurement. It is written as a table for people.
#[derive(Debug, Serialize)]
pub struct Record {
    /// The command line.
    pub command: String,
    /// When it began, UTC.
    pub date: String,
    /// Version of this program.
    pub version: String,
    /// Version of burn.
    pub burn: String,
    /// Where.
    pub machine: Machine,
    /// A large f32 matrix product of burn-flex with all cores, GFLOP/s.
    pub matrix_product_gflops: Option<f64>,
    /// Seconds that a case was measured for in a round.
    pub seconds: f64,
    /// Ours.
    pub cases: Vec<CaseRecord>,
    /// Learning iterations.
    pub learning: Vec<LearningRecord>,
    /// Theirs.
    pub peers: Vec<PeerRecord>,
    /// One against the other.
    pub ratios: Vec<Ratio>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    /// What failed, and how.
    pub failed: Vec<Skipped>,
}

impl Record {
    /// Writes it as JSON, over what is there.
    ///
    /// # Errors
    /// [`BenchError::Io`].
    pub(crate) fn write(&self, file: &Path) -> Result<(), BenchError> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other);
        let written =
            text.and_then(|text| ebm_core::write_atomically(file, format!("{text}\n").as_bytes()));
        written.map_err(|source| BenchError::Io {
            path: file.to_owned(),
            source,
        })
    }
}

/// One of our cases.
#[derive(Debug, Serialize)]
pub struct CaseRecord {
    /// Engine and backend.
    pub engine: String,
    /// What is left of the factors of its products.
    pub precision: String,
    /// The device as peers call it.
    pub device: String,
    /// The net.
    pub net: String,
    /// Chains that step together.
    pub batch: usize,
    /// Median over rounds of the median over timed blocks.
    pub ms_per_step: f64,
    /// Updates of one chain in a second.
    pub chain_steps_per_s: f64,
    /// Direct count of operations by time.
    pub gflops: f64,
    /// `gflops` by that of the matrix product, on the CPU.
    pub share_of_matrix_product: Option<f64>,
    /// Memory beside the states, where the engine tells.
    pub working_set: Option<WorkingSetRecord>,
    /// On a GPU: the largest difference of a state from the fused engine's on the CPU after three steps, relative to
    /// the largest value.
    pub difference: Option<f64>,
    /// Bytes that the GPU had reserved before and after so many steps, where that was asked for.
    pub endurance: Option<Endurance>,
    /// Milliseconds a step of every timed block, round by round.
    pub rounds_ms: Vec<Vec<f64>>,
}

/// A long run and the memory of the GPU.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Endurance {
    /// Langevin steps.
    pub steps: u64,
    /// Bytes reserved before them.
    pub reserved_before: u64,
    /// Bytes reserved after them.
    pub reserved_after: u64,
}

/// What a learning iteration costs beside its Langevin steps.
#[derive(Debug, Serialize)]
pub struct LearningRecord {
    /// The experiment whose sizes these are.
    pub experiment: String,
    /// Engine and backend.
    pub engine: String,
    /// The device.
    pub device: String,
    /// Chains.
    pub batch: usize,
    /// L.
    pub steps: u64,
    /// Iterations, or their steps, that are timed together because the host waits for the device only after them; 1
    /// where it waits after each.
    pub together: u32,
    /// Milliseconds of an iteration, the median.
    pub iteration_ms: f64,
    /// Milliseconds of its L steps alone, the median.
    pub steps_ms: f64,
    /// One by the other.
    pub ratio: f64,
    /// Milliseconds of every iteration; of several that are timed together, their mean.
    pub iterations_ms: Vec<f64>,
    /// Milliseconds of the steps alone, every time.
    pub all_steps_ms: Vec<f64>,
}

/// What the chains of a case need in memory beside their states, however many steps they go.
#[derive(Debug, Serialize)]
pub struct WorkingSetRecord {
    /// Packed weights, shared by all workers.
    pub weights_bytes: usize,
    /// Buffers of one block of chains.
    pub block_bytes: usize,
    /// Chains in the largest block.
    pub block_chains: usize,
    /// Blocks held at once.
    pub blocks: usize,
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
    pub(crate) fn finish(&mut self, chain_step_flops: f64, matrix_product_gflops: Option<f64>) {
        if self.rounds_ms.is_empty() {
            return;
        }
        let rounds: Vec<_> = self.rounds_ms.iter().map(|blocks| median(blocks)).collect();
        self.ms_per_step = median(&rounds);
        self.chain_steps_per_s = 1e3 * self.batch as f64 / self.ms_per_step;
        self.gflops = chain_step_flops * self.chain_steps_per_s / 1e9;
        let product = matrix_product_gflops.filter(|_| self.device == "cpu");
        self.share_of_matrix_product = product.map(|product| self.gflops / product);
    }
}

/// One of a peer's cases.
#[derive(Debug, Serialize)]
pub struct PeerRecord {
    /// The peer.
    pub engine: String,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// What is left of the factors of its products.
    pub precision: String,
    /// The device.
    pub device: String,
    /// The net.
    pub net: String,
    /// Chains that step together.
    pub batch: usize,
    /// Median over rounds.
    pub ms_per_step: f64,
    /// Updates of one chain in a second.
    pub chain_steps_per_s: f64,
    /// Milliseconds a step of every round.
    pub rounds_ms: Vec<f64>,
}

impl PeerRecord {
    /// Whether it is the same net, batch and device, whatever the precision.
    pub(crate) fn is_of(&self, case: &CaseRecord) -> bool {
        (&self.net, self.batch, &self.device) == (&case.net, case.batch, &case.device)
    }

    pub(crate) fn finish(&mut self) {
        self.ms_per_step = median(&self.rounds_ms);
        self.chain_steps_per_s = 1e3 * self.batch as f64 / self.ms_per_step;
    }
}

/// How many times as fast one of ours is as a peer on the same case.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// Ours.
    pub engine: String,
    /// The net.
    pub net: String,
    /// Chains that step together.
    pub batch: usize,
    /// Theirs.
    pub peer: String,
    /// The peer's time by ours.
    pub times_as_fast: f64,
    /// Whether no peer of the same precision is faster on this case.
    pub is_best_peer: bool,
}

/// Every case of ours against every peer with the same net, batch, device and precision.
pub(crate) fn ratios(cases: &[CaseRecord], peers: &[PeerRecord]) -> Vec<Ratio> {
    let mut found = Vec::new();
    for ours in cases.iter().filter(|case| !case.rounds_ms.is_empty()) {
        let is_same = |peer: &&PeerRecord| peer.is_of(ours) && peer.precision == ours.precision;
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
