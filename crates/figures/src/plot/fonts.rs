//! The bundled fonts: their measures for the layout, their outlines for PNG.

use std::sync::{Arc, OnceLock};

use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use plotters::style::FontStyle;
use resvg::usvg::fontdb;

use crate::{FiguresError, Result};

/// Family of every text. A viewer of the SVG uses its own sans-serif font; the PNG uses Ubuntu,
/// and Hack for the few signs that Ubuntu lacks (∇, ‖).
pub(crate) const FAMILY: &str = "sans-serif";

/// Tells `plotters` how wide texts are. Needed once per process, before the first figure.
pub(crate) fn register() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        plotters::style::register_font(FAMILY, FontStyle::Normal, UBUNTU_LIGHT).is_ok()
    });
    if *registered {
        return Ok(());
    }
    Err(FiguresError::Drawing(
        "the bundled font cannot be read; rebuild the program".to_owned(),
    ))
}

/// The fonts for rendering; never those of the machine, so that a figure looks the same everywhere.
pub(crate) fn database() -> Arc<fontdb::Database> {
    static DATABASE: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let database = DATABASE.get_or_init(|| {
        let mut database = fontdb::Database::new();
        database.load_font_data(UBUNTU_LIGHT.to_vec());
        database.load_font_data(HACK_REGULAR.to_vec());
        let family = database
            .faces()
            .next()
            .and_then(|face| face.families.first())
            .map(|(name, _)| name.clone());
        if let Some(family) = family {
            database.set_sans_serif_family(family);
        }
        Arc::new(database)
    });
    Arc::clone(database)
}
