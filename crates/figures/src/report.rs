//! A run as one HTML page that opens from disk.

use std::path::Path;

use base64::Engine;
use image::RgbImage;

use crate::error::write_atomically;
use crate::html::{Table, append, append_table, escape};
use crate::image_grid::png_bytes;
use crate::{Figure, Result};

const STYLE: &str = include_str!("report.css");

/// Builds one self-contained page: headline and verdict, then pictures, then tables, then the
/// configuration and the command that repeats the run. Whatever the order of the calls, the page
/// keeps this order; within a part the order of the calls counts.
///
/// All texts are plain text and are escaped. The page needs no other file and no network, follows
/// the light or dark setting of the reader and fits small screens.
///
/// ```
/// use ebm_figures::{Report, Table};
///
/// let page = Report::new("eight Gaussians")
///     .verdict("Learning is stable.", "d swings about zero.")
///     .table(Table {
///         caption: "divergences (nats)".to_owned(),
///         header: vec!["pair".to_owned(), "value".to_owned()],
///         rows: vec![vec!["KL(learned ‖ true)".to_owned(), "0.021".to_owned()]],
///     })
///     .config("noise = 0.01")
///     .to_html();
/// assert!(page.contains("<td class=\"number\">0.021</td>"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Report {
    title: String,
    verdict: Option<(String, String)>,
    /// Finished HTML of the pictures, in order.
    pictures: Vec<String>,
    tables: Vec<Table>,
    config: Option<String>,
    command: Option<String>,
}

impl Report {
    /// An empty page with a title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// The outcome: one sentence, and a text whose lines become paragraphs. A later call replaces
    /// it.
    pub fn verdict(mut self, headline: impl Into<String>, text: impl Into<String>) -> Self {
        self.verdict = Some((headline.into(), text.into()));
        self
    }

    /// Adds a figure as inline SVG.
    pub fn figure(mut self, figure: &Figure, caption: &str) -> Self {
        // The viewBox scales the drawing to the page; its description is for screen readers.
        let label = format!(
            "<svg role=\"img\" aria-label=\"{}\" ",
            escape(figure.description())
        );
        let svg = figure.to_svg().replacen("<svg ", &label, 1);
        self.pictures.push(picture(&svg, caption));
        self
    }

    /// Adds an image, such as one of [`image_grid`](crate::image_grid()), as an embedded PNG.
    ///
    /// # Errors
    /// [`FiguresError::Png`](crate::FiguresError::Png) when encoding fails.
    pub fn image(self, image: &RgbImage, caption: &str) -> Result<Self> {
        Ok(self.png(&png_bytes(image)?, caption))
    }

    /// Adds an image from the bytes of a PNG file.
    pub fn png(mut self, png: &[u8], caption: &str) -> Self {
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        let html = format!(
            "<img alt=\"{}\" src=\"data:image/png;base64,{data}\">",
            escape(caption)
        );
        self.pictures.push(picture(&html, caption));
        self
    }

    /// Puts the last `count` pictures side by side, as far as the page is wide enough.
    pub fn side_by_side(mut self, count: usize) -> Self {
        let first = self.pictures.len().saturating_sub(count);
        let row = self.pictures.split_off(first).concat();
        if !row.is_empty() {
            self.pictures
                .push(format!("<div class=\"row\">\n{row}</div>\n"));
        }
        self
    }

    /// Adds a table.
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// The configuration of the run, as it stands in its file.
    pub fn config(mut self, config: impl Into<String>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// The command that repeats the run.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        if let Some((headline, text)) = &self.verdict {
            append(
                &mut page,
                format_args!(
                    "<div class=\"verdict\">\n<p class=\"headline\">{}</p>\n",
                    escape(headline)
                ),
            );
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                append(&mut page, format_args!("<p>{}</p>\n", escape(line)));
            }
            page.push_str("</div>\n");
        }
        for picture in &self.pictures {
            page.push_str(picture);
        }
        if !self.tables.is_empty() {
            page.push_str("<h2>Numbers</h2>\n");
        }
        for table in &self.tables {
            append_table(&mut page, table);
        }
        for (heading, block) in [("Configuration", &self.config), ("Command", &self.command)] {
            if let Some(block) = block {
                append(
                    &mut page,
                    format_args!(
                        "<h2>{heading}</h2>\n<pre>{}</pre>\n",
                        escape(block.trim_end())
                    ),
                );
            }
        }
        page.push_str("</body>\n</html>\n");
        page
    }

    /// Writes the page to a file.
    ///
    /// # Errors
    /// [`FiguresError::Write`](crate::FiguresError::Write).
    pub fn write_html(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path, self.to_html().as_bytes())
    }
}

fn picture(html: &str, caption: &str) -> String {
    format!(
        "<figure>\n<div class=\"sheet\">{html}</div>\n<figcaption>{}</figcaption>\n</figure>\n",
        escape(caption)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plot::{LineFigure, LineSeries, line_figure};

    const HOSTILE: &str = "<script>alert(1)</script>\" onload='x' &amp;";

    fn figure() -> Figure {
        line_figure(&LineFigure {
            title: HOSTILE.to_owned(),
            series: vec![LineSeries {
                name: HOSTILE.to_owned(),
                values: vec![1.0, 2.0],
            }],
            ..LineFigure::default()
        })
        .unwrap()
    }

    #[test]
    fn every_text_is_escaped() {
        let page = Report::new(HOSTILE)
            .verdict(HOSTILE, HOSTILE)
            .figure(&figure(), HOSTILE)
            .png(b"png", HOSTILE)
            .table(Table {
                caption: HOSTILE.to_owned(),
                header: vec![HOSTILE.to_owned()],
                rows: vec![vec![HOSTILE.to_owned()]],
            })
            .config(HOSTILE)
            .command(HOSTILE)
            .to_html();
        assert!(!page.contains("<script") && !page.contains("\" onload"));
        assert!(page.matches("&lt;script&gt;").count() >= 11);
    }

    #[test]
    fn the_page_is_self_contained_and_in_order() {
        let image = RgbImage::new(2, 2);
        let page = Report::new("run")
            .command("ebm run")
            .config("noise = 0.01")
            .table(Table::default())
            .image(&image, "samples")
            .unwrap()
            .figure(&figure(), "once")
            .figure(&figure(), "twice")
            .verdict("Stable.", "First line.\n\nSecond line.")
            .to_html();
        let places: Vec<usize> = [
            "<h1>",
            "Stable.",
            "<p>Second",
            "data:image/png",
            "once",
            "twice",
            "<table",
            "noise =",
            "ebm run",
        ]
        .iter()
        .map(|part| page.find(part).unwrap())
        .collect();
        assert!(places.is_sorted(), "{places:?}");
        // No element ids that could clash, and the name of the SVG format is the only address.
        assert!(!page.contains(" id="));
        assert_eq!(
            page.matches("http").count(),
            page.matches("http://www.w3.org/2000/svg").count()
        );
    }

    #[test]
    fn the_last_pictures_stand_in_a_row() {
        let page = Report::new("runs")
            .png(b"png", "first picture")
            .png(b"png", "second picture")
            .png(b"png", "third picture")
            .side_by_side(2)
            .to_html();
        let row = page.find("<div class=\"row\">").unwrap();
        assert!(page.find("first picture").unwrap() < row);
        assert!(row < page.find("second picture").unwrap());
        assert_eq!(page.matches("<figure>").count(), 3);
        let none = Report::new("").side_by_side(2).to_html();
        assert!(!none.contains("class=\"row\""));
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let page = Report::new("").to_html();
        assert!(page.ends_with("</html>\n") && !page.contains("<h2>"));
    }
}
