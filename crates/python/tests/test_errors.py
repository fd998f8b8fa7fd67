"""What a wrong argument says: one exception that names the argument and what would be right."""

import numpy as np
import pytest

import ebm_anatomy as ebm
from ebm_anatomy import layers

POINT = np.zeros((3, 1))


@pytest.mark.parametrize(
    "states, kind, message",
    [
        (np.zeros((3, 2)), ValueError, r"states has the shape \[3, 2\]: must be \(chains, 1\)"),
        (np.zeros((0, 1)), ValueError, "at least one chain"),
        (np.zeros(3), ValueError, "must be"),
        (np.float32(1), ValueError, "must be"),
        (np.zeros((3, 1), int), TypeError, "states is of the type int64 where floats are needed"),
        (np.zeros((3, 1), complex), TypeError, "complex128"),
        ([[1.0], [1.0, 2.0]], TypeError, "states cannot be read as an array"),
        ("abc", TypeError, "floats are needed"),
        (None, TypeError, "floats are needed"),
        (np.full((3, 1), np.nan), ValueError, "states holds NaN or infinite values, the first at flat index 0"),
        (np.array([[0.0], [1e39]]), ValueError, "first at flat index 1"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_states(ridge, states, kind, message):
    for call in [
        ridge.energy,
        ridge.gradient,
        lambda states: ridge.sample(states, 1, 0.1, seed=1),
        lambda states: ridge.parameter_gradient(states, [1.0, 1.0, 1.0]),
    ]:
        with pytest.raises(kind, match=message):
            call(states)


@pytest.mark.parametrize(
    "changed, kind, message",
    [
        ({"steps": -1}, ValueError, "steps = -1: must be a whole number"),
        ({"steps": 1.5}, TypeError, "integer"),
        ({"steps": 2**63}, ValueError, "first_step \\+ steps"),
        ({"epsilon": -0.1}, ValueError, "epsilon = -0.1: must be a finite number >= 0"),
        ({"epsilon": float("nan")}, ValueError, "epsilon = NaN"),
        ({"temperature": 0.0}, ValueError, "temperature = 0: must be a finite number > 0, or None"),
        ({"seed": -1}, ValueError, "seed = -1"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"kernel": "nuts"}, ValueError, 'kernel = "nuts": must be one of ula, mala'),
        ({"kernel": "mala", "epsilon": 0.0}, ValueError, "MALA needs a step size"),
        ({"kernel": "hmc", "leapfrogs": 0}, ValueError, "leapfrog"),
        ({"kernel": "underdamped", "friction": -1.0}, ValueError, "friction"),
        ({"kernel": "mala", "state_clamp": 1.0}, ValueError, 'exist for kernel = "ula" alone'),
        ({"friction": 2.0}, ValueError, 'friction exists for kernel = "underdamped" alone, and kernel = "ula"'),
        ({"kernel": "underdamped", "leapfrogs": 3}, ValueError, 'leapfrogs exists for kernel = "hmc" alone'),
        ({"gradient_clip": 0.0}, ValueError, "gradient_clip = 0: must be"),
        ({"record_every": 0}, ValueError, "record_every = 0"),
        ({"first_step": -3}, ValueError, "first_step = -3"),
    ],
    ids=str,
)
def test_arguments_of_sample(ridge, changed, kind, message):
    arguments = {"states": POINT, "steps": 2, "epsilon": 0.1, "seed": 1, **changed}
    with pytest.raises(kind, match=message):
        ridge.sample(**arguments)


def test_a_seed_has_to_be_given(ridge):
    with pytest.raises(TypeError, match="seed"):
        ridge.sample(POINT, 1, 0.1)


def test_weights(ridge):
    for weights in [np.ones(2), np.ones((3, 1)), np.float32(1)]:
        with pytest.raises(ValueError, match=r"must be \[3\], one for each state"):
            ridge.parameter_gradient(POINT, weights)
    with pytest.raises(ValueError, match="weights holds NaN"):
        ridge.parameter_gradient(POINT, [1.0, np.inf, 0.0])


@pytest.mark.parametrize(
    "stack, shape, kind, message",
    [
        ([], (1,), ValueError, "layers has no layer that computes anything"),
        ([type("Flatten", (), {"__module__": "ebm_anatomy.layers"})()], (1,), ValueError, "layers has no layer"),
        ([type("ReLU", (), {"__module__": "mine"})()], (1,), TypeError, r"layers\[0\] \(ReLU\) is a class of mine"),
        ([type("ReLU", (), {"__module__": "torch.nnx"})()], (1,), TypeError, "is a class of torch.nnx"),
        (3, (1,), TypeError, "layers is <class 'int'>"),
        (["Linear"], (1,), TypeError, r"layers\[0\] \(str\) is none of the layers"),
        ([layers.ReLU()], (2,), ValueError, r"layers\[0\] \(ReLU\) gives 2 values"),
        ([layers.Linear([[1.0, 2.0]])], (3,), ValueError, r"layers\[0\] \(Linear\): it expects 2 values"),
        ([layers.Linear([1.0, 2.0])], (2,), ValueError, r"weight has the shape \[2\]"),
        ([layers.Linear([[1.0, 2.0]], [1.0, 2.0])], (2,), ValueError, r"bias has the shape \[2\]: must be \[1\]"),
        ([layers.Linear([[1, 2]])], (2,), TypeError, "weight is of the type int64"),
        ([layers.Linear([[np.nan]])], (1,), ValueError, "weight holds NaN"),
        ([layers.Linear(np.ones((1, 0)))], (1,), ValueError, "it expects 0 values"),
        ([layers.Conv2d(np.ones((1, 1, 3, 3)))], (1, 2, 2), ValueError, "kernel is larger than"),
        ([layers.Conv2d(np.ones((1, 1, 2, 3)))], (1, 3, 3), ValueError, "square kernels"),
        ([layers.Conv2d(np.ones((1, 1, 1, 1)), stride=-1)], (1, 1, 1), ValueError, "stride = -1"),
        ([layers.Conv2d(np.ones((1, 1, 1, 1)), stride=0)], (1, 1, 1), ValueError, "at least 1"),
        ([layers.Conv2d(np.ones((1, 1, 1, 1)), padding=2**62)], (1, 1, 1), ValueError, "values"),
        ([layers.MaxPool2d(0)], (1, 1, 1), ValueError, "window of 0"),
        ([layers.MaxPool2d(3)], (1, 2, 2), ValueError, "fit into"),
        ([layers.LeakyReLU("steep")], (1,), ValueError, "negative_slope = steep"),
        ([layers.ELU(np.inf)], (1,), ValueError, "alpha"),
        ([layers.NonLocal(None, None, None, None)], (1, 2, 2), TypeError, "theta"),
        ([layers.Linear([[1.0]])], (), ValueError, r"shape = \[\]"),
        ([layers.Linear([[1.0]])], (0,), ValueError, r"shape = \[0\]"),
        ([layers.Linear([[1.0]])], (2**40, 2**40, 2**40), ValueError, "it expects 1 values"),
    ],
    ids=str,
)
def test_layers(stack, shape, kind, message):
    with pytest.raises(kind, match=message):
        ebm.Net(stack, shape)


@pytest.mark.parametrize("threads", [0, -1, 5000, 2**70])
def test_threads(threads):
    with pytest.raises((ValueError, OverflowError)):
        ebm.Net([layers.Linear([[1.0]])], (1,), threads=threads)


@pytest.mark.parametrize(
    "state_dict, kind, message",
    [
        ({"0.weight": [[1.0]]}, ValueError, "none of them is 0.bias"),
        ({"0.weight": [[1.0, 2.0]], "0.bias": [0.0]}, ValueError, r"shape \[1, 2\]: that of the net is \[1, 1\]"),
        ({"0.weight": [[1.0]], "0.bias": [0.0], "1.bias": [0.0]}, ValueError, "has the entry 1.bias"),
        ({"0.weight": [["a"]], "0.bias": [0.0]}, TypeError, "floats are needed"),
        ({0: [[1.0]]}, TypeError, "must map names to arrays"),
        ([("0.weight", [[1.0]])], TypeError, "must map names to arrays"),
    ],
    ids=str,
)
def test_update(state_dict, kind, message):
    net = ebm.Net([layers.Linear([[1.0]], [0.0])], (1,))
    with pytest.raises(kind, match=message):
        net.update(state_dict)
    assert net.energy([[2.0]]) == [2.0]


def test_chains_that_run_away():
    downhill = ebm.Net([layers.Linear([[1.0]]), layers.ReLU(), layers.Linear([[-1e30]])], (1,))
    with pytest.raises(ebm.RanAway, match="3 of 3 chains had NaN or infinite"):
        downhill.sample(np.full((3, 1), 5.0), 10_000, 0.1, seed=1, temperature=1e-30)
    assert issubclass(ebm.RanAway, ArithmeticError)


def test_noise():
    with pytest.raises(ValueError, match="shape"):
        ebm.noise((), 1)
    with pytest.raises(ValueError, match="seed = -1"):
        ebm.noise((2, 2), -1)
    with pytest.raises(MemoryError):
        ebm.noise((2**40, 2**40), 1)
