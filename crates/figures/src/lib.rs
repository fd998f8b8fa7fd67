#![doc = include_str!("../README.md")]

mod error;
mod html;
mod image_grid;
pub mod plot;
mod report;

pub use error::{FiguresError, Result};
pub use html::Table;
pub use image_grid::{image_grid, png_bytes, write_png};
pub use plot::Figure;
pub use report::Report;

/// The image type that [`image_grid`](image_grid()) returns.
pub use image::RgbImage;
