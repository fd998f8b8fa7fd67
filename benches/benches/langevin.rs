//! `langevin/<engine>-<backend>/<net>/<batch>` in chain steps per second.
#![allow(missing_docs, clippy::expect_used)]

use std::time::Duration;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ebm_benches::{Case, Chains};
use ebm_langevin::{AnyEngine, EngineChoice, TensorEngine};

const BATCHES: [usize; 2] = [100, 10_000];

fn backend<B: Backend>(criterion: &mut Criterion, name: &str) {
    for case in Case::published() {
        for batch in BATCHES {
            // Large image batches only measure memory, and ndarray's convolutions take ten seconds a step.
            let too_long = case.net != "toy" && (batch > 100 || name == "ndarray");
            if too_long {
                continue;
            }
            measure::<B>(criterion, &case, batch, name, EngineChoice::Tensor);
            // The fused engine computes without the backend, so once is enough.
            if name == "flex" {
                measure::<B>(criterion, &case, batch, name, EngineChoice::Fused);
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
) {
    let engine_name = match choice {
        EngineChoice::Fused => "fused",
        EngineChoice::Cube => "cube",
        EngineChoice::Auto | EngineChoice::Tensor => "tensor",
    };
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
        let engine = if matches!(backend, "flex" | "ndarray") {
            let chosen = AnyEngine::choose(choice, &net, case.state_shape);
            chosen.expect("both engines have the published nets").0
        } else {
            AnyEngine::Tensor(TensorEngine::default())
        };
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

fn langevin(criterion: &mut Criterion) {
    #[cfg(feature = "flex")]
    backend::<burn::backend::Flex>(criterion, "flex");
    #[cfg(feature = "ndarray")]
    backend::<burn::backend::NdArray>(criterion, "ndarray");
    #[cfg(feature = "cuda")]
    backend::<burn::backend::Cuda>(criterion, "cuda");
    #[cfg(feature = "wgpu")]
    backend::<burn::backend::Wgpu>(criterion, "wgpu");
}

criterion_group!(benches, langevin);
criterion_main!(benches);
