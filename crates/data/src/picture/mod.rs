//! From an image file to an upright picture without transparency.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::DataError;
use crate::guard;

/// The endings of the kinds of files that are read, in lower case.
pub(crate) const ENDINGS: [&str; 11] = [
    "jpg", "jpeg", "jfif", "png", "bmp", "gif", "webp", "qoi", "pbm", "pgm", "ppm",
];

/// A file, or the pixels of one image while they are decoded, may take so many bytes. These are 179 million pixels of
/// 3 bytes, the number at which Pillow speaks of a decompression bomb.
const MOST_BYTES: u64 = 512 << 20;

/// Reads an image: the first one, where a file has several. It is turned as its Exif (or XMP) orientation says. What is
/// transparent is laid over black, which is also what [`crate::Fit::Pad`] puts around a picture: the colour becomes
/// colour × alpha, rounded. CMYK becomes RGB without colour management, and colour profiles are not applied.
///
/// # Errors
/// [`DataError::File`] and [`DataError::Format`].
pub(crate) fn read_picture(path: &Path) -> Result<DynamicImage, DataError> {
    let unusable = |problem: String| DataError::Format {
        path: path.to_path_buf(),
        problem,
        fix: "replace the image or take it out of the folder",
    };
    let file = std::fs::metadata(path).map_err(DataError::file(path, "read"))?;
    if file.len() > MOST_BYTES {
        let length = file.len();
        return Err(unusable(format!(
            "the file has {length} bytes, and at most {MOST_BYTES} are read"
        )));
    }
    let bytes = std::fs::read(path).map_err(DataError::file(path, "read"))?;
    if is_cut_jpeg(&bytes) {
        return Err(unusable(
            "the JPEG image is truncated: it has no end marker".into(),
        ));
    }
    // The kind is told from the first bytes: photographs often carry the wrong extension.
    if let Some(problem) = guard::riff_problem(&bytes) {
        return Err(unusable(problem));
    }
    let length = bytes.len();
    if let Some(size) = guard::gif_frame(&bytes) {
        guard::check_promise(Some(ImageFormat::Gif), size, length).map_err(unusable)?;
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(DataError::file(path, "read"))?;
    let kind = reader.format();
    reader.limits(limits());
    guard::decode(|| decode(reader, kind, length)).map_err(unusable)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    limits
}

/// Decodes a file of so many bytes; errors say what is wrong.
fn decode(
    reader: ImageReader<Cursor<Vec<u8>>>,
    kind: Option<ImageFormat>,
    length: usize,
) -> Result<DynamicImage, String> {
    let undecodable = |error| format!("the image cannot be decoded ({error})");
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let needed = decoder.total_bytes();
    let mut limits = limits();
    if limits.reserve(needed).is_err() {
        return Err(format!(
            "the image claims to have {width}×{height} pixels, which take {needed} bytes; at most {MOST_BYTES} are given \
             to one image"
        ));
    }
    guard::check_promise(kind, (width, height), length)?;
    decoder.set_limits(limits).map_err(undecodable)?;
    let orientation = orientation(&mut decoder);
    let picture = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    let mut picture = over_black(picture);
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// As in Pillow's `ImageOps.exif_transpose`: the Exif tag, and XMP where there is none. A tag that cannot be
/// read is none.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    let tagged = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if tagged != Orientation::NoTransforms {
        return tagged;
    }
    let exif = decoder.exif_metadata().ok().flatten();
    if exif.is_some_and(|exif| Orientation::from_exif_chunk(&exif).is_some()) {
        return tagged;
    }
    let xmp = decoder.xmp_metadata().ok().flatten();
    xmp.and_then(|xmp| xmp_orientation(&xmp)).unwrap_or(tagged)
}

/// The digit of `tiff:Orientation="6"` or `<tiff:Orientation>6<`.
fn xmp_orientation(xmp: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = xmp.windows(NAME.len()).position(|text| text == NAME)?;
    let value = &xmp[at + NAME.len()..];
    let value = value
        .strip_prefix(b"=\"")
        .or_else(|| value.strip_prefix(b">"))?;
    Orientation::from_exif(value.first()?.wrapping_sub(b'0'))
}

/// Pictures with transparency in 8 bits a channel; others are left as they are.
fn over_black(picture: DynamicImage) -> DynamicImage {
    use DynamicImage::{ImageLumaA8, ImageLumaA16, ImageRgba8, ImageRgba16};
    let values = match &picture {
        ImageLumaA8(pixels) => laid_on_black::<2, _>(pixels, 255),
        ImageLumaA16(pixels) => laid_on_black::<2, _>(pixels, 65_535),
        ImageRgba8(pixels) => laid_on_black::<4, _>(pixels, 255),
        ImageRgba16(pixels) => laid_on_black::<4, _>(pixels, 65_535),
        // Numbers in [0, 1].
        other if other.color().has_alpha() => laid_on_black::<4, _>(&other.to_rgba16(), 65_535),
        _ => return picture,
    };
    let (width, height) = (picture.width(), picture.height());
    let laid = if picture.color().has_color() {
        RgbImage::from_raw(width, height, values).map(DynamicImage::from)
    } else {
        GrayImage::from_raw(width, height, values).map(DynamicImage::from)
    };
    // A buffer of just this length is always accepted.
    laid.unwrap_or(picture)
}

/// round(255 · colour/full · alpha/full) of every colour in pixels of `CHANNELS` values, the last of which is alpha.
fn laid_on_black<const CHANNELS: usize, T: Copy + Into<u64>>(pixels: &[T], full: u64) -> Vec<u8> {
    let whole = full * full;
    let mut laid = Vec::with_capacity(pixels.len() / CHANNELS * (CHANNELS - 1));
    for pixel in pixels.as_chunks::<CHANNELS>().0 {
        let alpha: u64 = pixel[CHANNELS - 1].into();
        for &colour in &pixel[..CHANNELS - 1] {
            laid.push(((colour.into() * alpha * 255 + whole / 2) / whole) as u8);
        }
    }
    laid
}

/// The decoder paints the missing part of a truncated JPEG grey instead of refusing it.
///
/// Image data start at the last start-of-scan marker FF DA and end with the marker FF D9; within them FF is always
/// followed by 00 or by another marker.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
    const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    let last = |marker| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(&START_OF_IMAGE) && last(END_OF_IMAGE) <= last(START_OF_SCAN)
}

#[cfg(test)]
mod tests;
