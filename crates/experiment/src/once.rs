//! Lists without repetitions.

/// Every item once, where it stands first.
pub(crate) fn each_once<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}
