//! All randomness of the project: pure functions of (seed, stream, iteration, step, chain, element).

use rayon::prelude::*;

use crate::gaussian::{normal_pair, uniform};
use crate::philox::{philox4x32, philox4x32_lanes};

/// What random numbers are for. Two purposes never share numbers, so that asking for more of one
/// (say, long-run chains) cannot change another (the training chains).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial parameters of a network.
    Parameters = 1,
    /// Which data are drawn for an iteration; points of a toy density.
    DataBatch = 2,
    /// The noise ε_data·N(0, I) added to data.
    DataNoise = 3,
    /// Initial states of training chains.
    ChainStart = 4,
    /// The Z of training chains.
    Langevin = 5,
    /// Initial states of the persistent bank.
    BankStart = 6,
    /// Which states of the bank an iteration continues.
    BankDraw = 7,
    /// Chains that only watch: long-run chains, samples drawn from a trained net.
    Watch = 8,
    /// Initial states of chains that only watch.
    WatchStart = 9,
    /// The noise ε_data·N(0, I) added to data from which chains that only watch start.
    WatchDataNoise = 10,
    /// The Z of chains that map a landscape.
    Attraction = 11,
    /// Chains that go from a Gaussian to a learned energy and back, to measure its log Z.
    Annealing = 12,
    /// Chains that tune the step sizes for these.
    AnnealingPilot = 13,
}

/// The number of Philox blocks computed together.
const LANES: usize = 16;
const BLOCK: usize = 4;

/// One family of random numbers: all that is drawn for one purpose in one learning iteration.
///
/// A number is addressed by (step, chain, element), never by how many were drawn before. A run therefore does
/// not depend on thread count, batch split or engine, and resuming needs nothing but the iteration number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseKey([u32; 2]);

impl NoiseKey {
    /// The numbers for `stream` in learning iteration `iteration` of the run seeded with `seed`.
    #[must_use]
    pub fn new(seed: u64, stream: Stream, iteration: u64) -> Self {
        Self::of_attempt(0, seed, stream, iteration)
    }

    /// As [`Self::new`], for an iteration that is repeated with other numbers: after so many attempts at it.
    #[must_use]
    pub fn of_attempt(attempt: u32, seed: u64, stream: Stream, iteration: u64) -> Self {
        // Attempt, seed, stream and iteration are 192 bits and the key 64: one Philox block hashes them together.
        let [iteration_low, iteration_high] = split(iteration);
        let block = philox4x32(
            [
                iteration_low,
                iteration_high,
                stream as u32,
                0x4b45_5953_u32.wrapping_add(attempt),
            ],
            split(seed),
        );
        Self([block[0], block[1]])
    }

    /// The raw 64-bit Philox key, for engines that generate the same numbers themselves.
    ///
    /// The counter of the block that holds elements 4b..4b+4 of `chain` at `step` is
    /// `[b, chain, step low word, step high word]`.
    #[must_use]
    pub fn philox_key(self) -> [u32; 2] {
        self.0
    }

    /// A family of its own for part number `index` of what this one is for, such as a rung of a ladder of temperatures.
    ///
    /// Its Philox counter is `[2³² − 2, index low word, index high word, 0]`; that block would hold elements that no state
    /// has.
    #[must_use]
    pub fn part(self, index: u64) -> Self {
        let [low, high] = split(index);
        let block = philox4x32([u32::MAX - 1, low, high, 0], self.0);
        Self([block[0], block[1]])
    }

    /// Fills `out` with N(0, 1) numbers, shape `[chains, per_chain]`: row i belongs to chain `first_chain + i`.
    pub fn normals(&self, step: u64, first_chain: u32, per_chain: usize, out: &mut [f32]) {
        self.fill(step, first_chain, per_chain, out, |words, values| {
            let [first, second] = [0, 2].map(|at| normal_pair(words[at], words[at + 1]));
            *values = [first.0, first.1, second.0, second.1];
        });
    }

    /// The N(0, 1) numbers of elements 4 `block`..4 `block` + 4 of `LANES` neighbouring chains from `first_chain` on:
    /// row e holds element 4 `block` + e of every chain. Only the first `wanted` rows are sure to be filled. The same
    /// numbers as [`Self::normals`], for engines that lay chains side by side; inlined, so that it becomes vector
    /// code of the caller's instruction set.
    #[inline(always)]
    #[must_use]
    pub fn normal_rows<const LANES: usize>(
        self,
        step: u64,
        first_chain: u32,
        block: u32,
        wanted: usize,
    ) -> [[f32; LANES]; BLOCK] {
        let [step_low, step_high] = split(step);
        let chains = std::array::from_fn(|lane| first_chain.wrapping_add(lane as u32));
        let counter = [
            [block; LANES],
            chains,
            [step_low; LANES],
            [step_high; LANES],
        ];
        let words = philox4x32_lanes(counter, self.0);
        let mut rows = [[0.0; LANES]; BLOCK];
        for pair in (0..wanted.min(BLOCK)).step_by(2) {
            for lane in 0..LANES {
                let (first, second) = normal_pair(words[pair][lane], words[pair + 1][lane]);
                rows[pair][lane] = first;
                rows[pair + 1][lane] = second;
            }
        }
        rows
    }

    /// Fills `out` with uniform numbers in [0, 1), shape `[chains, per_chain]`: row i belongs to chain `first_chain +
    /// i`.
    pub fn uniforms(&self, step: u64, first_chain: u32, per_chain: usize, out: &mut [f32]) {
        self.fill(step, first_chain, per_chain, out, |words, values| {
            *values = words.map(uniform);
        });
    }

    /// For each of `N` neighbouring chains from `first_chain` on, a uniform number in the open interval (0, 1), of 52
    /// bits, that decides about the chain as a whole at `step`: whether a proposal is accepted.
    ///
    /// Its Philox counter is `[2³² − 1, chain, step low word, step high word]`, the block of the elements from 2³⁴ −
    /// 4 on. No state has so many, so the decision shares no number with the noise of the same step.
    #[inline(always)]
    #[must_use]
    pub fn decisions<const N: usize>(self, step: u64, first_chain: u32) -> [f64; N] {
        let [step_low, step_high] = split(step);
        let chains = std::array::from_fn(|lane| first_chain.wrapping_add(lane as u32));
        let counter = [[u32::MAX; N], chains, [step_low; N], [step_high; N]];
        let [high, low, ..] = philox4x32_lanes(counter, self.0);
        // 32 + 20 bits and a half of the last: exact in an f64, and never 0 or 1.
        std::array::from_fn(|lane| {
            let fraction = (f64::from(low[lane] >> 12) + 0.5) / 1_048_576.0;
            (f64::from(high[lane]) + fraction) / 4_294_967_296.0
        })
    }

    /// `count` different indices below `population`, every ordered selection equally likely
    /// (to within 2⁻⁶⁴ · population). At most `population` indices are returned.
    #[must_use]
    pub fn choose(&self, count: usize, population: usize) -> Vec<usize> {
        // A partial Fisher–Yates shuffle that stores only the displaced places.
        let mut displaced = std::collections::HashMap::new();
        (0..count.min(population))
            .map(|place| {
                let words = philox4x32([place as u32, 0, 0, 0], self.0);
                let random = u64::from(words[0]) | u64::from(words[1]) << 32;
                let remaining = (population - place) as u128;
                // The high word of a product maps 64 random bits to 0..remaining without a division's bias.
                let other = place + ((u128::from(random) * remaining) >> 64) as usize;
                let chosen = displaced.get(&other).copied().unwrap_or(other);
                let here = displaced.get(&place).copied().unwrap_or(place);
                displaced.insert(other, here);
                chosen
            })
            .collect()
    }

    fn fill(
        &self,
        step: u64,
        first_chain: u32,
        per_chain: usize,
        out: &mut [f32],
        transform: impl Fn([u32; 4], &mut [f32; 4]) + Sync,
    ) {
        if per_chain == 0 {
            return;
        }
        let key = self.0;
        let [step_low, step_high] = split(step);
        // Small jobs are not worth waking the other threads for.
        let rows_a_task = (16_384 / per_chain).max(1);
        out.par_chunks_mut(per_chain * rows_a_task)
            .enumerate()
            .for_each(|(task, rows)| {
                for (row, values) in rows.chunks_mut(per_chain).enumerate() {
                    let chain = first_chain.wrapping_add((task * rows_a_task + row) as u32);
                    for (group, chunk) in values.chunks_mut(LANES * BLOCK).enumerate() {
                        let first_block = (group * LANES) as u32;
                        if chunk.len() <= BLOCK {
                            let words = philox4x32([first_block, chain, step_low, step_high], key);
                            let mut block = [0.0; BLOCK];
                            transform(words, &mut block);
                            chunk.copy_from_slice(&block[..chunk.len()]);
                            continue;
                        }
                        let blocks = std::array::from_fn(|lane| first_block + lane as u32);
                        let words = philox4x32_lanes(
                            [
                                blocks,
                                [chain; LANES],
                                [step_low; LANES],
                                [step_high; LANES],
                            ],
                            key,
                        );
                        let mut buffer = [[0.0; BLOCK]; LANES];
                        for lane in 0..LANES {
                            transform(words.map(|word| word[lane]), &mut buffer[lane]);
                        }
                        chunk.copy_from_slice(&buffer.as_flattened()[..chunk.len()]);
                    }
                }
            });
    }
}

fn split(wide: u64) -> [u32; 2] {
    [wide as u32, (wide >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normals(key: NoiseKey, chains: usize, per_chain: usize) -> Vec<f32> {
        let mut out = vec![0.0; chains * per_chain];
        key.normals(3, 0, per_chain, &mut out);
        out
    }

    proptest! {
        /// The batch may be cut anywhere: chains keep their numbers.
        #[test]
        fn a_split_batch_draws_the_same_numbers(
            seed in any::<u64>(), chains in 1usize..9, per_chain in 1usize..200, cut in 0usize..9,
        ) {
            let key = NoiseKey::new(seed, Stream::Langevin, 7);
            let whole = normals(key, chains, per_chain);
            let cut = cut.min(chains);
            let mut parts = vec![0.0; whole.len()];
            let (head, tail) = parts.split_at_mut(cut * per_chain);
            key.normals(3, 0, per_chain, head);
            key.normals(3, cut as u32, per_chain, tail);
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn chosen_indices_are_different_and_in_range(
            seed in any::<u64>(), population in 1usize..300, count in 0usize..300,
        ) {
            let chosen = NoiseKey::new(seed, Stream::BankDraw, 1).choose(count, population);
            prop_assert_eq!(chosen.len(), count.min(population));
            let distinct: std::collections::HashSet<_> = chosen.iter().collect();
            prop_assert_eq!(distinct.len(), chosen.len());
            prop_assert!(chosen.iter().all(|&index| index < population));
        }
    }

    #[test]
    fn rows_of_chains_hold_the_same_numbers() {
        let key = NoiseKey::new(3, Stream::Langevin, 9);
        let (chains, per_chain, step) = (16, 22, u64::from(u32::MAX) + 5);
        let mut expected = vec![0.0; chains * per_chain];
        key.normals(step, 7, per_chain, &mut expected);
        for element in 0..per_chain {
            let wanted = element % 4 + 1;
            let rows = key.normal_rows::<16>(step, 7, element as u32 / 4, wanted);
            for chain in 0..chains {
                assert_eq!(
                    rows[element % 4][chain],
                    expected[chain * per_chain + element]
                );
            }
        }
    }

    /// Decisions of neighbours are those of the chains alone, and the words of the address that the documentation
    /// states.
    #[test]
    fn decisions_lie_beyond_the_elements() {
        let key = NoiseKey::new(3, Stream::Langevin, 9);
        let step = u64::from(u32::MAX) + 5;
        let decisions = key.decisions::<16>(step, 7);
        for (lane, decision) in decisions.into_iter().enumerate() {
            let chain = 7 + lane as u32;
            assert_eq!([decision], key.decisions::<1>(step, chain));
            let [high, low, ..] = philox4x32([u32::MAX, chain, 4, 1], key.philox_key());
            let expected = (f64::from(high) + f64::from(low) / 2f64.powi(32)) / 2f64.powi(32);
            assert!((decision - expected).abs() < 2f64.powi(-52));
        }
    }

    /// 100,000 decisions: mean and mean square within 5 standard errors of 1/2 and 1/3 (false-alarm rate over seeds
    /// about 1e-6; the seed is fixed), none of them 0 or 1.
    #[test]
    fn decisions_are_uniform() {
        let key = NoiseKey::new(12, Stream::Langevin, 0);
        let draws: Vec<f64> = (0..6_250)
            .flat_map(|step| key.decisions::<16>(step, 0))
            .collect();
        let count = draws.len() as f64;
        assert!(draws.iter().all(|&draw| draw > 0.0 && draw < 1.0));
        let mean = draws.iter().sum::<f64>() / count;
        assert!(
            (mean - 0.5).abs() < 5.0 * (1.0 / 12.0 / count).sqrt(),
            "{mean}"
        );
        let square = draws.iter().map(|draw| draw * draw).sum::<f64>() / count;
        assert!(
            (square - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / count).sqrt(),
            "{square}"
        );
    }

    #[test]
    fn the_thread_count_does_not_matter() {
        let key = NoiseKey::new(1, Stream::Langevin, 0);
        let results = [1, 2, 3].map(|threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map(|pool| pool.install(|| normals(key, 300, 1000)))
                .unwrap_or_default()
        });
        assert_eq!(results[0].len(), 300_000);
        assert_eq!(results[0], results[1]);
        assert_eq!(results[1], results[2]);
    }

    #[test]
    fn streams_iterations_steps_and_seeds_differ() {
        let base = normals(NoiseKey::new(1, Stream::Langevin, 5), 1, 8);
        assert_ne!(base, normals(NoiseKey::new(2, Stream::Langevin, 5), 1, 8));
        assert_ne!(base, normals(NoiseKey::new(1, Stream::Watch, 5), 1, 8));
        assert_ne!(base, normals(NoiseKey::new(1, Stream::Langevin, 6), 1, 8));
        let mut later = vec![0.0; 8];
        NoiseKey::new(1, Stream::Langevin, 5).normals(4, 0, 8, &mut later);
        assert_ne!(base, later);
    }

    /// Mean, variance, fourth moment and neighbour correlation of 400,000 draws, each within 5 standard errors.
    /// False-alarm rate over seeds: about 4 × 6e-7; the seed is fixed.
    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        let draws = normals(NoiseKey::new(11, Stream::Langevin, 0), 400, 1000);
        let count = draws.len() as f64;
        let moment =
            |power: i32| draws.iter().map(|&z| f64::from(z).powi(power)).sum::<f64>() / count;
        let standard_error = |variance: f64| 5.0 * (variance / count).sqrt();
        assert!(moment(1).abs() < standard_error(1.0));
        assert!((moment(2) - 1.0).abs() < standard_error(2.0));
        assert!((moment(4) - 3.0).abs() < standard_error(96.0));
        let neighbours = draws
            .windows(2)
            .map(|pair| f64::from(pair[0]) * f64::from(pair[1]))
            .sum::<f64>()
            / count;
        assert!(neighbours.abs() < standard_error(1.0));
    }

    /// Pearson's χ² over the 24 orders in which 3 of 4 indices can be drawn: below 52.0, the 0.0005 quantile for 23
    /// degrees of freedom (false-alarm rate over seeds 5e-4; the seed is fixed).
    #[test]
    fn every_ordered_selection_is_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        let draws = 24_000;
        for iteration in 0..draws {
            let chosen = NoiseKey::new(5, Stream::BankDraw, iteration).choose(3, 4);
            *counts.entry(chosen).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        let expected = draws as f64 / 24.0;
        let statistic: f64 = counts
            .values()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        assert!(statistic < 52.0, "χ² = {statistic}");
    }
}
