//! Arrays in NumPy's formats: .npy (NEP 1), and .npz, a zip archive of such files.

mod archive;
mod header;
mod kind;

use header::Header;

/// A little-endian f32 array, version 1.0: magic, header length, header padded to 64, values.
pub(crate) fn npy(values: &[f32], shape: &[usize]) -> Vec<u8> {
    let shape: Vec<_> = shape.iter().map(ToString::to_string).collect();
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}",
        shape.join(", ")
    );
    let prefix = 10;
    while (prefix + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// Shape and values, in row-major order, of an .npy file or of the only array of an .npz file, which their first
/// bytes tell. Numbers may be of any type that NumPy calls real, in either byte order and in C or Fortran order;
/// those that f32 cannot hold are rounded.
///
/// # Errors
/// What is wrong and what would be right, in words.
pub(crate) fn parse_numpy(file: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
    if archive::is_archive(file) {
        parse_npy(&archive::only_array(file)?)
    } else {
        parse_npy(file)
    }
}

fn parse_npy(file: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
    let not_npy = || "not a NumPy array; save it with numpy.save".to_owned();
    let [version, _, rest @ ..] = file.strip_prefix(b"\x93NUMPY").ok_or_else(not_npy)? else {
        return Err(not_npy());
    };
    // Version 1 has a header length of two bytes, later ones of four.
    let (length, rest) = match (*version, rest) {
        (1, [a, b, rest @ ..]) => (u32::from_le_bytes([*a, *b, 0, 0]), rest),
        (2 | 3, [a, b, c, d, rest @ ..]) => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        _ => return Err(not_npy()),
    };
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(not_npy)?;
    let Header {
        kind,
        is_fortran,
        shape,
    } = Header::parse(&String::from_utf8_lossy(header))?;
    let bytes = shape
        .iter()
        .try_fold(kind.size(), |product, side| product.checked_mul(*side));
    if bytes != Some(data.len()) {
        return Err(format!(
            "shape {shape:?} but {} bytes of numbers, {} each; the file may be truncated, save it again",
            data.len(),
            kind.size()
        ));
    }
    let values = kind.numbers(data);
    let values = if is_fortran {
        to_row_major(&values, &shape)
    } else {
        values
    };
    Ok((shape, values))
}

/// From the order in which the first index runs fastest to the one in which the last does.
fn to_row_major(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for side in shape {
        strides.push(stride);
        stride *= side;
    }
    let mut index = vec![0; shape.len()];
    let mut position = 0;
    let mut sorted = Vec::with_capacity(values.len());
    for _ in values {
        sorted.push(values[position]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            position += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            position -= index[axis] * strides[axis];
            index[axis] = 0;
        }
    }
    sorted
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn an_npy_file_is_magic_aligned_header_and_values() {
        let file = npy(&[1.0, -2.5], &[2, 1]);
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let length = usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = String::from_utf8_lossy(&file[10..10 + length]);
        assert!(header.contains("'shape': (2, 1,)") && header.ends_with('\n'));
        assert_eq!(
            &file[10 + length..],
            [1.0f32.to_le_bytes(), (-2.5f32).to_le_bytes()].as_flattened()
        );
    }

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY".to_vec();
        file.extend([version, 0]);
        let length = (header.len() as u32).to_le_bytes();
        file.extend(&length[..if version == 1 { 2 } else { 4 }]);
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    /// As `numpy.save` of numpy.arange(3.0) writes it, in the second version of the format.
    #[test]
    fn doubles_and_later_versions_are_read() {
        let data = [0.0_f64, 1.0, 2.0].map(f64::to_le_bytes);
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }      \n";
        let read = parse_npy(&file(2, header, data.as_flattened()));
        assert_eq!(read, Ok((vec![3], vec![0.0, 1.0, 2.0])));
    }

    #[test]
    fn other_files_say_what_is_wrong() {
        let header = |descr: &str, order: &str, shape: &str| {
            let header =
                format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
            parse_npy(&file(1, &header, &[0; 8])).unwrap_err()
        };
        assert!(header("'<c8'", "False", "(1,)").contains("of type <c8"));
        assert!(header("'|O'", "False", "(1,)").contains("of type |O"));
        assert!(header("[('x', '<f4')]", "False", "(1,)").contains("named fields"));
        assert!(header("'<f4'", "Maybe", "(2,)").contains("header"));
        assert!(header("'<f4'", "False", "(3,)").contains("truncated"));
        assert!(header("'<f4'", "False", "(-2,)").contains("header"));
        let huge = format!("({}, {0})", usize::MAX);
        assert!(header("'<f4'", "False", &huge).contains("truncated"));
        assert!(header("'<f4'", "True", &huge).contains("truncated"));
        assert!(parse_npy(b"\x89PNG").unwrap_err().contains("numpy.save"));
        assert!(parse_npy(b"\x93NUMPY\x01\x00\xff").is_err());
    }

    /// Files that `tests/golden/make_numpy_files.py` wrote, each of the array [[0, 1, 2], [3, 4, 100]] or, where a
    /// type has no such numbers, of what NumPy made of it in float32.
    #[test]
    fn every_kind_of_array_that_numpy_writes_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/numpy");
        let read = |name: &str| {
            let read = parse_numpy(&std::fs::read(folder.join(name)).unwrap());
            read.unwrap_or_else(|problem| panic!("{name}: {problem}"))
        };
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let expected = match name.split_once("-as-") {
                Some((_, expected)) => {
                    let (expected, _) = expected.split_once('.').unwrap();
                    read(&format!("{expected}.npy"))
                }
                None => continue,
            };
            let bits = |(shape, values): (Vec<usize>, Vec<f32>)| {
                let bits: Vec<_> = values.into_iter().map(f32::to_bits).collect();
                (shape, bits)
            };
            assert_eq!(bits(read(&name)), bits(expected), "{name}");
            count += 1;
        }
        assert_eq!(count, 37);
        assert_eq!(
            read("plain.npy"),
            (vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 100.0])
        );
    }

    #[test]
    fn an_archive_must_have_one_array() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/numpy");
        let refusal =
            |name: &str| parse_numpy(&std::fs::read(folder.join(name)).unwrap()).unwrap_err();
        let two = refusal("two.npz");
        assert!(two.contains("holds 2 arrays (a, b)"), "{two}");
        let none = refusal("none.npz");
        assert!(none.contains("no array"), "{none}");
        let mut damaged = std::fs::read(folder.join("compressed-as-plain.npz")).unwrap();
        let middle = damaged.len() / 2 - 40;
        damaged[middle] ^= 0x10;
        assert!(parse_numpy(&damaged).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(-1e30_f32..1e30, 0..50)) {
            let shape = vec![values.len(), 1];
            prop_assert_eq!(parse_npy(&npy(&values, &shape)), Ok((shape, values)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut file = b"\x93NUMPY\x01\x00".to_vec();
            file.extend(bytes);
            let _ = parse_numpy(&file);
        }
    }
}
