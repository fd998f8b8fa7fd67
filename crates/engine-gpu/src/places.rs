//! Where the numbers of a kernel's buffer are among a net's parameters.

use std::ops::Range;

use ebm_core::ParameterValues;

/// Some parameters, one after the other. Places count from 1, in the order in which the layers have their parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places {
    rows: Vec<Range<u32>>,
    /// The shape of the matrix, if it is transposed.
    transposed: Option<[usize; 2]>,
}

impl Places {
    /// No parameter.
    pub(super) fn none() -> Self {
        Self {
            rows: Vec::new(),
            transposed: None,
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.rows.iter().map(ExactSizeIterator::len).sum()
    }

    /// The first of them.
    pub(super) fn first(&self) -> u32 {
        self.rows.first().map_or(0, |row| row.start)
    }

    /// One by one.
    pub(super) fn list(&self) -> Vec<u32> {
        let list: Vec<u32> = self.rows.iter().cloned().flatten().collect();
        let Some([rows, columns]) = self.transposed else {
            return list;
        };
        let entries = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
        entries
            .map(|(row, column)| list[row * columns + column])
            .collect()
    }

    /// Of a matrix `[rows, columns]` the `[columns, rows]`, which for a single row or column are the same.
    pub(super) fn transposed(mut self, shape: [usize; 2]) -> Self {
        self.transposed = (!shape.contains(&1)).then_some(shape);
        self
    }

    /// These and then those of `others`, none of them turned.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.rows.extend(others.rows);
        self
    }
}

/// Gives out places in the order of the parameters.
pub(super) struct Counter(u32);

impl Default for Counter {
    fn default() -> Self {
        Self(1)
    }
}

impl Counter {
    /// The next parameter's.
    pub(super) fn take(&mut self, parameter: &ParameterValues) -> Places {
        let first = self.0;
        self.0 += parameter.len() as u32;
        let mut places = Places::none();
        places.rows.push(first..self.0);
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::ParamId;

    #[test]
    fn places_run_through_parameters() {
        let parameter = |count| ParameterValues::new(ParamId::new(), vec![0.0; count]);
        let mut counter = Counter::default();
        let [first, second] = [6, 2].map(|count| counter.take(&parameter(count)));
        assert_eq!(second.list(), [7, 8]);
        let joined = first.clone().and(second);
        assert_eq!((joined.len(), joined.first()), (8, 1));
        assert_eq!(joined.list(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(first.clone().transposed([6, 1]), first);
        assert_eq!(first.transposed([2, 3]).list(), [1, 4, 2, 5, 3, 6]);
    }
}
