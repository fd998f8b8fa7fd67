//! Pixels by hand, pixels as Pillow has them, and files that are no pictures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageBuffer, ImageEncoder, Luma, LumaA, Rgba};
use serde::Deserialize;

use super::*;

/// An Exif block with nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// What is read from a file of these bytes.
fn read(bytes: &[u8]) -> Result<DynamicImage, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    fs::write(&path, bytes).unwrap();
    read_picture(&path)
}

fn read_back(picture: impl Into<DynamicImage>) -> DynamicImage {
    let mut bytes = Cursor::new(Vec::new());
    let picture: DynamicImage = picture.into();
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    read(bytes.get_ref()).unwrap()
}

fn problem(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn the_eight_orientations_turn_a_picture_upright() {
    // 1 2 3
    // 4 5 6
    let expected: [(u8, u32, [u8; 6]); 10] = [
        (0, 3, [1, 2, 3, 4, 5, 6]),
        (1, 3, [1, 2, 3, 4, 5, 6]),
        (2, 3, [3, 2, 1, 6, 5, 4]),
        (3, 3, [6, 5, 4, 3, 2, 1]),
        (4, 3, [4, 5, 6, 1, 2, 3]),
        (5, 2, [1, 4, 2, 5, 3, 6]),
        (6, 2, [4, 1, 5, 2, 6, 3]),
        (7, 2, [6, 3, 5, 2, 4, 1]),
        (8, 2, [3, 6, 2, 5, 1, 4]),
        (9, 3, [1, 2, 3, 4, 5, 6]),
    ];
    for (orientation, width, pixels) in expected {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder
            .write_image(&[1, 2, 3, 4, 5, 6], 3, 2, ExtendedColorType::L8)
            .unwrap();
        let picture = read(&bytes).unwrap();
        assert_eq!(picture.width(), width, "orientation {orientation}");
        assert_eq!(picture.as_bytes(), pixels, "orientation {orientation}");
    }
}

#[test]
fn xmp_says_the_orientation_in_two_ways() {
    let cases: [(&[u8], _); 5] = [
        (b"<a tiff:Orientation=\"6\">", Some(Orientation::Rotate90)),
        (
            b"<tiff:Orientation>3</tiff:Orientation>",
            Some(Orientation::Rotate180),
        ),
        (b"tiff:Orientation=\"9\"", None),
        (b"tiff:Orientation=\"", None),
        (b"tiff:Orient", None),
    ];
    for (xmp, expected) in cases {
        assert_eq!(xmp_orientation(xmp), expected);
    }
}

#[test]
fn transparent_pixels_are_laid_over_black() {
    // round(255 · 1/255) = 1, round(200 · 128/255) = round(100.39), round(100 · 128/255) = round(50.196).
    let pixels = [
        ([200, 100, 255, 0], [0, 0, 0]),
        ([200, 100, 255, 1], [1, 0, 1]),
        ([200, 100, 255, 128], [100, 50, 128]),
        ([200, 100, 255, 255], [200, 100, 255]),
    ];
    let picture = ImageBuffer::from_fn(4, 1, |x, _| Rgba::<u8>(pixels[x as usize].0));
    let laid = read_back(picture);
    assert_eq!(laid.color(), image::ColorType::Rgb8);
    assert_eq!(laid.as_bytes(), pixels.map(|pixel| pixel.1).concat());

    let pixels = [
        ([200, 0], 0),
        ([200, 128], 100),
        ([3, 85], 1),
        ([9, 255], 9),
    ];
    let picture = ImageBuffer::from_fn(4, 1, |x, _| LumaA::<u8>(pixels[x as usize].0));
    let laid = read_back(picture);
    assert_eq!(laid.color(), image::ColorType::L8);
    assert_eq!(laid.as_bytes(), pixels.map(|pixel| pixel.1));
}

#[test]
fn sixteen_bits_are_rounded_once() {
    // A count of 8 bits is 257 of 16 bits.
    let values = [0, 128, 129, 257, 32_896, 65_535];
    let picture = ImageBuffer::from_fn(6, 1, |x, _| Luma([values[x as usize]]));
    let read = read_back(DynamicImage::ImageLuma16(picture));
    assert_eq!(read.into_luma8().as_raw(), &[0, 0, 1, 1, 128, 255]);

    // 255 · 0.5 = 127.5 where colour and alpha are exact; 385/65535 of half is 0.749 of a count.
    let pixels = [
        ([65_535, 385, 0, 32_768], [128, 1, 0]),
        ([65_535, 385, 129, 65_535], [255, 1, 1]),
        ([65_535, 65_535, 65_535, 128], [0, 0, 0]),
        ([65_535, 65_535, 65_535, 129], [1, 1, 1]),
    ];
    let picture = ImageBuffer::from_fn(4, 1, |x, _| Rgba::<u16>(pixels[x as usize].0));
    let read = read_back(DynamicImage::ImageRgba16(picture));
    assert_eq!(read.as_bytes(), pixels.map(|pixel| pixel.1).concat());

    let pixels = [([65_535, 129], 1), ([257 * 200, 257 * 128], 100)];
    let picture = ImageBuffer::from_fn(2, 1, |x, _| LumaA::<u16>(pixels[x as usize].0));
    let read = read_back(DynamicImage::ImageLumaA16(picture));
    assert_eq!(read.as_bytes(), pixels.map(|pixel| pixel.1));
}

/// The pixels of a picture as Pillow reads them.
#[derive(Deserialize)]
struct Golden {
    width: u32,
    height: u32,
    /// Hexadecimal, three bytes a pixel.
    rgb: String,
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden() -> BTreeMap<String, Golden> {
    let text = fs::read_to_string(golden_folder().join("pictures.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The largest difference from Pillow in counts of 255.
fn tolerance(name: &str) -> u8 {
    match name {
        // The transforms and the product of inks are rounded differently.
        name if name.ends_with(".jpg") => 2,
        // Pillow drops the lower bytes of colour and alpha, which are rounded here.
        "alpha-16.png" | "grey-alpha-16.png" => 2,
        name if name.contains("-16.") => 1,
        _ => 0,
    }
}

#[test]
fn pictures_are_those_that_pillow_reads() {
    let golden = golden();
    assert_eq!(golden.len(), 42);
    let mut complaints = Vec::new();
    for (name, expected) in &golden {
        let picture = match read_picture(&golden_folder().join("pictures").join(name)) {
            Ok(picture) => picture.into_rgb8(),
            Err(error) => {
                complaints.push(error.to_string());
                continue;
            }
        };
        if picture.dimensions() != (expected.width, expected.height) {
            complaints.push(format!("{name}: {:?}", picture.dimensions()));
            continue;
        }
        let hexadecimal = picture
            .as_raw()
            .iter()
            .zip(expected.rgb.as_bytes().chunks(2));
        let differences = hexadecimal.map(|(value, digits)| {
            let digits = std::str::from_utf8(digits).unwrap();
            value.abs_diff(u8::from_str_radix(digits, 16).unwrap())
        });
        let largest = differences.max().unwrap();
        if largest > tolerance(name) {
            complaints.push(format!("{name}: differs by {largest}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Of the last bytes some kinds need none: the end of a PNG is an empty chunk, and that of a WebP may be its Exif
/// block.
#[test]
fn half_a_file_is_no_picture_of_any_kind() {
    for name in golden().into_keys() {
        // The first image of several may lie in the first half.
        if name == "animation.gif" {
            continue;
        }
        let bytes = fs::read(golden_folder().join("pictures").join(&name)).unwrap();
        for length in [
            0,
            1,
            10,
            bytes.len() / 3,
            bytes.len() / 2,
            bytes.len() * 3 / 4,
        ] {
            if let Ok(picture) = read(&bytes[..length]) {
                panic!(
                    "{name}: {length} bytes are {}×{}",
                    picture.width(),
                    picture.height()
                );
            }
        }
    }
}

#[test]
fn decompression_bombs_are_refused_with_their_size() {
    let claims = "the image claims to have 60000×60000 pixels, which take 10800000000 bytes";
    let side = 60_000_u32.to_be_bytes();
    let mut header = b"IHDR".to_vec();
    header.extend([side, side].concat());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&header);
    png.extend(crc.sum().to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    assert!(problem(&png).contains(claims), "{}", problem(&png));

    let path = golden_folder().join("pictures/orientation-1.jpg");
    let mut jpeg = fs::read(path).unwrap();
    // Start of a baseline frame: marker, length, precision, then height and width.
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    assert!(problem(&jpeg).contains(claims), "{}", problem(&jpeg));
}

#[test]
fn text_is_no_picture() {
    let message = problem(b"hello");
    assert!(message.contains("cannot be decoded"), "{message}");
    assert!(message.ends_with("replace the image or take it out of the folder"));
}

/// Found by fuzzing: the decoder panics on the first, a palette of one byte, and takes 300 MB for the second.
#[test]
fn damaged_images_are_errors_and_take_no_more_memory_than_they_can_fill() {
    let load = |chunks: &[(&[u8; 4], &[u8])]| {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            let chunk = [&kind[..], data].concat();
            let mut crc = flate2::Crc::new();
            crc.update(&chunk);
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(&chunk);
            bytes.extend(crc.sum().to_be_bytes());
        }
        problem(&bytes)
    };
    let header = |side: u32, kind: u8| {
        let side = side.to_be_bytes();
        [&side[..], &side, &[8, kind, 0, 0, 0]].concat()
    };
    let pixels = b"\x78\x01\x01\x02\0\xfd\xff\0\0\0\x02\0\x01";
    let palette = load(&[
        (b"IHDR", &header(1, 3)),
        (b"PLTE", &[7]),
        (b"tRNS", &[7]),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]);
    assert!(palette.contains("the image cannot be decoded"), "{palette}");
    let large = load(&[
        (b"IHDR", &header(10_000, 2)),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]);
    assert!(
        large.contains("the image claims to have 10000×10000"),
        "{large}"
    );
}
