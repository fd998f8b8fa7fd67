//! A checksum inside a file of text or with a header of text, so that damage is an error and not another number.

/// Fills in the CRC-32 of `bytes` as the value of `"key": "00000000"`, its first entry of that name. Returns whether
/// there was such an entry.
pub fn seal(bytes: &mut [u8], key: &str) -> bool {
    let Some(at) = digits(bytes, key) else {
        return false;
    };
    let sum = sum_without(bytes, at);
    bytes[at..at + DIGITS].copy_from_slice(format!("{sum:08x}").as_bytes());
    true
}

/// Whether `bytes` still have the checksum that [`seal`] gave them; `None` where there is none.
#[must_use]
pub fn is_sound(bytes: &[u8], key: &str) -> Option<bool> {
    let at = digits(bytes, key)?;
    Some(bytes[at..at + DIGITS] == *format!("{:08x}", sum_without(bytes, at)).as_bytes())
}

/// The entry before it is sealed.
pub const UNSEALED: &str = "00000000";

const DIGITS: usize = UNSEALED.len();
/// The entry stands in a header, so a large file is not searched as a whole.
const SEARCHED: usize = 1 << 20;

/// Where the digits of the checksum begin.
fn digits(bytes: &[u8], key: &str) -> Option<usize> {
    let name = format!("\"{key}\"");
    let head = &bytes[..bytes.len().min(SEARCHED)];
    let after = find(head, name.as_bytes())? + name.len();
    let value = bytes[after..]
        .iter()
        .position(|byte| !b" :".contains(byte))?;
    let at = after + value + 1;
    let is_entry = bytes.get(at - 1) == Some(&b'"') && bytes.get(at + DIGITS) == Some(&b'"');
    is_entry.then_some(at)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn sum_without(bytes: &[u8], at: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..at]);
    hasher.update(UNSEALED.as_bytes());
    hasher.update(&bytes[at + DIGITS..]);
    hasher.finalize()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The CRC-32 of "123456789" is published as cbf43926; here of a text with zeros in place of the checksum.
    #[test]
    fn the_checksum_is_that_of_the_text_with_zeros() {
        let mut text = b"{\"a\": 1, \"crc32\": \"00000000\"}\n".to_vec();
        let expected = crc32fast::hash(&text);
        assert!(seal(&mut text, "crc32"));
        assert!(
            String::from_utf8(text.clone())
                .unwrap()
                .contains(&format!("{expected:08x}"))
        );
        assert_eq!(is_sound(&text, "crc32"), Some(true));
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn every_flipped_bit_is_seen_or_hits_the_name_of_the_entry() {
        let mut text = b"{\"rate\":0.125,\"crc32\":\"00000000\",\"iteration\":7}".to_vec();
        seal(&mut text, "crc32");
        let name = find(&text, b"\"crc32\":\"").unwrap();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                let sound = is_sound(&damaged, "crc32");
                let in_name = (name..name + 9).contains(&at) || at == name + 9 + DIGITS;
                if in_name {
                    assert_ne!(sound, Some(true), "byte {at}, bit {bit}");
                } else {
                    assert_eq!(sound, Some(false), "byte {at}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn files_without_an_entry_are_left_alone() {
        for text in [
            "",
            "{}",
            "\"crc32\"",
            "\"crc32\": 12345678",
            "\"crc32\": \"1234\"",
        ] {
            let mut bytes = text.as_bytes().to_vec();
            assert!(!seal(&mut bytes, "crc32"), "{text}");
            assert_eq!(bytes, text.as_bytes());
            assert_eq!(is_sound(&bytes, "crc32"), None, "{text}");
        }
    }
}
