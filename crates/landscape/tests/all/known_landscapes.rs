//! Maps of energies whose basins and barriers are known.
#![allow(missing_docs, clippy::unwrap_used)]

use std::f32::consts::TAU;

use crate::common::*;
use ebm_landscape::{
    Barrier, BarrierSearch, Barriers, DisconnectivityTree, Grouping, Minimum, StrengthSweep,
    Surface,
};

/// Four wells of unequal depth in the plane.
fn wells() -> Mixture {
    Mixture {
        centres: vec![
            vec![-1.0, 0.0],
            vec![0.8, 0.1],
            vec![-0.1, 1.4],
            vec![0.2, -1.6],
        ],
        weights: vec![0.4, 0.3, 0.2, 0.1],
        sd: 0.35,
    }
}

/// Barriers of all pairs, by pulls that grow from the one of the grouping.
fn barriers(
    surface: &Surface<'_>,
    minima: &[Minimum],
    grouping: &Grouping,
    diffusion: &ebm_landscape::Diffusion,
) -> Barriers {
    let representatives = grouping
        .basins()
        .iter()
        .map(|basin| basin.representative())
        .map(|minimum| (minimum, minima[minimum].energy))
        .collect();
    let search = BarrierSearch {
        factor: 1.1,
        most_pulls: 30,
    };
    let mut barriers = Barriers::new(representatives, grouping.strength(), search).unwrap();
    while barriers
        .advance(
            surface,
            &Minimum::states(surface.shape(), minima).unwrap(),
            diffusion,
            &mut |_| true,
        )
        .unwrap()
    {}
    barriers
}

/// Exactly the four basins; the minima of Newton's method to 1e-2; and the graph of the saddles of Newton's method.
/// The highest U of the paths is at most 0.25 nats above them, for the noise, and 0.05 below, for the length of a
/// step.
#[test]
fn basins_and_barriers_of_a_mixture_are_its_wells_and_saddles() {
    let energy = wells();
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    let minima = minima(&surface, &scattered(60, 2, 1.2), 0.05);
    assert_eq!(minima.len(), 60);
    assert!(minima.iter().all(|minimum| minimum.is_at_rest));
    let diffusion = quiet(0.02, 0.12);
    let grouping = grouped(&surface, &minima, &diffusion, strength(&diffusion, 3.0));
    let basins = grouping.basins();
    assert_eq!(basins.len(), 4);
    assert_eq!(
        basins
            .iter()
            .map(|basin| basin.members.len())
            .sum::<usize>(),
        60
    );
    let mut wells_found = Vec::new();
    for basin in &basins {
        let lowest = &minima[basin.representative()].state;
        let near = |centre: &Vec<f64>| {
            let (x, y) = (f64::from(lowest[0]), f64::from(lowest[1]));
            (x - centre[0]).hypot(y - centre[1]) < 0.1
        };
        let well = energy.centres.iter().position(near).unwrap();
        let centre = &energy.centres[well];
        let (bottom, _) = energy.stationary_point([centre[0], centre[1]]);
        for member in &basin.members {
            let state = &minima[*member].state;
            for (x, expected) in state.iter().zip(bottom) {
                assert!(
                    (f64::from(*x) - expected).abs() < 1e-2,
                    "{state:?}, {bottom:?}"
                );
            }
        }
        wells_found.push(well);
    }
    // The weights order the wells by depth.
    assert_eq!(wells_found, [0, 1, 2, 3]);

    let barriers = barriers(&surface, &minima, &grouping, &diffusion);
    assert!(barriers.open().is_empty());
    let leaves: Vec<f64> = basins
        .iter()
        .map(|basin| minima[basin.representative()].energy)
        .collect();
    let tree = DisconnectivityTree::new(leaves.clone(), barriers.found()).unwrap();
    // Saddles between the wells that have one between them.
    let saddle = |a: usize, b: usize| {
        let (from, to) = (&energy.centres[a], &energy.centres[b]);
        let middle = [(from[0] + to[0]) / 2.0, (from[1] + to[1]) / 2.0];
        let (point, is_saddle) = energy.stationary_point(middle);
        assert!(is_saddle, "{a} and {b}: {point:?}");
        Barrier {
            a,
            b,
            energy: energy.potential(&point),
            strength: 0.0,
        }
    };
    let saddles = [
        saddle(0, 1),
        saddle(0, 2),
        saddle(1, 2),
        saddle(0, 3),
        saddle(1, 3),
    ];
    let expected = DisconnectivityTree::new(leaves, &saddles).unwrap();
    assert_eq!(tree.merges.len(), 3);
    for (merge, expected) in tree.merges.iter().zip(&expected.merges) {
        assert_eq!((merge.a, merge.b), (expected.a, expected.b));
        let above = merge.energy - expected.energy;
        assert!((-0.05..0.25).contains(&above), "{merge:?} for {expected:?}");
    }
}

/// The slope of U that a pull has to overcome from one well to the next is largest somewhere on the line between
/// them. Pulls of 95 % of it fail and of 105 % arrive: little noise can help by little.
#[test]
fn the_transition_is_where_the_pull_equals_the_steepest_slope() {
    let energy = Mixture {
        centres: vec![vec![-1.0, 0.0], vec![1.0, 0.0]],
        weights: vec![1.0, 1.0],
        sd: 0.5,
    };
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    let minima = minima(&surface, &states(2, &[-1.0, 0.1, 1.0, 0.1]), 0.05);
    let slope = |i: i32| energy.gradient(&[f64::from(i) / 1e4, 0.0])[0];
    let steepest = (-10_000..0).map(slope).fold(0.0, f64::max);
    let diffusion = ebm_landscape::Diffusion {
        temperature_factor: 1e-3,
        step_size: ebm_core::StepSize::new((2.0 * 0.02 * 1e-3f64).sqrt()).unwrap(),
        ..quiet(0.02, 0.1)
    };
    let factors = [0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1];
    let strengths = factors.map(|factor| strength(&diffusion, factor * steepest));
    let mut sweep = StrengthSweep::new(strengths.to_vec(), &[(0, 1)]).unwrap();
    while sweep
        .advance(
            &surface,
            &Minimum::states(2, &minima).unwrap(),
            &diffusion,
            &mut |_| true,
        )
        .unwrap()
    {}
    let threshold = sweep.pairs()[0].threshold.unwrap();
    assert!(
        (strengths[4]..=strengths[5]).contains(&threshold),
        "threshold {threshold} of {strengths:?}"
    );
}

/// Five wells in 20 dimensions, at random places: five basins, and a graph with the tops of the lines between them,
/// to within a tenth of a nat below and half a nat above.
#[test]
fn a_mixture_in_many_dimensions_is_mapped_too() {
    let dimensions = 20;
    let places = scattered(5, dimensions, 0.35);
    let centre = |row: &[f32]| row.iter().map(|x| f64::from(*x)).collect();
    let energy = Mixture {
        centres: places.iter().map(centre).collect(),
        weights: vec![1.0, 0.9, 0.8, 0.7, 0.6],
        sd: 0.35,
    };
    let chains = bound(&energy, dimensions);
    let surface = surface(&chains);
    // Six starts about each centre.
    let starts: Vec<f32> = scattered(30, dimensions, 0.1)
        .iter()
        .enumerate()
        .flat_map(|(i, noise)| {
            let row = places.get(i % 5).unwrap();
            noise
                .iter()
                .zip(row)
                .map(|(z, c)| z + c)
                .collect::<Vec<_>>()
        })
        .collect();
    let minima = minima(&surface, &states(dimensions, &starts), 0.05);
    let diffusion = quiet(0.02, 0.3);
    let grouping = grouped(&surface, &minima, &diffusion, strength(&diffusion, 3.0));
    let basins = grouping.basins();
    assert_eq!(basins.len(), 5);
    for (well, basin) in basins.iter().enumerate() {
        // Sorted by depth as by weight, and each holds the starts about its centre.
        assert!(
            basin
                .members
                .iter()
                .all(|member| minima[*member].origin % 5 == well)
        );
        assert_eq!(basin.members.len(), 6);
    }
    let barriers = barriers(&surface, &minima, &grouping, &diffusion);
    assert!(barriers.open().is_empty());
    let leaves: Vec<f64> = basins
        .iter()
        .map(|basin| minima[basin.representative()].energy)
        .collect();
    let tree = DisconnectivityTree::new(leaves.clone(), barriers.found()).unwrap();
    // Paths may lead through a third well, and the graph knows only the lowest.
    let mut tops = barriers.found().to_vec();
    for top in &mut tops {
        top.energy = energy.top_of_line(top.a, top.b);
    }
    let expected = DisconnectivityTree::new(leaves, &tops).unwrap();
    assert_eq!(tree.merges.len(), 4);
    for (merge, expected) in tree.merges.iter().zip(&expected.merges) {
        assert_eq!((merge.a, merge.b), (expected.a, expected.b));
        let above = merge.energy - expected.energy;
        assert!((-0.1..0.5).contains(&above), "{merge:?} for {expected:?}");
    }
}

/// Dozens of minima in one bowl: a pull stronger than the ripples' steepest slope and the bowl's makes them one
/// basin, a pull weaker than the ripples leaves each distinct minimum alone.
#[test]
fn a_bowl_with_ripples_is_one_basin() {
    let energy = Ripples {
        height: 0.2,
        wave_number: 10.0,
    };
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    // Farther out the bowl is steeper, and its ripples too shallow to hold a chain.
    let minima = minima(&surface, &scattered(40, 2, 0.5), 0.01);
    let mut distinct: Vec<[i32; 2]> = minima
        .iter()
        .map(|minimum| [0, 1].map(|axis| (minimum.state[axis] * 10.0 / TAU).round() as i32))
        .collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 10, "{}", distinct.len());
    let diffusion = quiet(0.01, 0.15);
    let steepest = 0.2 * 10.0 + 3.0;
    let one = grouped(
        &surface,
        &minima,
        &diffusion,
        strength(&diffusion, 1.2 * steepest),
    );
    assert_eq!(one.basin_count(), 1);
    let many = grouped(&surface, &minima, &diffusion, strength(&diffusion, 0.2));
    assert_eq!(many.basin_count(), distinct.len());
}

/// Stopped in the middle of a call, and taken up again from JSON: the same basins and barriers to the last bit.
#[test]
fn a_grouping_that_was_interrupted_ends_the_same() {
    let energy = wells();
    let chains = bound(&energy, 2);
    let surface = surface(&chains);
    let minima = minima(&surface, &scattered(24, 2, 1.2), 0.05);
    let diffusion = quiet(0.02, 0.12);
    let pull = strength(&diffusion, 3.0);
    let whole = grouped(&surface, &minima, &diffusion, pull);
    let mut grouping = Grouping::new(&minima, pull).unwrap();
    let mut patience = 3;
    loop {
        let mut pieces = 0;
        let before = grouping.clone();
        let mut walked = |_| {
            pieces += 1;
            pieces < patience
        };
        match grouping.advance(&surface, &minima, &diffusion, &mut walked) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                assert!(error.to_string().contains("stopped"), "{error}");
                assert_eq!(grouping, before);
                patience *= 4;
            }
        }
        let json = serde_json::to_string(&grouping).unwrap();
        grouping = serde_json::from_str(&json).unwrap();
    }
    assert_eq!(grouping, whole);
}
