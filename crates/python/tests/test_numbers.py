"""Values without PyTorch: closed forms, central differences, stationary densities, threads."""

import threading

import numpy as np
import pytest

import ebm_anatomy as ebm
from ebm_anatomy import layers


def test_a_closed_form(ridge):
    points = np.linspace(-4, 4, 33)[:, None]
    assert np.allclose(ridge.energy(points), (points * np.tanh(points / 2))[:, 0], atol=1e-6)
    slopes = np.tanh(points / 2) + points / 2 / np.cosh(points / 2) ** 2
    assert np.allclose(ridge.gradient(points), slopes, atol=1e-6)
    # A point is an image of one pixel.
    as_image = points[:, :, None, None]
    assert np.array_equal(ridge.energy(as_image), ridge.energy(points))
    assert ridge.gradient(as_image).shape == as_image.shape


def test_gradients_are_slopes():
    """Central differences of a smooth net."""
    rng = np.random.default_rng(1)
    net = ebm.Net(
        [
            layers.Conv2d(rng.normal(size=(3, 2, 3, 3)) / 4, rng.normal(size=3), stride=2, padding=1),
            layers.SiLU(),
            layers.Conv2d(rng.normal(size=(2, 3, 2, 2)) / 3, rng.normal(size=2)),
            layers.ELU(),
            layers.Linear(rng.normal(size=(1, 12)) / 3),
        ],
        (2, 7, 6),
    )
    states, direction = rng.normal(size=(2, 6, 2, 7, 6)).astype(np.float32)
    h = np.float32(1e-2)
    slope = (net.energy(states + h * direction) - net.energy(states - h * direction)) / (2 * h)
    expected = np.sum(net.gradient(states) * direction, axis=(1, 2, 3))
    assert np.allclose(slope, expected, rtol=0.005, atol=0.005)


def test_parameter_gradients_of_a_linear_energy():
    """F(x) = w·x + b has ∂/∂w Σ cᵢ F(xᵢ) = Σ cᵢ xᵢ and ∂/∂b = Σ cᵢ."""
    rng = np.random.default_rng(2)
    net = ebm.Net([layers.Linear(rng.normal(size=(1, 12)), [1.0])], (3, 2, 2))
    states, weights = rng.normal(size=(50, 3, 2, 2)), rng.normal(size=50)
    gradients = net.parameter_gradient(states, weights)
    assert list(gradients) == ["0.weight", "0.bias"] == list(net.parameter_shapes)
    assert np.allclose(gradients["0.weight"], weights @ states.reshape(50, 12), atol=1e-5)
    assert np.allclose(gradients["0.bias"], weights.sum(), atol=1e-5)


def moments(net):
    """Mean of F and of x² under exp(-F), by quadrature."""
    x = np.linspace(-60, 60, 240_001)
    f = x * np.tanh(x / 2)
    p = np.exp(-f)
    return np.array([(p * f).sum(), (p * x**2).sum()]) / p.sum()


@pytest.mark.parametrize(
    "kernel, epsilon, steps",
    [("ula", 0.15, 2000), ("mala", 1.5, 300), ("underdamped", 0.15, 1000), ("hmc", 0.6, 150)],
)
def test_stationary_densities(ridge, kernel, epsilon, steps):
    """4,000 independent chains: mean F and mean x² within 5 standard errors of quadrature, and for the kernels without
    a Metropolis decision 1 % more for their bias, which falls with ε². False-alarm rate over seeds 1e-6 each; the seed
    is fixed."""
    starts = np.full((4000, 1), 3.0)
    states, records = ridge.sample(starts, steps, epsilon, seed=9, kernel=kernel, temperature=1.0)
    draws = np.stack([ridge.energy(states), states[:, 0] ** 2]).astype(np.float64)
    errors = draws.std(axis=1) / np.sqrt(4000)
    bias = 0.0 if kernel in ("mala", "hmc") else 0.01
    expected = moments(ridge)
    assert np.all(np.abs(draws.mean(axis=1) - expected) < 5 * errors + bias * expected)
    rate = records[-1].acceptance_rate
    assert (rate is None) == (kernel in ("ula", "underdamped"))
    assert rate is None or 0.5 < rate < 1.0


def test_the_temperature_of_learning_is_the_default(ridge):
    starts = np.linspace(-2, 2, 10)[:, None]
    learned, _ = ridge.sample(starts, 20, 0.3, seed=4)
    named, _ = ridge.sample(starts, 20, 0.3, seed=4, temperature=0.3**2 / 2)
    assert np.array_equal(learned, named)
    by_hand = starts.astype(np.float32)
    for step in range(20):
        by_hand = by_hand - ridge.gradient(by_hand) + np.float32(0.3) * ebm.noise((10, 1), 4, step)
    assert np.allclose(learned, by_hand, atol=1e-5)


def test_bounds_of_gradients_and_states(ridge):
    starts = np.linspace(-2, 2, 10)[:, None].astype(np.float32)
    bounds = {"gradient_clip": 0.2, "state_clamp": 1.1}
    states, _ = ridge.sample(starts, 1, 0.3, seed=4, **bounds)
    moved = starts - ridge.gradient(starts).clip(-0.2, 0.2) + np.float32(0.3) * ebm.noise((10, 1), 4)
    assert np.allclose(states, moved.clip(-1.1, 1.1), atol=1e-6)


@pytest.mark.parametrize("kernel", ["ula", "mala", "underdamped", "hmc"])
def test_threads_change_no_bit(image_net, kernel):
    states = np.random.default_rng(3).normal(size=(70, 2, 7, 6)).astype(np.float32)
    one, two = image_net(1), image_net(2)
    results = [
        net.sample(states, 6, 0.01, seed=5, kernel=kernel, record_every=2) for net in (one, two)
    ]
    assert np.array_equal(results[0][0], results[1][0])
    for of_one, of_two in zip(results[0][1], results[1][1]):
        assert np.array_equal(of_one.energies, of_two.energies)
        assert of_one.gradient_magnitude == of_two.gradient_magnitude
        assert of_one.acceptance_rate == of_two.acceptance_rate
    gradients = [net.parameter_gradient(states, np.ones(70)) for net in (one, two)]
    assert all(np.array_equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert np.array_equal(one.gradient(states), two.gradient(states))


def test_chains_in_pieces_walk_the_same_path(image_net):
    net = image_net()
    starts = np.random.default_rng(3).normal(size=(5, 2, 7, 6)).astype(np.float32)
    kept = starts.copy()
    whole, records = net.sample(starts, 30, 0.02, seed=6, record_every=7)
    assert [record.step for record in records] == [0, 7, 14, 21, 28, 30]
    half, _ = net.sample(starts, 11, 0.02, seed=6)
    rest, records = net.sample(half, 19, 0.02, seed=6, first_step=11)
    assert [record.step for record in records] == [30]
    assert np.array_equal(whole, rest)
    assert np.array_equal(starts, kept), "the starts stay as they are"
    other, _ = net.sample(starts, 30, 0.02, seed=7)
    assert not np.array_equal(whole, other)


def test_update_takes_names_and_keeps_the_net_when_it_fails(image_net):
    net = image_net()
    states = np.random.default_rng(3).normal(size=(4, 2, 7, 6))
    before = net.energy(states)
    rng = np.random.default_rng(8)
    other = {name: rng.normal(size=shape) for name, shape in net.parameter_shapes.items()}
    wrong = dict(other, **{"5.bias": [float("nan")]})
    with pytest.raises(ValueError, match=r'state_dict\["5.bias"\] holds NaN'):
        net.update(wrong)
    assert np.array_equal(net.energy(states), before)
    net.update(other)
    assert not np.array_equal(net.energy(states), before)


def test_what_comes_out_belongs_to_the_caller(image_net):
    net = image_net()
    states = np.random.default_rng(3).normal(size=(4, 2, 7, 6))
    for array in [net.energy(states), net.gradient(states), net.sample(states, 1, 0.1, seed=1)[0]]:
        assert array.flags.writeable and array.flags.c_contiguous and array.dtype == np.float32
        array += 1
    del net
    array += 1


def test_several_threads_of_python(image_net):
    """Calls on one net wait for each other, and other threads run meanwhile."""
    net = image_net(2)
    states = np.random.default_rng(3).normal(size=(20, 2, 7, 6))
    expected = [net.sample(states, 40, 0.02, seed=seed)[0] for seed in range(8)]
    found = [None] * 8

    def sample(seed):
        found[seed] = net.sample(states, 40, 0.02, seed=seed)[0]

    threads = [threading.Thread(target=sample, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found))


def test_noise_is_standard_normal_and_addressed():
    """Mean and mean square of 200,000 draws within 5 standard errors: false-alarm rate 1e-6 over seeds; it is fixed."""
    draws = ebm.noise((200, 10, 10, 10), seed=3, step=8)
    assert abs(draws.mean()) < 5 / np.sqrt(2e5) and abs((draws**2).mean() - 1) < 5 * np.sqrt(2 / 2e5)
    assert np.array_equal(draws[:3], ebm.noise((3, 10, 10, 10), 3, 8))
    assert not np.array_equal(draws, ebm.noise(draws.shape, 3, 9))
    assert ebm.noise((0, 2), 1).shape == (0, 2)
