//! Work that may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What comes of work with a GPU runtime, which panics where others report errors, and what the first panic said, also
/// on another thread: runtimes work on their own, and all that reaches the caller is that these went away. Nothing is
/// printed meanwhile, by any thread of the process.
pub fn quietly<T>(work: impl FnOnce() -> T) -> (Option<T>, Option<String>) {
    let first = Arc::new(Mutex::new(None));
    let hook = std::panic::take_hook();
    let heard = Arc::clone(&first);
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or("it failed to start");
        let mut first = heard.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| said.to_owned());
    }));
    let answer = catch_unwind(AssertUnwindSafe(work)).ok();
    std::panic::set_hook(hook);
    let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
    (answer, first)
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::quietly;

    #[test]
    fn the_first_panic_is_heard_on_any_thread() {
        let (answer, heard) = quietly(|| {
            let other = std::thread::spawn(|| std::panic::panic_any("the cause".to_owned()));
            other.join().is_ok() || std::panic::panic_any("what follows".to_owned())
        });
        assert_eq!((answer, heard.as_deref()), (None, Some("the cause")));
        assert_eq!(quietly(|| 3), (Some(3), None));
    }
}
