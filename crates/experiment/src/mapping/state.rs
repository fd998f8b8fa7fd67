//! The state of the work on a map.

use ebm_landscape::{Barriers, Grouping, StrengthSweep};
use serde::{Deserialize, Serialize};

use super::MapSettings;

/// The settings of a map and what its finished experiments have found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The settings of the map.
    pub settings: MapSettings,
    /// Chain steps of the finished experiments, after the gathering.
    pub chain_steps: u64,
    /// The minima that the descents found; their states are in a separate file.
    pub found: Option<Found>,
    /// The sweep over α.
    pub sweep: Option<Sweep>,
    /// α, once it is known.
    pub strength: Option<f64>,
    /// The groupings, one for each seed; the last may be unfinished.
    pub groupings: Vec<Grouping>,
    /// The groupings at the multiples of α; the last may be unfinished.
    pub others: Vec<Grouping>,
    /// Between basins of the first grouping.
    pub barriers: Option<Connections>,
}

impl State {
    /// Refuses states that no map leaves, such as that of a damaged file.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        self.settings.check()?;
        let minima = self.found.iter().flat_map(|found| &found.minima);
        let chains = self.settings.all_chains();
        if minima.clone().any(|minimum| minimum.chain >= chains) {
            return Err(format!("a minimum is of none of the {chains} chains"));
        }
        let count = minima.count();
        let pairs = self.sweep.iter().flat_map(|sweep| sweep.search.pairs());
        let of_pairs = pairs.flat_map(|pair| [pair.a, pair.b]);
        let groupings = || self.groupings.iter().chain(&self.others);
        let basins: Vec<_> = groupings().flat_map(Grouping::basins).collect();
        let of_basins = basins
            .iter()
            .flat_map(|basin| basin.members.iter().copied());
        let is_known = groupings().all(|it| it.joined().len() == count);
        if !is_known || of_pairs.chain(of_basins).any(|minimum| minimum >= count) {
            return Err(format!("pairs or basins are not of the {count} minima"));
        }
        let basins = self.groupings.first().map_or(0, Grouping::basin_count);
        let is_wrong = |connections: &Connections| {
            let shown = &connections.basins;
            let found = connections.search.found().iter().map(|it| it.a.max(it.b));
            let open = connections.search.open().iter().map(|(a, b)| *a.max(b));
            shown.iter().any(|basin| *basin >= basins)
                || found.chain(open).any(|place| place >= shown.len())
        };
        match self.barriers.as_ref().filter(|it| is_wrong(it)) {
            Some(_) => Err(format!("barriers are not between the {basins} basins")),
            None => Ok(()),
        }
    }
}

/// The minima, and measurements of the chains that led to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The lowest first.
    pub minima: Vec<FoundMinimum>,
    /// Chains that were left out because their states became NaN or infinite.
    pub not_finite: usize,
    /// Chains that were left out because more than half of the pixels of their minimum lie beyond ±1.5.
    pub saturated: usize,
    /// r, the mean of ‖∇F‖₂ over the chains of the minima at the end of the gathering.
    pub slope: f64,
    /// Root mean square distance between two minima.
    pub distance: f64,
    /// δ.
    pub resolution: f64,
}

impl Found {
    /// The digit read in each minimum; none for other data.
    pub(super) fn digits(&self) -> Option<Vec<usize>> {
        let read = |minimum: &FoundMinimum| minimum.digit.map(|read| read.digit);
        self.minima.iter().map(read).collect()
    }
}

/// A minimum, without its state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundMinimum {
    /// The number of the chain.
    pub chain: usize,
    /// U in nats.
    pub energy: f64,
    /// Whether the descent came to rest.
    pub is_at_rest: bool,
    /// What the digit classifier reads, for digits.
    pub digit: Option<DigitRead>,
}

/// What the digit classifier reads in a state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigitRead {
    /// The most probable digit.
    pub digit: usize,
    /// Its probability.
    pub probability: f64,
}

/// A sweep and the kind of its pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Whether the pairs are minima known to be different, or any two.
    pub are_different: bool,
    /// The sweep.
    pub search: StrengthSweep,
}

/// Barriers between some of the basins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// The numbers of the basins, in their order.
    pub basins: Vec<usize>,
    /// The search, which counts these basins from 0.
    pub search: Barriers,
}
