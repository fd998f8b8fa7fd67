//! `langevin/<engine>-<backend>/<net>/<batch>` in chain steps per second.
#![allow(missing_docs, clippy::expect_used)]

use std::time::Duration;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ebm_benches::{Case, Chains};
use ebm_energy_net::Net;
use ebm_experiment::{AnyEngine, EngineChoice};

const BATCHES: [usize; 2] = [100, 10_000];

/// The engine for a choice, a net and its states.
type Choose<B> = fn(EngineChoice, &Net<Autodiff<B>>, [usize; 3]) -> AnyEngine;

fn backend<B: Backend>(
    criterion: &mut Criterion,
    name: &str,
    own: Option<EngineChoice>,
    choose: Choose<B>,
) {
    for case in Case::published() {
        for batch in BATCHES {
            // Large image batches only measure memory, and ndarray's convolutions take ten seconds a step.
            let too_long = case.net != "toy" && (batch > 100 || name == "ndarray");
            if too_long {
                continue;
            }
            for choice in [Some(EngineChoice::Tensor), own].into_iter().flatten() {
                measure::<B>(criterion, &case, batch, name, choice, choose);
            }
        }
    }
}

fn measure<B: Backend>(
    criterion: &mut Criterion,
    case: &Case,
    batch: usize,
    backend: &str,
    choice: EngineChoice,
    choose: Choose<B>,
) {
    let engine_name = choice.name();
    let mut group =
        criterion.benchmark_group(format!("langevin/{engine_name}-{backend}/{}", case.net));
    group
        .throughput(Throughput::Elements(batch as u64))
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
        let device = B::Device::default();
        let net = case
            .init::<Autodiff<B>>(&device)
            .expect("the published nets fit their states");
        let engine = choose(choice, &net, case.state_shape);
        let mut chains = Chains::<Autodiff<B>>::new(case, batch, net, engine, &device)
            .expect("the published step sizes are possible");
        bencher.iter_custom(|steps| {
            let start = std::time::Instant::now();
            chains.run(steps).expect("a net returns one energy a chain");
            start.elapsed()
        });
    });
    group.finish();
}

#[allow(dead_code)] // There are builds for GPUs alone.
fn on_cpu<B: Backend>(
    choice: EngineChoice,
    net: &Net<Autodiff<B>>,
    state_shape: [usize; 3],
) -> AnyEngine {
    let chosen = AnyEngine::choose(choice, net, state_shape);
    chosen.expect("the engines have the published nets").0
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn on_gpu<B: ebm_engine_gpu::CubeTensors>(
    choice: EngineChoice,
    net: &Net<Autodiff<B>>,
    state_shape: [usize; 3],
) -> AnyEngine {
    let cube = ebm_engine_gpu::CubeEngine::for_backend::<Autodiff<B>>(&Default::default());
    let chosen = AnyEngine::choose_on_gpu(choice, cube, net, state_shape);
    chosen.expect("the engines have the published nets").0
}

fn langevin(criterion: &mut Criterion) {
    // The fused engine computes without the backend, so once is enough.
    #[cfg(feature = "flex")]
    backend::<burn::backend::Flex>(criterion, "flex", Some(EngineChoice::Fused), on_cpu);
    #[cfg(feature = "ndarray")]
    backend::<burn_ndarray::NdArray>(criterion, "ndarray", None, on_cpu);
    #[cfg(feature = "cuda")]
    backend::<burn::backend::Cuda>(criterion, "cuda", Some(EngineChoice::Cube), on_gpu);
    #[cfg(feature = "wgpu")]
    backend::<burn::backend::Wgpu>(criterion, "wgpu", Some(EngineChoice::Cube), on_gpu);
}

criterion_group!(benches, langevin);
criterion_main!(benches);
