//! Figures, each available as SVG and as PNG.
//!
//! A figure is drawn once, as SVG. The PNG is that SVG rendered by `resvg` with the bundled fonts,
//! so both show the same picture, smooth and independent of the fonts of the machine.

mod canvas;
mod chain_energies;
mod correlations;
mod diagnostic;
mod disconnectivity;
mod fonts;
mod landscape;
mod line;
mod panel;
mod plane;
mod raster;
mod scale;
mod spreads;
mod style;
mod transition;

use std::path::Path;

use image::{Rgb, RgbImage};

pub use chain_energies::{ChainEnergies, chain_energy_figure};
pub use correlations::{CorrelationOptions, correlation_figure};
pub use diagnostic::{DiagnosticOptions, diagnostic_figure};
pub use disconnectivity::{Basin, Disconnectivity, Merge, disconnectivity_figure};
pub use landscape::{Landscape, density_figure};
pub use line::{LineFigure, LineSeries, Reference, line_figure};
pub use plane::{Plane, PlanePoint, plane_figure};
pub use spreads::{SpreadFigure, SpreadRow, spread_figure};
pub use transition::{Transition, transition_figure};

use crate::error::write_atomically;
use crate::image_grid::png_bytes;
use crate::{FiguresError, Result};

/// A drawn figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    svg: String,
    description: String,
}

impl Figure {
    /// The figure as a self-contained SVG document. It has no element ids, so several figures can
    /// stand in one page.
    #[must_use]
    pub fn to_svg(&self) -> String {
        self.svg.clone()
    }

    /// One sentence that says what the figure shows, for readers who do not see it.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The figure as the bytes of a PNG file, one pixel per SVG unit.
    ///
    /// # Errors
    /// [`FiguresError::Png`] when rendering or encoding fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        use resvg::{tiny_skia, usvg};

        let failed = |what: &dyn std::fmt::Display| FiguresError::Png(what.to_string());
        let options = usvg::Options {
            fontdb: fonts::database(),
            ..usvg::Options::default()
        };
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(|e| failed(&e))?;
        let size = tree.size().to_int_size();
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
            .ok_or_else(|| failed(&"the figure has no area"))?;
        resvg::render(
            &tree,
            tiny_skia::Transform::identity(),
            &mut pixels.as_mut(),
        );
        // Figures are opaque. This encoder takes a fifth of the time of the renderer's own, for files a little larger.
        let opaque = RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
            let colour = pixels.pixel(x, y);
            Rgb(colour.map_or([255; 3], |c| [c.red(), c.green(), c.blue()]))
        });
        png_bytes(&opaque)
    }

    /// Writes the figure as a PNG file.
    ///
    /// # Errors
    /// As [`Figure::to_png`], and [`FiguresError::Write`].
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path, &self.to_png()?)
    }

    /// Writes the figure as an SVG file.
    ///
    /// # Errors
    /// [`FiguresError::Write`].
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path, self.svg.as_bytes())
    }
}
