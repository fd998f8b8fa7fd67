//! What is asked of image files before and while the crate `image` decodes them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, ImageFormat};

/// DEFLATE makes at most 1032 bytes of one, each of eight pixels where a pixel has one bit. JPEG comes to less: a bit
/// for a block of 64 pixels.
const MOST_PIXELS_FOR_A_BYTE: u64 = 1032 * 8;

/// In WebP, TIFF and others a few bytes can stand for any number of pixels of one colour; so many are taken from any file.
const SURELY_ALLOWED: u64 = 1 << 22;

/// A PNG or JPEG file cannot hold more pixels than its size allows, and of other kinds only pictures of a single colour do;
/// the memory for more is not to be asked for.
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
