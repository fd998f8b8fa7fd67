//! Changes to bytes of no known format.

use crate::random::Random;

/// Numbers at which lengths and counts go wrong.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Numbers as people write them.
const DIGITS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "3",
    "255",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-0.0",
    "0.1",
];

pub(crate) fn truncate(random: &mut Random, bytes: &mut Vec<u8>) {
    bytes.truncate(random.below(bytes.len() + 1));
}

/// One change; `words` are those of the format.
pub(crate) fn bytes(random: &mut Random, bytes: &mut Vec<u8>, words: &[&[u8]]) {
    let place = random.below(bytes.len() + 1);
    let end = (place + 1 + random.below(16)).min(bytes.len());
    match random.below(12) {
        0 | 1 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
        2 if place < bytes.len() => bytes[place] = random.next() as u8,
        3 | 4 => write_number(random, bytes, place),
        5 | 6 => replace_digits(random, bytes, place),
        7 if !words.is_empty() => {
            let word = random.pick(words);
            let times = if random.once_in(8) {
                1 + random.below(200)
            } else {
                1
            };
            bytes.splice(place..place, word.repeat(times));
        }
        8 if !words.is_empty() => {
            bytes.splice(place..end, random.pick(words).iter().copied());
        }
        9 => {
            bytes.drain(place..end);
        }
        10 => {
            let range = bytes[place..end].to_vec();
            let times = if random.once_in(8) {
                1 + random.below(300)
            } else {
                1
            };
            bytes.splice(place..place, range.repeat(times));
        }
        11 if random.once_in(3) => bytes.truncate(place),
        _ => bytes.insert(place, random.next() as u8),
    }
}

/// A number of 1, 2, 4 or 8 bytes in either order: one of those above, one near the length, or near what was there.
fn write_number(random: &mut Random, bytes: &mut [u8], place: usize) {
    let size = 1 << random.below(4);
    let length = bytes.len() as u64;
    let Some(there) = bytes.get_mut(place..place + size) else {
        return;
    };
    let is_big = random.once_in(2);
    let mut lanes = [0; 8];
    lanes[..size].copy_from_slice(there);
    if is_big {
        lanes[..size].reverse();
    }
    let number = match random.below(4) {
        0 => u64::from_le_bytes(lanes)
            .wrapping_add(random.next() % 17)
            .wrapping_sub(8),
        1 => length.wrapping_add(random.next() % 5).wrapping_sub(2),
        _ => *random.pick(&NUMBERS),
    };
    lanes = number.to_le_bytes();
    if is_big {
        lanes[..size].reverse();
    }
    there.copy_from_slice(&lanes[..size]);
}

/// Another number for the next one that is written in digits.
fn replace_digits(random: &mut Random, bytes: &mut Vec<u8>, place: usize) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = bytes[place..].iter().position(is_digit) else {
        return;
    };
    let start = place + start;
    let length = bytes[start..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    bytes.splice(start..start + length, random.pick(&DIGITS).bytes());
}
