//! What the last nets made necessary, for the next run of the same.

use std::sync::{Arc, Mutex, PoisonError};

use cubecl::server::Handle;

/// Kinds of runs that take turns: chains, watchers with other numbers of chains, their last blocks.
const MOST: usize = 8;

type Entry<K> = (K, Arc<Vec<Handle>>);

/// Buffers on a device that depend on a net's layers and not on its parameters, the newest last.
pub(super) struct Kept<K>(Mutex<Vec<Entry<K>>>);

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<K: PartialEq + Clone> Kept<K> {
    /// The buffers for `key`, made anew where none of the last ones were for it.
    pub(super) fn get(&self, key: &K, make: impl FnOnce() -> Vec<Handle>) -> Arc<Vec<Handle>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, buffers)) = kept.iter().find(|(of, _)| of == key) {
            return Arc::clone(buffers);
        }
        if kept.len() == MOST {
            kept.remove(0);
        }
        let buffers = Arc::new(make());
        kept.push((key.clone(), Arc::clone(&buffers)));
        buffers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_not_made_again() {
        let kept = Kept::default();
        let made = |key: usize| {
            let mut is_made = false;
            kept.get(&key, || {
                is_made = true;
                Vec::new()
            });
            is_made
        };
        assert!((0..MOST).all(made));
        assert!(!(0..MOST).any(made));
        assert!(made(MOST) && !made(MOST) && made(0) && !made(MOST - 1));
    }
}
