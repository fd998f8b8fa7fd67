//! Descents, graphs, sweeps and refusals.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common::*;
use ebm_landscape::*;
use proptest::prelude::*;

#[test]
fn descents_end_at_the_nearest_minimum_and_say_if_they_do_not() {
    let energy = Mixture {
        centres: vec![vec![-2.0, 0.0], vec![2.0, 0.0]],
        weights: vec![1.0, 3.0],
        sd: 0.5,
    };
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    let starts = states(2, &[-1.0, 0.5, f32::NAN, 0.0, 1.0, -0.5]);
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
    assert!(!short.run(&surface, &starts.gather(&[0])).unwrap()[0].is_at_rest);
}

#[test]
fn no_step_of_a_descent_goes_up() {
    let energy = Ripples {
        height: 0.5,
        wave_number: 7.0,
    };
    let chains = bound(&energy, 3);
    let surface = surface(&chains);
    let starts = scattered(20, 3, 2.0);
    let mut last = [f64::INFINITY; 20];
    for most_evaluations in [0, 1, 2, 5, 10, 50, 200] {
        let descent = Descent {
            most_evaluations,
            ..Descent::default()
        };
        let found = descent.run(&surface, &starts).unwrap();
        assert_eq!(found.len(), 20);
        for minimum in found {
            let before = &mut last[minimum.origin];
            assert!(minimum.energy <= *before, "{minimum:?} after {before}");
            *before = minimum.energy;
        }
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
    assert_eq!(sweep.widest_plateau(0.0), Some(4.0));
    let is_different = |pair: &SweptPair| pair.b >= 2;
    assert_eq!(sweep.just_apart(is_different, 0.0), Some(8.0));
    assert_eq!(sweep.just_apart(is_different, 0.4), Some(16.0));
    assert_eq!(sweep.just_apart(|pair| pair.a == 7, 0.5), None);
    // Widths are ratios: from 1.3 to 9 is wider than from 1 to 1.2, in fewer pulls. Pulls that follow each other
    // leave none.
    let sweep_of = |strengths: &[f64], thresholds: &[f64]| -> StrengthSweep {
        let pair = |at: &f64| serde_json::json!({"a": 0, "b": 1, "threshold": at});
        serde_json::from_value(serde_json::json!({
            "strengths": strengths,
            "tried": strengths.len(),
            "pairs": thresholds.iter().map(pair).collect::<Vec<_>>(),
        }))
        .unwrap()
    };
    let uneven = sweep_of(&[1.0, 1.1, 1.2, 1.3, 9.0, 10.0], &[1.0, 1.3, 10.0]);
    assert!((uneven.widest_plateau(0.0).unwrap() - (1.3f64 * 9.0).sqrt()).abs() < 1e-12);
    assert_eq!(sweep_of(&[1.0, 2.0], &[1.0, 2.0]).widest_plateau(0.0), None);
    // One pair of ten in the middle of a plateau: it divides it, or is tolerated. Nothing but one pair at the weak
    // end is no plateau.
    let thresholds = [1.0, 2.0, 2.0, 2.0, 8.0, 64.0, 64.0, 64.0, 64.0, 64.0];
    let crossed = sweep_of(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], &thresholds);
    assert!((crossed.widest_plateau(0.0).unwrap() - 16.0).abs() < 1e-12);
    assert!((crossed.widest_plateau(0.1).unwrap() - 8.0).abs() < 1e-12);
    assert_eq!(crossed.widest_plateau(0.5), None);
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
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    let message = |error: LandscapeError| error.to_string();
    let odd = Descent::default()
        .run(&surface, &states(3, &[1.0, 2.0, 3.0]))
        .unwrap_err();
    assert!(message(odd).contains("shape 3 instead of 2"));
    let bad = Descent {
        tolerance: f64::NAN,
        ..Descent::default()
    };
    assert!(message(bad.run(&surface, &states(2, &[])).unwrap_err()).contains("tolerance"));
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
        let error = diffusion.pairs(
            &surface,
            &states(2, &[0.0; 4]),
            &[(0, 1)],
            1.0,
            0,
            &mut |_| true,
        );
        assert!(message(error.unwrap_err()).contains(word));
    }
    let missing = fine.pairs(
        &surface,
        &states(2, &[0.0; 4]),
        &[(0, 2)],
        1.0,
        0,
        &mut |_| true,
    );
    assert!(message(missing.unwrap_err()).contains("state 2"));
    let negative = fine.pairs(
        &surface,
        &states(2, &[0.0; 4]),
        &[(0, 1)],
        -1.0,
        0,
        &mut |_| true,
    );
    assert!(message(negative.unwrap_err()).contains("strength"));
    let minimum = |energy| Minimum {
        origin: 0,
        energy,
        is_at_rest: true,
        state: vec![0.0; 2],
    };
    let unsorted = [minimum(1.0), minimum(0.0)];
    assert!(message(Grouping::new(&unsorted, 1.0).unwrap_err()).contains("number 1"));
    let nameless = [minimum(f64::NAN)];
    assert!(message(Grouping::new(&nameless, 1.0).unwrap_err()).contains("number 0"));
    assert!(message(Grouping::new(&[], 0.0).unwrap_err()).contains("strength"));
    let mut other = Grouping::new(&[minimum(0.0)], 1.0).unwrap();
    let two = [minimum(0.0), minimum(1.0)];
    let error = other.advance(&surface, &two, &fine, &mut |_| true);
    assert!(message(error.unwrap_err()).contains("began with 1"));
    let barrier = Barrier {
        a: 0,
        b: 1,
        energy: 1.0,
        strength: 1.0,
    };
    let error = DisconnectivityTree::new(vec![0.0], &[barrier]).unwrap_err();
    assert!(message(error).contains("basins 0 and 1"));
    assert!(StrengthSweep::new(vec![2.0, 1.0], &[]).is_err());
    let still = BarrierSearch {
        factor: 1.0,
        ..BarrierSearch::default()
    };
    assert!(Barriers::new(vec![(0, 0.0)], 1.0, still).is_err());
}

/// F = −|x|: it falls for ever.
struct Abyss;

impl<B: burn::tensor::backend::Backend> ebm_core::Energy<B> for Abyss {
    fn energy(&self, states: burn::tensor::Tensor<B, 4>) -> burn::tensor::Tensor<B, 1> {
        let rows = states.flatten::<2>(1, 3).abs();
        -rows.sum_dim(1).squeeze_dim::<1>(1)
    }
}

#[test]
fn a_descent_without_a_bottom_ends_with_finite_numbers() {
    let chains = bound(&Abyss, 2);
    let surface = surface(&chains);
    let found = minima(&surface, &states(2, &[0.5, 0.25]), 1.0);
    assert_eq!(found.len(), 1);
    assert!(found[0].energy < -1e30 && found[0].energy.is_finite());
    assert!(found[0].state.iter().all(|x| x.is_finite()));
}

/// A first factor 2⁴⁰ times too long: rejections alone are no rest, however short the window.
#[test]
fn a_descent_that_still_looks_for_its_length_is_not_at_rest() {
    let energy = Ripples {
        height: 0.0,
        wave_number: 1.0,
    };
    let chains = bound(&energy, 1);
    let surface = surface(&chains);
    let descent = Descent {
        first_factor: 1e12,
        tolerance: 1e-6,
        window: 5,
        most_evaluations: 5000,
    };
    let found = descent.run(&surface, &states(1, &[1.5])).unwrap();
    assert!(
        found[0].is_at_rest && found[0].state[0].abs() < 1e-2,
        "{found:?}"
    );
}

/// On a plain a pull of α moves a chain ε²α/2 a step: 1 unit takes 40 steps of 0.025, and within one of them it
/// arrives. A limit of 37 steps is too short, one of 38 is not; what counts is not rounded to the pieces of the work.
#[test]
fn ways_are_as_long_as_allowed_and_no_longer() {
    let plain = Ripples {
        height: 0.0,
        wave_number: 1.0,
    };
    let chains = bound(&plain, 2);
    // F is nothing against this unit.
    let surface = Surface::new(&chains, ebm_core::Temperature::new(1e6).unwrap());
    let strength = 1e6;
    let steps = |most_steps| {
        let diffusion = Diffusion {
            step_size: ebm_core::StepSize::new((2.0 * 0.025f64 / strength).sqrt()).unwrap(),
            temperature_factor: 1.0,
            resolution: 0.06,
            most_steps,
            ..quiet(0.01, 0.1)
        };
        let attempt = Attempt { from: 0, to: 1 };
        let rows = states(2, &[0.0, 0.0, 1.0, 0.0]);
        let found = diffusion.run(&surface, &rows, &[attempt], strength, 0, &mut |_| true);
        let found = found.unwrap()[0];
        (found.barrier.is_some(), found.steps)
    };
    let (arrives, length) = steps(1000);
    assert!(arrives && (37..=39).contains(&length), "{length}");
    assert!(steps(length).0);
    assert!(!steps(length - 1).0);
    assert!(!steps(10).0);
}

/// A pull that would move a chain ten times δ a step: it takes smaller steps, and arrives.
#[test]
fn a_strong_pull_does_not_jump_over_its_target() {
    let energy = Ripples {
        height: 0.0,
        wave_number: 1.0,
    };
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    let diffusion = quiet(0.02, 0.1);
    let found = diffusion.pairs(
        &surface,
        &states(2, &[0.0, 0.0, 1.0, 0.0]),
        &[(0, 1)],
        strength(&diffusion, 50.0),
        0,
        &mut |_| true,
    );
    // The path ends within δ = 0.1 of the top, U = 1/2, after steps of at most 0.05.
    let barrier = found.unwrap()[0].unwrap();
    assert!((0.35..0.55).contains(&barrier), "{barrier}");
}

#[test]
fn nothing_to_map_is_no_error() {
    let energy = Ripples {
        height: 0.5,
        wave_number: 7.0,
    };
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    assert!(
        Descent::default()
            .run(&surface, &states(2, &[]))
            .unwrap()
            .is_empty()
    );
    let empty = grouped(&surface, &[], &quiet(0.01, 0.1), 1.0);
    assert_eq!(empty.basin_count(), 0);
    let one = minima(&surface, &states(2, &[0.1, 0.2]), 0.01);
    let alone = grouped(&surface, &one, &quiet(0.01, 0.1), 1.0);
    assert_eq!(alone.groups(), [0]);
}

proptest! {
    /// Merges ascend, use every cluster once, and join two basins at the lowest energy at which a chain of barriers
    /// connects them.
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
        let tree = DisconnectivityTree::new(leaves, &barriers).unwrap();
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
