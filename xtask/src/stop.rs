//! Ctrl-C: the first asks to stop with a checkpoint, the second ends at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A flag that Ctrl-C, SIGTERM and a closed terminal raise.
///
/// Where no handler can be installed, signals keep their usual effect and the flag stays down.
pub(crate) fn on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = install(&stop) {
        tracing::warn!("Ctrl-C will end the run without a checkpoint: {error}");
    }
    stop
}

fn install(stop: &Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    if !ignores_hangup() {
        signals.push(signal_hook::consts::SIGHUP);
    }
    // This is registered before what raises the flag, so that the first Ctrl-C does not end the process. Only a
    // second Ctrl-C does: other signals may come twice by themselves, as from `timeout`, which signals the process
    // and then its group.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(stop))?;
    for signal in signals {
        flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}

/// Whether this process was started to outlive its terminal, as `nohup` does. A handler of ours would undo that.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    // Only Linux tells this without unsafe code. Elsewhere hang-ups are not handled, because that could end a run
    // under nohup.
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return true;
    };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_none_or(|mask| mask & (1 << (signal_hook::consts::SIGHUP - 1)) != 0)
}
