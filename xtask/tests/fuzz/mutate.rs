//! From sound files to files that no one would write.

use crate::edit;
use crate::formats::{self, Format};
use crate::random::Random;

/// Formats lie in each other: a compressed archive of arrays.
const DEPTH: usize = 4;
/// Larger inputs take time and find nothing more.
const LARGEST: usize = 1 << 16;

/// A file to read: a seed with one or a few changes.
pub(crate) fn input(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut file = random.pick(seeds).clone();
    match random.below(16) {
        0 => edit::truncate(random, &mut file),
        1 => file = splice(random, &file, seeds),
        2 => edit::bytes(random, &mut file, &[]),
        _ => {
            let other = random.pick(seeds).clone();
            for _ in 0..1 + random.below(3) {
                file = change(random, file, &other, DEPTH);
            }
            if random.once_in(16) {
                edit::bytes(random, &mut file, &[]);
            }
        }
    }
    file.truncate(LARGEST);
    file
}

/// The beginning of one seed and the end of another.
fn splice(random: &mut Random, first: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
    let second = random.pick(seeds);
    let (end, start) = (
        random.below(first.len() + 1),
        random.below(second.len() + 1),
    );
    [&first[..end], &second[start..]].concat()
}

/// One change to what a format is made of, or to a part's own parts; lengths and checksums are made to fit again.
fn change(random: &mut Random, mut bytes: Vec<u8>, other: &[u8], depth: usize) -> Vec<u8> {
    let format = formats::of(&bytes);
    let parts = format.and_then(|format| Some((format, (format.open)(&bytes)?)));
    let Some((format, mut parts)) = parts.filter(|_| depth > 0 && !random.once_in(6)) else {
        edit::bytes(
            random,
            &mut bytes,
            format.map_or(&[][..], |format| format.words),
        );
        return bytes;
    };
    if parts.is_empty() || random.once_in(5) {
        rearrange(random, &mut parts, other, format);
    } else {
        let place = random.below(parts.len());
        let part = std::mem::take(&mut parts[place]);
        // A part without a format of its own has the words of the whole.
        parts[place] = match formats::of(&part) {
            Some(_) => change(random, part, other, depth - 1),
            None => {
                let mut part = part;
                edit::bytes(random, &mut part, format.words);
                part
            }
        };
    }
    (format.close)(&parts)
}

/// Takes a part out, doubles it, moves it, or puts in one that was never there.
fn rearrange(random: &mut Random, parts: &mut Vec<Vec<u8>>, other: &[u8], format: &Format) {
    let place = random.below(parts.len() + 1);
    let inside = place.min(parts.len().saturating_sub(1));
    match random.below(6) {
        0 if !parts.is_empty() => {
            parts.remove(inside);
        }
        1 if !parts.is_empty() => {
            let part = parts[inside].clone();
            // Many times now and then, for what grows with depth or number.
            let times = if random.once_in(4) {
                1 + random.below(300)
            } else {
                1
            };
            for _ in 0..times {
                parts.insert(place, part.clone());
            }
        }
        2 if !parts.is_empty() => {
            let with = random.below(parts.len());
            parts.swap(inside, with);
        }
        3 if !format.words.is_empty() => parts.insert(place, random.pick(format.words).to_vec()),
        4 if !format.words.is_empty() && !parts.is_empty() => {
            parts[inside] = random.pick(format.words).to_vec();
        }
        _ => {
            let theirs = formats::of(other).and_then(|format| (format.open)(other));
            if let Some(theirs) = theirs.filter(|theirs| !theirs.is_empty()) {
                parts.insert(place, random.pick(&theirs).clone());
            }
        }
    }
}
