//! Parallel tempering against known distributions, and against its own kernel.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, NoiseKey, StateShape, StepSize, Stream, Temperature};
use ebm_langevin::*;

use crate::mala::{Harmonic, gaussian, kolmogorov, normal_cumulative, run_of, variance};

/// Two narrow wells on the line, 12 standard deviations apart, which MALA does not cross: the normals of weight 0.75 at −3
/// and 0.25 at 3, both with σ = 0.5.
struct Wells;

const SIGMA: f64 = 0.5;

impl Wells {
    fn cumulative(x: f64) -> f64 {
        0.75 * normal_cumulative((x + 3.0) / SIGMA) + 0.25 * normal_cumulative((x - 3.0) / SIGMA)
    }
}

impl<B: Backend> Energy<B> for Wells {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let x = states.flatten::<1>(0, 3);
        let well = |centre: f64, weight: f64| {
            ((x.clone() - centre) / SIGMA).powi_scalar(2) / 2.0 - weight.ln()
        };
        let (left, right) = (well(-3.0, 0.75), well(3.0, 0.25));
        // −log(e^−a + e^−b), without underflow.
        let least = left.clone().min_pair(right.clone());
        let others = (left - right).abs();
        least - ((-others).exp() + 1.0).log()
    }
}

fn bound<E: Energy<Autodiff<Flex>> + Send + Sync>(
    energy: E,
    shape: impl Into<StateShape>,
) -> TensorChains<Autodiff<Flex>, E> {
    TensorEngine::default().bind(energy, shape, &Default::default())
}

/// MALA with ε in proportion to √T.
fn mala(epsilon: f64) -> impl Fn(Temperature) -> Result<AnyKernel, LangevinError> {
    move |temperature| {
        let step = StepSize::new(epsilon * temperature.get().sqrt())?;
        Ok(Mala::new(step, temperature)?.into())
    }
}

fn ladder(hottest: f64, rungs: usize) -> Ladder {
    Ladder::geometric(Temperature::ONE, Temperature::new(hottest).unwrap(), rungs).unwrap()
}

fn tempering(ladder: &Ladder, epsilon: f64) -> Tempering {
    Tempering::new(ladder, 5, mala(epsilon)).unwrap()
}

/// A ladder of one rung is its kernel, to the bit, and so is a run in pieces.
#[test]
fn one_rung_is_the_kernel_and_pieces_are_the_whole() {
    let start = gaussian(1.0, 60, 3);
    let chains = bound(Harmonic, 3);
    let kernel = mala(0.7)(Temperature::ONE).unwrap();
    let alone = chains.run(&start, &run_of(kernel, 23)).unwrap();
    let one = tempering(&ladder(1.0, 1), 0.7);
    let same = chains.run(&start, &run_of(one, 23)).unwrap();
    assert_eq!(same.states, alone.states);
    assert!((same.gradient_magnitude - alone.gradient_magnitude).abs() < 1e-9);
    assert!((same.acceptance_rate.unwrap() - alone.acceptance_rate.unwrap()).abs() < 1e-9);
    assert_eq!(same.swaps, []);

    let kernel = tempering(&ladder(4.0, 3), 0.7);
    let replicas = kernel.replicas(&start).unwrap();
    let run = |states: &States, first, steps| {
        let run = run_of(kernel.clone(), steps).with_first_step(first);
        chains.run(states, &run.with_final_energies()).unwrap()
    };
    let whole = run(&replicas, 0, 23);
    let mut pieces = run(&replicas, 0, 4);
    let mut swaps = pieces.swaps.clone();
    for (first, steps) in [(4, 1), (5, 13), (18, 5)] {
        pieces = run(&pieces.states, first, steps);
        Swaps::accumulate(&mut swaps, &pieces.swaps);
    }
    assert_eq!(pieces.states, whole.states);
    assert_eq!(swaps, whole.swaps);
    // Exchanges after 5, 10, 15 and 20 steps take turns.
    let tried: Vec<_> = swaps.iter().map(|swaps| swaps.tried).collect();
    assert_eq!(tried, [120, 120]);
    let energies = chains.energies(&whole.states).unwrap();
    assert_eq!(whole.energies, Some(energies));
}

/// 3,000 chains that all start in the right well, which has a quarter of the mass. MALA leaves them there; with tempering
/// the coldest reach both wells with their weights, by Kolmogorov's test at 1e-3, at a fixed seed.
#[test]
fn wells_that_a_chain_does_not_cross_get_their_weights() {
    let start = States::new(1, vec![3.0; 3_000]).unwrap();
    let chains = bound(Wells, 1);
    let alone = run_of(mala(0.5)(Temperature::ONE).unwrap(), 600);
    let alone = chains.run(&start, &alone).unwrap().states;
    assert!(alone.values().iter().all(|x| *x > 0.0));
    let kernel = tempering(&ladder(20.0, 6), 0.5);
    let replicas = kernel.replicas(&start).unwrap();
    let outcome = chains.run(&replicas, &run_of(kernel, 600)).unwrap();
    let coldest = &outcome.states.values()[..3_000];
    let distance = kolmogorov(coldest, Wells::cumulative);
    assert!(distance < 1.95, "{distance}");
    for swaps in outcome.swaps {
        assert!(swaps.rate() > Some(0.1), "{swaps:?}");
    }
}

/// Every rung has the density of its temperature: variances of 20,000 chains lie within 4.5 standard errors of T. False-alarm
/// rate 3e-5 in all.
#[test]
fn every_rung_keeps_its_density() {
    let chains = bound(Harmonic, 1);
    let ladder = ladder(9.0, 3);
    let kernel = tempering(&ladder, 0.9);
    let start = kernel.replicas(&gaussian(1.0, 20_000, 1)).unwrap();
    let outcome = chains.run(&start, &run_of(kernel, 100)).unwrap();
    let rungs = outcome.states.values().chunks_exact(20_000);
    for swaps in &outcome.swaps {
        assert_eq!(swaps.tried, 200_000);
        assert!(swaps.rate() > Some(0.2), "{swaps:?}");
    }
    for (values, temperature) in rungs.zip(ladder.temperatures()) {
        let wanted = temperature.get();
        let error = 4.5 * wanted * (2.0f64 / 20_000.0).sqrt();
        assert!((variance(values) - wanted).abs() < error, "{wanted}");
    }
}

/// For F = |x|²/2 in n dimensions F/T of a rung is Gamma(n/2), and the share of exchanges between T and aT follows from two
/// independent draws of it. The tuned ladder has the wanted share, and its ratios are those for which draws have it too.
#[test]
fn a_tuned_ladder_exchanges_what_was_asked_for() {
    let dimensions = 20;
    let chains = bound(Harmonic, dimensions);
    let noise = NoiseKey::new(5, Stream::Watch, 0);
    let search = LadderSearch {
        swap_rate: 0.3,
        ..LadderSearch::new(4, noise)
    };
    let start = gaussian(1.0, 400, dimensions);
    let (found, replicas) =
        Ladder::tuned(&chains, &start, Temperature::ONE, &search, mala(0.8)).unwrap();
    assert_eq!(replicas.len(), 4 * 400);
    let run = run_of(tempering(&found, 0.8), 400);
    let outcome = chains.run(&replicas, &run).unwrap();
    for swaps in &outcome.swaps {
        // 16,000 tries each; the search itself leaves some hundredths.
        assert!((swaps.rate().unwrap() - 0.3).abs() < 0.04, "{swaps:?}");
    }
    let draws = 20_000;
    let energy = |factor: f64, seed| {
        let key = NoiseKey::new(seed, Stream::ChainStart, 7);
        let states = NoiseStart::Gaussian.draw(factor, key, draws, dimensions);
        let states = states.unwrap();
        let of = |state: &[f32]| state.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 2.0;
        states.iter().map(of).collect::<Vec<_>>()
    };
    for pair in found.temperatures().windows(2) {
        let ratio = pair[1].get() / pair[0].get();
        let pairs = energy(1.0, 1).into_iter().zip(energy(ratio.sqrt(), 2));
        let rate = pairs.map(|(cold, hot)| ((1.0 - 1.0 / ratio) * (cold - hot)).exp().min(1.0));
        let rate = rate.sum::<f64>() / draws as f64;
        assert!((rate - 0.3).abs() < 0.04, "{ratio}: {rate}");
    }
}

#[test]
fn impossible_ladders_are_refused() {
    let t = |value| Temperature::new(value).unwrap();
    let told = |error: LangevinError| error.to_string();
    assert!(told(Ladder::new(vec![]).unwrap_err()).contains("no temperatures"));
    assert!(told(Ladder::new(vec![t(2.0), t(2.0)]).unwrap_err()).contains("rise"));
    assert!(told(Ladder::geometric(t(1.0), t(2.0), 1).unwrap_err()).contains("1 rungs"));
    Ladder::geometric(t(2.0), t(1.0), 3).unwrap_err();
    let three = ladder(4.0, 3);
    assert!(told(Tempering::new(&three, 0, mala(0.1)).unwrap_err()).contains("at least 1"));
    let nested = |_| Ok(tempering(&three, 0.1).into());
    assert!(told(Tempering::new(&three, 5, nested).unwrap_err()).contains("of its own"));
    let chains = bound(Harmonic, 1);
    let run = run_of(tempering(&three, 0.1), 3);
    let seven = gaussian(1.0, 7, 1);
    assert!(told(chains.run(&seven, &run).unwrap_err()).contains("3 rungs"));
    let none = States::none(seven.shape());
    assert_eq!(chains.run(&none, &run).unwrap().states, none);
    for broken in [
        |search: &mut LadderSearch| search.rungs = 0,
        |search: &mut LadderSearch| search.swap_rate = 1.0,
        |search: &mut LadderSearch| search.swap_every = 0,
    ] {
        let mut search = LadderSearch::new(3, NoiseKey::new(1, Stream::Watch, 0));
        broken(&mut search);
        Ladder::tuned(&chains, &seven, Temperature::ONE, &search, mala(0.1)).unwrap_err();
    }
    let search = LadderSearch::new(usize::MAX, NoiseKey::new(1, Stream::Watch, 0));
    let error = Ladder::tuned(&chains, &seven, Temperature::ONE, &search, mala(0.1));
    assert!(told(error.unwrap_err()).contains("memory"));
}
