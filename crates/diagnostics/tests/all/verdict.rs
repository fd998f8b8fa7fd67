//! Both axes of the verdict on simulated runs whose outcome is known. Seeds are fixed; every test of a rate says which
//! rate it allows.
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::IterationMetrics;
use ebm_diagnostics::verdict::{
    Balance, ChainGroup, ChainOrigin, ChainSummary, Convergence, ConvergenceOptions,
    ConvergenceTest, Instability, Oscillation, OscillationOptions, Stability, StabilityOptions,
    Verdict, VerdictOptions, test_convergence, test_oscillation, test_stability,
};

/// Sums of twelve uniforms of a linear congruential generator: close to normal, and the same everywhere.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        (0..12)
            .map(|_| {
                self.0 = self
                    .0
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (self.0 >> 11) as f64 / (1_u64 << 53) as f64
            })
            .sum::<f64>()
            - 6.0
    }

    /// A stationary first-order autoregression of unit variance.
    fn autoregression(&mut self, coefficient: f64, length: usize) -> Vec<f64> {
        let shock = (1.0 - coefficient * coefficient).sqrt();
        let mut state = self.next();
        (0..length)
            .map(|_| {
                state = coefficient * state + shock * self.next();
                state
            })
            .collect()
    }
}

fn gradient(length: usize) -> Vec<f64> {
    Noise(99)
        .autoregression(0.5, length)
        .iter()
        .map(|x| 0.8 + 0.02 * x)
        .collect()
}

/// How many of `runs` series of a coefficient get each conclusion.
fn oscillations(coefficient: f64, length: usize, runs: usize, floor: f64) -> [usize; 4] {
    let mut noise = Noise(1);
    let options = OscillationOptions {
        floor,
        ..OscillationOptions::default()
    };
    let mut counts = [0; 4];
    for _ in 0..runs {
        let d = noise.autoregression(coefficient, length);
        let r = noise.autoregression(0.5, length);
        let test = test_oscillation(&d, &r, &options).unwrap();
        counts[match test.conclusion {
            Oscillation::Strong => 0,
            Oscillation::Wandering => 1,
            Oscillation::Weak => 2,
            Oscillation::Undecided => 3,
        }] += 1;
    }
    counts
}

#[test]
fn white_noise_is_called_strong_at_the_stated_rate() {
    // Nominal rate 1 % on each side, without the floor. 1,000 series: more than 22 of them, or fewer than 1, have a
    // probability below 0.1 % each.
    let [strong, wandering, weak, _] = oscillations(0.0, 500, 1000, 0.0);
    println!("white noise: {strong} strong, {wandering} wandering, {weak} weak of 1,000");
    assert!((1..=22).contains(&strong), "{strong}");
    assert!((1..=22).contains(&wandering), "{wandering}");
    // With the floor hardly any is left.
    let [strong, wandering, weak, undecided] = oscillations(0.0, 2000, 1000, 0.15);
    assert_eq!([strong, wandering, weak, undecided], [0, 0, 1000, 0]);
}

#[test]
fn wandering_alone_is_not_called_strong() {
    // Nominal rate 1 %; plain white-noise bands would call many of these strong at far lags.
    for coefficient in [0.5, 0.9] {
        let counts = oscillations(coefficient, 500, 400, 0.0);
        println!("coefficient {coefficient}: {counts:?}");
        assert!(counts[0] <= 10, "{counts:?}");
    }
}

#[test]
fn negative_autoregression_is_strong() {
    // The estimate of −0.5 has a standard error of 0.04 at 500 iterations: nine of them from the floor.
    assert_eq!(oscillations(-0.5, 500, 200, 0.15), [200, 0, 0, 0]);
    // A trifle is not strong however long the window.
    assert_eq!(oscillations(-0.08, 20_000, 10, 0.15), [0, 0, 10, 0]);
    // Too short a window is not called weak.
    assert_eq!(oscillations(0.0, 80, 20, 0.15)[2], 0);
}

#[test]
fn growing_amplitude_is_not_called_strong() {
    // Independent values whose amplitude grows e⁴-fold over the window: nominal rate 1 % on each side, without the
    // floor. 1,000 series: more than 22 of them have a probability below 0.1 %.
    let mut noise = Noise(17);
    let options = OscillationOptions {
        floor: 0.0,
        ..OscillationOptions::default()
    };
    let r = gradient(500);
    let (mut strong, mut wandering) = (0, 0);
    for _ in 0..1000 {
        let d: Vec<f64> = (0..500)
            .map(|t| noise.next() * (4.0 * f64::from(t) / 500.0).exp())
            .collect();
        let conclusion = test_oscillation(&d, &r, &options).unwrap().conclusion;
        strong += usize::from(conclusion == Oscillation::Strong);
        wandering += usize::from(conclusion == Oscillation::Wandering);
    }
    println!("growing amplitude: {strong} strong, {wandering} wandering of 1,000");
    assert!(strong <= 22 && wandering <= 22, "{strong} {wandering}");
}

#[test]
fn a_spike_does_not_hide_a_swing() {
    // As certain as without the spike.
    let mut noise = Noise(18);
    let r = gradient(500);
    for _ in 0..50 {
        let mut d = noise.autoregression(-0.5, 500);
        d[321] = 100.0;
        let test = test_oscillation(&d, &r, &OscillationOptions::default()).unwrap();
        assert_eq!(test.conclusion, Oscillation::Strong, "{test}");
    }
}

#[test]
fn settled_learning_is_stable_and_balanced() {
    let r = gradient(2000);
    let options = StabilityOptions::default();
    for coefficient in [-0.5, 0.0, 0.5] {
        let d = Noise(7).autoregression(coefficient, 2000);
        let test = test_stability(&d, &r, &options).unwrap();
        assert_eq!(test.conclusion, Stability::Stable, "{test}");
        assert_eq!(test.measures.unwrap().balance, Balance::Balanced, "{test}");
    }
}

#[test]
fn unsettled_learning_is_unstable_for_the_right_reason() {
    let r = gradient(2000);
    let noise = Noise(11).autoregression(-0.3, 2000);
    let place = |t: usize| t as f64 / 2000.0;
    let with = |change: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        noise
            .iter()
            .enumerate()
            .map(|(t, x)| change(t, *x))
            .collect()
    };
    let options = StabilityOptions::default();
    for (name, d, reason) in [
        ("ramp", with(&|t, x| x + 4.0 * place(t)), Instability::Drift),
        (
            "growth",
            with(&|t, x| x * (4.0 * place(t)).exp()),
            Instability::Growth,
        ),
        (
            "runaway",
            with(&|t, _| -(10.0 * place(t)).exp()),
            Instability::Growth,
        ),
        (
            "smooth ramp",
            with(&|t, _| place(t) - 0.5),
            Instability::Drift,
        ),
        ("one side", with(&|_, x| x - 3.0), Instability::OneSided),
        (
            "infinite",
            with(&|t, x| if t == 900 { f64::INFINITY } else { x }),
            Instability::NotFinite,
        ),
    ] {
        let test = test_stability(&d, &r, &options).unwrap();
        assert_eq!(test.conclusion, Stability::Unstable, "{name}: {test}");
        assert!(test.reasons.contains(&reason), "{name}: {test}");
    }
    let rising: Vec<f64> = r
        .iter()
        .enumerate()
        .map(|(t, r)| r * (1.0 + 0.5 * place(t)))
        .collect();
    let test = test_stability(&noise, &rising, &options).unwrap();
    assert_eq!(test.reasons, [Instability::GradientDrift], "{test}");
    let bounded = StabilityOptions {
        largest_energy_difference: Some(1.0),
        ..options
    };
    let test = test_stability(&noise, &r, &bounded).unwrap();
    assert_eq!(test.reasons, [Instability::BeyondBound], "{test}");
}

#[test]
fn a_window_that_rises_and_falls_back_is_not_stable() {
    // The halves have the same means. The triangle reaches one standard deviation of the noise to both sides; 50 series
    // of each, all certain by the size of the effect.
    let triangle = |t: usize| 1.0 - (t as f64 / 1000.0 - 1.0).abs();
    let mut noise = Noise(23);
    for _ in 0..50 {
        let d = noise.autoregression(-0.3, 2000);
        let hump: Vec<f64> = d
            .iter()
            .enumerate()
            .map(|(t, d)| d + 2.0 * triangle(t) - 1.0)
            .collect();
        let test = test_stability(&hump, &gradient(2000), &StabilityOptions::default()).unwrap();
        assert_ne!(test.conclusion, Stability::Stable, "{test}");
        let r: Vec<f64> = gradient(2000)
            .iter()
            .enumerate()
            .map(|(t, r)| r * (1.0 + 0.5 * triangle(t)))
            .collect();
        let test = test_stability(&d, &r, &StabilityOptions::default()).unwrap();
        assert_ne!(test.conclusion, Stability::Stable, "{test}");
    }
}

#[test]
fn a_few_effective_values_are_not_called_stable() {
    // A coefficient of 0.95 leaves about 13 of the 500 values of each half.
    let d = Noise(29).autoregression(0.95, 1000);
    let generous = StabilityOptions {
        drift_tolerance: 100.0,
        growth_tolerance: 1e6,
        ..StabilityOptions::default()
    };
    let test = test_stability(&d, &gradient(1000), &generous).unwrap();
    assert_eq!(test.conclusion, Stability::Undecided, "{test}");
}

#[test]
fn a_mean_at_the_tolerance_is_decided_wrongly_at_the_stated_rate() {
    // The hardest case: a step by exactly the tolerance of 0.5 standard deviations, where both conclusions are wrong.
    // One interval of four has the room of 20 %/4: 5 % over both sides. 1,000 series, of which more than 72 have a
    // probability below 0.1 %. Strong correlation leaves few effective values and so is the harder one.
    let r = gradient(1000);
    let options = StabilityOptions {
        error_rate: 0.2,
        ..StabilityOptions::default()
    };
    for coefficient in [-0.5, 0.0, 0.7] {
        let mut noise = Noise(5);
        let mut decided = 0;
        for _ in 0..1000 {
            // The step itself adds a quarter of its square to the variance: 0.5² = step²/(1 + step²/4).
            let step = 0.5 / (1.0_f64 - 0.0625).sqrt();
            let mut d = noise.autoregression(coefficient, 1000);
            d[500..].iter_mut().for_each(|d| *d += step);
            let test = test_stability(&d, &r, &options).unwrap();
            decided += usize::from(test.conclusion != Stability::Undecided);
        }
        println!("coefficient {coefficient}: {decided} of 1,000 decided");
        assert!(decided <= 72, "{coefficient}: {decided}");
    }
}

#[test]
fn intervals_of_drift_and_growth_cover_zero_at_the_stated_rate() {
    // Nominal 95 % each: four intervals share 20 %. 500 series; the estimated autocorrelation may cost 2.5 %.
    let options = StabilityOptions {
        error_rate: 0.2,
        ..StabilityOptions::default()
    };
    for coefficient in [-0.5, 0.0, 0.7] {
        let mut noise = Noise(71);
        let mut covered = [0; 4];
        for _ in 0..500 {
            let d = noise.autoregression(coefficient, 1000);
            let r: Vec<f64> = noise
                .autoregression(coefficient, 1000)
                .iter()
                .map(|x| 0.8 + 0.02 * x)
                .collect();
            let measures = test_stability(&d, &r, &options).unwrap().measures.unwrap();
            let share = measures.expanding_share;
            for (count, inside) in covered.iter_mut().zip([
                measures.drift.low <= 0.0 && measures.drift.high >= 0.0,
                measures.log_growth.low <= 0.0 && measures.log_growth.high >= 0.0,
                share.low <= 0.5 && share.high >= 0.5,
                measures.gradient_drift.low <= 0.0 && measures.gradient_drift.high >= 0.0,
            ]) {
                *count += usize::from(inside);
            }
        }
        println!(
            "coefficient {coefficient}: drift, growth, share, drift of r cover {covered:?} of 500"
        );
        assert!(
            covered.iter().all(|count| (462..=495).contains(count)),
            "{covered:?}"
        );
    }
}

#[test]
fn unusable_series_are_errors() {
    let options = StabilityOptions::default();
    let wave: Vec<f64> = (0..100).map(|t| f64::from(t % 7) - 3.0).collect();
    let r = gradient(100);
    assert!(test_stability(&[], &[], &options).is_err());
    assert!(test_stability(&wave, &r[1..], &options).is_err());
    assert!(test_stability(&wave[..39], &r[..39], &options).is_err());
    assert!(test_stability(&[0.3; 100], &r, &options).is_err());
    assert!(test_stability(&wave, &wave, &options).is_err());
    // Nothing at first: an infinite growth.
    let late = [vec![0.0; 50], wave[..50].to_vec()].concat();
    let test = test_stability(&late, &r, &options).unwrap();
    assert!(test.reasons.contains(&Instability::Growth), "{test}");
    assert!(test.to_string().contains("grows infinitely"), "{test}");
    assert!(test_stability(&wave, &[0.0; 100], &options).is_ok());
    let huge: Vec<f64> = wave.iter().map(|x| x * 1e307).collect();
    assert!(test_stability(&huge, &r, &options).is_ok());
    for bad in [
        StabilityOptions {
            error_rate: 1.0,
            ..options
        },
        StabilityOptions {
            growth_tolerance: 1.0,
            ..options
        },
        StabilityOptions {
            one_sided_share: 0.4,
            ..options
        },
        StabilityOptions {
            drift_tolerance: f64::NAN,
            ..options
        },
    ] {
        assert!(test_stability(&wave, &r, &bad).is_err());
    }
}

/// Chains of autocorrelated energies with a shift at each record; records at L = 100 and every 500 steps.
fn group(
    noise: &mut Noise,
    start: ChainOrigin,
    chains: usize,
    shift: impl Fn(u64) -> f64,
) -> ChainGroup {
    let steps: Vec<u64> = std::iter::once(100)
        .chain((1..=20).map(|k| 500 * k))
        .chain([1000])
        .collect();
    let mut steps = steps;
    steps.sort_unstable();
    steps.dedup();
    let traces: Vec<Vec<f64>> = (0..chains)
        .map(|_| noise.autoregression(0.3, steps.len()))
        .collect();
    let energies: Vec<f64> = steps
        .iter()
        .enumerate()
        .flat_map(|(record, step)| {
            let shift = shift(*step);
            traces
                .iter()
                .map(move |trace| 50.0 + 2.0 * (trace[record] + shift))
        })
        .collect();
    let outside = ChainSummary {
        name: "share outside".to_owned(),
        values: vec![0.0; energies.len()],
    };
    ChainGroup {
        start,
        chains,
        steps,
        energies,
        state_summaries: vec![outside],
    }
}

#[test]
fn chains_that_stay_converge_and_chains_that_sink_do_not() {
    let options = ConvergenceOptions::default();
    let mut noise = Noise(21);
    let data = group(&mut noise, ChainOrigin::Data, 64, |_| 0.0);
    let stay = group(&mut noise, ChainOrigin::Noise, 64, |_| 0.0);
    let test = test_convergence(&[stay, data.clone()], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::Convergent, "{test}");
    assert!(test.confidence > 0.95);
    assert_eq!((test.changes.len(), test.distances.len()), (8, 2));
    let mixing = &test.mixing[0];
    assert!(mixing.split_rhat.unwrap() < 1.15, "{mixing:?}");
    assert_eq!((mixing.records, mixing.steps), (11, [5000, 10_000]));

    // A slow drift, of three spreads by 100·L.
    let sink = group(&mut noise, ChainOrigin::Noise, 64, |step| {
        -3e-4 * step as f64
    });
    let test = test_convergence(std::slice::from_ref(&sink), &options).unwrap();
    assert_eq!(test.conclusion, Convergence::NotConvergent, "{test}");
    let text = test.to_string();
    assert!(
        text.contains("chains continued to 100 times the training length sink by"),
        "{text}"
    );
    assert!(text.ends_with("(confidence above 99.9 %)"), "{text}");

    // Chains that stay where they are, but not where those from data are.
    let apart = group(&mut noise, ChainOrigin::Noise, 64, |_| -5.0);
    let test = test_convergence(&[apart, data], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::NotConvergent);
    assert!(test.to_string().contains("still lies"), "{test}");

    // Few chains and a drift of the size of the tolerance.
    let few = group(&mut noise, ChainOrigin::Bank, 8, |step| -1e-4 * step as f64);
    let test = test_convergence(&[few], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::Undecided, "{test}");
    let text = test.to_string();
    assert!(text.ends_with("more chains would tell"), "{text}");
}

#[test]
fn a_handful_of_chains_shows_a_large_change() {
    let options = ConvergenceOptions::default();
    for chains in [4, 5, 6] {
        let mut noise = Noise(33);
        for _ in 0..50 {
            let sink = group(&mut noise, ChainOrigin::Noise, chains, |step| {
                if step > 5000 { -40.0 } else { 0.0 }
            });
            let test = test_convergence(&[sink], &options).unwrap();
            // Of 4 chains the spread at L is sometimes too small by half to tell.
            if chains > 4 {
                assert_eq!(test.conclusion, Convergence::NotConvergent, "{test}");
            }
            assert_ne!(test.conclusion, Convergence::Convergent, "{test}");
        }
    }
    // Two groups of five that lie 40 spreads apart.
    let mut noise = Noise(34);
    let [a, b] = [(ChainOrigin::Noise, 40.0), (ChainOrigin::Data, 0.0)]
        .map(|(start, shift)| group(&mut noise, start, 5, |_| shift));
    let test = test_convergence(&[a, b], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::NotConvergent, "{test}");
    assert!(test.to_string().contains("still lies"), "{test}");
}

#[test]
fn means_that_stay_are_not_enough() {
    let options = ConvergenceOptions::default();
    // 4 of 400 chains sink by 40 spreads: the mean by less than half a spread.
    let mut some = group(&mut Noise(35), ChainOrigin::Noise, 400, |_| 0.0);
    let last = some.energies.len() - 400;
    some.energies[last..last + 4]
        .iter_mut()
        .for_each(|energy| *energy -= 80.0);
    let test = test_convergence(&[some], &options).unwrap();
    println!("{test}");
    assert_ne!(test.conclusion, Convergence::Convergent, "{test}");
    assert!(
        test.to_string().contains("the spread of their energy"),
        "{test}"
    );

    // All chains end in one state that has the mean energy of all, nearly and exactly.
    for left in [0.01, 0.0] {
        let mut same = group(&mut Noise(36), ChainOrigin::Noise, 64, |_| 0.0);
        let last = same.energies.len() - 64;
        let mean = same.energies[64..128].iter().sum::<f64>() / 64.0;
        same.energies[last..]
            .iter_mut()
            .for_each(|energy| *energy = mean + left * (*energy - mean));
        let test = test_convergence(&[same], &options).unwrap();
        println!("{test}");
        assert_eq!(test.conclusion, Convergence::NotConvergent, "{test}");
        assert!(
            test.to_string().contains("the spread of their energy"),
            "{test}"
        );
    }
}

#[test]
fn intervals_of_spread_changes_cover_the_truth() {
    // Nominal 95 %, of which one number in two has 97.5 %; 1,000 groups whose spread doubles. The jackknife allows
    // 2.5 % with few chains.
    let options = ConvergenceOptions {
        multiples: vec![100],
        error_rate: 0.1,
        ..ConvergenceOptions::default()
    };
    for chains in [8, 64] {
        let mut noise = Noise(45);
        let mut covered = 0;
        for _ in 0..1000 {
            let mut g = group(&mut noise, ChainOrigin::Noise, chains, |_| 0.0);
            g.state_summaries.clear();
            let last = g.energies.len() - chains;
            g.energies[last..].iter_mut().for_each(|e| *e *= 2.0);
            let interval = test_convergence(&[g], &options).unwrap().spread_changes[0].log_ratio;
            let truth = 2.0_f64.ln();
            covered += usize::from(interval.low <= truth && truth <= interval.high);
        }
        println!("{chains} chains, doubled spread: {covered} of 1,000 covered");
        assert!((915..=985).contains(&covered), "{chains}: {covered}");
    }
}

#[test]
fn chains_that_leave_the_numbers_decide() {
    let options = ConvergenceOptions::default();
    let good = group(&mut Noise(37), ChainOrigin::Noise, 64, |_| 0.0);
    let mut broken = good.clone();
    let last = broken.energies.len() - 64;
    broken.energies[last + 5] = f64::NAN;
    broken.state_summaries[0].values[last + 5] = f64::INFINITY;
    let test = test_convergence(&[broken.clone()], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::NotConvergent);
    assert_eq!(
        test.to_string(),
        "not convergent: 1 of 64 chains from noise do not stay finite"
    );
    assert_eq!(test.changes[0].chains, 63);
    broken.energies[last..].fill(f64::NEG_INFINITY);
    let test = test_convergence(&[broken], &options).unwrap();
    assert_eq!(test.not_finite[0].not_finite, 64);
    assert!(test.changes.is_empty());

    // 0 in all chains at L, 1 in all of them at the end: infinitely many spreads, but in numbers that JSON has.
    let mut outside = good;
    outside.state_summaries[0].values[last..].fill(1.0);
    let test = test_convergence(&[outside], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::NotConvergent);
    println!("{test}");
    assert!(
        test.to_string().contains("from 0 to 1, all of them alike"),
        "{test}"
    );
    let json = serde_json::to_string(&test).unwrap();
    let back: ConvergenceTest = serde_json::from_str(&json).unwrap();
    assert_eq!(back, test);
}

#[test]
fn sentences_tell_what_decided() {
    let options = ConvergenceOptions::default();
    let mut noise = Noise(38);
    // The changes are small; the distance of one spread cannot be told.
    let pair = [(ChainOrigin::Noise, 1.0), (ChainOrigin::Data, 0.0)]
        .map(|(start, shift)| group(&mut noise, start, 200, |_| shift));
    let test = test_convergence(&pair, &options).unwrap();
    assert_eq!(test.conclusion, Convergence::Undecided);
    let text = test.to_string();
    println!("{text}");
    assert!(
        text.contains("still lies") && !text.contains("confidence"),
        "{text}"
    );
    // Convergent, and the largest number is a distance.
    let pair = [(ChainOrigin::Noise, 0.6), (ChainOrigin::Data, 0.0)]
        .map(|(start, shift)| group(&mut noise, start, 400, |_| shift));
    let test = test_convergence(&pair, &options).unwrap();
    assert_eq!(test.conclusion, Convergence::Convergent, "{test}");
    let text = test.to_string();
    println!("{text}");
    assert!(
        text.contains("still lies") && text.contains("(confidence "),
        "{text}"
    );
}

#[test]
fn chains_that_burn_in_count_by_their_distance_only() {
    // Persistent training: chains from noise sink for 2,000 steps and then are where those of the bank are.
    let mut noise = Noise(39);
    let sinks = |step: u64| if step < 2000 { 20.0 } else { 0.0 };
    let from_noise = group(&mut noise, ChainOrigin::Noise, 64, sinks);
    let bank = group(&mut noise, ChainOrigin::Bank, 64, |_| 0.0);
    let groups = [from_noise, bank];
    let test = test_convergence(&groups, &ConvergenceOptions::default()).unwrap();
    assert_eq!(test.conclusion, Convergence::NotConvergent, "{test}");
    let options = ConvergenceOptions {
        origins_in_burn_in: vec![ChainOrigin::Noise],
        ..ConvergenceOptions::default()
    };
    let test = test_convergence(&groups, &options).unwrap();
    assert_eq!(test.conclusion, Convergence::Convergent, "{test}");
    assert!(test.changes.iter().all(|c| c.start == ChainOrigin::Bank));
    assert_eq!((test.changes.len(), test.distances.len()), (4, 2));
    // Alone they tell nothing.
    let test = test_convergence(&groups[..1], &options).unwrap();
    assert_eq!(test.conclusion, Convergence::Undecided);
    assert!(test.to_string().contains("nothing to compare"), "{test}");
}

#[test]
fn a_drift_at_the_tolerance_is_decided_wrongly_at_the_stated_rate() {
    // At a drift of exactly one spread both conclusions are wrong. Means and spreads of two summaries at two
    // multiples share 40 %, and only one of the eight drifts: at most 5 % over both sides in expectation. Of 1,000
    // groups more than 72 have a probability below 0.1 %. The smaller the group, the more the error of the spread
    // counts.
    let options = ConvergenceOptions {
        error_rate: 0.4,
        ..ConvergenceOptions::default()
    };
    for chains in [8, 32] {
        let mut noise = Noise(31);
        let mut wrong = 0;
        for _ in 0..1000 {
            let at_tolerance = group(&mut noise, ChainOrigin::Noise, chains, |step| {
                if step > 5000 { -1.0 } else { 0.0 }
            });
            let test = test_convergence(&[at_tolerance], &options).unwrap();
            wrong += usize::from(test.conclusion != Convergence::Undecided);
        }
        println!("{chains} chains: {wrong} of 1,000 decided");
        assert!(wrong <= 72, "{chains}: {wrong}");
    }
}

#[test]
fn some_dozens_of_chains_show_convergence() {
    // Not a rate of errors but the power: how often chains that stay are called convergent. Never the opposite: an
    // interval around zero beyond one spread has a probability below 1e-6.
    for (chains, least) in [(32, 60), (64, 180)] {
        let mut noise = Noise(61);
        let mut convergent = 0;
        for _ in 0..200 {
            let mut stays = group(&mut noise, ChainOrigin::Noise, chains, |_| 0.0);
            stays.state_summaries.clear();
            let test = test_convergence(&[stays], &ConvergenceOptions::default()).unwrap();
            assert_ne!(test.conclusion, Convergence::NotConvergent);
            convergent += usize::from(test.conclusion == Convergence::Convergent);
        }
        println!("{chains} chains that stay: {convergent} of 200 convergent");
        assert!(convergent >= least, "{chains}: {convergent}");
    }
}

#[test]
fn intervals_of_changes_cover_the_truth() {
    // Nominal 95 % for one of two comparisons; 1,000 groups, the delta method allows 92.5 %. The bound towards zero
    // of a large change is cautious, so that nearly only the other end is missed.
    let options = ConvergenceOptions {
        multiples: vec![100],
        error_rate: 0.1,
        ..ConvergenceOptions::default()
    };
    for (chains, drift) in [(8, 0.0), (8, -5.0), (64, -5.0), (64, -40.0)] {
        let mut noise = Noise(41);
        let mut covered = 0;
        for _ in 0..1000 {
            let mut g = group(&mut noise, ChainOrigin::Noise, chains, |step| {
                if step > 5000 { drift } else { 0.0 }
            });
            g.state_summaries.clear();
            let test = test_convergence(&[g], &options).unwrap();
            let interval = test.changes[0].spreads;
            covered += usize::from(interval.low <= drift && drift <= interval.high);
        }
        println!("{chains} chains, drift {drift}: {covered} of 1,000 covered");
        assert!(
            (925..=995).contains(&covered),
            "{chains} chains, drift {drift}: {covered}"
        );
    }
}

#[test]
fn intervals_of_distances_cover_the_truth() {
    // Nominal 95 % for the distance, which shares 45 % with four changes and four of spreads; 1,000 pairs of groups of
    // unequal size. The means differ by 5 standard deviations of the first group; both spreads are the same.
    let options = ConvergenceOptions {
        error_rate: 0.45,
        ..ConvergenceOptions::default()
    };
    let mut noise = Noise(43);
    let mut covered = 0;
    for _ in 0..1000 {
        let [mut a, mut b] = [(ChainOrigin::Noise, 12, 5.0), (ChainOrigin::Data, 40, 0.0)]
            .map(|(start, chains, shift)| group(&mut noise, start, chains, |_| shift));
        a.state_summaries.clear();
        b.state_summaries.clear();
        let interval = test_convergence(&[a, b], &options).unwrap().distances[0].spreads;
        covered += usize::from(interval.low <= 5.0 && 5.0 <= interval.high);
    }
    println!("distance: {covered} of 1,000 covered");
    assert!((925..=995).contains(&covered), "{covered}");
}

#[test]
fn unusable_groups_are_errors() {
    let options = ConvergenceOptions::default();
    let good = group(&mut Noise(3), ChainOrigin::Noise, 6, |_| 0.0);
    let bad = |change: &dyn Fn(&mut ChainGroup)| {
        let mut group = good.clone();
        change(&mut group);
        test_convergence(&[group], &options)
            .unwrap_err()
            .to_string()
    };
    assert!(
        bad(&|g| {
            g.energies.pop();
        })
        .contains("same length")
    );
    assert!(bad(&|g| g.chains = 3).contains("at least 4"));
    assert!(bad(&|g| g.steps.swap(0, 1)).contains("rise"));
    assert!(bad(&|g| g.steps[20] += 1).contains("no record at step 10000, 100 times"));
    assert!(bad(&|g| g.state_summaries[0].name = "energy".to_owned()).contains("twice"));
    assert!(bad(&|g| g.steps.clear()).contains("records"));
    assert!(bad(&|g| g.energies.iter_mut().for_each(|e| *e *= 1e200)).contains("in spreads"));
    assert!(test_convergence(&[], &options).is_err());
    assert!(test_convergence(&[good.clone(), good.clone()], &options).is_err());
    for bad in [
        ConvergenceOptions {
            training_steps: 0,
            ..options.clone()
        },
        ConvergenceOptions {
            multiples: vec![],
            ..options.clone()
        },
        ConvergenceOptions {
            multiples: vec![1, 10],
            ..options.clone()
        },
        ConvergenceOptions {
            tolerance: 0.0,
            ..options.clone()
        },
        ConvergenceOptions {
            spread_tolerance: 1.0,
            ..options.clone()
        },
        ConvergenceOptions {
            error_rate: f64::NAN,
            ..options.clone()
        },
    ] {
        assert!(test_convergence(std::slice::from_ref(&good), &bad).is_err());
    }
}

fn metrics(d: &[f64], r: &[f64]) -> Vec<IterationMetrics> {
    (1..)
        .zip(d.iter().zip(r))
        .map(|(iteration, (d, r))| IterationMetrics {
            iteration,
            energy_difference: *d,
            gradient_magnitude: *r,
            energy_data: 0.0,
            energy_samples: 0.0,
            learning_rate: 1e-4,
            acceptance_rate: None,
        })
        .collect()
}

#[test]
fn a_verdict_is_one_sentence_and_survives_json() {
    let d = Noise(51).autoregression(-0.5, 4000);
    let r = gradient(4000);
    let sink = group(&mut Noise(52), ChainOrigin::Noise, 32, |step| {
        -4e-3 * step as f64
    });
    let options = VerdictOptions::default();
    let verdict = Verdict::new(&metrics(&d, &r), &[sink], &options).unwrap();
    let text = verdict.to_string();
    println!("{text}");
    assert!(
        text.starts_with("Stable learning with strong oscillation; not convergent: chains continued to 100 times the training length sink by "),
        "{text}"
    );
    let back: Verdict = serde_json::from_str(&verdict.to_json().unwrap()).unwrap();
    assert_eq!(back, verdict);

    let mut broken = metrics(&d, &r);
    broken[3500].energy_difference = f64::NAN;
    let verdict = Verdict::new(&broken, &[], &options).unwrap();
    assert_eq!(
        verdict.to_string(),
        "Unstable learning (d or r is not finite); convergence not judged, which takes long chains."
    );
    assert!(Verdict::new(&[], &[], &options).is_err());
}

#[test]
fn what_cannot_be_tested_leaves_the_rest_of_the_verdict() {
    let options = VerdictOptions::default();
    let d = Noise(53).autoregression(0.0, 4000);
    let r = gradient(4000);
    let sink = [group(&mut Noise(54), ChainOrigin::Noise, 32, |step| {
        -4e-3 * step as f64
    })];
    // A window of 50, 10 and 5 iterations and a d without spread.
    for (length, beginning) in [
        (
            100,
            "Learning not shown to be stable, oscillation undecided",
        ),
        (
            20,
            "Learning not shown to be stable (too few iterations, or d is constant), oscillation",
        ),
        (
            10,
            "Learning not shown to be stable (too few iterations, or d is constant); not conv",
        ),
    ] {
        let verdict = Verdict::new(&metrics(&d[..length], &r[..length]), &sink, &options).unwrap();
        let text = verdict.to_string();
        println!("{text}");
        assert!(text.starts_with(beginning), "{text}");
        assert!(text.contains("not convergent"), "{text}");
    }
    let verdict = Verdict::new(&metrics(&[0.3; 4000], &r), &sink, &options).unwrap();
    assert_eq!(verdict.learning.stability.conclusion, Stability::Undecided);
    assert_eq!(verdict.learning.oscillation, None);
}

#[test]
fn a_verdict_tells_which_updates_prevail() {
    let r = gradient(4000);
    for (shift, told) in [
        (-1.0, "% of the updates expand;"),
        (1.0, "% of the updates contract;"),
    ] {
        let d: Vec<f64> = Noise(55)
            .autoregression(0.0, 4000)
            .iter()
            .map(|d| d + shift)
            .collect();
        let verdict = Verdict::new(&metrics(&d, &r), &[], &VerdictOptions::default()).unwrap();
        let text = verdict.to_string();
        println!("{text}");
        assert!(
            text.starts_with("Stable learning with weak oscillation; 8"),
            "{text}"
        );
        assert!(text.contains(told), "{text}");
    }
}
