//! A small generator of random numbers with the same numbers everywhere.

/// SplitMix64 of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). Enough for a few
/// thousand draws; the noise of chains comes from elsewhere.
pub(crate) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, included, to 1, excluded.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A position drawn in proportion to its weight, finite and not negative; `None` when all weights are 0.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let total: f64 = weights.iter().sum();
        let mut rest = self.uniform() * total;
        let mut last = None;
        for (position, weight) in weights.iter().enumerate() {
            if *weight > 0.0 {
                last = Some(position);
                if rest < *weight {
                    break;
                }
                rest -= weight;
            }
        }
        // Rounding may leave a rest beyond the last weight.
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_algorithm() {
        // The usual known answer for seed 1234567.
        let mut random = SplitMix::new(1_234_567);
        for expected in [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ] {
            assert_eq!(random.next(), expected);
        }
    }

    #[test]
    fn draws_follow_the_weights() {
        let mut random = SplitMix::new(5);
        let mut counts = [0_i32; 4];
        for _ in 0..40_000 {
            counts[random.weighted(&[1.0, 0.0, 2.0, 1.0]).unwrap_or(1)] += 1;
        }
        // 4.5 standard deviations at least: a false alarm for fewer than one seed in 100,000.
        assert_eq!(counts[1], 0);
        for (count, expected) in [
            (counts[0], 10_000),
            (counts[2], 20_000),
            (counts[3], 10_000),
        ] {
            assert!((count - expected).abs() < 450, "{counts:?}");
        }
        assert_eq!(random.weighted(&[0.0; 3]), None);
        assert_eq!(random.weighted(&[]), None);
    }
}
