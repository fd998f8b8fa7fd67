//! What appears on the screen: log lines, plain messages and progress bars that do not overwrite each other.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ebm_experiment::{NextStep, Progress, Supervisor, Work};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::advice::command;
use crate::stop::on_interrupt;

/// Standard error with room for progress bars.
#[derive(Clone)]
pub(crate) struct Screen {
    bars: Arc<MultiProgress>,
    is_quiet: bool,
    /// Raised by Ctrl-C, once somebody has asked for it.
    stop: Arc<OnceLock<Arc<AtomicBool>>>,
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

    /// Watches for Ctrl-C from now on.
    fn on_interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(self.stop.get_or_init(on_interrupt))
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

    /// Whether no terminal shows bars; progress then goes to the log.
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
        stop: Arc::default(),
    };
    let ours = match (is_quiet, screen.bars.is_hidden()) {
        (true, _) => "error",
        (false, true) => "info",
        (false, false) => "warn",
    };
    // Libraries warn about what no user can mend, such as a glyph that comes from the second font.
    // What `auto` chose is an answer to the user, not progress.
    let chosen = if is_quiet { "error" } else { "info" };
    let default = format!("error,ebm={ours},ebm_experiment={ours},ebm::backend::choice={chosen}");
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

impl Supervisor for Screen {
    fn tell(&self, line: &str) {
        Self::tell(self, line);
    }

    fn warn(&self, line: &str) {
        self.say(line);
    }

    fn begin(&self, work: Work, done: u64, length: u64) -> Box<dyn Progress> {
        let template = match work {
            Work::LongRun => "  long run {bar:20} {pos}/{len} steps, {eta} left",
            Work::Evaluation => "{bar:24} {pos}/{len} steps  {msg}  {elapsed} gone, {eta} left",
            Work::Diagnosis | Work::Likelihood => {
                "{bar:24} {percent}%  {msg}  {elapsed} gone, {eta} left"
            }
            _ => "{bar:24} {pos}/{len}  {msg}  {elapsed} gone",
        };
        let bar = self.bar(length, template);
        bar.set_position(done);
        // The time left is estimated from the work of this process, not from that of an earlier one.
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_secs(1));
        Box::new(Bar(bar))
    }

    fn stop_flag(&self) -> Arc<AtomicBool> {
        self.on_interrupt()
    }

    fn command(&self, step: NextStep<'_>) -> Option<String> {
        command(step)
    }
}

/// A bar that disappears when the work is done.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn advance_to(&mut self, done: u64, length: u64) {
        self.0.set_length(length);
        self.0.set_position(done);
    }

    fn message(&mut self, message: &str) {
        self.0.set_message(message.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
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
