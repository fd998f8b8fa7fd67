//! Philox4×32-10, the counter-based generator (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
//! as easy as 1, 2, 3", SC 2011). A block of four words is a pure function of counter and key.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Four random words for one counter under one key.
#[must_use]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [lanes0, lanes1, lanes2, lanes3] = philox4x32_lanes(counter.map(|word| [word]), key);
    [lanes0[0], lanes1[0], lanes2[0], lanes3[0]]
}

/// `N` independent blocks at once, word by word (structure of arrays), which compilers turn into vector code.
#[inline(always)]
pub(crate) fn philox4x32_lanes<const N: usize>(
    counter: [[u32; N]; 4],
    key: [u32; 2],
) -> [[u32; N]; 4] {
    let [mut word0, mut word1, mut word2, mut word3] = counter;
    let [mut key0, mut key1] = key;
    for _ in 0..ROUNDS {
        for lane in 0..N {
            let product0 = u64::from(MULTIPLIERS[0]) * u64::from(word0[lane]);
            let product1 = u64::from(MULTIPLIERS[1]) * u64::from(word2[lane]);
            let next0 = (product1 >> 32) as u32 ^ word1[lane] ^ key0;
            let next2 = (product0 >> 32) as u32 ^ word3[lane] ^ key1;
            word0[lane] = next0;
            word1[lane] = product1 as u32;
            word2[lane] = next2;
            word3[lane] = product0 as u32;
        }
        key0 = key0.wrapping_add(WEYL[0]);
        key1 = key1.wrapping_add(WEYL[1]);
    }
    [word0, word1, word2, word3]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors published with Random123 (`kat_vectors`, philox4x32, 10 rounds).
    #[test]
    fn published_known_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }
}
