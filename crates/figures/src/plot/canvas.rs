//! The sheet on which a figure is drawn.

use std::fmt::{Display, Write};

use base64::Engine;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Figure, fonts};
use crate::{FiguresError, Result};

/// A drawing area without coordinates of its own.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A PNG image at a place of the figure, in SVG units.
pub(crate) struct PlacedImage {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) png: Vec<u8>,
}

/// Draws a figure on white. The images that `draw` returns go on top of what it drew: as images
/// and not as one rectangle per pixel, which would make a file of tens of megabytes.
pub(crate) fn draw_figure(
    size: (u32, u32),
    description: String,
    draw: impl FnOnce(&Area<'_>) -> Result<Vec<PlacedImage>>,
) -> Result<Figure> {
    fonts::register()?;
    let mut svg = String::new();
    let images = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(drawing_error)?;
        let images = draw(&area)?;
        area.present().map_err(drawing_error)?;
        images
    };
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    let tail = svg.split_off(end);
    for image in images {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&image.png);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            r#"<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none" href="data:image/png;base64,{encoded}"/>"#,
            image.left, image.top, image.width, image.height,
        );
    }
    svg.push_str(&tail);
    Ok(Figure { svg, description })
}

/// A `plotters` error as one of this crate.
pub(crate) fn drawing_error(error: impl Display) -> FiguresError {
    FiguresError::Drawing(error.to_string())
}

/// A title or name from outside without control characters, which SVG does not allow.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect()
}
