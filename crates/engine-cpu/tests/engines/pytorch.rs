//! The fused engine under weights that PyTorch saved.

use ebm_energy_net::{NamedParameter, load_weights, read_tensors};

use super::*;

/// Energies to 1e-5 of each and the gradient, by one step without noise, to 1e-4 of its largest element, against
/// PyTorch in float64.
#[test]
fn fused_energies_and_gradients_are_pytorchs() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../energy-net/tests/golden/pytorch"
    );
    for (name, architecture) in [
        ("toy", Architecture::Toy),
        ("vanilla", Architecture::Vanilla),
        ("nonlocal", Architecture::Nonlocal),
    ] {
        let expected = read_tensors(format!("{folder}/{name}.safetensors").as_ref()).unwrap();
        let expected = |name: &str| -> &NamedParameter {
            expected.iter().find(|tensor| tensor.name == name).unwrap()
        };
        let &[_, channels, height, width] = &expected("states").shape[..] else {
            unreachable!("states have four axes");
        };
        let shape = [channels, height, width];
        let config = NetConfig {
            width: 2,
            ..NetConfig::published(architecture)
        };
        let net: Net<B> = config.init(shape, 1, &Default::default()).unwrap();
        let net = load_weights(net, format!("{folder}/{name}.pth").as_ref()).unwrap();
        let net = net.no_grad();
        let initial = states(expected("states").values.clone(), shape);

        let still = run(&FusedEngine::default(), &net, &initial, &run_of(0.0, 0));
        let energies = still.energies.unwrap();
        assert_eq!(energies.len(), expected("energies").values.len());
        for (energy, due) in energies.iter().zip(&expected("energies").values) {
            let error = (energy / due - 1.0).abs();
            assert!(error < 1e-5, "{name}: F {energy} against {due}");
        }

        let moved = run(&FusedEngine::default(), &net, &initial, &run_of(0.0, 1));
        let gradient: Vec<f32> = values(&initial)
            .iter()
            .zip(values(&moved.states))
            .map(|(before, after)| before - after)
            .collect();
        let apart = distance(&gradient, &expected("gradient").values);
        assert!(apart < 1e-4, "{name}: ∇F differs by {apart}");
    }
}
