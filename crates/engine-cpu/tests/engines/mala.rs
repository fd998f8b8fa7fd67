//! MALA: the same decisions and chains by both engines and for any cut, and what f32 costs.

use burn::module::ModuleMapper;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use ebm_core::{device_tensor, energy_and_gradient};
use ebm_langevin::Move;

use super::*;

fn adjusted(epsilon: f64, temperature: f64, steps: u64) -> ChainRun {
    let step_size = StepSize::new(epsilon).unwrap();
    let temperature = Temperature::new(temperature).unwrap();
    ChainRun {
        kernel: Mala::new(step_size, temperature).unwrap().into(),
        ..run_of(epsilon, steps)
    }
}

/// The nets with an ε and a T at which about half of the proposals are accepted, and rounding of F is far below a nat.
fn adjusted_cases() -> [(Architecture, [usize; 3], f64, f64); 3] {
    let temperatures = [3e-4, 3e-4, 1e-3];
    let mut cases = cases().into_iter().zip(temperatures);
    std::array::from_fn(|_| {
        let ((architecture, shape, _), temperature) = cases.next().unwrap();
        (architecture, shape, 0.2, temperature)
    })
}

/// Step after step the same number of proposals is accepted, in whole vectors, in half ones and in both; states, r and
/// F agree to 2e-5 in the root mean square, which one decision more would exceed by orders of magnitude.
#[test]
fn fused_decisions_are_tensor_decisions() {
    for (architecture, shape, epsilon, temperature) in adjusted_cases() {
        let net = net(architecture, shape).no_grad();
        for chains in [5, 16, 35] {
            let initial = noise(NoiseStart::Uniform, chains, shape);
            let mut rate = 0.0;
            for steps in 0..=5 {
                let request = adjusted(epsilon, temperature, steps);
                let fused = run(&FusedEngine::default(), &net, &initial, &request);
                let tensor = run(&TensorEngine::default(), &net, &initial, &request);
                let what = format!("{architecture:?}, {chains} chains, {steps} steps");
                assert_eq!(fused.acceptance_rate, tensor.acceptance_rate, "{what}");
                assert_eq!(fused.acceptance_rate.is_some(), steps > 0);
                rate = fused.acceptance_rate.unwrap_or_default();
                let apart = typical_distance(&values(&fused.states), &values(&tensor.states));
                assert!(apart < 2e-5, "{what}: states differ by {apart}");
                let [r, expected] = [&fused, &tensor].map(|outcome| outcome.gradient_magnitude);
                assert!(
                    (r - expected).abs() <= 2e-5 * expected,
                    "{what}: r {r} and {expected}"
                );
                let [f, expected] = [fused, tensor].map(|outcome| outcome.energies.unwrap());
                let apart = typical_distance(&f, &expected);
                assert!(apart < 2e-5, "{what}: energies differ by {apart}");
            }
            assert!(rate > 0.15 && rate < 0.9, "{architecture:?}: rate {rate}");
        }
    }
}

/// One, two and three workers, a part of the batch alone (in a half vector), and two pieces: bit for bit the same.
#[test]
fn adjusted_chains_do_not_depend_on_the_cut() {
    for (architecture, shape, epsilon, temperature) in adjusted_cases() {
        let net = net(architecture, shape);
        let initial = noise(NoiseStart::Uniform, 70, shape);
        let request = adjusted(epsilon, temperature, 40);
        let all = |engine: &FusedEngine, initial: &States, request: &ChainRun| {
            let outcome = run(engine, &net, initial, request);
            let states = values(&outcome.states);
            (
                states,
                outcome.gradient_magnitude,
                outcome.acceptance_rate,
                outcome.energies,
            )
        };
        let results = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| all(&FusedEngine::default(), &initial, &request))
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[1], results[2]);
        let per_chain: usize = shape.iter().product();
        // The same engine again, so that its buffers hold what other chains left.
        let engine = FusedEngine::default();
        for chains in [7, 20] {
            let few = all(&engine, &super::first(&initial, chains), &request);
            assert_eq!(few.0, results[0].0[..chains * per_chain]);
        }
        let first = ChainRun {
            steps: 17,
            ..request.clone()
        };
        let rest = ChainRun {
            first_step: request.first_step + 17,
            steps: 23,
            ..request
        };
        let middle = run(&engine, &net, &initial, &first);
        let end = run(&engine, &net, &middle.states, &rest);
        assert_eq!(values(&end.states), results[0].0);
        assert_eq!(end.energies, results[0].3);
        let rates = 17.0 * middle.acceptance_rate.unwrap() + 23.0 * end.acceptance_rate.unwrap();
        assert!((rates / 40.0 - results[0].2.unwrap()).abs() < 1e-12);
    }
}

/// Every instruction set of this machine against portable code, as for ULA.
#[test]
fn adjusted_vector_code_does_what_portable_code_does() {
    for (architecture, shape, epsilon, temperature) in adjusted_cases() {
        let net = net(architecture, shape).no_grad();
        let request = adjusted(epsilon, temperature, 5);
        for chains in [6, 21] {
            let initial = noise(NoiseStart::Uniform, chains, shape);
            let outcomes: Vec<_> = Instructions::available()
                .into_iter()
                .map(|set| {
                    let engine = FusedEngine::with_instructions(set).unwrap();
                    let outcome = run(&engine, &net, &initial, &request);
                    (values(&outcome.states), outcome.acceptance_rate)
                })
                .collect();
            for (states, rate) in &outcomes {
                assert_eq!(*rate, outcomes[0].1);
                assert!(typical_distance(states, &outcomes[0].0) < 2e-5);
            }
        }
    }
}

/// F = |x| as a net, max(x, 0) + max(−x, 0): 20,000 chains with steps of ε = 1.5 have Laplace's distribution. √n times
/// Kolmogorov's distance exceeds 1.95 with probability 1e-3; ULA's exceeds it by far.
#[test]
fn the_fused_engine_samples_the_density_of_the_net() {
    struct Absolute(usize);
    impl ModuleMapper<B> for Absolute {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            let is_bias = D == 1;
            self.0 += usize::from(!is_bias);
            let weights = if self.0 == 1 {
                [1.0f32, -1.0]
            } else {
                [1.0, 1.0]
            };
            param.map(|tensor| {
                let shape = tensor.shape();
                let values = if is_bias {
                    vec![0.0; shape.num_elements()]
                } else {
                    weights.to_vec()
                };
                Tensor::from_data(TensorData::new(values, shape), &Default::default())
                    .require_grad()
            })
        }
    }
    let layers = [
        LayerConfig::Linear {
            inputs: 1,
            outputs: 2,
        },
        LayerConfig::Relu,
        LayerConfig::Linear {
            inputs: 2,
            outputs: 1,
        },
    ];
    let net = Sequential::<B>::new(&layers, [1, 1, 1], 5, &Default::default()).unwrap();
    let net = net.map(&mut Absolute(0)).no_grad();
    let chains = 20_000;
    let initial = noise(NoiseStart::Gaussian, chains, [1, 1, 1]);
    let distance = |request: ChainRun| {
        let mut states = values(&run(&FusedEngine::default(), &net, &initial, &request).states);
        states.sort_by(f32::total_cmp);
        let gap = |(rank, &x): (usize, &f32)| {
            let tail = 0.5 * (-f64::from(x).abs()).exp();
            let cumulative = if x < 0.0 { tail } else { 1.0 - tail };
            let ranks =
                [rank, rank + 1].map(|rank| (rank as f64 / chains as f64 - cumulative).abs());
            ranks[0].max(ranks[1])
        };
        states.iter().enumerate().map(gap).fold(0.0, f64::max) * (chains as f64).sqrt()
    };
    let request = adjusted(1.5, 1.0, 200);
    let exact = distance(request.clone());
    assert!(exact < 1.95, "{exact}");
    let kernel = Ula::new(StepSize::new(1.5).unwrap(), Temperature::ONE).into();
    let biased = distance(ChainRun { kernel, ..request });
    assert!(biased > 4.0, "{biased}");
}

/// F and ∇F of `states` in f64, whatever the backend computes in.
fn place<C, N>(net: &N, states: &[f32], shape: [usize; 4]) -> (Vec<f64>, Vec<f64>)
where
    C: burn::tensor::backend::AutodiffBackend,
    N: Energy<C>,
{
    let states = device_tensor(states.to_vec(), shape, &Default::default());
    let (energies, gradient) = energy_and_gradient::<C, N>(net, states).unwrap();
    (
        energies.into_data().iter::<f64>().collect(),
        gradient.into_data().iter::<f64>().collect(),
    )
}

struct Gain(f64);

impl<C: Backend> ModuleMapper<C> for Gain {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<C, D>>) -> Param<Tensor<C, D>> {
        param.map(|tensor| tensor * self.0)
    }
}

/// The published evaluation, ε = 2e-3 at T = 0.01²/2 = 5e-5 with the vanilla net: log ratios of f32 against f64, for
/// the same proposals. Parameters are enlarged, which makes F as large as in learning. In units of 2⁻²³ · |F|/T, the
/// last place of F in nats, root mean square errors are 7 to 11 for tensor operations on flex and 31 to 37 for the
/// fused engine's energies, whose Winograd transforms round more; twice as many are allowed.
#[test]
fn f32_costs_the_rounding_of_the_energy_over_the_temperature() {
    type Double = Autodiff<NdArray<f64>>;
    let (chains, image, epsilon, temperature) = (16, [3, 32, 32], 2e-3, 5e-5);
    let shape = [chains, 3, 32, 32];
    let per_chain: usize = image.iter().product();
    let initial = noise(NoiseStart::Uniform, chains, image);
    for gain in [2.0, 3.0] {
        let config = NetConfig::published(Architecture::Vanilla);
        let single: Net<B> = config.init(image, 7, &Default::default()).unwrap();
        let single = single.map(&mut Gain(gain)).no_grad();
        let double: Net<Double> = config.init(image, 7, &Default::default()).unwrap();
        let double = double.map(&mut Gain(gain)).no_grad();
        let kernel = Mala::new(
            StepSize::new(epsilon).unwrap(),
            Temperature::new(temperature).unwrap(),
        )
        .unwrap();
        // A proposal is the step of ULA.
        let proposing = ChainRun {
            kernel: kernel.proposal().into(),
            ..run_of(epsilon, 1)
        };
        let x = values(&initial);
        let proposed = run(&FusedEngine::default(), &single, &initial, &proposing);
        let y = values(&proposed.states);
        let nothing = ChainRun {
            steps: 0,
            ..proposing.clone()
        };
        let fused_before = run(&FusedEngine::default(), &single, &initial, &nothing)
            .energies
            .unwrap();
        let fused_after = proposed.energies.unwrap();
        let in_single = [
            place::<B, _>(&single, &x, shape),
            place::<B, _>(&single, &y, shape),
        ];
        let in_double = [
            place::<Double, _>(&double, &x, shape),
            place::<Double, _>(&double, &y, shape),
        ];
        let to = |[(f, g), (f_new, g_new)]: &[(Vec<f64>, Vec<f64>); 2], chain: usize| {
            let own = chain * per_chain..(chain + 1) * per_chain;
            let way = |at: usize| f64::from(y[at]) - f64::from(x[at]);
            Move {
                energy_change: f_new[chain] - f[chain],
                work: own.clone().map(|at| way(at) * (g[at] + g_new[at])).sum(),
                square_change: own.map(|at| g_new[at].powi(2) - g[at].powi(2)).sum(),
            }
        };
        let root_mean_square = |of: &dyn Fn(usize) -> f64| {
            ((0..chains).map(|chain| of(chain).powi(2)).sum::<f64>() / chains as f64).sqrt()
        };
        let exact = |chain| to(&in_double, chain);
        let error = root_mean_square(&|chain| {
            kernel.log_ratio(to(&in_single, chain)) - kernel.log_ratio(exact(chain))
        });
        let fused = root_mean_square(&|chain| {
            let change = f64::from(fused_after[chain]) - f64::from(fused_before[chain]);
            (change - exact(chain).energy_change) / temperature
        });
        let size = root_mean_square(&|chain| in_double[0].0[chain]);
        let unit = size * f64::from(f32::EPSILON) / temperature;
        let what = format!("gain {gain}, |F| {size}: {error} and {fused} nats, a unit is {unit}");
        assert!(error < 22.0 * unit, "{what}");
        assert!(fused < 74.0 * unit, "{what}");
    }
}
