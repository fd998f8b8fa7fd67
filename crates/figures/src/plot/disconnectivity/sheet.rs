//! The lines, circles, pictures and texts of a disconnectivity graph on their sheet.

use std::ops::Range;

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::super::canvas::{Area, PlacedImage, clean, drawing_error};
use super::super::fonts;
use super::super::panel::{join_notes, write};
use super::super::scale::with_margin;
use super::super::style::{self, FAINT_INK, GRID, INK};
use super::Disconnectivity;
use super::leaf::{Leaf, text_width};
use super::tree::Tree;
use crate::Result;
use ebm_diagnostics::number_format::tick_label;

const SMALLEST_WIDTH: i32 = 1200;
/// Space left of the graph for the axis, and right of it.
const LEFT: i32 = 170;
const RIGHT: i32 = 50;
/// Where the title, the note and the caption of the axis begin.
const TEXT_LEFT: i32 = 40;
/// Top and smallest height of the axis, and its height in proportion to the width of a wide sheet.
const TOP: i32 = 180;
const SMALLEST_HEIGHT: i32 = 760;
const PROPORTION: f64 = 0.28;
const BOTTOM: i32 = 40;

/// Space between the contents of two columns, and widest column of a graph that has place to spare.
const GAP: i32 = 20;
const WIDE_COLUMN: i32 = 240;

/// Sizes and contents, before anything is drawn.
pub(crate) struct Sheet<'f> {
    tree: &'f Tree,
    basins: Vec<Leaf>,
    /// Clusters of each merge.
    merges: Vec<[usize; 2]>,
    title: String,
    note: String,
    /// Energies from the lower to the upper end of the axis.
    axis: Range<f64>,
    /// Horizontal place of column 0, and distance of two columns.
    first_column: f64,
    column: f64,
    /// Lower end of the axis.
    bottom: i32,
    size: (u32, u32),
}

impl<'f> Sheet<'f> {
    /// Lays out a checked figure.
    pub(crate) fn new(figure: &Disconnectivity<'_>, tree: &'f Tree) -> Result<Self> {
        fonts::register()?;
        let count = figure.basins.len();
        let most = figure.basins.iter().map(|b| b.members).max().unwrap_or(1);
        // Fewer basins leave more place for each name.
        let longest = (6000 / count as i32).clamp(100, 240);
        let basins = figure
            .basins
            .iter()
            .map(|basin| Leaf::new(basin, figure.state_shape, most, longest))
            .collect::<Result<Vec<_>>>()?;
        let mut content = 0;
        for basin in &basins {
            content = content.max(basin.width()?);
        }
        let title = clean(&figure.title);
        let note = join_notes(&[
            "circle: minimum, area by members (×)".to_owned(),
            if figure.merges.is_empty() {
                String::new()
            } else {
                "join: lowest barrier found".to_owned()
            },
            if tree.roots.len() > 1 {
                "dashed: no connection found".to_owned()
            } else {
                String::new()
            },
        ]);

        let needed = (content + GAP) * count as i32;
        let width = (LEFT + needed + RIGHT)
            .max(SMALLEST_WIDTH)
            .max(text_width(&title, style::FIGURE_TITLE)? + 2 * TEXT_LEFT)
            .max(text_width(&note, style::NOTE)? + 2 * TEXT_LEFT);
        let place = width - LEFT - RIGHT;
        let column = (place / count as i32).min(WIDE_COLUMN.max(content + GAP));
        let unused = place - column * count as i32;

        let energies = || tree.clusters.iter().map(|cluster| cluster.energy);
        let axis = with_margin(
            energies().fold(f64::INFINITY, f64::min),
            energies().fold(f64::NEG_INFINITY, f64::max),
        );
        let mut sheet = Self {
            tree,
            basins,
            merges: figure.merges.iter().map(|merge| merge.clusters).collect(),
            title,
            note,
            axis,
            first_column: f64::from(LEFT) + 0.5 * f64::from(unused + column),
            column: f64::from(column),
            bottom: TOP + SMALLEST_HEIGHT.max((PROPORTION * f64::from(width)).round() as i32),
            size: (width as u32, 0),
        };
        let lowest = (0..count)
            .map(|basin| sheet.place(basin).1 + sheet.basins[basin].height())
            .fold(sheet.bottom, i32::max);
        sheet.size.1 = (lowest + BOTTOM) as u32;
        Ok(sheet)
    }

    /// Width and height in SVG units.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Draws everything but the pictures, which it returns.
    pub(crate) fn draw(&self, area: &Area<'_>) -> Result<Vec<PlacedImage>> {
        let title = style::text(style::FIGURE_TITLE, INK);
        write(area, &self.title, (TEXT_LEFT, 28), title)?;
        let small = style::text(style::NOTE, FAINT_INK);
        write(area, &self.note, (TEXT_LEFT, 84), small)?;
        self.draw_axis(area)?;
        self.draw_lines(area)?;
        let mut pictures = Vec::new();
        for (basin, leaf) in self.basins.iter().enumerate() {
            pictures.extend(leaf.draw(area, self.place(basin))?);
        }
        Ok(pictures)
    }

    fn draw_axis(&self, area: &Area<'_>) -> Result<()> {
        let unit = style::text(style::LABEL, INK);
        write(area, "energy U (nats)", (TEXT_LEFT, TOP - 50), unit)?;
        let right = self.size.0 as i32 - RIGHT;
        let span = self.axis.end - self.axis.start;
        for tick in RangedCoordf64::from(self.axis.clone()).key_points(8_usize) {
            let y = self.height_of(tick);
            let lines = [
                ([(LEFT, y), (right, y)], GRID),
                ([(LEFT - 8, y), (LEFT, y)], FAINT_INK),
            ];
            for (line, colour) in lines {
                area.draw(&PathElement::new(line, colour.stroke_width(2)))
                    .map_err(drawing_error)?;
            }
            let label = style::right_centred(style::text(style::LABEL, INK));
            write(area, &tick_label(tick, span), (LEFT - 16, y), label)?;
        }
        let axis = [(LEFT, TOP), (LEFT, self.bottom)];
        area.draw(&PathElement::new(axis, FAINT_INK.stroke_width(2)))
            .map_err(drawing_error)
    }

    fn draw_lines(&self, area: &Area<'_>) -> Result<()> {
        let line = INK.stroke_width(3);
        for (index, [a, b]) in self.merges.iter().enumerate() {
            let level = self.place(self.basins.len() + index).1;
            let (from, to) = (self.place(*a), self.place(*b));
            let path = [from, (from.0, level), (to.0, level), to];
            area.draw(&PathElement::new(path, line))
                .map_err(drawing_error)?;
        }
        for root in &self.tree.roots {
            let (x, y) = self.place(*root);
            let stem = [(x, y), (x, TOP)];
            if self.tree.roots.len() == 1 {
                area.draw(&PathElement::new(stem, line))
                    .map_err(drawing_error)?;
            } else {
                area.draw(&DashedPathElement::new(stem, 12, 10, line))
                    .map_err(drawing_error)?;
            }
        }
        Ok(())
    }

    /// Where the upright line of a cluster begins.
    fn place(&self, cluster: usize) -> (i32, i32) {
        let cluster = &self.tree.clusters[cluster];
        let x = self.first_column + self.column * cluster.column;
        (x.round() as i32, self.height_of(cluster.energy))
    }

    /// Vertical place of an energy.
    fn height_of(&self, energy: f64) -> i32 {
        let below = (self.axis.end - energy) / (self.axis.end - self.axis.start);
        TOP + (below * f64::from(self.bottom - TOP)).round() as i32
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::leaf::LARGEST_RADIUS;
    use super::super::{Basin, Merge};
    use super::*;

    fn basin(label: &str, energy: f64, members: usize) -> Basin<'static> {
        Basin {
            label: label.to_owned(),
            energy,
            members,
            pixels: None,
        }
    }

    fn sheet_of<R>(figure: &Disconnectivity<'_>, look: impl FnOnce(&Sheet<'_>) -> R) -> R {
        let minima: Vec<f64> = figure.basins.iter().map(|b| b.energy).collect();
        let tree = Tree::new(&minima, figure.merges).unwrap();
        look(&Sheet::new(figure, &tree).unwrap())
    }

    #[test]
    fn lines_join_at_their_energy_between_their_columns() {
        let basins = [basin("a", 0.0, 4), basin("b", 2.0, 1), basin("c", 8.0, 1)];
        let merges = [
            Merge {
                clusters: [0, 1],
                barrier: 6.0,
            },
            Merge {
                clusters: [2, 3],
                barrier: 10.0,
            },
        ];
        let figure = Disconnectivity {
            title: String::new(),
            basins: &basins,
            merges: &merges,
            state_shape: None,
        };
        sheet_of(&figure, |sheet| {
            // 8 % of the span of 10 nats are left free on both sides: 11.6 nats on 760 units.
            assert!(
                (sheet.axis.start + 0.8).abs() < 1e-12 && (sheet.axis.end - 10.8).abs() < 1e-12
            );
            let heights: Vec<i32> = (0..5).map(|cluster| sheet.place(cluster).1).collect();
            let expected = [10.8, 8.8, 2.8, 4.8, 0.8]
                .map(|below: f64| TOP + (below / 11.6 * f64::from(SMALLEST_HEIGHT)).round() as i32);
            assert_eq!(heights, expected);
            // Three columns of 240 units in the middle of 980.
            assert_eq!(sheet.size.0, 1200);
            let places: Vec<i32> = (0..5).map(|cluster| sheet.place(cluster).0).collect();
            assert_eq!(places, [420, 660, 900, 540, 720]);
            // The area of the largest circle is 4 times that of the others.
            let radii: Vec<i32> = sheet.basins.iter().map(|leaf| leaf.radius).collect();
            assert_eq!(radii, [24, 12, 12]);
        });
    }

    #[test]
    fn many_basins_widen_the_sheet_and_keep_their_contents_apart() {
        let pixels = vec![0.5_f32; 3 * 32 * 24];
        let basins: Vec<Basin<'_>> = (0..30)
            .map(|index| Basin {
                label: format!("a name that is far too long {index}"),
                members: 1_000 * (index + 1),
                pixels: Some(&pixels),
                ..basin("", -(index as f64), 1)
            })
            .collect();
        let figure = Disconnectivity {
            title: "t".to_owned(),
            basins: &basins,
            merges: &[],
            state_shape: Some([3, 32, 24]),
        };
        sheet_of(&figure, |sheet| {
            for leaf in &sheet.basins {
                assert!(leaf.width().unwrap() + GAP <= sheet.column as i32);
                assert!(leaf.label.ends_with('…'), "{}", leaf.label);
                // Four times as large, and 2 white pixels around.
                let picture = leaf.picture.as_ref().unwrap();
                assert_eq!((picture.width, picture.height), (100, 132));
            }
            let column = |basin: usize| sheet.place(basin).0;
            // The deepest is the last one and stands on the left.
            assert!(column(29) - sheet.column as i32 / 2 >= LEFT);
            assert!(column(0) + sheet.column as i32 / 2 <= sheet.size.0 as i32 - RIGHT);
            let smallest = sheet.basins[0].radius;
            assert_eq!(smallest, (LARGEST_RADIUS / 30.0_f64.sqrt()).round() as i32);
            let lowest = sheet.place(29).1 + sheet.basins[29].height();
            assert_eq!(sheet.size.1 as i32, lowest + BOTTOM);
        });
    }
}
