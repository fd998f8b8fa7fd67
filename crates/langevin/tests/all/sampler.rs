//! Chains from record to record: the same path however it is cut, and every way a walk can end.
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use burn_ndarray::NdArray;
use ebm_core::{StepSize, Temperature};
use ebm_langevin::*;

type B = Autodiff<Flex>;

/// U = |x|²/2.
fn normal<B: Backend>(points: Tensor<B, 2>) -> Tensor<B, 1> {
    points.powi_scalar(2).sum_dim(1).squeeze_dim::<1>(1) / 2.0
}

fn chains(engine: &TensorEngine) -> impl Chains + use<> {
    engine.bind(PointEnergy(normal::<B>), 2, &Default::default())
}

fn mala() -> Mala {
    Mala::new(StepSize::new(0.9).unwrap(), Temperature::ONE).unwrap()
}

/// Keeps all that it is told, and says when it has had enough.
#[derive(Default)]
struct Kept {
    records: Vec<(u64, Vec<f32>, Option<f64>, Option<f64>)>,
    pieces: Vec<(u64, bool)>,
    places: Vec<ChainPlace>,
    last_record: Option<u64>,
    last_piece: Option<u64>,
}

fn flow(is_last: bool) -> ControlFlow<()> {
    if is_last {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

impl Watch for Kept {
    type Error = LangevinError;

    fn record(&mut self, record: &Record<'_>) -> Result<ControlFlow<()>, LangevinError> {
        self.records.push((
            record.step,
            record.energies.to_vec(),
            record.gradient_magnitude,
            record.acceptance_rate,
        ));
        Ok(flow(self.last_record == Some(record.step)))
    }

    fn piece(&mut self, piece: &Piece<'_>) -> Result<ControlFlow<()>, LangevinError> {
        self.pieces.push((piece.steps, piece.energies.is_some()));
        self.places.push(piece.place.clone());
        Ok(flow(self.last_piece == Some(piece.place.step)))
    }
}

#[test]
fn pieces_end_at_their_multiples_and_at_records() {
    let chains = chains(&TensorEngine::default());
    let sampler = Sampler::new(mala())
        .with_steps(47)
        .with_record_every(20)
        .with_records_at(vec![33, 5])
        .with_piece(10);
    let start = sampler.start(&chains, 50).unwrap();
    let mut kept = Kept::default();
    let place = ChainPlace::new(start.clone());
    let end = sampler.walk(&chains, place, &mut kept).unwrap();
    assert_eq!((end.ended, end.place.step), (WalkEnd::Finished, 47));
    let steps: Vec<u64> = kept.records.iter().map(|record| record.0).collect();
    assert_eq!(steps, [0, 5, 20, 33, 40, 47]);
    let pieces: Vec<u64> = kept.pieces.iter().map(|piece| piece.0).collect();
    assert_eq!(pieces, [5, 5, 10, 10, 3, 7, 7]);
    assert_eq!((kept.records[0].2, kept.records[0].3), (None, None));
    // The same chains in one piece, and r as the mean of all steps.
    let run = ChainRun::new(mala(), 47).with_final_energies();
    let whole = chains.run(&start, &run).unwrap();
    assert_eq!(end.place.states, whole.states);
    assert_eq!(kept.records[5].1, whole.energies.unwrap());
    let lengths = [5.0, 15.0, 13.0, 7.0, 7.0];
    let mean = |of: fn(&(u64, Vec<f32>, Option<f64>, Option<f64>)) -> Option<f64>| {
        let records = kept.records[1..].iter().zip(lengths);
        let sum: f64 = records
            .map(|(record, steps)| of(record).unwrap() * steps)
            .sum();
        sum / 47.0
    };
    assert!((mean(|record| record.2) - whole.gradient_magnitude).abs() < 1e-9);
    assert!((mean(|record| record.3) - whole.acceptance_rate.unwrap()).abs() < 1e-9);
}

#[test]
fn a_walk_goes_on_where_it_was_left() {
    let chains = chains(&TensorEngine::default());
    let sampler = Sampler::new(mala())
        .with_steps(60)
        .with_record_every(25)
        .with_piece(10);
    let place = ChainPlace::new(sampler.start(&chains, 20).unwrap());
    let mut whole = Kept::default();
    sampler.walk(&chains, place.clone(), &mut whole).unwrap();
    for cut in [10, 20, 25, 40] {
        let mut first = Kept {
            last_piece: Some(cut),
            ..Kept::default()
        };
        let left = sampler.walk(&chains, place.clone(), &mut first).unwrap();
        assert_eq!((left.ended, left.place.step), (WalkEnd::Stopped, cut));
        let mut rest = Kept::default();
        let end = sampler.walk(&chains, left.place, &mut rest).unwrap();
        assert_eq!(end.ended, WalkEnd::Finished);
        first.records.extend(rest.records);
        assert_eq!(first.records, whole.records, "cut at {cut}");
        assert_eq!(Some(&end.place), whole.places.last());
    }
    // At a record as well, also the first.
    for last in [0, 25] {
        let mut kept = Kept {
            last_record: Some(last),
            ..Kept::default()
        };
        let left = sampler.walk(&chains, place.clone(), &mut kept).unwrap();
        assert_eq!((left.ended, left.place.step), (WalkEnd::Stopped, last));
        assert!(!left.place.is_new);
    }
}

#[test]
fn a_cancelled_walk_ends_before_the_piece() {
    let stop = Arc::new(AtomicBool::new(false));
    let chains = chains(&TensorEngine::default().cancelled_by(Arc::clone(&stop)));
    let sampler = Sampler::new(Ula::on_potential(0.1).unwrap())
        .with_steps(50)
        .with_record_every(20)
        .with_piece(10);
    let start = sampler.start(&chains, 4).unwrap();
    let mut seen = Vec::new();
    let raise = |record: &Record<'_>| {
        seen.push(record.step);
        stop.store(record.step == 20, Ordering::Relaxed);
    };
    let end = sampler.run(&chains, start.clone(), raise).unwrap();
    assert_eq!((end.ended, end.place.step), (WalkEnd::Cancelled, 20));
    assert_eq!(seen, [0, 20]);
    stop.store(false, Ordering::Relaxed);
    let rest = sampler.walk(&chains, end.place, &mut Kept::default());
    let whole = sampler.run(&chains, start, |_| {}).unwrap();
    assert_eq!(rest.unwrap(), whole);
}

/// U = −|x|²/2, on which a chain doubles its distance every few steps.
#[test]
fn chains_that_run_away_are_an_outcome() {
    let energy = PointEnergy(|x: Tensor<B, 2>| -normal(x) * 50.0);
    let chains = TensorEngine::default().bind(energy, 2, &Default::default());
    let sampler = Sampler::new(Ula::on_potential(1.0).unwrap())
        .with_steps(200)
        .with_record_every(5)
        .with_piece(5);
    let start = sampler.start(&chains, 3).unwrap();
    let mut last = 0;
    let end = sampler.run(&chains, start.clone(), |record| last = record.step);
    let end = end.unwrap();
    let WalkEnd::RanAway { step, chains: gone } = end.ended else {
        unreachable!("the energy has no bottom: {:?}", end.ended);
    };
    assert_eq!((step, gone), (last + 5, 3));
    assert!(end.place.states.is_finite());
    assert_eq!(end.place.step, last);
    let on = sampler
        .without_finite_check()
        .run(&chains, start, |_| {})
        .unwrap();
    assert_eq!((on.ended, on.place.step), (WalkEnd::Finished, 200));
    assert!(!on.place.states.is_finite());
    // Also at the start.
    let lost = States::points([[f32::NAN, 0.0], [0.0, 1.0]]);
    let end = Sampler::default().run(&chains, lost, |_| {}).unwrap();
    assert_eq!(end.ended, WalkEnd::RanAway { step: 0, chains: 1 });
}

/// The step of ULA, as somebody else's kernel.
struct Mine(Ula);

impl<B: Backend> Kernel<B> for Mine {
    type State = Tensor<B, 4>;

    fn init(
        &self,
        states: Tensor<B, 4>,
        _energy: &EnergyAt<'_, B>,
        _noise: StepNoise,
    ) -> Result<Tensor<B, 4>, LangevinError> {
        Ok(states)
    }

    fn step(
        &self,
        states: Tensor<B, 4>,
        energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<(Tensor<B, 4>, StepInfo<B>), LangevinError> {
        let (_, gradient) = energy(states.clone())?;
        let info = StepInfo::of_gradient(gradient.clone());
        let draws = noise.normals_like(&states);
        Ok((self.0.moved(states, gradient, Some(draws)), info))
    }

    fn states(&self, states: Tensor<B, 4>) -> Tensor<B, 4> {
        states
    }
}

#[test]
fn kernels_of_others_run_like_those_of_the_library() {
    let chains = chains(&TensorEngine::default().with_block(3.try_into().unwrap()));
    let ula = Ula::on_potential(0.3).unwrap();
    let start = Sampler::default().start(&chains, 10).unwrap();
    let own = AnyKernel::own::<Flex, _>(Mine(ula));
    let [expected, got] = [ula.into(), own]
        .map(|kernel: AnyKernel| chains.run(&start, &ChainRun::new(kernel, 30)).unwrap());
    assert_eq!(got, expected);
    let other = ChainRun::new(AnyKernel::own::<NdArray, _>(Mine(ula)), 1);
    let refusal = chains.run(&start, &other).unwrap_err();
    assert!(matches!(refusal, LangevinError::KernelOfOtherBackend));
}

#[test]
fn states_of_another_shape_are_refused() {
    let chains = chains(&TensorEngine::default());
    let refusal = chains.energies(&States::zeros(3, 4)).unwrap_err();
    assert!(
        refusal.to_string().contains("shape 3 instead of 2"),
        "{refusal}"
    );
    assert!(chains.energies(&States::none(2)).unwrap().is_empty());
}
