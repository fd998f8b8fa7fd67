//! Descents, graphs, sweeps and refusals.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use ebm_landscape::*;
use ebm_langevin::TensorEngine;
use proptest::prelude::*;

#[test]
fn descents_end_at_the_nearest_minimum_and_say_if_they_do_not() {
    let energy = Mixture {
        centres: vec![vec![-2.0, 0.0], vec![2.0, 0.0]],
        weights: vec![1.0, 3.0],
        sd: 0.5,
    };
    let engine = TensorEngine::default();
    let surface = surface(&engine, &energy, 2);
    let starts = [-1.0, 0.5, f32::NAN, 0.0, 1.0, -0.5];
    let found = minima(&surface, &starts, 0.05);
    // The right one is deeper and comes first; the state that is no number is left out.
    let origins: Vec<usize> = found.iter().map(|minimum| minimum.origin).collect();
    assert_eq!(origins, [2, 0]);
    for (minimum, x) in found.iter().zip([2.0, -2.0]) {
        assert!((minimum.state[0] - x).abs() < 1e-3 && minimum.state[1].abs() < 1e-3);
        let expected = energy.potential(&[f64::from(x), 0.0]);
        assert!((minimum.energy - expected).abs() < 1e-4);
        assert!(minimum.is_at_rest);
    }
    let short = Descent {
        most_evaluations: 3,
        ..Descent::default()
    };
    assert!(!short.run(&surface, &starts[..2]).unwrap()[0].is_at_rest);
}

#[test]
fn no_step_of_a_descent_goes_up() {
    let energy = Ripples {
        height: 0.5,
        wave_number: 7.0,
    };
    let engine = TensorEngine::default();
    let surface = surface(&engine, &energy, 3);
    let starts = scattered(20, 3, 2.0);
    let mut last = f64::INFINITY;
    for most_evaluations in [0, 1, 2, 5, 10, 50, 200] {
        let descent = Descent {
            most_evaluations,
            ..Descent::default()
        };
        let found = descent.run(&surface, &starts).unwrap();
        let sum: f64 = found.iter().map(|minimum| minimum.energy).sum();
        assert!(sum <= last, "{sum} after {last}");
        last = sum;
    }
}

#[test]
fn sweeps_choose_a_strength_between_together_and_apart() {
    let pairs = [(0, 1), (0, 2), (1, 2), (2, 3)];
    let json = serde_json::json!({
        "strengths": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        "tried": 6,
        "pairs": [
            {"a": 0, "b": 1, "threshold": 2.0},
            {"a": 0, "b": 2, "threshold": 16.0},
            {"a": 1, "b": 2, "threshold": 32.0},
            {"a": 2, "b": 3, "threshold": null}
        ]
    });
    let sweep: StrengthSweep = serde_json::from_value(json).unwrap();
    let fresh = StrengthSweep::new(sweep.tried().to_vec(), &pairs).unwrap();
    assert_eq!((fresh.tried().len(), fresh.is_done()), (0, false));
    assert_eq!(sweep.together(16.0, |_| true), Some(0.5));
    assert_eq!(sweep.together(16.0, |pair| pair.a == 7), None);
    // From 2 on, where a pair comes together, to 8, the last before the next does.
    assert_eq!(sweep.widest_plateau(), Some(4.0));
    let is_different = |pair: &SweptPair| pair.b >= 2;
    assert_eq!(sweep.just_apart(is_different, 0.0), Some(8.0));
    assert_eq!(sweep.just_apart(is_different, 0.4), Some(16.0));
    assert_eq!(sweep.just_apart(|pair| pair.a == 7, 0.5), None);
    let ladder = StrengthSweep::ladder(1.0, 32.0, 6);
    assert!(
        ladder
            .iter()
            .zip(sweep.tried())
            .all(|(a, b)| (a - b).abs() < 1e-9)
    );
}

#[test]
fn impossible_requests_are_refused() {
    let energy = Ripples {
        height: 0.5,
        wave_number: 7.0,
    };
    let engine = TensorEngine::default();
    let surface = surface(&engine, &energy, 2);
    let message = |error: LandscapeError| error.to_string();
    let odd = Descent::default()
        .run(&surface, &[1.0, 2.0, 3.0])
        .unwrap_err();
    assert!(message(odd).contains("3 values"));
    let bad = Descent {
        tolerance: f64::NAN,
        ..Descent::default()
    };
    assert!(message(bad.run(&surface, &[]).unwrap_err()).contains("tolerance"));
    let fine = quiet(0.01, 0.1);
    let settings = [
        (
            Diffusion {
                resolution: 0.0,
                ..fine
            },
            "resolution",
        ),
        (
            Diffusion {
                temperature_factor: -1.0,
                ..fine
            },
            "temperature",
        ),
        (
            Diffusion {
                patience: 0,
                ..fine
            },
            "patience",
        ),
        (Diffusion { trials: 0, ..fine }, "trials"),
        (Diffusion { batch: 0, ..fine }, "batch"),
        (
            Diffusion {
                most_steps: 0,
                ..fine
            },
            "steps",
        ),
    ];
    for (diffusion, word) in settings {
        let error = diffusion.pairs(&surface, &[0.0; 4], &[(0, 1)], 1.0, 0, &mut |_| true);
        assert!(message(error.unwrap_err()).contains(word));
    }
    let missing = fine.pairs(&surface, &[0.0; 4], &[(0, 2)], 1.0, 0, &mut |_| true);
    assert!(message(missing.unwrap_err()).contains("state 2"));
    let negative = fine.pairs(&surface, &[0.0; 4], &[(0, 1)], -1.0, 0, &mut |_| true);
    assert!(message(negative.unwrap_err()).contains("strength"));
    let minimum = |energy| Minimum {
        origin: 0,
        energy,
        is_at_rest: true,
        state: vec![0.0; 2],
    };
    let unsorted = [minimum(1.0), minimum(0.0)];
    assert!(message(Grouping::new(&unsorted, 1.0).unwrap_err()).contains("number 1"));
    assert!(StrengthSweep::new(vec![2.0, 1.0], &[]).is_err());
    let still = BarrierSearch {
        factor: 1.0,
        ..BarrierSearch::default()
    };
    assert!(Barriers::new(vec![(0, 0.0)], 1.0, still).is_err());
}

#[test]
fn nothing_to_map_is_no_error() {
    let energy = Ripples {
        height: 0.5,
        wave_number: 7.0,
    };
    let engine = TensorEngine::default();
    let surface = surface(&engine, &energy, 2);
    assert!(Descent::default().run(&surface, &[]).unwrap().is_empty());
    let empty = grouped(&surface, &[], &quiet(0.01, 0.1), 1.0);
    assert_eq!(empty.basin_count(), 0);
    let one = minima(&surface, &[0.1, 0.2], 0.01);
    let alone = grouped(&surface, &one, &quiet(0.01, 0.1), 1.0);
    assert_eq!(alone.groups(), [0]);
}

proptest! {
    /// Merges ascend, use every cluster once, and join two basins at the lowest energy at which a chain of barriers connects
    /// them.
    #[test]
    fn merges_are_the_lowest_ways(
        leaves in prop::collection::vec(-5.0..0.0f64, 1..8),
        barriers in prop::collection::vec((0..8usize, 0..8usize, 0.0..9.0f64), 0..20),
    ) {
        let count = leaves.len();
        let barriers: Vec<Barrier> = barriers
            .into_iter()
            .filter(|(a, b, _)| a < b && *b < count)
            .map(|(a, b, energy)| Barrier { a, b, energy, strength: 1.0 })
            .collect();
        let tree = DisconnectivityTree::new(leaves, &barriers);
        prop_assert!(tree.merges.is_sorted_by(|a, b| a.energy <= b.energy));
        let mut used: Vec<usize> = tree.merges.iter().flat_map(|merge| [merge.a, merge.b]).collect();
        used.sort_unstable();
        prop_assert!(used.is_sorted_by(|a, b| a < b));
        // Minimax distances by relaxation.
        let mut lowest = vec![vec![f64::INFINITY; count]; count];
        for barrier in &barriers {
            for (a, b) in [(barrier.a, barrier.b), (barrier.b, barrier.a)] {
                lowest[a][b] = lowest[a][b].min(barrier.energy);
            }
        }
        for via in 0..count {
            for a in 0..count {
                for b in 0..count {
                    lowest[a][b] = lowest[a][b].min(lowest[a][via].max(lowest[via][b]));
                }
            }
        }
        let mut clusters: Vec<Vec<usize>> = (0..count).map(|leaf| vec![leaf]).collect();
        let mut connected = vec![vec![f64::INFINITY; count]; count];
        for merge in &tree.merges {
            for a in clusters[merge.a].clone() {
                for b in clusters[merge.b].clone() {
                    connected[a][b] = merge.energy;
                    connected[b][a] = merge.energy;
                }
            }
            let both = [clusters[merge.a].clone(), clusters[merge.b].clone()].concat();
            clusters.push(both);
        }
        for a in 0..count {
            for b in 0..count {
                if a != b {
                    prop_assert_eq!(connected[a][b], lowest[a][b]);
                }
            }
        }
    }
}
