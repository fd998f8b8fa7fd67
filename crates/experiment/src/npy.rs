//! Arrays in NumPy's format (NEP 1).

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

/// Shape and values of an array of little-endian f32 or f64 in C order, of any version of the format.
///
/// # Errors
/// What is wrong and what would be right, in words.
pub(crate) fn parse_npy(file: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
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
    let header = String::from_utf8_lossy(header);
    if entry(&header, "fortran_order")?.trim_end_matches(',') != "False" {
        return Err("in Fortran order; save numpy.ascontiguousarray of it".into());
    }
    let shape = shape_of(&header).ok_or("its shape is not readable; save it again")?;
    let count = shape
        .iter()
        .try_fold(1_usize, |product, side| product.checked_mul(*side));
    let values: Vec<f32> = match entry(&header, "descr")?.trim_matches([',', '\'', '"']) {
        "<f4" => lanes::<4>(data).map(f32::from_le_bytes).collect(),
        "<f8" => lanes::<8>(data)
            .map(|bytes| f64::from_le_bytes(bytes) as f32)
            .collect(),
        other => {
            return Err(format!(
                "of type {other}, f32 or f64 is needed; save its .astype(numpy.float32)"
            ));
        }
    };
    if count != Some(values.len()) {
        return Err(format!(
            "shape {shape:?} but {} values; the file may be truncated, save it again",
            values.len()
        ));
    }
    Ok((shape, values))
}

/// The first word of the value of a key in the header, which is a Python dict.
fn entry<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    header
        .split_once(&format!("'{key}':"))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .ok_or_else(|| format!("its header has no {key}; save it again"))
}

fn shape_of(header: &str) -> Option<Vec<usize>> {
    let (_, rest) = header.split_once("'shape':")?;
    let (_, rest) = rest.split_once('(')?;
    let (sides, _) = rest.split_once(')')?;
    sides
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.parse().ok())
        .collect()
}

fn lanes<const BYTES: usize>(data: &[u8]) -> impl Iterator<Item = [u8; BYTES]> {
    data.as_chunks().0.iter().copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
                format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
            parse_npy(&file(1, &header, &[0; 8])).unwrap_err()
        };
        assert!(header("<i4", "False", "(2,)").contains("of type <i4"));
        assert!(header("<f4", "True", "(2,)").contains("Fortran"));
        assert!(header("<f4", "False", "(3,)").contains("truncated"));
        assert!(header("<f4", "False", "(-2,)").contains("shape"));
        let huge = format!("({}, {0})", usize::MAX);
        assert!(header("<f4", "False", &huge).contains("truncated"));
        assert!(parse_npy(b"\x89PNG").unwrap_err().contains("numpy.save"));
        assert!(parse_npy(b"\x93NUMPY\x01\x00\xff").is_err());
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
            let _ = parse_npy(&file);
        }
    }
}
