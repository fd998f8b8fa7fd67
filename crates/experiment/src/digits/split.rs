//! The choice of held-out data.

/// Every fifth datum is held out.
const EVERY: usize = 5;

/// The indices of the data that are held out: 4, 9, 14, … They are not a block, because the second half of the
/// embedded digits is harder to read than the first.
pub(crate) fn held_out(count: usize) -> Vec<usize> {
    (0..count).filter(|index| is_held_out(*index)).collect()
}

/// The indices of all others.
pub(crate) fn kept(count: usize) -> Vec<usize> {
    (0..count).filter(|index| !is_held_out(*index)).collect()
}

fn is_held_out(index: usize) -> bool {
    index % EVERY == EVERY - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_is_held_out_and_none_is_both() {
        assert_eq!(held_out(10), [4, 9]);
        assert_eq!(kept(6), [0, 1, 2, 3, 5]);
        assert_eq!((held_out(10_000).len(), kept(10_000).len()), (2000, 8000));
    }
}
