//! Preconditioned kernels against the plain ones and closed forms.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, NoiseKey, StepSize, Stream, Temperature, device_tensor};
use ebm_langevin::*;

use crate::mala::{Mixture, gaussian, row_sums, run_of, walk};

/// Independent normals with these standard deviations.
const WIDTHS: [f32; 4] = [0.1, 1.0, 3.0, 10.0];

struct Unequal;

impl<B: Backend> Energy<B> for Unequal {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let inverse = WIDTHS.map(|width| width.recip()).to_vec();
        let inverse = device_tensor(inverse, [1, 4, 1, 1], &states.device());
        row_sums((states * inverse).powi_scalar(2)) / 2.0
    }
}

fn step(epsilon: f64) -> StepSize {
    StepSize::new(epsilon).unwrap()
}

fn chains() -> TensorChains<Autodiff<Flex>, Unequal> {
    TensorEngine::default().bind(Unequal, 4, &Default::default())
}

fn variances(states: &States) -> [f64; 4] {
    std::array::from_fn(|at| {
        let squares = states.iter().map(|state| f64::from(state[at]).powi(2));
        squares.sum::<f64>() / states.len() as f64
    })
}

/// Equal lengths are no lengths: the states of ULA and MALA, but for rounding, from the same noise.
#[test]
fn equal_lengths_change_nothing() {
    let start = gaussian(1.0, 500, 1).into_values();
    let (size, one) = (step(0.9), Temperature::ONE);
    let equal = Scales::equal(1);
    let pairs = [
        (
            AnyKernel::from(Ula::new(size, one)),
            Preconditioned::ula(size, one, equal.clone()).unwrap(),
        ),
        (
            Mala::new(size, one).unwrap().into(),
            Preconditioned::mala(size, one, equal).unwrap(),
        ),
    ];
    for (plain, preconditioned) in pairs {
        let plain = walk(&Mixture, &start, &run_of(plain, 20));
        let same = walk(&Mixture, &start, &run_of(preconditioned, 20));
        let far = plain
            .iter()
            .zip(&same)
            .filter(|(a, b)| (*a - *b).abs() > 1e-3);
        // A decision may fall on the other side by rounding, once in a long while.
        assert!(far.count() <= 2);
    }
}

/// ULA with lengths sᵢ = σᵢ (up to their mean) is ULA with one ε on a standard normal: its variance is σ²/(1 − (ε/2)²) for
/// the drift ε²/2, in each element. Within 4.5 standard errors for 40,000 chains, √(2/n) each; false-alarm rate 3e-5.
#[test]
fn lengths_make_elements_alike() {
    let scales = Scales::new(&WIDTHS.map(f64::from)).unwrap();
    let unit = f64::from(WIDTHS[0]) / scales.lengths()[0];
    let kernel = Preconditioned::ula(step(0.8 * unit), Temperature::ONE, scales).unwrap();
    let start = gaussian(1.0, 40_000, 4);
    let states = chains().run(&start, &run_of(kernel, 60)).unwrap().states;
    let wanted = 1.0 / (1.0 - 0.16);
    for (variance, width) in variances(&states).iter().zip(WIDTHS) {
        let ratio = variance / f64::from(width).powi(2);
        let error = 4.5 * wanted * (2.0f64 / 40_000.0).sqrt();
        assert!((ratio - wanted).abs() < error, "{width}: {ratio}");
    }
}

/// A burn-in finds the widths within a tenth, from a start that has other ones. MALA with them keeps each variance within 4.5
/// standard errors, and in as many steps as plain MALA leaves the widest element where it was.
#[test]
fn a_burn_in_finds_the_lengths() {
    let (one, chains) = (Temperature::ONE, chains());
    let start = gaussian(1.0, 4_000, 4);
    let noise = NoiseKey::new(3, Stream::Watch, 1);
    let adaptation = ScaleAdaptation {
        steps: 2_000,
        ..ScaleAdaptation::default()
    };
    let size = step(0.9);
    // ε falls with the length of the narrowest element.
    let kernel = |scales: &Scales, _: &States| {
        let narrowest = scales.lengths()[0] / f64::from(WIDTHS[0]);
        let size = StepSize::new(0.9 / narrowest)?;
        Ok(Preconditioned::mala(size, one, scales.clone())?.into())
    };
    let (scales, states) = Scales::adapted(&chains, &start, noise, adaptation, kernel).unwrap();
    let unit = scales.lengths()[1];
    for (length, width) in scales.lengths().iter().zip(WIDTHS) {
        let ratio = length / unit / f64::from(width);
        assert!((ratio - 1.0).abs() < 0.1, "{width}: {ratio}");
    }
    let size = step(size.get() / unit);
    let adapted = Preconditioned::mala(size, one, scales).unwrap();
    let outcome = chains.run(&states, &run_of(adapted, 100)).unwrap();
    assert!(outcome.acceptance_rate > Some(0.5));
    for (variance, width) in variances(&outcome.states).iter().zip(WIDTHS) {
        let ratio = variance / f64::from(width).powi(2);
        let error = 4.5 * (2.0f64 / 4_000.0).sqrt();
        assert!((ratio - 1.0).abs() < error, "{width}: {ratio}");
    }
    let plain = Mala::new(step(0.1), one).unwrap();
    let slow = chains.run(&start, &run_of(plain, 100)).unwrap().states;
    assert!(variances(&slow)[3] < 4.0);
}

#[test]
fn impossible_lengths_are_refused() {
    let (one, chains) = (Temperature::ONE, chains());
    let still = step(0.0);
    Preconditioned::ula(still, one, Scales::equal(4)).unwrap_err();
    Preconditioned::mala(still, one, Scales::equal(4)).unwrap_err();
    let three = Preconditioned::mala(step(0.1), one, Scales::equal(3)).unwrap();
    let start = gaussian(1.0, 5, 4);
    let error = chains.run(&start, &run_of(three, 1)).unwrap_err();
    assert!(error.to_string().contains("4 elements"), "{error}");
    let noise = NoiseKey::new(3, Stream::Watch, 1);
    let with_step = |size| {
        move |scales: &Scales, _: &States| {
            Ok(Preconditioned::mala(size, one, scales.clone())?.into())
        }
    };
    for broken in [
        |adaptation: &mut ScaleAdaptation| adaptation.steps = 0,
        |adaptation: &mut ScaleAdaptation| adaptation.windows = 0,
        |adaptation: &mut ScaleAdaptation| adaptation.looks = 0,
    ] {
        let mut adaptation = ScaleAdaptation::default();
        broken(&mut adaptation);
        Scales::adapted(&chains, &start, noise, adaptation, with_step(step(0.1))).unwrap_err();
    }
    // A single chain whose proposals are all rejected, and chains that begin at no number.
    let adapted = |start: &States, size| {
        let adaptation = ScaleAdaptation::default();
        let error = Scales::adapted(&chains, start, noise, adaptation, with_step(size));
        error.unwrap_err().to_string()
    };
    let one_chain = States::new(4, vec![0.1; 4]).unwrap();
    let error = adapted(&one_chain, step(1e6));
    assert!(error.contains("alike"), "{error}");
    let lost = States::new(4, vec![f32::NAN; 4]).unwrap();
    let error = adapted(&lost, step(0.1));
    assert!(error.contains("NaN"), "{error}");
}

/// One step of MALA with lengths s is the step of plain MALA on the energy of y = x/s: the same proposals, and the same
/// decisions, from the same noise, for chains of four unequal elements at ε = 1.2, where a third is rejected.
#[test]
fn a_step_with_lengths_is_a_plain_step_in_their_coordinates() {
    const CHAINS: usize = 2_000;
    let widths = WIDTHS.map(f64::from);
    let scales = Scales::new(&widths).unwrap();
    let unit = scales.lengths()[0] / widths[0];
    let start = gaussian(1.0, CHAINS, 4);
    let to = |states: &States, factor: fn(f64) -> f64| {
        let lengths = scales.lengths().iter().cycle();
        let values = states.values().iter().zip(lengths);
        let values = values.map(|(x, s)| (f64::from(*x) * factor(*s)) as f32);
        States::new(4, values.collect()).unwrap()
    };
    // Of width σ = s/unit each, so that those of y are 1/unit.
    let mala = Preconditioned::mala(step(1.2 / unit), Temperature::ONE, scales.clone()).unwrap();
    let there = to(&start, |s| s);
    let moved = chains().run(&there, &run_of(mala, 1)).unwrap();
    let plain = Mala::new(step(1.2 / unit), Temperature::ONE).unwrap();
    let engine = TensorEngine::default().bind::<Autodiff<Flex>, _>(
        Round(unit as f32),
        4,
        &Default::default(),
    );
    let wanted = engine.run(&start, &run_of(plain, 1)).unwrap();
    let rate = wanted.acceptance_rate.unwrap();
    assert!(rate > 0.4 && rate < 0.9, "{rate}");
    // A decision may fall on the other side by rounding.
    assert!((moved.acceptance_rate.unwrap() - rate).abs() < 2.0 / CHAINS as f64);
    let back = to(&moved.states, f64::recip);
    let pairs = back.iter().zip(wanted.states.iter());
    let far = pairs.filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| (a - b).abs() > 1e-4));
    assert!(far.count() <= 2);
}

/// |y|² u²/2, whose standard deviations are 1/u.
struct Round(f32);

impl<B: Backend> Energy<B> for Round {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        row_sums((states * self.0).powi_scalar(2)) / 2.0
    }
}
