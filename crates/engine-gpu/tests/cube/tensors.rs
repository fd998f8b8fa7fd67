//! States and parameters that are on the device already.

use burn::backend::Autodiff;
#[cfg(feature = "cuda")]
use burn::backend::Cuda as Fused;
#[cfg(not(feature = "cuda"))]
use burn::backend::Wgpu as Fused;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Tensor, TensorData};
use ebm_engine_gpu::{CubeEngine, CubeTensors};
use ebm_langevin::{ChainRun, Engine};

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
    let outcome = Engine::<A, _>::run(engine, net, initial.clone(), run).unwrap();
    // Kernels move states in place, but not the caller's.
    assert_eq!(initial.to_data(), on_device::<A>(7, net.shape).to_data());
    Walk {
        states: outcome.states.to_data().to_vec().unwrap(),
        magnitude: outcome.gradient_magnitude,
        energies: outcome.energies.unwrap(),
    }
}

/// Those of [`states`], as the view of a part of a larger tensor with other axes first.
fn on_device<A: AutodiffBackend>(chains: usize, shape: [usize; 3]) -> Tensor<A::InnerBackend, 4> {
    let device = Default::default();
    let data: TensorData = states(chains, shape).to_data();
    let tensor = Tensor::<A::InnerBackend, 4>::from_data(data, &device);
    let turned = tensor.permute([1, 0, 3, 2]);
    let more = Tensor::cat(vec![turned.clone() + 1.0, turned], 1);
    more.narrow(1, chains, chains).permute([1, 0, 3, 2])
}

/// The way over the host is what the other tests compare with tensor operations.
fn as_over_the_host<A: AutodiffBackend<InnerBackend: CubeTensors>>() {
    let device = Default::default();
    let over_host = CubeEngine::on::<<A::InnerBackend as CubeTensors>::Runtime>(&device);
    let engine = CubeEngine::for_backend::<A>(&device);
    assert!(!Engine::<A, Stack<A>>::runs_ahead(&over_host));
    assert!(Engine::<A, Stack<A>>::runs_ahead(&engine));
    let run = run_of(learned(0.1), 3, 60);
    for net in nets::<A>() {
        // Parameters may change from run to run, the first time back to what they were.
        for net in [&net, &net.clone().scaled(0.5), &net] {
            for blocks in [7, 3] {
                let [expected, walked] = [&over_host, &engine].map(|engine| {
                    walk(&engine.clone().with_most_chains(number(blocks)), net, &run)
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
        let expected = Engine::<A, _>::parameter_gradient(&over_host, &net, &states, &weights);
        let expected = expected.unwrap().unwrap();
        let none = Engine::<A, _>::parameter_gradient(&engine, &net, &states, &weights);
        assert!(none.unwrap().is_none());
        let ours = Engine::<A, _>::launch_parameter_gradient(&engine, &net, &states, &weights);
        let ours = ours.unwrap().unwrap();
        assert_eq!(
            ours.energies.to_data().to_vec::<f32>().unwrap(),
            expected.energies
        );
        assert_eq!(ours.gradients.len(), expected.gradients.len());
        for (id, gradient) in ours.gradients {
            let gradient: Vec<f32> = gradient.to_data().to_vec().unwrap();
            assert_eq!(gradient, expected.gradients[&id]);
        }
    }
}

#[test]
fn tensors_of_another_backend_are_refused() {
    if engine().is_some() {
        let engine = CubeEngine::for_backend::<Autodiff<Fused>>(&Default::default());
        let net = super::Stack::dense(&[3, 7, 5, 1], 0.0);
        let run = run_of(learned(0.1), 0, 1);
        let refusal = Engine::<super::B, _>::run(&engine, &net, states(2, net.shape), &run);
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
        let refusal = Engine::<A, _>::run(&engine, &net, elsewhere, &run_of(learned(0.1), 0, 1));
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
        let outcome = Engine::<A, _>::run(&engine, &net, initial, &run_of(learned(0.1), 0, 3));
        outcome.unwrap().states.to_data().to_vec::<f32>().unwrap()
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
            let half = Engine::<A, _>::run(&engine, &net, initial, &run(0, 60)).unwrap();
            (whole.states, half.gradient_magnitude)
        };
        let initial = on_device::<A>(7, net.shape);
        let first = Engine::<A, _>::launch(&engine, &net, initial, &run(0, 60)).unwrap();
        let between = first.states.clone() * 2.0;
        let second = Engine::<A, _>::launch(&engine, &net, between * 0.5, &run(60, 70)).unwrap();
        let states: Vec<f32> = second.states.to_data().to_vec().unwrap();
        assert_eq!(states, expected.0);
        assert_eq!(first.gradient_magnitude.read().unwrap(), expected.1);
        let none = Engine::<A, _>::launch(&engine, &net, second.states, &run(0, 0)).unwrap();
        assert_eq!(none.states.to_data().to_vec::<f32>().unwrap(), expected.0);
        assert_eq!(none.gradient_magnitude.read().unwrap(), 0.0);
    }
}
