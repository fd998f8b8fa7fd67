//! The fused engine against tensor operations and automatic differentiation, and against itself.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use ebm_core::{Energy, Layered, NoiseKey, StateShape, States, StepSize, Stream, Temperature};
use ebm_energy_net::{Architecture, LayerConfig, Net, NetConfig, Sequential};
use ebm_engine_cpu::{FusedChains, FusedEngine, FusedPrecision, Instructions};
use ebm_langevin::{
    Batch, BoundEngine, ChainOutcome, ChainRun, Chains, Mala, NoiseStart, TensorEngine, Ula,
};

#[path = "engines/attraction.rs"]
mod attraction;
#[path = "engines/bounds.rs"]
mod bounds;
#[path = "engines/mala.rs"]
mod mala;
#[path = "engines/pytorch.rs"]
mod pytorch;
#[path = "engines/rounded.rs"]
mod rounded;

type B = Autodiff<Flex>;

fn states(values: Vec<f32>, shape: [usize; 3]) -> States {
    States::new(shape, values).unwrap()
}

fn noise(start: NoiseStart, chains: usize, shape: [usize; 3]) -> States {
    let key = NoiseKey::new(4, Stream::ChainStart, 1);
    start.draw(1.0, key, chains, shape).unwrap()
}

/// The first so many chains.
fn first(states: &States, chains: usize) -> States {
    states.gather(&(0..chains).collect::<Vec<_>>())
}

fn run_of(epsilon: f64, steps: u64) -> ChainRun {
    ChainRun {
        kernel: Ula::learned(StepSize::new(epsilon).unwrap()).into(),
        steps,
        first_step: 3,
        noise: NoiseKey::new(2, Stream::Langevin, 5),
        final_energies: true,
    }
}

fn values(states: &States) -> Vec<f32> {
    states.values().to_vec()
}

/// The largest difference, relative to the largest value.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-6f32, |peak, value| peak.max(value.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // A maximum that keeps what is no number.
    let most = differences.fold(0.0, |most: f32, far| {
        if most.is_nan() || far <= most {
            most
        } else {
            far
        }
    });
    most / largest
}

/// The root mean square of the difference, relative to that of the values.
fn typical_distance(a: &[f32], b: &[f32]) -> f32 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| a - b));
    (difference / square(&mut b.iter().copied())).sqrt()
}

/// Published nets in reduced width. The non-local blocks' output starts at zero, which would hide them: it
/// is moved a little.
fn net(architecture: Architecture, shape: [usize; 3]) -> Net<B> {
    struct Shake(u64);
    impl ModuleMapper<B> for Shake {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            self.0 += 1;
            let number = self.0;
            param.map(|tensor| {
                let mut values = vec![0.0; tensor.shape().num_elements()];
                let count = values.len();
                NoiseKey::new(9, Stream::Parameters, number).normals(0, 0, count, &mut values);
                let data = TensorData::new(values, tensor.shape());
                let noise = Tensor::<Flex, D>::from_data(data, &Default::default());
                let is_zero = tensor.to_data().iter::<f32>().all(|value| value == 0.0);
                let amount = if is_zero { 0.05 } else { 0.0 };
                Tensor::from_inner(tensor.inner() + noise * amount).require_grad()
            })
        }
    }
    let config = NetConfig {
        architecture,
        width: 8,
        slope: 0.05,
    };
    let net: Net<B> = config.init(shape, 7, &Default::default()).unwrap();
    net.map(&mut Shake(0))
}

fn cases() -> [(Architecture, [usize; 3], f64); 3] {
    [
        (Architecture::Toy, [2, 1, 1], 0.1),
        (Architecture::Vanilla, [3, 16, 16], 0.01),
        (Architecture::Nonlocal, [1, 16, 16], 0.01),
    ]
}

/// Both engines.
trait Bind {
    fn bound<'a, N: Energy<B> + Layered + Send + Sync>(
        &self,
        net: &'a N,
        shape: StateShape,
    ) -> Box<dyn Chains + 'a>;
}

impl Bind for FusedEngine {
    fn bound<'a, N: Energy<B> + Layered + Send + Sync>(
        &self,
        net: &'a N,
        shape: StateShape,
    ) -> Box<dyn Chains + 'a> {
        Box::new(self.bind(net, shape).unwrap())
    }
}

impl Bind for TensorEngine {
    fn bound<'a, N: Energy<B> + Layered + Send + Sync>(
        &self,
        net: &'a N,
        shape: StateShape,
    ) -> Box<dyn Chains + 'a> {
        Box::new(self.bind::<B, &N>(net, shape, &Default::default()))
    }
}

fn run<N: Energy<B> + Layered + Send + Sync>(
    engine: &impl Bind,
    net: &N,
    initial: &States,
    run: &ChainRun,
) -> ChainOutcome {
    engine
        .bound(net, initial.shape())
        .run(initial, run)
        .unwrap()
}

/// F of each state, and the gradient of their weighted sum.
type Gradient = (Vec<f32>, HashMap<ParamId, Vec<f32>>);

fn gradient_by<N: Layered>(chains: &FusedChains, states: &States, weights: &[f32]) -> Gradient {
    let chains: &dyn BoundEngine<B, &N> = chains;
    let states = Batch::Host(states.clone());
    let gradient = chains.parameter_gradient(&[&states], weights);
    let gradient = gradient.unwrap().unwrap();
    let by_id = gradient.gradients.into_iter();
    let by_id = by_id.map(|(id, numbers)| (id, numbers.read().unwrap()));
    (gradient.energies.read().unwrap(), by_id.collect())
}

fn gradient<N: Layered>(engine: &FusedEngine, net: &N, states: &States, w: &[f32]) -> Gradient {
    gradient_by::<N>(&engine.bind(net, states.shape()).unwrap(), states, w)
}

/// From both kinds of noise and from data-like states, with and without noise in the chains: states, r and F agree to
/// 2e-5 after 5 steps and to 2e-3 after 100, in the root mean square.
#[test]
fn fused_chains_are_tensor_chains() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape).no_grad();
        let uniform = noise(NoiseStart::Uniform, 19, shape);
        let smooth = values(&uniform)
            .iter()
            .map(|value| value.signum() * 0.9)
            .collect();
        let starts = [
            uniform,
            noise(NoiseStart::Gaussian, 35, shape),
            states(smooth, shape),
            noise(NoiseStart::Gaussian, 1, shape),
        ];
        for initial in starts {
            // At the folds of a piecewise linear energy rounding decides the side of a step, so differences grow with
            // the steps; without noise chains settle in the folds, and only a few steps can be compared.
            for (epsilon, steps, tolerance) in
                [(epsilon, 5, 2e-5), (epsilon, 100, 2e-3), (0.0, 5, 2e-5)]
            {
                let request = run_of(epsilon, steps);
                let fused = run(&FusedEngine::default(), &net, &initial, &request);
                let tensor = run(&TensorEngine::default(), &net, &initial, &request);
                let what = format!("{architecture:?}, ε {epsilon}, {steps} steps");
                let apart = typical_distance(&values(&fused.states), &values(&tensor.states));
                assert!(apart < tolerance, "{what}: states differ by {apart}");
                let [r, expected] = [&fused, &tensor].map(|outcome| outcome.gradient_magnitude);
                assert!(
                    (r / expected - 1.0).abs() < f64::from(tolerance),
                    "{what}: r {r} and {expected}"
                );
                let [f, expected] = [fused, tensor].map(|outcome| outcome.energies.unwrap());
                let apart = typical_distance(&f, &expected);
                assert!(apart < tolerance, "{what}: energies differ by {apart}");
            }
        }
    }
}

/// One, two and three workers, and a part of the batch alone: bit for bit the same chains, r and F.
#[test]
fn results_do_not_depend_on_the_cut() {
    let engines = [FusedPrecision::F32, FusedPrecision::Bf16];
    let engines = engines.map(|precision| FusedEngine::default().with_precision(precision));
    for ((architecture, shape, epsilon), engine) in cases()
        .into_iter()
        .flat_map(|case| engines.iter().map(move |engine| (case, engine)))
    {
        let net = net(architecture, shape);
        let initial = noise(NoiseStart::Uniform, 70, shape);
        let request = run_of(epsilon, 5);
        let weights: Vec<f32> = (0..70).map(|chain| 0.1 * chain as f32 - 3.0).collect();
        let results = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let outcome = run(engine, &net, &initial, &request);
                let gradient = gradient(engine, &net, &initial, &weights);
                let states = values(&outcome.states);
                (
                    states,
                    outcome.gradient_magnitude,
                    outcome.energies,
                    gradient,
                )
            })
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[1], results[2]);
        // The first chains of a batch are the chains of a smaller batch.
        let few = run(engine, &net, &first(&initial, 7), &request);
        let per_chain: usize = shape.iter().product();
        assert_eq!(values(&few.states), results[0].0[..7 * per_chain]);
    }
}

/// Every instruction set of this machine against portable code: 5 steps to 2e-5 in the root mean square.
#[test]
fn vector_code_does_what_portable_code_does() {
    let available = Instructions::available();
    assert_eq!(available[0], Instructions::Scalar);
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape).no_grad();
        let initial = noise(NoiseStart::Uniform, 21, shape);
        let request = run_of(epsilon, 5);
        let outcomes: Vec<_> = available
            .iter()
            .map(|&set| {
                let engine = FusedEngine::with_instructions(set).unwrap();
                values(&run(&engine, &net, &initial, &request).states)
            })
            .collect();
        for (outcome, set) in outcomes.iter().zip(&available) {
            let apart = typical_distance(outcome, &outcomes[0]);
            assert!(apart < 2e-5, "{architecture:?} with {set:?}: {apart}");
        }
    }
}

/// Parameters times a factor.
struct Scale(f64);

impl ModuleMapper<B> for Scale {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| Tensor::from_inner(tensor.inner() * self.0).require_grad())
    }
}

struct Compare<'a> {
    automatic: &'a <B as burn::tensor::backend::AutodiffBackend>::Gradients,
    engine: &'a HashMap<ParamId, Vec<f32>>,
    largest: f32,
    compared: usize,
}

impl ModuleVisitor<B> for Compare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let expected = param.val().grad(self.automatic).unwrap();
        let expected: Vec<f32> = expected.into_data().to_vec().unwrap();
        // A shift of all keys changes no softmax: that bias has no gradient but rounding, so small ones are measured
        // against a thousandth of the largest.
        let scale = expected
            .iter()
            .fold(1e-3 * self.largest, |peak, value| peak.max(value.abs()));
        for (got, expected) in self.engine[&param.id].iter().zip(&expected) {
            let apart = (got - expected).abs() / scale;
            assert!(
                apart < 1e-4,
                "parameter {}: {got} and {expected}",
                self.compared
            );
        }
        self.compared += 1;
    }
}

fn compare_gradients<N: Energy<B> + Layered + Module<B>>(net: &N, initial: &States) {
    let chains = initial.len();
    let weights: Vec<f32> = (0..chains)
        .map(|chain| (chain as f32 * 0.7 + 1.0).sin())
        .collect();
    let states = initial.clone().into_tensor(&Default::default());
    let energies = net.energy(Tensor::from_inner(states));
    let expected: Vec<f32> = energies.clone().into_data().to_vec().unwrap();
    let factors = Tensor::<B, 1>::from_floats(weights.as_slice(), &Default::default());
    let automatic = (energies * factors).sum().backward();
    for instructions in Instructions::available() {
        let engine = FusedEngine::with_instructions(instructions).unwrap();
        let (energies, by_engine) = gradient(&engine, net, initial, &weights);
        assert!(distance(&energies, &expected) < 1e-5);
        let mut compare = Compare {
            automatic: &automatic,
            engine: &by_engine,
            largest: by_engine
                .values()
                .flatten()
                .fold(0.0, |peak, g| peak.max(g.abs())),
            compared: 0,
        };
        net.visit(&mut compare);
        assert_eq!(compare.compared, by_engine.len());
    }
}

/// ∂/∂θ Σ w F against automatic differentiation, every parameter, to 1e-4 of its largest entry.
#[test]
fn parameter_gradients_are_those_of_automatic_differentiation() {
    for (architecture, shape, _) in cases() {
        let net = net(architecture, shape);
        for chains in [1, 32, 45] {
            compare_gradients(&net, &noise(NoiseStart::Uniform, chains, shape));
        }
    }
    // More states than the engine takes at a time.
    let shape = [2, 1, 1];
    let many = noise(NoiseStart::Uniform, 4500, shape);
    compare_gradients(&net(Architecture::Toy, shape), &many);
}

/// A layer that is listed twice has the sum of both gradients.
#[test]
fn shared_parameters_share_their_gradient() {
    struct Tied {
        layer: burn::nn::Linear<B>,
    }
    impl Energy<B> for Tied {
        fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
            let once = self.layer.forward(states.flatten::<2>(1, 3));
            self.layer.forward(once).sum_dim(1).squeeze_dim::<1>(1)
        }
    }
    impl Layered for Tied {
        fn layers(&self) -> Result<Vec<ebm_core::LayerDescription>, String> {
            let sequential = LayerConfig::Linear {
                inputs: 2,
                outputs: 1,
            };
            let last = Sequential::<B>::new(&[sequential], [2, 1, 1], 0, &Default::default());
            let mut layers = last.map_err(|error| error.to_string())?.layers()?;
            if let ebm_core::LayerDescription::Linear { weight, bias, .. } = &mut layers[0] {
                let filled = |parameter: &ebm_core::ParameterValues, value| {
                    ebm_core::ParameterValues::new(parameter.id, vec![value; parameter.len()])
                };
                *weight = filled(weight, 1.0);
                *bias = bias.as_ref().map(|bias| filled(bias, 0.0));
            }
            let tied = ebm_core::LayerDescription::Linear {
                inputs: 2,
                outputs: 2,
                weight: ebm_core::ParameterValues::of(&self.layer.weight),
                bias: self.layer.bias.as_ref().map(ebm_core::ParameterValues::of),
            };
            Ok([vec![tied.clone(), tied], layers].concat())
        }
    }
    let net = Tied {
        layer: burn::nn::LinearConfig::new(2, 2).init(&Default::default()),
    };
    let states = noise(NoiseStart::Gaussian, 20, [2, 1, 1]);
    let weights = vec![0.5; 20];
    let (_, by_engine) = gradient(&FusedEngine::default(), &net, &states, &weights);
    let states = states.into_tensor(&Default::default());
    let energies = net.energy(Tensor::from_inner(states));
    let automatic = (energies * 0.5).sum().backward();
    let expected = net.layer.weight.val().grad(&automatic).unwrap();
    let expected: Vec<f32> = expected.into_data().to_vec().unwrap();
    assert!(distance(&by_engine[&net.layer.weight.id], &expected) < 1e-5);
}

/// Memory that was used for other nets, other batches and chains that ran away changes no bit.
#[test]
fn used_chains_are_as_good_as_new() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape);
        let mut used = FusedEngine::default().bind(&net, shape).unwrap();
        for round in 0..3 {
            // Half of the parameters, all of them, and half again.
            let half = net
                .clone()
                .map(&mut Scale(if round == 1 { 1.0 } else { 0.5 }));
            used.rebind(&half).unwrap();
            for chains in [40, 5] {
                let initial = noise(NoiseStart::Uniform, chains, shape);
                let request = run_of(epsilon, 3);
                let weights = vec![0.1; chains];
                let of = |chains: &FusedChains| {
                    let outcome = chains.run(&initial, &request).unwrap();
                    let gradient = gradient_by::<Net<B>>(chains, &initial, &weights);
                    (outcome.states, outcome.energies, gradient)
                };
                let what = format!("{architecture:?}, {chains} chains, round {round}");
                let fresh = FusedEngine::default().bind(&half, shape).unwrap();
                assert_eq!(of(&used), of(&fresh), "{what}");
            }
            let mut lost = noise(NoiseStart::Uniform, 40, shape);
            lost.values_mut().fill(f32::NAN);
            used.run(&lost, &run_of(epsilon, 2)).unwrap();
        }
    }
}

/// Layers that the published nets do not have: odd sizes, strides and windows, and smooth activations.
fn other_stacks() -> [(Vec<LayerConfig>, [usize; 3]); 6] {
    let conv = |inputs, outputs, kernel, stride, padding| LayerConfig::Conv2d {
        inputs,
        outputs,
        kernel,
        stride,
        padding,
    };
    let linear = |inputs, outputs| LayerConfig::Linear { inputs, outputs };
    let leaky = |slope| LayerConfig::LeakyRelu { slope };
    [
        (
            vec![
                conv(3, 9, 5, 2, 2),
                LayerConfig::Silu,
                LayerConfig::MaxPool2d { size: 3 },
                conv(9, 10, 3, 1, 1),
                LayerConfig::Elu { alpha: 0.7 },
                linear(10 * 2 * 2, 1),
            ],
            [3, 13, 14],
        ),
        (
            vec![
                conv(2, 8, 3, 1, 1),
                LayerConfig::Relu,
                conv(8, 12, 3, 1, 1),
                LayerConfig::LeakyRelu { slope: 0.2 },
                conv(12, 8, 4, 2, 1),
                LayerConfig::LeakyRelu { slope: 0.2 },
                LayerConfig::NonLocal { channels: 8 },
                linear(8 * 3 * 5, 5),
                LayerConfig::Silu,
                linear(5, 1),
            ],
            [2, 6, 10],
        ),
        (
            vec![
                conv(1, 8, 1, 1, 0),
                LayerConfig::Silu,
                conv(8, 8, 2, 2, 0),
                LayerConfig::LeakyRelu { slope: 0.1 },
                conv(8, 8, 3, 2, 0),
                LayerConfig::Relu,
                LayerConfig::MaxPool2d { size: 2 },
                linear(8, 1),
            ],
            [1, 11, 10],
        ),
        (
            vec![linear(7, 3), LayerConfig::Elu { alpha: 1.0 }, linear(3, 1)],
            [7, 1, 1],
        ),
        // Leaky ReLUs everywhere: in front, twice, after pooling and attention, and at the energy.
        (
            vec![
                leaky(0.3),
                conv(8, 8, 3, 1, 1),
                leaky(0.2),
                leaky(0.5),
                conv(8, 8, 3, 1, 1),
                leaky(0.1),
                LayerConfig::MaxPool2d { size: 2 },
                leaky(0.4),
                LayerConfig::NonLocal { channels: 8 },
                leaky(0.6),
                conv(8, 8, 4, 2, 1),
                leaky(0.2),
                conv(8, 3, 3, 1, 1),
                leaky(0.3),
                linear(12, 6),
                leaky(0.2),
                linear(6, 1),
                leaky(0.7),
            ],
            [8, 8, 8],
        ),
        // Attention first, and pixels that no window reaches.
        (
            vec![
                LayerConfig::NonLocal { channels: 8 },
                LayerConfig::MaxPool2d { size: 3 },
                conv(8, 8, 3, 1, 0),
                leaky(0.2),
                linear(2 * 2 * 8, 1),
            ],
            [8, 14, 13],
        ),
    ]
}

#[test]
fn other_stacks_agree_too() {
    for (number, (layers, shape)) in other_stacks().into_iter().enumerate() {
        let net = Sequential::<B>::new(&layers, shape, 3, &Default::default()).unwrap();
        let initial = noise(NoiseStart::Gaussian, 18, shape);
        let request = run_of(0.01, 10);
        let fused = run(&FusedEngine::default(), &net, &initial, &request);
        let tensor = run(&TensorEngine::default(), &net, &initial, &request);
        let apart = distance(&values(&fused.states), &values(&tensor.states));
        assert!(apart < 1e-4, "stack {number}: {apart}");
        compare_gradients(&net, &initial);
    }
}

/// 600 chains of both engines with different noise, so that distributions and not paths are compared: mean and
/// variance after 200 steps within 5 standard errors of each other (false-alarm rate about 1e-6; the seeds are fixed).
#[test]
fn long_runs_have_the_same_statistics() {
    let layers = [
        LayerConfig::Linear {
            inputs: 2,
            outputs: 16,
        },
        LayerConfig::Elu { alpha: 1.0 },
        LayerConfig::Linear {
            inputs: 16,
            outputs: 1,
        },
    ];
    let shape = [2, 1, 1];
    let net = Sequential::<B>::new(&layers, shape, 5, &Default::default()).unwrap();
    // Different noise for the two engines, so that the comparison is between distributions and not paths.
    let moments = |outcome: ChainOutcome| {
        let values = values(&outcome.states);
        let count = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let square = values
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / count;
        (mean, square, count)
    };
    let initial = noise(NoiseStart::Gaussian, 600, shape);
    let request = run_of(0.05, 200);
    let other = ChainRun {
        noise: NoiseKey::new(77, Stream::Langevin, 5),
        ..request.clone()
    };
    let (mean, variance, count) = moments(run(&FusedEngine::default(), &net, &initial, &request));
    let (expected, other_variance, _) =
        moments(run(&TensorEngine::default(), &net, &initial, &other));
    let error = 5.0 * (2.0 * variance / count).sqrt();
    assert!((mean - expected).abs() < error, "means {mean}, {expected}");
    let error = 5.0 * variance * (4.0 / count).sqrt();
    assert!(
        (variance - other_variance).abs() < error,
        "variances {variance}, {other_variance}"
    );
}

/// Impossible requests are errors, and a cancelled run says so.
#[test]
fn wrong_descriptions_are_refused() {
    struct Wrong(Vec<ebm_core::LayerDescription>);
    impl Layered for Wrong {
        fn layers(&self) -> Result<Vec<ebm_core::LayerDescription>, String> {
            Ok(self.0.clone())
        }
    }
    let linear = Sequential::<B>::new(
        &[LayerConfig::Linear {
            inputs: 12,
            outputs: 1,
        }],
        [3, 2, 2],
        0,
        &Default::default(),
    );
    let layers = linear.unwrap().layers().unwrap();
    let refuse = |layers, shape| {
        FusedEngine::default()
            .supports(&Wrong(layers), shape)
            .unwrap_err()
            .to_string()
    };
    assert!(refuse(layers.clone(), [3, 2, 3]).contains("layer 0"));
    assert!(refuse([layers.clone(), layers].concat(), [3, 2, 2]).contains("layer 1"));
    assert!(refuse(vec![], [3, 2, 2]).contains("one energy"));
    struct Unknown;
    impl Layered for Unknown {}
    let message = FusedEngine::default()
        .supports(&Unknown, [1, 1, 1])
        .unwrap_err()
        .to_string();
    assert!(message.contains("tensor engine"), "{message}");
}
