//! What appears on the screen: log lines, plain messages and progress bars that do not overwrite each other.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Standard error with room for progress bars.
#[derive(Clone)]
pub(crate) struct Screen {
    bars: Arc<MultiProgress>,
    is_quiet: bool,
}

impl Screen {
    /// Prints a line above the progress bars, also when quiet. A reader that has gone away is no reason to fail.
    pub(crate) fn say(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }

    /// Prints a line to standard output unless quiet. A reader that has gone away is no reason to fail.
    pub(crate) fn tell(&self, text: &str) {
        if !self.is_quiet {
            self.bars.suspend(|| {
                let _ = writeln!(io::stdout(), "{text}");
            });
        }
    }

    /// A progress bar of `length`; hidden when quiet or when standard error is no terminal.
    pub(crate) fn bar(&self, length: u64, template: &str) -> ProgressBar {
        let bar = if self.is_quiet {
            ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden())
        } else {
            self.bars.add(ProgressBar::new(length))
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar
    }

    /// Whether nobody sees bars: then progress goes to the log.
    pub(crate) fn has_no_bars(&self) -> bool {
        self.is_quiet || self.bars.is_hidden()
    }
}

/// Starts logging to standard error. Without `RUST_LOG` our warnings are shown, and progress too where there is no
/// terminal for a bar.
pub(crate) fn init(as_json: bool, is_quiet: bool) -> Screen {
    let screen = Screen {
        bars: Arc::new(MultiProgress::new()),
        is_quiet,
    };
    let ours = match (is_quiet, screen.bars.is_hidden()) {
        (true, _) => "error",
        (false, true) => "info",
        (false, false) => "warn",
    };
    // Libraries warn about what no user can mend, such as a glyph that comes from the second font.
    // What `auto` chose is an answer to the user, not progress.
    let chosen = if is_quiet { "error" } else { "info" };
    let default = format!("error,xtask={ours},xtask::backend::choice={chosen}");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(LineWriter(screen.clone()));
    // Only a second call could fail, and there is none.
    let _ = if as_json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
    screen
}

#[derive(Clone)]
struct LineWriter(Screen);

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A failure here would make the subscriber complain to the same closed pipe, and panic over that.
        self.0.bars.suspend(|| {
            let _ = io::stderr().write_all(bytes);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
