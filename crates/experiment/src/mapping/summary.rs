//! The results of a map, as written to `map.json`.

use ebm_diagnostics::adjusted_rand_index;
use ebm_landscape::{DisconnectivityTree, Grouping, Minimum};
use serde::Serialize;

use super::agreement::{Agreement, DigitAgreement, GroupingAgreement};
use super::state::{DigitRead, Found};
use super::strength::Choice;
use super::{MapSettings, State};
use crate::ExperimentError;
use crate::classifier::DIGITS;
use crate::evaluation::EvaluationStart;

/// All results of a map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The outcome in one sentence or two.
    pub sentence: String,
    /// The chains and their minima in numbers.
    pub gathering: GatheringRecord,
    /// The pull.
    pub strength: StrengthRecord,
    /// How pairs come together under growing pulls; none if α was given.
    pub sweep: Option<SweepRecord>,
    /// The basins of the first grouping, the lowest first.
    pub basins: Vec<BasinRecord>,
    /// Barriers between the largest basins.
    pub barriers: BarrierRecord,
    /// All groupings.
    pub groupings: Vec<GroupingRecord>,
    /// The agreement of groupings with different seeds.
    pub stability: Vec<GroupingAgreement>,
    /// The minima grouped once more at multiples of α.
    pub multiples: Vec<MultipleRecord>,
    /// Basins and k-means against digits, for digits.
    pub digits: Option<DigitAgreement>,
    /// The lowest first.
    pub minima: Vec<MinimumRecord>,
    /// Chain steps after the gathering.
    pub chain_steps: u64,
    /// What determines it.
    pub settings: MapSettings,
}

/// Chains and minima in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatheringRecord {
    /// Chains of all starts.
    pub chains: usize,
    /// Chains that were left out because their states became NaN or infinite.
    pub not_finite: usize,
    /// Chains that were left out because more than half of the pixels of their minimum lie beyond ±1.5.
    pub saturated: usize,
    /// The number of minima of the other chains.
    pub minima: usize,
    /// Of these, those that had not come to rest at the end of their descent.
    pub not_at_rest: usize,
    /// r, the mean of ‖∇F‖₂ over their chains at the end of the gathering.
    pub mean_slope: f64,
    /// Root mean square distance between two minima.
    pub distance: f64,
    /// δ.
    pub resolution: f64,
}

/// The pull.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrengthRecord {
    /// α, in nats of U/τ per unit of distance.
    pub alpha: f64,
    /// αTτ, in units of F per unit of distance.
    pub pull: f64,
    /// αTτ/r.
    pub pull_over_slope: f64,
    /// (d − 1)/α in d dimensions: the distance from its target at which noise holds a chain where U is flat. If it
    /// exceeds δ, chains may also fail for that reason.
    pub flat_distance: f64,
    /// How α was chosen.
    pub choice: Choice,
}

/// A sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepRecord {
    /// Whether the pairs are minima read as different digits, rather than any two minima.
    pub are_different: bool,
    /// How many.
    pub pairs: usize,
    /// α, and the share of pairs that are together at it.
    pub strengths: Vec<Together>,
}

/// The share of pairs that a pull brings together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Together {
    /// α of the pull, in nats of U/τ per unit of distance.
    pub alpha: f64,
    /// The share, from 0 to 1.
    pub together: f64,
}

/// A basin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BasinRecord {
    /// U of its lowest minimum, in nats.
    pub energy: f64,
    /// The number of that minimum.
    pub representative: usize,
    /// The numbers of all its minima, that one first.
    pub members: Vec<usize>,
    /// How many of them are read as 0 to 9, for digits.
    pub digits: Option<[usize; DIGITS]>,
    /// The lowest barrier found to another basin, in nats of U; none if none was found or sought.
    pub lowest_barrier: Option<f64>,
}

/// Barriers between some of the basins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarrierRecord {
    /// The basins between which they were sought: those with the most members.
    pub basins: Vec<usize>,
    /// What was found.
    pub found: Vec<FoundBarrier>,
    /// Pairs of basins for which no pull found a path.
    pub not_found: Vec<[usize; 2]>,
    /// The merges of clusters of basins, from the lowest barrier up: the disconnectivity graph.
    pub merges: Vec<MergeRecord>,
}

/// An upper estimate, up to the length of a step, of the barrier between two basins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundBarrier {
    /// Their numbers.
    pub basins: [usize; 2],
    /// The highest U of the best path, in nats.
    pub energy: f64,
    /// α of the weakest pull that found one.
    pub alpha: f64,
}

/// Two clusters of basins that become one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MergeRecord {
    /// The numbers of the basins of either.
    pub basins: [Vec<usize>; 2],
    /// The lowest barrier between them, U in nats.
    pub energy: f64,
}

/// A grouping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupingRecord {
    /// The seed of its noise.
    pub seed: u64,
    /// The number of basins that it found.
    pub basins: usize,
    /// The basin of each minimum.
    pub groups: Vec<usize>,
}

/// A grouping at another α.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MultipleRecord {
    /// α.
    pub alpha: f64,
    /// The number of basins that it found.
    pub basins: usize,
    /// Of these, those with one minimum only.
    pub singletons: usize,
    /// Minima of the largest one.
    pub largest: usize,
    /// Its agreement with the first grouping.
    pub adjusted_rand_index: f64,
    /// Its agreement with the digits read in the minima, for digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<Agreement>,
}

/// A minimum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MinimumRecord {
    /// U in nats.
    pub energy: f64,
    /// Where its chain started.
    pub start: EvaluationStart,
    /// The number of the chain among those.
    pub chain: usize,
    /// Whether the descent came to rest.
    pub is_at_rest: bool,
    /// Its basin in the first grouping.
    pub basin: usize,
    /// The highest U, in nats, of the path between it and the representative; none for representatives.
    pub barrier: Option<f64>,
    /// What the digit classifier reads, for digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digit: Option<DigitRead>,
}

impl Summary {
    /// The summary of a finished map.
    ///
    /// # Errors
    /// [`ExperimentError::Map`] for an unfinished map, and errors that do not come from the values.
    pub fn new(state: &State, minima: &[Minimum]) -> Result<Self, ExperimentError> {
        let (Some(found), Some(alpha), Some(first)) =
            (&state.found, state.strength, state.groupings.first())
        else {
            return Err(ExperimentError::Map("the map is not finished".into()));
        };
        let settings = &state.settings;
        let pull = alpha * settings.pull_of_one()?;
        let strength = StrengthRecord {
            alpha,
            pull,
            pull_over_slope: pull / found.slope,
            flat_distance: flat_distance(settings.state_size(), alpha),
            choice: Choice::of(state),
        };
        let barriers = barriers(state)?;
        let basins = basins(first, found, &barriers);
        let mut summary = Self {
            sentence: String::new(),
            gathering: gathering(settings, found),
            strength,
            sweep: sweep(state),
            barriers,
            groupings: groupings(state),
            stability: GroupingAgreement::of(state)?,
            digits: DigitAgreement::of(state, minima, &first.groups())?,
            multiples: multiples(state, found, first)?,
            minima: minimum_records(settings, found, first),
            chain_steps: state.chain_steps,
            settings: settings.clone(),
            basins,
        };
        summary.sentence = summary.sentence();
        Ok(summary)
    }

    /// Basins with one minimum only.
    pub fn singletons(&self) -> usize {
        self.basins
            .iter()
            .filter(|basin| basin.members.len() == 1)
            .count()
    }

    fn sentence(&self) -> String {
        let many = |count: usize, one: &str, more: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {more}"),
        };
        let mut sentence = format!(
            "{} of U form {}",
            many(self.minima.len(), "minimum", "minima"),
            many(self.basins.len(), "basin", "basins"),
        );
        match self.singletons() {
            0 => {}
            count => sentence += &format!(", {count} of them with one minimum only"),
        }
        sentence += &format!(
            ", under a pull of {:.3} times the mean slope r",
            self.strength.pull_over_slope
        );
        let indices = self.stability.iter().map(|pair| pair.adjusted_rand_index);
        if let Some(lowest) = indices.reduce(f64::min) {
            sentence += &format!(
                "; {} groupings with different seeds agree with an adjusted Rand index of {}{lowest:.3}",
                self.groupings.len(),
                if self.groupings.len() > 2 && lowest < 0.9995 {
                    "at least "
                } else {
                    ""
                }
            );
        }
        sentence += ".";
        if let Some(digits) = &self.digits {
            sentence += &format!(" {}", digits.sentence());
        }
        sentence
    }
}

/// (d − 1)/α.
fn flat_distance(dimensions: usize, alpha: f64) -> f64 {
    dimensions.saturating_sub(1) as f64 / alpha
}

/// The graph of the basins between which barriers were sought, which it counts from 0.
///
/// # Errors
/// [`ExperimentError::Landscape`] for a damaged state.
pub(super) fn tree(state: &State) -> Result<DisconnectivityTree, ExperimentError> {
    let (Some(found), Some(connections), Some(first)) =
        (&state.found, &state.barriers, state.groupings.first())
    else {
        return Ok(DisconnectivityTree::new(Vec::new(), &[])?);
    };
    let basins = first.basins();
    let energy = |number: &usize| found.minima[basins[*number].representative()].energy;
    let leaves = connections.basins.iter().map(energy).collect();
    Ok(DisconnectivityTree::new(
        leaves,
        connections.search.found(),
    )?)
}

fn gathering(settings: &MapSettings, found: &Found) -> GatheringRecord {
    GatheringRecord {
        chains: settings.all_chains(),
        not_finite: found.not_finite,
        saturated: found.saturated,
        minima: found.minima.len(),
        not_at_rest: found
            .minima
            .iter()
            .filter(|minimum| !minimum.is_at_rest)
            .count(),
        mean_slope: found.slope,
        distance: found.distance,
        resolution: found.resolution,
    }
}

fn sweep(state: &State) -> Option<SweepRecord> {
    let sweep = state.sweep.as_ref()?;
    let together = |alpha: &f64| Together {
        alpha: *alpha,
        together: sweep.together(*alpha) / 100.0,
    };
    Some(SweepRecord {
        are_different: sweep.are_different,
        pairs: sweep.search.pairs().len(),
        strengths: sweep.search.tried().iter().map(together).collect(),
    })
}

fn barriers(state: &State) -> Result<BarrierRecord, ExperimentError> {
    let Some(connections) = &state.barriers else {
        return Ok(BarrierRecord {
            basins: Vec::new(),
            found: Vec::new(),
            not_found: Vec::new(),
            merges: Vec::new(),
        });
    };
    let numbers = &connections.basins;
    let found = connections
        .search
        .found()
        .iter()
        .map(|barrier| FoundBarrier {
            basins: [numbers[barrier.a], numbers[barrier.b]],
            energy: barrier.energy,
            alpha: barrier.strength,
        });
    let open = connections.search.open().iter();
    let mut clusters: Vec<Vec<usize>> = numbers.iter().map(|number| vec![*number]).collect();
    let merges = tree(state)?.merges.into_iter().map(|merge| {
        let basins = [merge.a, merge.b].map(|cluster| clusters[cluster].clone());
        clusters.push(basins.concat());
        MergeRecord {
            basins,
            energy: merge.energy,
        }
    });
    Ok(BarrierRecord {
        basins: numbers.clone(),
        found: found.collect(),
        not_found: open.map(|(a, b)| [numbers[*a], numbers[*b]]).collect(),
        merges: merges.collect(),
    })
}

fn basins(first: &Grouping, found: &Found, barriers: &BarrierRecord) -> Vec<BasinRecord> {
    let record = |(number, basin): (usize, ebm_landscape::Basin)| {
        let representative = basin.representative();
        let mut counts = [0; DIGITS];
        let digits = basin
            .members
            .iter()
            .filter_map(|member| found.minima[*member].digit);
        digits.for_each(|read| counts[read.digit] += 1);
        let own = barriers
            .found
            .iter()
            .filter(|barrier| barrier.basins.contains(&number));
        BasinRecord {
            energy: found.minima[representative].energy,
            representative,
            digits: (counts.iter().sum::<usize>() > 0).then_some(counts),
            lowest_barrier: own.map(|barrier| barrier.energy).reduce(f64::min),
            members: basin.members,
        }
    };
    first.basins().into_iter().enumerate().map(record).collect()
}

fn groupings(state: &State) -> Vec<GroupingRecord> {
    let record = |(number, grouping): (usize, &Grouping)| GroupingRecord {
        seed: state.settings.seed.wrapping_add(number as u64),
        basins: grouping.basin_count(),
        groups: grouping.groups(),
    };
    state.groupings.iter().enumerate().map(record).collect()
}

fn multiples(
    state: &State,
    found: &Found,
    first: &Grouping,
) -> Result<Vec<MultipleRecord>, ExperimentError> {
    let record = |grouping: &Grouping| {
        let (basins, groups) = (grouping.basins(), grouping.groups());
        let members = || basins.iter().map(|basin| basin.members.len());
        let labels = found.digits();
        let digits = labels.map(|labels| Agreement::of(&groups, &labels));
        Ok(MultipleRecord {
            alpha: grouping.strength(),
            basins: basins.len(),
            singletons: members().filter(|count| *count == 1).count(),
            largest: members().max().unwrap_or(0),
            adjusted_rand_index: adjusted_rand_index(&groups, &first.groups())?,
            digits: digits.transpose()?,
        })
    };
    state.others.iter().map(record).collect()
}

fn minimum_records(settings: &MapSettings, found: &Found, first: &Grouping) -> Vec<MinimumRecord> {
    let (groups, joined) = (first.groups(), first.joined());
    let record = |(number, minimum): (usize, &super::state::FoundMinimum)| {
        let (start, chain) = settings.origin(minimum.chain)?;
        Some(MinimumRecord {
            energy: minimum.energy,
            start: start.start,
            chain,
            is_at_rest: minimum.is_at_rest,
            basin: groups[number],
            barrier: joined[number].map(|joined| joined.barrier),
            digit: minimum.digit,
        })
    };
    found.minima.iter().enumerate().filter_map(record).collect()
}
