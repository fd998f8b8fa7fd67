//! What is asked of image files before and while the crate `image` decodes them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, ImageFormat};

/// DEFLATE makes at most 1032 bytes of one, each of eight pixels where a pixel has one bit. JPEG comes to less: a bit
/// for a block of 64 pixels.
const MOST_PIXELS_FOR_A_BYTE: u64 = 1032 * 8;

/// In WebP and others a few bytes can stand for any number of pixels of one colour; so many are taken from any file.
const SURELY_ALLOWED: u64 = 1 << 22;

/// A PNG or JPEG file cannot hold more pixels than its size allows, and of other kinds only pictures of a single colour
/// do; the memory for more is not to be asked for.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn check_promise(
    format: Option<ImageFormat>,
    (width, height): (u32, u32),
    file_size: usize,
) -> Result<(), String> {
    let least = match format {
        Some(ImageFormat::Png | ImageFormat::Jpeg) => 0,
        _ => SURELY_ALLOWED,
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels > least && pixels / MOST_PIXELS_FOR_A_BYTE > file_size as u64 {
        return Err(format!(
            "the image claims to have {width}×{height} pixels, more than {file_size} bytes can hold"
        ));
    }
    Ok(())
}

/// What is wrong with the chunks of a RIFF file (WebP), if one claims to be longer than the file: the decoder would ask
/// for the memory for it. Chunks that hold others, as the frames of an animation do, are not looked into.
pub(crate) fn riff_problem(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(8..)?;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let claimed = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if claimed > body.len() {
            let left = body.len();
            return Some(format!(
                "the image is truncated: a part claims to have {claimed} bytes where {left} are left"
            ));
        }
        // Chunks of odd length are padded.
        rest = body.get(claimed + claimed % 2..).unwrap_or_default();
    }
    None
}

/// Width and height of the first picture in a GIF file, which may differ from those of the file. The decoder takes
/// memory for them.
pub(crate) fn gif_frame(bytes: &[u8]) -> Option<(u32, u32)> {
    const EXTENSION: u8 = 0x21;
    const PICTURE: u8 = 0x2c;
    let colours = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let screen = bytes.strip_prefix(b"GIF")?.get(3..)?;
    let mut rest = screen.get(7 + colours(*screen.get(4)?)..)?;
    loop {
        match rest {
            [EXTENSION, _, blocks @ ..] => rest = after_blocks(blocks)?,
            [PICTURE, _, _, _, _, w0, w1, h0, h1, ..] => {
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]));
                return Some((side(*w0, *w1), side(*h0, *h1)));
            }
            _ => return None,
        }
    }
}

/// What follows blocks of a byte of length each, of which the last is empty.
fn after_blocks(mut blocks: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, rest) = blocks.split_first()?;
        if length == 0 {
            return Some(rest);
        }
        blocks = rest.get(usize::from(length)..)?;
    }
}

/// Decodes; where the decoder panics on a damaged file, that is an error like any other.
///
/// # Errors
/// Those of `decode`.
pub(crate) fn decode(
    decode: impl FnOnce() -> Result<DynamicImage, String>,
) -> Result<DynamicImage, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("the image cannot be decoded (it is damaged)".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn riff(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
        for (name, length, body) in chunks {
            bytes.extend(*name);
            bytes.extend(length.to_le_bytes());
            bytes.extend(*body);
        }
        bytes
    }

    /// Found by fuzzing: the decoder takes 2.8 GB for a chunk of that length in a file of 135 bytes.
    #[test]
    fn a_chunk_longer_than_its_file_is_told() {
        let sound = riff(&[(b"VP8X", 3, b"abc\0"), (b"VP8L", 2, b"xy")]);
        assert_eq!(riff_problem(&sound), None);
        let long = riff(&[(b"VP8X", 3, b"abc\0"), (b"EXIF", 2_852_128_177, b"xy")]);
        let problem = riff_problem(&long).unwrap_or_default();
        assert!(
            problem.contains("2852128177 bytes where 2 are left"),
            "{problem}"
        );
        for other in [&b""[..], b"RIFF", b"RIFFabcdWEBPVP", b"\x89PNG"] {
            assert_eq!(riff_problem(other), None);
        }
    }

    /// Found by fuzzing: the decoder takes 297 MB for the picture of a file of 20×12 and 113 bytes.
    #[test]
    fn the_first_picture_of_a_gif_is_found() {
        let mut file = b"GIF89a\x14\0\x0c\0\x80\0\0abcdef".to_vec();
        // An extension with blocks of 4 and 1 bytes.
        file.extend(b"\x21\xf9\x04abcd\x01e\0");
        file.extend(b"\x2c\0\0\0\0\xca\xea\xd4\x04\0");
        assert_eq!(gif_frame(&file), Some((60_106, 1_236)));
        let promise = check_promise(Some(ImageFormat::Gif), (60_106, 1_236), file.len());
        assert!(promise.is_err_and(|problem| problem.contains("60106×1236")));
        for cut in 0..file.len() {
            // Without a panic.
            let _ = gif_frame(&file[..cut]);
        }
        assert_eq!(gif_frame(b"\x89PNG"), None);
    }
}
