//! Parameter gradients of the cube engine against automatic differentiation.

use burn::module::ParamId;
use ebm_core::Activation;
use ebm_engine_gpu::CubeEngine;
use ebm_langevin::{Batch, BoundEngine, LangevinError};

use super::{B, Stack, distance, engine, number, states};

/// Of both signs, so that gradients cancel.
fn weights(chains: usize) -> Vec<f32> {
    (0..chains)
        .map(|chain| [0.3, -0.5, 0.1][chain % 3])
        .collect()
}

fn assert_alike(engine: &CubeEngine, net: &Stack, chains: usize) {
    let (states, weights) = (states(chains, net.shape), weights(chains));
    let bound = engine.bind(net, net.shape).unwrap();
    let bound: &dyn BoundEngine<B, Stack> = &bound;
    let ours = bound.parameter_gradient(&[&Batch::Host(states.clone())], &weights);
    let ours = ours.unwrap().unwrap();
    let expected = net.gradients(states.clone().into_tensor(&Default::default()), &weights);
    assert_eq!(ours.gradients.len(), expected.len());
    // Two batches are one after the other.
    let half = chains / 2;
    let halves =
        [0..half, half..chains].map(|part| Batch::Host(states.gather(&part.collect::<Vec<_>>())));
    let again = bound.parameter_gradient(&[&halves[0], &halves[1]], &weights);
    let again = again.unwrap().unwrap().energies.read().unwrap();
    let energies = ours.energies.read().unwrap();
    assert_eq!(again, energies);
    let largest = |values: &[f32]| {
        values
            .iter()
            .fold(0.0f32, |peak, value| peak.max(value.abs()))
    };
    let peak = largest(&expected.concat());
    for (parameter, expected) in expected.iter().enumerate() {
        let own = ours.gradients[&ParamId::from(parameter as u64)].clone();
        let own = own.read().unwrap();
        // The key's bias in a non-local block changes nothing: its gradient is rounding.
        let far = distance(&own, expected) * largest(expected);
        assert!(
            far < 2e-5 * largest(expected) + 1e-7 * peak,
            "{chains} chains, parameter {parameter}: {far} of {peak}"
        );
    }
    let run = super::run_of(super::learned(0.1), 0, 0);
    let still = super::walk(engine, net, &states, &run).unwrap();
    let far = distance(&energies, &still.energies.unwrap());
    assert!(far < 1e-6, "{far}");
}

/// The toy net and an odd one, which chains walk in whole, and nets of images: tiles that are not filled, strides,
/// pooling, all activations, and the non-local block; with few multiprocessors, and so many that every slice is
/// short.
#[test]
fn parameter_gradients_are_those_of_automatic_differentiation() {
    let Some(engine) = engine() else { return };
    let toy = Stack::new([2, 1, 1]).conv(33, 1, 1, 0).leaky(0.05);
    let image = || Stack::new([3, 12, 12]).conv(7, 3, 1, 1);
    let nets = [
        toy.conv(64, 1, 1, 0).leaky(0.05).conv(1, 1, 1, 0),
        Stack::dense(&[3, 70, 5, 1], 0.0),
        image().leaky(0.05).conv(40, 4, 2, 1).leaky(0.05).linear(1),
        image()
            .leaky(0.1)
            .conv(5, 5, 3, 2)
            .leaky(0.1)
            .linear(1)
            .without_biases(),
        image()
            .activation(Activation::Silu)
            .pool(2)
            .linear(9)
            .activation(Activation::Elu { alpha: 0.7 })
            .linear(1),
        image()
            .leaky(0.05)
            .pool(2)
            .non_local(3)
            .conv(4, 2, 2, 0)
            .conv(1, 3, 1, 0),
        Stack::new([2, 6, 5]).non_local(2).linear(1),
        Stack::new([1, 6, 6]).pool(3).linear(1),
    ];
    for net in nets {
        // The most fill slices beyond what is summed at a time.
        for chains in [1, 61] {
            assert_alike(&engine, &net, chains);
            for multiprocessors in [1, 300] {
                let engine = engine.clone().with_multiprocessors(number(multiprocessors));
                assert_alike(&engine, &net, chains);
            }
        }
        let blocks = engine.clone().with_most_chains(number(5));
        assert_alike(&blocks, &net, 12);
    }
}

#[test]
fn not_one_weight_for_each_state_is_refused() {
    let Some(engine) = engine() else { return };
    let net = Stack::dense(&[3, 7, 5, 1], 0.0);
    let states = states(4, net.shape);
    let bound = engine.bind(&net, net.shape).unwrap();
    let bound: &dyn BoundEngine<B, Stack> = &bound;
    let refusal = bound.parameter_gradient(&[&Batch::Host(states)], &[1.0; 3]);
    let refusal = refusal.unwrap_err();
    assert!(
        matches!(
            refusal,
            LangevinError::Weights {
                weights: 3,
                chains: 4
            }
        ),
        "{refusal}"
    );
}
