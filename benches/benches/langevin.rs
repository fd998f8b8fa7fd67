//! `langevin/<engine>-<backend>/<net>/<batch>` in chain steps per second.
#![allow(missing_docs, clippy::expect_used)]

use std::time::Duration;

use burn::backend::Autodiff;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ebm_benches::{Case, TimedBackend};
use ebm_energy_net::Architecture;
use ebm_experiment::{BurnCompute, EngineChoice};

const BATCHES: [usize; 2] = [100, 10_000];

fn measure(criterion: &mut Criterion, backend: &dyn TimedBackend, engines: &[EngineChoice]) {
    for architecture in Architecture::ALL {
        for batch in BATCHES {
            // Large image batches only measure memory, and ndarray's convolutions take ten seconds a step.
            let is_long = batch > 100 || backend.name() == "ndarray";
            if architecture != Architecture::Toy && is_long {
                continue;
            }
            let case = Case::published(architecture);
            for &engine in engines {
                measure_case(criterion, backend, engine, case, batch);
            }
        }
    }
}

fn measure_case(
    criterion: &mut Criterion,
    backend: &dyn TimedBackend,
    engine: EngineChoice,
    case: Case,
    batch: usize,
) {
    let name = format!("langevin/{engine}-{}/{}", backend.name(), case.net());
    let mut group = criterion.benchmark_group(name);
    group
        .throughput(Throughput::Elements(batch as u64))
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
        let settings = case
            .chains(batch)
            .expect("the published step sizes are possible");
        let mut chains = backend
            .chains(&settings, engine)
            .expect("the engines have the published nets");
        bencher.iter_custom(|steps| {
            let start = std::time::Instant::now();
            chains.run(steps).expect("a net returns one energy a chain");
            start.elapsed()
        });
    });
    group.finish();
}

fn langevin(criterion: &mut Criterion) {
    use EngineChoice::Tensor;
    // The fused engine computes without the backend, so once is enough.
    #[cfg(feature = "flex")]
    measure(
        criterion,
        &BurnCompute::<Autodiff<burn::backend::Flex>>::cpu("flex"),
        &[Tensor, EngineChoice::Fused],
    );
    #[cfg(feature = "ndarray")]
    measure(
        criterion,
        &BurnCompute::<Autodiff<burn_ndarray::NdArray>>::cpu("ndarray"),
        &[Tensor],
    );
    #[cfg(feature = "cuda")]
    measure(
        criterion,
        &BurnCompute::<Autodiff<burn::backend::Cuda>>::gpu("cuda", Default::default()),
        &[Tensor, EngineChoice::Cube],
    );
    #[cfg(feature = "wgpu")]
    measure(
        criterion,
        &BurnCompute::<Autodiff<burn::backend::Wgpu>>::gpu("wgpu", Default::default()),
        &[Tensor, EngineChoice::Cube],
    );
}

criterion_group!(benches, langevin);
criterion_main!(benches);
