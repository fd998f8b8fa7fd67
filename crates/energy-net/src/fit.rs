//! Which of the paper's nets weights belong to, by their names and shapes alone.

use std::collections::BTreeMap;

use ebm_core::LayerShape;

use crate::{Architecture, NetConfig};

/// Far beyond any image; keeps products of sides in range.
const LARGEST_SIDE: usize = 1 << 16;

/// The net, with the published slope because no parameter shows it, and the state shape `[channels, height, width]`
/// whose parameters have exactly these names and shapes.
pub(crate) fn fitting_net(shapes: &BTreeMap<&str, &[usize]>) -> Option<(NetConfig, [usize; 3])> {
    let shape = |name| shapes.get(name).copied();
    let (architecture, width, channels, side) = match (shape("f.0.weight"), shape("convs.0.weight"))
    {
        (Some(&[n, channels, 1, 1]), _) => (Architecture::Toy, n, channels, 1),
        (Some(&[n, channels, ..]), _) => {
            let &[_, _, side, _] = shape("f.8.weight")? else {
                return None;
            };
            (Architecture::Vanilla, n, channels, side.checked_mul(8)?)
        }
        (None, Some(&[n, channels, ..])) => {
            let &[_, inputs] = shape("fc.0.weight")? else {
                return None;
            };
            let area = inputs.checked_div(n.checked_mul(4)?)?;
            let side = area.isqrt().checked_mul(8)?;
            (Architecture::Nonlocal, n, channels, side)
        }
        _ => return None,
    };
    let net = NetConfig {
        width,
        ..NetConfig::published(architecture)
    };
    let state_shape = [channels, side, side];
    if side > LARGEST_SIDE || net.validate(state_shape).is_err() {
        return None;
    }
    let expected = parameter_shapes(&net, state_shape);
    let is_same = expected.len() == shapes.len()
        && expected
            .iter()
            .all(|(name, expected)| shape(name) == Some(expected));
    is_same.then_some((net, state_shape))
}

/// Names and shapes of all parameters of the net.
fn parameter_shapes(net: &NetConfig, state_shape: [usize; 3]) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for (layer_name, layer) in net.named_layers(state_shape) {
        let layer = layer.shape();
        for (map, name) in layer.maps().into_iter().zip(map_names(layer)) {
            let at = format!("{layer_name}{name}");
            shapes.insert(format!("{at}.bias"), vec![map.outputs]);
            let weight = [&[map.outputs], &map.row[..]].concat();
            shapes.insert(format!("{at}.weight"), weight);
        }
    }
    shapes
}

/// The names of the linear maps in a layer in the order of [`LayerShape::maps`], which follow the layer's own name.
#[must_use]
pub fn map_names(layer: LayerShape) -> &'static [&'static str] {
    match layer {
        LayerShape::NonLocal { .. } => &[".theta", ".phi.0", ".g.0", ".W"],
        LayerShape::Conv2d { .. } | LayerShape::Linear { .. } => &[""],
        LayerShape::Elementwise | LayerShape::MaxPool2d { .. } => &[],
    }
}

#[cfg(all(test, feature = "burn"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::named_parameters;
    use burn::backend::Flex;

    /// Each net is found from its own parameters, and none from those of a net with one parameter more or less or of
    /// another shape.
    #[test]
    fn a_net_is_known_by_its_parameters() {
        for (architecture, width, state_shape) in [
            (Architecture::Toy, 3, [2, 1, 1]),
            (Architecture::Vanilla, 2, [3, 16, 16]),
            (Architecture::Vanilla, 5, [1, 32, 32]),
            (Architecture::Nonlocal, 1, [1, 16, 16]),
            (Architecture::Nonlocal, 4, [3, 24, 24]),
        ] {
            let net = NetConfig {
                width,
                ..NetConfig::published(architecture)
            };
            let parameters = named_parameters(
                &net.init::<Flex>(state_shape, 1, &Default::default())
                    .unwrap(),
            );
            let shapes: BTreeMap<_, _> = parameters
                .iter()
                .map(|parameter| (parameter.name.as_str(), &parameter.shape[..]))
                .collect();
            assert_eq!(fitting_net(&shapes), Some((net, state_shape)));

            let mut more = shapes.clone();
            more.insert("extra", &[1]);
            assert_eq!(fitting_net(&more), None);
            for name in shapes.keys() {
                let mut less = shapes.clone();
                less.remove(name);
                assert_eq!(fitting_net(&less), None, "without {name}");
                less.insert(name, &[7]);
                assert_eq!(fitting_net(&less), None, "another {name}");
            }
        }
    }

    #[test]
    fn absurd_shapes_fit_no_net() {
        let huge = [1, 1, usize::MAX, usize::MAX];
        let zero = [0, 1, 3, 3];
        let wide = [4, usize::MAX];
        for shapes in [
            vec![("f.0.weight", &zero[..]), ("f.8.weight", &huge[..])],
            vec![("f.0.weight", &[1, 1, 3, 3]), ("f.8.weight", &huge[..])],
            vec![("convs.0.weight", &zero[..]), ("fc.0.weight", &wide[..])],
            vec![("convs.0.weight", &huge[..]), ("fc.0.weight", &wide[..])],
            vec![("f.0.weight", &[])],
            vec![],
        ] {
            assert_eq!(fitting_net(&shapes.into_iter().collect()), None);
        }
    }
}
