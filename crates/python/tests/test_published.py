"""The published nets from arrays, without PyTorch."""

import numpy as np
import pytest

import ebm_anatomy as ebm


def vanilla(width=2, channels=1, side=16):
    n = width
    shapes = [(n, channels, 3, 3), (2 * n, n, 4, 4), (4 * n, 2 * n, 4, 4), (8 * n, 4 * n, 4, 4)]
    shapes.append((1, 8 * n, side // 8, side // 8))
    rng = np.random.default_rng(1)
    state_dict = {}
    for index, shape in zip(range(0, 10, 2), shapes):
        state_dict[f"f.{index}.weight"] = rng.normal(size=shape) / np.prod(shape[1:]) ** 0.5
        state_dict[f"f.{index}.bias"] = rng.normal(size=shape[0])
    return state_dict


def test_width_and_shape_follow_from_the_parameters():
    for width, channels, side in [(2, 1, 16), (3, 3, 24), (1, 2, 8)]:
        state_dict = vanilla(width, channels, side)
        net = ebm.Net.from_torch(state_dict, "vanilla")
        assert net.shape == (channels, side, side)
        assert net.parameter_shapes == {name: value.shape for name, value in state_dict.items()}
        assert np.isfinite(net.energy(np.zeros((2, channels, side, side)))).all()


def test_another_net_is_told():
    state_dict = vanilla()
    with pytest.raises(ValueError, match='architecture = "toy", and these are the parameters of "vanilla"'):
        ebm.Net.from_torch(state_dict, "toy")
    with pytest.raises(ValueError, match='must be "toy", "vanilla" or "nonlocal"'):
        ebm.Net.from_torch(state_dict, "resnet")
    with pytest.raises(ValueError, match="slope = 1.5"):
        ebm.Net.from_torch(state_dict, slope=1.5)
    del state_dict["f.4.bias"]
    with pytest.raises(ValueError, match="does not hold exactly the parameters of the net \"vanilla\""):
        ebm.Net.from_torch(state_dict, "vanilla")
    with pytest.raises(ValueError, match="it has no entries"):
        ebm.Net.from_torch({})
