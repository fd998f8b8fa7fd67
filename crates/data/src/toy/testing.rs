//! Checks shared by the tests of the toy densities.

use ebm_core::{NoiseKey, Stream};

use super::Toy;

const CELLS: usize = 24;
/// Midpoints a cell and axis.
const FINE: usize = 50;

/// The mass in each cell of a grid over the plot, by the midpoint rule; shape `[CELLS, CELLS]`.
fn cell_masses(toy: &Toy) -> Vec<f64> {
    let half_width = toy.plot_extent().half_width;
    let step = 2.0 * half_width / (CELLS * FINE) as f64;
    let at = |index: usize| (index as f64 + 0.5) * step - half_width;
    let mut masses = vec![0.0; CELLS * CELLS];
    for row in 0..CELLS * FINE {
        for column in 0..CELLS * FINE {
            masses[row / FINE * CELLS + column / FINE] +=
                toy.log_density([at(column), at(row)]).exp() * step * step;
        }
    }
    masses
}

/// The mass over the plot.
pub(super) fn integral(toy: &Toy) -> f64 {
    cell_masses(toy).iter().sum()
}

/// Pearson's χ² of 200,000 samples over the cells that expect at least 10, and one for all the rest.
///
/// χ² with f degrees of freedom is compared to f + 4.5·√(2f), beyond which lies less than 1e-4 (false-alarm rate over
/// seeds; the seed is fixed).
#[allow(clippy::panic)]
pub(super) fn chi_square_of_samples(toy: &Toy) {
    let count = 200_000;
    let half_width = toy.plot_extent().half_width;
    let mut counts = [0u32; CELLS * CELLS];
    for point in toy
        .sample(&NoiseKey::new(17, Stream::DataBatch, 0), count)
        .iter()
    {
        let cell = |value: f32| (f64::from(value) / half_width + 1.0) / 2.0 * CELLS as f64;
        let [column, row] = [cell(point[0]), cell(point[1])];
        let inside = |value: f64| (0.0..CELLS as f64).contains(&value);
        if inside(column) && inside(row) {
            counts[row as usize * CELLS + column as usize] += 1;
        }
    }
    let term = |observed: f64, expected: f64| (observed - expected).powi(2) / expected;
    let (mut statistic, mut freedom) = (0.0, 0);
    let (mut rest_observed, mut rest_expected) = (count as f64, count as f64);
    for (observed, mass) in counts.into_iter().zip(cell_masses(toy)) {
        let expected = mass * count as f64;
        if expected >= 10.0 {
            statistic += term(f64::from(observed), expected);
            freedom += 1;
            rest_observed -= f64::from(observed);
            rest_expected -= expected;
        }
    }
    statistic += term(rest_observed, rest_expected.max(1.0));
    let limit = f64::from(freedom) + 4.5 * (2.0 * f64::from(freedom)).sqrt();
    assert!(freedom > 100, "only {freedom} cells");
    assert!(
        statistic < limit,
        "χ² = {statistic}, limit {limit}, {freedom} degrees of freedom"
    );
}
