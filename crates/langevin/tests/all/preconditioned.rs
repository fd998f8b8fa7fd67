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
    let kernel = |scales: Scales| {
        let narrowest = scales.lengths()[0] / f64::from(WIDTHS[0]);
        let size = StepSize::new(0.9 / narrowest)?;
        Ok(Preconditioned::mala(size, one, scales)?.into())
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
    let kernel = |scales| Ok(Preconditioned::mala(step(0.1), one, scales)?.into());
    for broken in [
        |adaptation: &mut ScaleAdaptation| adaptation.steps = 0,
        |adaptation: &mut ScaleAdaptation| adaptation.windows = 0,
        |adaptation: &mut ScaleAdaptation| adaptation.looks = 0,
    ] {
        let mut adaptation = ScaleAdaptation::default();
        broken(&mut adaptation);
        Scales::adapted(&chains, &start, noise, adaptation, kernel).unwrap_err();
    }
}
