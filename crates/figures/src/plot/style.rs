//! Colours and sizes that all figures share. Sizes are SVG units, about two per screen pixel.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle};

use super::fonts::FAMILY;

pub(crate) const INK: RGBColor = RGBColor(38, 43, 51);
pub(crate) const FAINT_INK: RGBColor = RGBColor(110, 118, 129);
pub(crate) const GRID: RGBColor = RGBColor(232, 234, 238);
pub(crate) const BAND: RGBColor = RGBColor(222, 226, 232);
pub(crate) const BLUE: RGBColor = RGBColor(47, 103, 158);
pub(crate) const ORANGE: RGBColor = RGBColor(201, 106, 42);
pub(crate) const RED: RGBColor = RGBColor(178, 58, 72);

/// Colours of series, in order; muted and distinct also to colour-blind readers.
pub(crate) const PALETTE: [RGBColor; 6] = [
    BLUE,
    ORANGE,
    RGBColor(62, 142, 122),
    RGBColor(135, 98, 160),
    RED,
    RGBColor(112, 120, 130),
];

pub(crate) const FIGURE_TITLE: i32 = 42;
pub(crate) const PANEL_TITLE: i32 = 33;
pub(crate) const LABEL: i32 = 28;
pub(crate) const NOTE: i32 = 25;

/// Text of a size and colour, anchored at its left top.
pub(crate) fn text(size: i32, colour: RGBColor) -> TextStyle<'static> {
    (FAMILY, size).into_font().color(&colour.mix(1.0))
}

/// The same text with its right end at the point.
pub(crate) fn right(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Right, VPos::Top))
}

/// The same text with the middle of its right end at the point.
pub(crate) fn right_centred(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Right, VPos::Center))
}

/// The same text centred on the point in both directions.
pub(crate) fn centred(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Center, VPos::Center))
}

/// Colour of a series by its position.
pub(crate) fn series_colour(position: usize) -> RGBColor {
    PALETTE[position % PALETTE.len()]
}
