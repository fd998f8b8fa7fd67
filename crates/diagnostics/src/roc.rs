//! How well a score tells two sets apart.

use crate::{Result, check_series};

/// The receiver operating characteristic of a score that should be higher for strange data than for familiar ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    /// For each threshold, from the highest score down: the share of familiar data at or above it (false positives) and
    /// that of strange ones (true positives). From (0, 0) to (1, 1).
    pub points: Vec<[f64; 2]>,
    /// The area under the curve: the probability that a strange datum has a higher score than a familiar one, ties
    /// counted half. 0.5 for a score that tells nothing, 1 for one that tells all.
    pub area: f64,
}

impl Roc {
    /// Of the scores of both sets.
    ///
    /// # Errors
    /// [`SeriesTooShort`](crate::DiagnosticsError::SeriesTooShort) for an empty set, [`NotFinite`](crate::DiagnosticsError::NotFinite) for a score that is NaN or
    /// infinite.
    pub fn of(familiar: &[f64], strange: &[f64]) -> Result<Self> {
        check_series("familiar scores", familiar, 1)?;
        check_series("strange scores", strange, 1)?;
        let mut all: Vec<(f64, usize)> = familiar
            .iter()
            .map(|score| (*score, 0))
            .chain(strange.iter().map(|score| (*score, 1)))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let counts = [familiar.len() as f64, strange.len() as f64];
        let mut above = [0u64; 2];
        let mut points = vec![[0.0; 2]];
        let mut area = 0.0;
        for equal in all.chunk_by(|a, b| a.0 == b.0) {
            for (_, set) in equal {
                above[*set] += 1;
            }
            let [x0, y0] = points[points.len() - 1];
            let [x, y] = [0, 1].map(|set| above[set] as f64 / counts[set]);
            // A trapezium: ties count half.
            area += (x - x0) * f64::midpoint(y0, y);
            points.push([x, y]);
        }
        Ok(Self { points, area })
    }

    /// The share of strange data found when this share of familiar ones may be taken for strange, by straight lines
    /// between the points of the curve.
    #[must_use]
    pub fn true_positives(&self, false_positives: f64) -> f64 {
        let mut best: f64 = 0.0;
        for pair in self.points.windows(2) {
            let [[x0, y0], [x1, y1]] = [pair[0], pair[1]];
            if x1 <= false_positives {
                best = y1;
            } else {
                // Here x0 ≤ false_positives < x1.
                return (y0 + (y1 - y0) * (false_positives - x0) / (x1 - x0)).max(best);
            }
        }
        best
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn known_scores_have_their_exact_area() {
        // All strange scores above, all below, all the same.
        assert_eq!(Roc::of(&[1.0, 2.0], &[3.0, 4.0]).unwrap().area, 1.0);
        assert_eq!(Roc::of(&[3.0, 4.0], &[1.0, 2.0]).unwrap().area, 0.0);
        assert_eq!(Roc::of(&[1.0; 4], &[1.0; 7]).unwrap().area, 0.5);
        // Of six pairs, 2 > 1, 4 > 1, 4 > 3 and 3 = 3 counts half: (3, 1, 3; 2, 4).
        let area = Roc::of(&[1.0, 3.0, 3.0], &[3.0, 4.0]).unwrap().area;
        assert!((area - 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn the_curve_goes_from_corner_to_corner_and_never_down() {
        let roc = Roc::of(&[0.0, 1.0, 2.0, 5.0], &[1.5, 2.0, 7.0]).unwrap();
        assert_eq!(
            (roc.points[0], *roc.points.last().unwrap()),
            ([0.0; 2], [1.0; 2])
        );
        assert!(
            roc.points
                .windows(2)
                .all(|p| p[0][0] <= p[1][0] && p[0][1] <= p[1][1])
        );
        // 7 alone is above all familiar scores; half of the familiar ones cost all but one.
        assert!((roc.true_positives(0.0) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(roc.true_positives(1.0), 1.0);
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        let roc = Roc::of(&many, &many).unwrap();
        assert_eq!(roc.points[1000], [1.0; 2]);
        assert!((roc.area - 0.5).abs() < 1e-12);
    }

    #[test]
    fn sets_without_a_score_are_refused() {
        assert!(Roc::of(&[], &[1.0]).is_err());
        assert!(Roc::of(&[1.0], &[f64::NAN]).is_err());
    }
}
