//! What is measured.

use std::path::PathBuf;

use ebm_energy_net::Architecture;
use ebm_experiment::EngineChoice;

use crate::Peers;

/// The settings of a measurement.
#[derive(Debug)]
pub struct BenchSettings {
    /// The command line, for the record.
    pub command: String,
    /// The nets; none for all.
    pub nets: Vec<Architecture>,
    /// The engines; none for all that a backend has. `Auto` counts for [`Self::learning`] only, where it is what none
    /// means: other figures belong to an engine with a name.
    pub engines: Vec<EngineChoice>,
    /// How many chains step together; none for the batches of published figures.
    pub batches: Vec<usize>,
    /// Named experiments of which a learning iteration is measured.
    pub learning: Vec<String>,
    /// Langevin steps between two looks at the memory of a GPU; `None` leaves these runs out.
    pub endurance: Option<u64>,
    /// Seconds of a case in a round, beside the warm-up.
    pub seconds: f64,
    /// How often everything is measured; by default three times with peers, otherwise once.
    pub rounds: Option<u32>,
    /// Other programs that are measured in turn with ours.
    pub peers: Option<Peers>,
    /// The file for all numbers, as JSON. It is written over as numbers come in.
    pub out: Option<PathBuf>,
}

impl BenchSettings {
    /// How often everything is measured.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        let usual = if self.peers.is_some() { 3 } else { 1 };
        self.rounds.unwrap_or(usual)
    }
}
