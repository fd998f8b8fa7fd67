"""The published nets against PyTorch's numbers in double precision, from a file, so without PyTorch.

`crates/energy-net/tests/golden/make_golden.py` writes the file, and says by which formula parameters and states are made.
"""

import json
import pathlib

import numpy as np
import pytest

import ebm_anatomy as ebm

GOLDEN = pathlib.Path(__file__).parents[2] / "energy-net" / "tests" / "golden" / "nets.json"


def values(shape, salt, bound):
    index = np.arange(np.prod(shape), dtype=np.float64)
    return (bound * np.sin(1.0 + index * 0.7548776662 + salt * 1.3247179572)).astype(np.float32).reshape(shape)


def toy(c, n):
    return [(n, c, 1, 1), (2 * n, n, 1, 1), (2 * n, 2 * n, 1, 1), (2 * n, 2 * n, 1, 1), (1, 2 * n, 1, 1)]


def vanilla(c, n, side):
    return [(n, c, 3, 3), (2 * n, n, 4, 4), (4 * n, 2 * n, 4, 4), (8 * n, 4 * n, 4, 4), (1, 8 * n, side // 8, side // 8)]


def nonlocal_(c, n, side):
    def block(c):
        return [(c // 2, c, 1, 1)] * 3 + [(c, c // 2, 1, 1)]

    convolutions = [(n, c, 3, 3), *block(n), (2 * n, n, 3, 3), *block(2 * n), (4 * n, 2 * n, 3, 3)]
    return [*convolutions, (8 * n, 4 * n * (side // 8) ** 2), (1, 8 * n)]


# Weights in the order of the state dict; each has a bias.
WEIGHTS = {
    "toy": toy(2, 8),
    "vanilla": vanilla(1, 4, 16),
    "vanilla-32": vanilla(3, 2, 32),
    "nonlocal": nonlocal_(1, 4, 16),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_energies_and_gradients_are_those_of_pytorch(name):
    golden = json.loads(GOLDEN.read_text())[name]
    shapes = [shape for weight in WEIGHTS[name] for shape in (weight, weight[:1])]
    assert len(shapes) == len(golden["parameters"])
    state_dict = {}
    for salt, (key, shape) in enumerate(zip(golden["parameters"], shapes)):
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else shape[0]
        state_dict[key] = values(shape, salt, 2.0 / np.sqrt(fan_in))
    states = values(golden["shape"], 99, 1.0)
    net = ebm.Net.from_torch(state_dict, name.split("-")[0])
    energies = net.energy(states)
    assert np.allclose(energies, golden["energies"], rtol=2e-5, atol=2e-5)
    gradient = net.gradient(states)
    norms = np.linalg.norm(gradient.reshape(len(states), -1).astype(np.float64), axis=1)
    assert np.allclose(norms, golden["gradient_norms"], rtol=2e-5)
    some = gradient.ravel()[:: golden["gradient_stride"]]
    assert np.allclose(some, golden["gradient"], rtol=1e-4, atol=2e-5 * norms.max())
