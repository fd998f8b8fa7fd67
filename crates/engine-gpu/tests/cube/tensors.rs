//! States and parameters that are on the device already.

use burn::backend::Autodiff;
#[cfg(feature = "cuda")]
use burn::backend::Cuda as Fused;
#[cfg(not(feature = "cuda"))]
use burn::backend::Wgpu as Fused;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Tensor};
use ebm_engine_gpu::{CubeChains, CubeEngine, CubeTensors};
use ebm_langevin::{Batch, BoundEngine, ChainRun, Launched, Numbers};

use super::stack::Stack;
use super::{engine, learned, number, run_of, states};

/// The same backend without fusion of operations.
#[cfg(feature = "cuda")]
type Plain = burn_cubecl::CubeBackend<cubecl::cuda::CudaRuntime, f32, i32, u8>;
#[cfg(not(feature = "cuda"))]
type Plain = burn_cubecl::CubeBackend<cubecl::wgpu::WgpuRuntime, f32, i32, u32>;

/// A net for whole chains a launch, and images with biases, without, and with a non-local block.
fn nets<A: AutodiffBackend>() -> Vec<Stack<A>> {
    let dense = Stack::new([2, 1, 1]).conv(8, 1, 1, 0).leaky(0.05);
    let image = || Stack::new([3, 8, 8]).conv(6, 3, 1, 1).leaky(0.05);
    vec![
        dense.conv(1, 1, 1, 0),
        Stack::dense(&[3, 7, 5, 1], 0.0),
        image().conv(5, 4, 2, 1).leaky(0.05).linear(1),
        image().linear(3).leaky(0.1).linear(1).without_biases(),
        image().pool(2).non_local(2).conv(1, 4, 1, 0),
    ]
}

struct Walk {
    states: Vec<f32>,
    magnitude: f64,
    energies: Vec<f32>,
}

fn walk<A: AutodiffBackend>(engine: &CubeEngine, net: &Stack<A>, run: &ChainRun) -> Walk {
    let initial = on_device::<A>(7, net.shape);
    let chains = engine.bind(net, net.shape).unwrap();
    walk_bound::<A>(&chains, initial, run)
}

fn walk_bound<A: AutodiffBackend>(
    chains: &CubeChains,
    initial: Tensor<A::InnerBackend, 4>,
    run: &ChainRun,
) -> Walk {
    let before = initial.to_data();
    let outcome = launch::<A>(chains, initial.clone(), run).wait().unwrap();
    // Kernels move states in place, but not the caller's.
    assert_eq!(initial.to_data(), before);
    Walk {
        states: outcome.states.into_values(),
        magnitude: outcome.gradient_magnitude,
        energies: outcome.energies.unwrap(),
    }
}

fn launch<A: AutodiffBackend>(
    chains: &CubeChains,
    initial: Tensor<A::InnerBackend, 4>,
    run: &ChainRun,
) -> Launched<A::InnerBackend> {
    let chains: &dyn BoundEngine<A, Stack<A>> = chains;
    chains.launch(Batch::Device(initial), run).unwrap()
}

fn on_device_still<B: Backend>(states: &Batch<B>) -> Tensor<B, 4> {
    match states {
        Batch::Device(states) => states.clone(),
        Batch::Host(_) => panic!("states have left the device"),
    }
}

/// Those of [`states`], as the view of a part of a larger tensor with other axes first.
fn on_device<A: AutodiffBackend>(chains: usize, shape: [usize; 3]) -> Tensor<A::InnerBackend, 4> {
    let device = Default::default();
    let tensor = states(chains, shape).into_tensor::<A::InnerBackend>(&device);
    let turned = tensor.permute([1, 0, 3, 2]);
    let more = Tensor::cat(vec![turned.clone() + 1.0, turned], 1);
    more.narrow(1, chains, chains).permute([1, 0, 3, 2])
}

/// The way over the host is what the other tests compare with tensor operations.
fn as_over_the_host<A: AutodiffBackend<InnerBackend: CubeTensors>>() {
    let device = Default::default();
    let over_host = CubeEngine::on::<<A::InnerBackend as CubeTensors>::Runtime>(&device);
    let engine = CubeEngine::for_backend::<A>(&device);
    let run = run_of(learned(0.1), 3, 60);
    for net in nets::<A>() {
        for blocks in [7, 3] {
            let [mut expected_by, mut walked_by] = [&over_host, &engine].map(|engine| {
                let engine = engine.clone().with_most_chains(number(blocks));
                engine.bind(&net, net.shape).unwrap()
            });
            let runs_ahead = |chains: &dyn BoundEngine<A, Stack<A>>| chains.runs_ahead();
            assert!(!runs_ahead(&expected_by) && runs_ahead(&walked_by));
            // Parameters may change from run to run, at last back to what they were.
            for net in [&net, &net.clone().scaled(0.5), &net] {
                let [expected, walked] = [&mut expected_by, &mut walked_by].map(|chains| {
                    BoundEngine::<A, &Stack<A>>::update(chains, net).unwrap();
                    walk_bound::<A>(chains, on_device::<A>(7, net.shape), &run)
                });
                assert_eq!(walked.states, expected.states);
                assert_eq!(walked.magnitude, expected.magnitude);
                assert_eq!(walked.energies, expected.energies);
            }
        }
    }
}

#[test]
fn tensors_are_used_where_they_are() {
    if engine().is_some() {
        as_over_the_host::<Autodiff<Fused>>();
        as_over_the_host::<Autodiff<Plain>>();
    }
}

/// Parameter gradients left on the device are those that come over the host.
#[test]
fn gradients_are_left_where_they_are() {
    type A = Autodiff<Fused>;

    if engine().is_none() {
        return;
    }
    let over_host = CubeEngine::on::<<Fused as CubeTensors>::Runtime>(&Default::default());
    let engine = CubeEngine::for_backend::<A>(&Default::default());
    let weights = [0.5, -0.5, 0.25, 1.0, -1.0, 0.125, 2.0];
    for net in nets::<A>() {
        let states = on_device::<A>(7, net.shape);
        let [expected, ours] = [&over_host, &engine].map(|engine| {
            let chains = engine.bind(&net, net.shape).unwrap();
            let chains: &dyn BoundEngine<A, Stack<A>> = &chains;
            let gradient = chains.parameter_gradient(&[&Batch::Device(states.clone())], &weights);
            gradient.unwrap().unwrap()
        });
        assert!(matches!(ours.energies, Numbers::Device(_)));
        assert_eq!(
            ours.energies.read().unwrap(),
            expected.energies.read().unwrap()
        );
        assert_eq!(ours.gradients.len(), expected.gradients.len());
        for (id, gradient) in ours.gradients {
            let due = expected.gradients[&id].clone().read().unwrap();
            assert_eq!(gradient.read().unwrap(), due);
        }
    }
}

#[test]
fn tensors_of_another_backend_are_refused() {
    if engine().is_some() {
        let engine = CubeEngine::for_backend::<Autodiff<Fused>>(&Default::default());
        let net = super::Stack::dense(&[3, 7, 5, 1], 0.0);
        let refusal = engine.bind(&net, net.shape).map(|_| ());
        let message = refusal.unwrap_err().to_string();
        assert!(message.contains("another backend"), "{message}");
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn tensors_of_another_device_are_refused() {
    use burn::backend::wgpu::WgpuDevice;

    type A = Autodiff<Fused>;

    if engine().is_some() {
        let engine = CubeEngine::for_backend::<A>(&WgpuDevice::DefaultDevice);
        let net = Stack::<A>::dense(&[3, 7, 5, 1], 0.0);
        let elsewhere = Tensor::<Fused, 4>::zeros([2, 3, 1, 1], &WgpuDevice::Cpu);
        let chains = engine.bind(&net, net.shape).unwrap();
        let chains: &dyn BoundEngine<A, Stack<A>> = &chains;
        let refusal = chains.launch(Batch::Device(elsewhere), &run_of(learned(0.1), 0, 1));
        let message = refusal.unwrap_err().to_string();
        assert!(message.contains("or device"), "{message}");
    }
}

/// Tensors of the type may be of another precision than the kernels.
#[test]
fn other_precisions_are_converted() {
    type A = Autodiff<Plain>;

    let device = Default::default();
    if engine().is_none() || !Plain::supports_dtype(&device, DType::F16) {
        return;
    }
    let engine = CubeEngine::for_backend::<A>(&device);
    let net = Stack::<A>::dense(&[3, 7, 5, 1], 0.0);
    let half = on_device::<A>(7, net.shape).cast(DType::F16);
    let single = half.clone().cast(DType::F32);
    let [from_half, from_single] = [half, single].map(|initial| {
        let chains = engine.bind(&net, net.shape).unwrap();
        walk_bound::<A>(&chains, initial, &run_of(learned(0.1), 0, 3)).states
    });
    assert_eq!(from_half, from_single);
}

/// Launches that follow each other before anything is read, with tensor operations between them.
#[test]
fn launches_queue_up() {
    type A = Autodiff<Fused>;

    if engine().is_none() {
        return;
    }
    let engine = CubeEngine::for_backend::<A>(&Default::default());
    let run = |first_step, steps| run_of(learned(0.1), first_step, steps);
    for net in nets::<A>() {
        let expected = {
            let whole = walk(&engine, &net, &run(0, 130));
            let initial = on_device::<A>(7, net.shape);
            let chains = engine.bind(&net, net.shape).unwrap();
            let half = walk_bound::<A>(&chains, initial, &run(0, 60));
            (whole.states, half.magnitude)
        };
        let initial = on_device::<A>(7, net.shape);
        let chains = engine.bind(&net, net.shape).unwrap();
        let first = launch::<A>(&chains, initial, &run(0, 60));
        let between = on_device_still(&first.states) * 2.0;
        let second = launch::<A>(&chains, between * 0.5, &run(60, 70));
        let states = on_device_still(&second.states);
        assert_eq!(states.to_data().to_vec::<f32>().unwrap(), expected.0);
        assert_eq!(first.gradient_magnitude.read().unwrap(), expected.1);
        let none = launch::<A>(&chains, states, &run(0, 0)).wait().unwrap();
        assert_eq!(none.states.values(), expected.0);
        assert_eq!(none.gradient_magnitude, 0.0);
    }
}
