//! The classes of images.

/// The classes that images belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The names of the classes, each once. A class may have no image if a limit left them out.
    pub names: Vec<String>,
    /// The class of each image as an index into the names; shape `[count]`.
    pub classes: Vec<usize>,
}

impl Labels {
    /// From one key for each image: the classes are the different keys in ascending order, with these names.
    pub(crate) fn of_keys<K: Ord + Copy>(keys: &[K], name: impl Fn(K) -> String) -> Self {
        let mut known = keys.to_vec();
        known.sort_unstable();
        known.dedup();
        Self {
            // Every key is among them.
            classes: keys
                .iter()
                .map(|key| known.binary_search(key).unwrap_or_default())
                .collect(),
            names: known.into_iter().map(name).collect(),
        }
    }

    /// How many images each class has.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        for &class in &self.classes {
            counts[class] += 1;
        }
        counts
    }

    /// The same for the first images alone.
    pub(crate) fn truncated(mut self, count: usize) -> Self {
        self.classes.truncate(count);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_different_keys_in_order() {
        let labels = Labels::of_keys(&[26_u8, 3, 26, 101, 3, 26], |key| key.to_string());
        assert_eq!(labels.names, ["3", "26", "101"]);
        assert_eq!(labels.classes, [1, 0, 1, 2, 0, 1]);
        assert_eq!(labels.counts(), [2, 3, 1]);
        // The names stay.
        let first = labels.truncated(2);
        assert_eq!((first.names.len(), first.counts()), (3, vec![1, 1, 0]));
    }
}
