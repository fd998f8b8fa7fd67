//! The leaf below the line of a basin: its circle, its picture, its name and the number of its members.

use image::imageops::{FilterType, resize};
use plotters::prelude::*;

use super::super::canvas::{Area, PlacedImage, clean, drawing_error};
use super::super::panel::write;
use super::super::style::{self, BLUE, FAINT_INK, INK};
use super::Basin;
use crate::Result;
use crate::image_grid::{image_grid, png_bytes};
use ebm_diagnostics::number_format::thousands;

/// Radius of the circle of the largest basin, and of the smallest dot.
pub(crate) const LARGEST_RADIUS: f64 = 24.0;
const SMALLEST_RADIUS: f64 = 4.0;
/// Side to which the pixels of small pictures are enlarged, about, and to which large pictures are reduced.
const PICTURE: f64 = 112.0;
const LARGEST_PICTURE: u32 = 132;

/// Contents and sizes, before anything is drawn.
pub(crate) struct Leaf {
    pub(crate) radius: i32,
    pub(crate) picture: Option<Picture>,
    pub(crate) label: String,
    members: String,
}

/// An encoded picture of its final size.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    png: Vec<u8>,
}

impl Leaf {
    pub(crate) fn new(
        basin: &Basin<'_>,
        state_shape: Option<[usize; 3]>,
        most: usize,
        longest: i32,
    ) -> Result<Self> {
        let share = basin.members as f64 / most as f64;
        let radius = (LARGEST_RADIUS * share.sqrt()).max(SMALLEST_RADIUS);
        let picture = basin
            .pixels
            .zip(state_shape)
            .map(|(pixels, shape)| Picture::new(pixels, shape))
            .transpose()?;
        Ok(Self {
            radius: radius.round() as i32,
            picture,
            label: shortened(clean(&basin.label), longest)?,
            members: format!("×{}", thousands(basin.members as u64)),
        })
    }

    /// Width of all that is drawn.
    pub(crate) fn width(&self) -> Result<i32> {
        let picture = self.picture.as_ref().map_or(0, |p| p.width as i32);
        Ok((2 * self.radius).max(picture).max(self.text_width()?))
    }

    fn text_width(&self) -> Result<i32> {
        Ok(text_width(&self.label, style::LABEL)?.max(text_width(&self.members, style::NOTE)?))
    }

    /// Distance from the minimum to the lower end of all that is drawn.
    pub(crate) fn height(&self) -> i32 {
        self.text_middle() + 46
    }

    /// Distance from the minimum to the middle of the first line of text.
    fn text_middle(&self) -> i32 {
        let picture = self.picture.as_ref().map_or(0, |p| p.height as i32 + 6);
        self.radius + 6 + picture + 16
    }

    /// Draws all but the picture, which it returns, below the minimum at this place.
    pub(crate) fn draw(&self, area: &Area<'_>, (x, y): (i32, i32)) -> Result<Option<PlacedImage>> {
        area.draw(&Circle::new((x, y), self.radius, BLUE.filled()))
            .map_err(drawing_error)?;
        let first = y + self.text_middle();
        let half = self.text_width()? / 2 + 4;
        // No line of the grid runs through the texts.
        let ground = [(x - half, first - 16), (x + half, first + 46)];
        area.draw(&Rectangle::new(ground, WHITE.filled()))
            .map_err(drawing_error)?;
        let label = style::centred(style::text(style::LABEL, INK));
        write(area, &self.label, (x, first), label)?;
        let members = style::centred(style::text(style::NOTE, FAINT_INK));
        write(area, &self.members, (x, first + 32), members)?;
        Ok(self.picture.as_ref().map(|picture| PlacedImage {
            left: x - picture.width as i32 / 2,
            top: y + self.radius + 6,
            width: picture.width,
            height: picture.height,
            png: picture.png.clone(),
        }))
    }
}

impl Picture {
    /// Small pixels are enlarged to squares, large pictures reduced.
    fn new(pixels: &[f32], [channels, height, width]: [usize; 3]) -> Result<Self> {
        let longest = height.max(width).max(1);
        let scale = (PICTURE / longest as f64).round().max(1.0);
        let mut picture = image_grid(pixels, [1, channels, height, width], 1, scale as usize)?;
        let longest = picture.width().max(picture.height());
        if longest > LARGEST_PICTURE {
            let reduced = |side: u32| {
                let side = f64::from(side) * f64::from(LARGEST_PICTURE) / f64::from(longest);
                (side.round() as u32).max(1)
            };
            let (width, height) = (reduced(picture.width()), reduced(picture.height()));
            picture = resize(&picture, width, height, FilterType::Triangle);
        }
        Ok(Self {
            width: picture.width(),
            height: picture.height(),
            png: png_bytes(&picture)?,
        })
    }
}

/// The text itself, or its beginning with an ellipsis if it is longer than `longest` units.
fn shortened(text: String, longest: i32) -> Result<String> {
    if text_width(&text, style::LABEL)? <= longest {
        return Ok(text);
    }
    // No character is narrower than a few units, so this many are enough.
    let mut characters: Vec<char> = text.chars().take(longest as usize / 4).collect();
    loop {
        let mut short: String = characters.iter().collect();
        short.truncate(short.trim_end().len());
        short.push('…');
        if characters.is_empty() || text_width(&short, style::LABEL)? <= longest {
            return Ok(short);
        }
        characters.pop();
    }
}

/// Width of a line of text of this size.
pub(crate) fn text_width(text: &str, size: i32) -> Result<i32> {
    let (width, _) = style::text(size, INK)
        .font
        .box_size(text)
        .map_err(drawing_error)?;
    Ok(width as i32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn large_and_odd_pictures_are_brought_to_size() {
        for (shape, size) in [
            ([1, 28, 28], (116, 116)),
            ([1, 1, 1], (116, 116)),
            ([3, 64, 64], (132, 132)),
            ([1, 256, 128], (132, 67)),
            ([1, 1, 4000], (1, 132)),
        ] {
            let pixels = vec![0.0; shape.iter().product()];
            let picture = Picture::new(&pixels, shape).unwrap();
            assert_eq!((picture.height, picture.width), size, "{shape:?}");
        }
    }
}
