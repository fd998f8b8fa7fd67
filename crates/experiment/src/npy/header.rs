//! The header of an .npy file, which is a Python dict.

use super::kind::NumberKind;

/// What the header says.
pub(super) struct Header {
    pub(super) kind: NumberKind,
    /// Whether the first index runs fastest.
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// # Errors
    /// What is wrong and what would be right, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut kind = None;
        let mut is_fortran = None;
        let mut shape = None;
        let mut rest = Rest(text);
        let unreadable = || "its header is not readable; save it again with numpy.save".to_owned();
        rest.take("{").ok_or_else(unreadable)?;
        while rest.take("}").is_none() {
            let key = rest.text().ok_or_else(unreadable)?;
            rest.take(":").ok_or_else(unreadable)?;
            match key {
                "descr" if rest.take("[").is_some() => {
                    return Err("of named fields; save one of them, its array[\"FIELD\"]".into());
                }
                "descr" => kind = Some(NumberKind::named(rest.text().ok_or_else(unreadable)?)?),
                "fortran_order" => is_fortran = Some(rest.truth().ok_or_else(unreadable)?),
                "shape" => shape = Some(rest.sides().ok_or_else(unreadable)?),
                _ => return Err(unreadable()),
            }
            // Without a comma the dict must end here.
            if rest.take(",").is_none() && !rest.0.trim_start().starts_with('}') {
                return Err(unreadable());
            }
        }
        match (kind, is_fortran, shape) {
            (Some(kind), Some(is_fortran), Some(shape)) => Ok(Self {
                kind,
                is_fortran,
                shape,
            }),
            _ => Err(unreadable()),
        }
    }
}

/// The part of the header that is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(word)?;
        Some(())
    }

    /// A text in single or double quotes; none here has an escape.
    fn text(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let quote = rest.chars().next().filter(|&c| c == '\'' || c == '"')?;
        let (text, rest) = rest[1..].split_once(quote)?;
        self.0 = rest;
        Some(text)
    }

    fn truth(&mut self) -> Option<bool> {
        if self.take("True").is_some() {
            return Some(true);
        }
        self.take("False").map(|()| false)
    }

    /// A tuple of numbers; Python 2 ends long ones with an L.
    fn sides(&mut self) -> Option<Vec<usize>> {
        self.take("(")?;
        let (sides, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let side = |side: &str| side.strip_suffix('L').unwrap_or(side).parse().ok();
        let sides = sides.split(',').map(str::trim);
        sides.filter(|text| !text.is_empty()).map(side).collect()
    }
}
