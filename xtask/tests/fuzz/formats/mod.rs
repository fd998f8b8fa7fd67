//! What files are made of.

mod arrays;
mod images;
mod json;
mod pickle;
mod tar;
mod zip;

/// A format that is known by its first bytes.
pub(crate) struct Format {
    is: fn(&[u8]) -> bool,
    /// The parts of a file.
    pub(crate) open: fn(&[u8]) -> Option<Vec<Vec<u8>>>,
    /// A file of these parts, with lengths and checksums that fit them.
    pub(crate) close: fn(&[Vec<u8>]) -> Vec<u8>,
    /// What may stand in it.
    pub(crate) words: &'static [&'static [u8]],
}

static ALL: [Format; 10] = [
    zip::ZIP,
    tar::GZIP,
    tar::TAR,
    images::PNG,
    images::JPEG,
    arrays::NPY,
    arrays::SAFETENSORS,
    arrays::IDX,
    pickle::PICKLE,
    json::JSON,
];

pub(crate) use tar::gzip;

pub(crate) fn of(bytes: &[u8]) -> Option<&'static Format> {
    ALL.iter().find(|format| (format.is)(bytes))
}

/// As many bytes as there are, from there on.
fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at(at.min(bytes.len()))
}
