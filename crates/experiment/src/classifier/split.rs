//! The choice of held-out data.

/// Every fifth datum is held out.
const EVERY: usize = 5;

/// The indices of data that are held out and of all others, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// One in five.
    pub(crate) held_out: Vec<usize>,
    /// The others.
    pub(crate) kept: Vec<usize>,
}

impl Split {
    /// Every fifth datum is held out: 4, 9, 14, … They are not a block, because the second half of the embedded digits
    /// is harder to read than the first.
    pub(crate) fn of_all(count: usize) -> Self {
        Self::of_classes(&vec![0; count])
    }

    /// Every fifth datum of each class is held out, so that all classes are.
    pub(crate) fn of_classes(classes: &[usize]) -> Self {
        let mut seen = vec![0; classes.iter().max().map_or(0, |last| last + 1)];
        let (held_out, kept) = (0..classes.len()).partition(|&index| {
            let seen: &mut usize = &mut seen[classes[index]];
            *seen += 1;
            seen.is_multiple_of(EVERY)
        });
        Self { held_out, kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_is_held_out_and_none_is_both() {
        let split = Split::of_all(10);
        assert_eq!(split.held_out, [4, 9]);
        assert_eq!(split.kept, [0, 1, 2, 3, 5, 6, 7, 8]);
        let split = Split::of_all(10_000);
        assert_eq!((split.held_out.len(), split.kept.len()), (2000, 8000));
    }

    /// Of every fifth datum overall, none would be of class 1.
    #[test]
    fn one_in_five_of_each_class_is_held_out() {
        let classes = [1, 0, 1, 0, 0, 1, 0, 1, 2, 0, 1];
        let split = Split::of_classes(&classes);
        assert_eq!(split.held_out, [9, 10]);
        assert_eq!(split.kept, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
