//! From bytes to text.

use super::place::Place;

/// The text of a file.
///
/// # Errors
/// What is wrong and what would be right, in words.
pub(in super::super) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let wide = match bytes[..] {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        // With a byte order mark; or without, since every JSON text begins with a character of ASCII.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0xff, ..] | [1..=0xff, 0, ..] => {
            Some("UTF-16")
        }
        _ => None,
    };
    if let Some(encoding) = wide {
        return Err(format!("is written in {encoding}; save it as UTF-8"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let place = Place::after(&String::from_utf8_lossy(sound));
        format!("is not written in UTF-8, as {place} shows; save it as UTF-8")
    })
}
