//! `langevin/<engine>-<backend>/<net>/<batch>` in chain steps per second.
#![allow(missing_docs, clippy::expect_used)]

use std::time::Duration;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ebm_benches::{Case, Chains};

const BATCHES: [usize; 2] = [100, 10_000];

fn backend<B: Backend>(criterion: &mut Criterion, name: &str) {
    for case in Case::published() {
        for batch in BATCHES {
            // Large image batches only measure memory, and ndarray's convolutions take ten seconds a step.
            let is_cpu = matches!(name, "flex" | "ndarray");
            let too_long = case.net != "toy" && (batch > 100 || name == "ndarray");
            if too_long {
                continue;
            }
            let mut group =
                criterion.benchmark_group(format!("langevin/tensor-{name}/{}", case.net));
            group
                .throughput(Throughput::Elements(batch as u64))
                .sample_size(10)
                .warm_up_time(Duration::from_secs(1))
                .measurement_time(Duration::from_secs(4));
            group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
                let mut chains =
                    Chains::<Autodiff<B>>::new(case, batch, is_cpu, &Default::default())
                        .expect("the published cases fit their nets");
                bencher.iter_custom(|steps| {
                    let start = std::time::Instant::now();
                    chains.run(steps).expect("a net returns one energy a chain");
                    start.elapsed()
                });
            });
            group.finish();
        }
    }
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
