"""Energies, gradients, parameter gradients and chains beside PyTorch in double precision."""

import copy

import numpy as np
import pytest

import ebm_anatomy as ebm
from ebm_anatomy import layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
import nets  # noqa: E402  (needs torch)

torch.set_num_threads(1)

CASES = {
    "toy": (lambda: nets.toy(), (2, 1, 1)),
    "vanilla": (lambda: nets.vanilla(), (3, 16, 16)),
    "vanilla, published width": (lambda: nets.vanilla(32, channels=1, side=32), (1, 32, 32)),
    "nonlocal": (lambda: nets.NonLocalNet(), (3, 16, 16)),
    "odd": (nets.odd, nets.ODD_SHAPE),
}


@pytest.fixture(params=CASES)
def case(request):
    """PyTorch's net in float32, the same in float64, and this one."""
    make, shape = CASES[request.param]
    net = nets.randomised(make(), seed=3)
    name = request.param.split(",")[0]
    if name == "odd":
        ours = ebm.Net(net, shape)
    else:
        ours = ebm.Net.from_torch(net.state_dict(), name)
    assert ours.shape == shape
    return net, copy.deepcopy(net).double(), ours


def states_for(net, count, seed=11):
    shape = net.shape
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def close(ours, theirs, tolerance, least=0.0):
    """Within a share of the root mean square, or of `least` if that is larger."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    scale = max(np.sqrt(np.mean(theirs**2)), least)
    assert np.abs(ours - theirs).max() <= tolerance * scale, np.abs(ours - theirs).max() / scale


def same_gradients(gradients, net):
    # A softmax does not see the bias of its keys, whose gradient is 0 but for rounding.
    least = 0.01 * max(parameter.grad.abs().max().item() for parameter in net.parameters())
    for name, parameter in net.named_parameters():
        close(gradients[name], parameter.grad, 1e-4, least)


def test_energies_and_gradients(case):
    _, double, ours = case
    states = states_for(ours, 21)
    given = torch.tensor(states, dtype=torch.float64, requires_grad=True)
    energies = double(given).flatten()
    (gradient,) = torch.autograd.grad(energies.sum(), given)
    close(ours.energy(states), energies, 1e-4)
    close(ours.gradient(states), gradient, 1e-4)
    # Tensors, other precisions and strides are the same states.
    assert np.array_equal(ours.energy(given), ours.energy(states))
    strided = np.asfortranarray(states.astype(np.float64))
    assert np.array_equal(ours.gradient(strided), ours.gradient(states))


def test_parameter_gradients(case):
    net, double, ours = case
    states = states_for(ours, 37)
    weights = np.random.default_rng(2).normal(size=37).astype(np.float32)
    given = torch.tensor(states, dtype=torch.float64)
    energies = double(given).flatten()
    (energies * torch.tensor(weights, dtype=torch.float64)).sum().backward()
    gradients, ours_energies = ours.parameter_gradient(states, weights, return_energies=True)
    close(ours_energies, energies, 1e-4)
    assert list(gradients) == list(net.state_dict()) == list(ours.parameter_shapes)
    for name, parameter in double.named_parameters():
        assert ours.parameter_shapes[name] == tuple(parameter.shape)
    same_gradients(gradients, double)
    alone = ours.parameter_gradient(states, weights)
    assert all(np.array_equal(alone[name], gradients[name]) for name in gradients)


def test_update_is_another_net(case):
    net, _, ours = case
    states = states_for(ours, 5)
    before = ours.energy(states)
    other = nets.randomised(copy.deepcopy(net), seed=4)
    ours.update(other.state_dict())
    close(ours.energy(states), other.double()(torch.tensor(states).double()).flatten(), 1e-4)
    ours.update(dict(net.named_parameters()))
    assert np.array_equal(ours.energy(states), before)


def test_a_chain_without_noise_is_gradient_descent(case):
    _, double, ours = case
    states = 0.1 * states_for(ours, 3)
    theirs = torch.tensor(states, dtype=torch.float64)
    for _ in range(4):
        theirs = descended(double, theirs)
    after, records = ours.sample(states, 4, 0.0, seed=1)
    close(after, theirs, 1e-3)
    assert [record.step for record in records] == [4]


def test_a_chain_step_by_step_with_the_same_noise(case):
    """X − ε²/(2T) ∇F + εZ, and r, with the Z that `noise` gives."""
    _, double, ours = case
    epsilon, temperature, seed = 0.05, 0.02, 2**63 + 17
    states = states_for(ours, 4)
    theirs = torch.tensor(states, dtype=torch.float64)
    norms = []
    for step in range(3):
        given = theirs.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(double(given).sum(), given)
        norms.append(gradient.flatten(1).norm(dim=1).mean().item())
        noise = torch.tensor(ebm.noise(states.shape, seed, step), dtype=torch.float64)
        theirs = theirs - epsilon**2 / (2 * temperature) * gradient + epsilon * noise
    after, records = ours.sample(states, 3, epsilon, seed=seed, temperature=temperature, record_every=1)
    close(after, theirs, 1e-4)
    assert [record.step for record in records] == [0, 1, 2, 3]
    assert records[0].gradient_magnitude is None
    magnitudes = [record.gradient_magnitude for record in records[1:]]
    assert np.allclose(magnitudes, norms, rtol=1e-4)
    close(records[-1].energies, double(theirs).flatten(), 1e-4)


def descended(net, states):
    given = states.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(given).sum(), given)
    return states - gradient


def test_other_precisions_and_names_of_state_dicts():
    net = nets.randomised(nets.vanilla(), seed=5)
    states = states_for(ebm.Net.from_torch(net.state_dict()), 2)
    expected = ebm.Net.from_torch(net.state_dict()).energy(states)
    double = {name: value.double() for name, value in net.state_dict().items()}
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    parallel = {f"module.{name}": value for name, value in net.state_dict().items()}
    for state_dict in [double, arrays, parallel, dict(net.named_parameters())]:
        assert np.array_equal(ebm.Net.from_torch(state_dict, "vanilla").energy(states), expected)
    coarse = {name: value.bfloat16() for name, value in net.state_dict().items()}
    assert np.allclose(ebm.Net.from_torch(coarse).energy(states), expected, rtol=0.1, atol=0.1)


def test_the_slope_is_taken():
    net = nets.randomised(nets.toy(slope=0.2), seed=6)
    ours = ebm.Net.from_torch(net.state_dict(), "toy", slope=0.2)
    states = states_for(ours, 9)
    with torch.no_grad():
        close(ours.energy(states), net.double()(torch.tensor(states).double()), 1e-5)
    assert not np.array_equal(ebm.Net.from_torch(net.state_dict()).energy(states), ours.energy(states))


def test_a_non_local_block_in_a_stack_of_ones_own():
    block = nets.randomised(nets.NonLocal(3), seed=8)
    head = nets.randomised(torch.nn.Linear(3 * 5 * 6, 1), seed=9)
    parts = {"theta": block.theta, "phi": block.phi[0], "g": block.g[0], "W": block.W}
    parts = {name: layers.Conv2d(part.weight, part.bias) for name, part in parts.items()}
    ours = ebm.Net([layers.NonLocal(**parts), layers.Flatten(), head], (3, 5, 6))
    net = torch.nn.Sequential(block, torch.nn.Flatten(), head)
    assert list(ours.parameter_shapes) == list(net.state_dict())
    states = states_for(ours, 4)
    net.double()
    energies = net(torch.tensor(states).double()).flatten()
    close(ours.energy(states), energies, 1e-5)
    energies.sum().backward()
    gradients = ours.parameter_gradient(states, np.ones(4))
    same_gradients(gradients, net)


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Conv2d(2, 4, 3, dilation=2),
        torch.nn.Conv2d(2, 4, 3, groups=2),
        torch.nn.Conv2d(2, 4, 3, padding="same"),
        torch.nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
        torch.nn.Conv2d(2, 4, (3, 1)),
        torch.nn.Conv2d(2, 4, 3, stride=(1, 2)),
        torch.nn.MaxPool2d(3, stride=1),
        torch.nn.MaxPool2d(2, padding=1),
        torch.nn.MaxPool2d(2, ceil_mode=True),
    ],
    ids=str,
)
def test_modules_that_the_engine_does_not_have_are_refused(module):
    with pytest.raises(ValueError, match=r"layers\[0\] \((Conv2d|MaxPool2d)\)"):
        ebm.Net([module], (2, 8, 8))
