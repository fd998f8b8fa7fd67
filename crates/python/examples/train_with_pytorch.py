"""A PyTorch training loop, and the same loop with its inner Langevin loop replaced by one call.

    python train_with_pytorch.py                  # learns with both loops, checks that they agree, times them
    python train_with_pytorch.py --net nonlocal --rounds 9

Maximum likelihood as in arXiv 1903.12370, Algorithm 1: chains from noise, `steps` steps X <- X - grad F(X) + eps Z, and
an update with the difference of the gradients of F at data and samples. The data are blobs drawn here, so nothing is
downloaded. Needs torch and ebm_anatomy.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import ebm_anatomy as ebm

EPSILON = 0.01


def blobs(count, shape, seed):
    """Images of a bright round blob each, in (-1, 1)."""
    channels, height, width = shape
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    cy, cx = rng.uniform(0.3, 0.7, size=(2, count, 1, 1)) * height
    radius = rng.uniform(0.1, 0.2, size=(count, 1, 1)) * height
    images = 2 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / radius**2) - 1
    return np.repeat(images[:, None], channels, axis=1).astype(np.float32)


class Vanilla(nn.Module):
    """The paper's vanilla net; its state_dict has the names of the published checkpoints."""

    def __init__(self, channels, side, n=32, slope=0.05):
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(channels, n, 3, 1, 1), nn.LeakyReLU(slope),
            nn.Conv2d(n, 2 * n, 4, 2, 1), nn.LeakyReLU(slope),
            nn.Conv2d(2 * n, 4 * n, 4, 2, 1), nn.LeakyReLU(slope),
            nn.Conv2d(4 * n, 8 * n, 4, 2, 1), nn.LeakyReLU(slope),
            nn.Conv2d(8 * n, 1, side // 8),
        )  # fmt: skip

    def forward(self, states):
        return self.f(states).flatten()


class NonLocal(nn.Module):
    """Attention over pixels, with keys and values pooled by 2."""

    def __init__(self, channels):
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.g = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.W = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.W.weight)
        nn.init.zeros_(self.W.bias)

    def forward(self, x):
        query, key, value = self.theta(x).flatten(2), self.phi(x).flatten(2), self.g(x).flatten(2)
        attention = functional.softmax(query.transpose(1, 2) @ key, 2)
        mixed = (attention @ value.transpose(1, 2)).transpose(1, 2)
        return x + self.W(mixed.reshape(x.shape[0], -1, *x.shape[2:]))


class NonLocalNet(nn.Module):
    """The paper's nonlocal net; its state_dict has the names of the published checkpoints."""

    def __init__(self, channels, side, n=32, slope=0.05):
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, n, 3, 1, 1), nn.LeakyReLU(slope), nn.MaxPool2d(2), NonLocal(n),
            nn.Conv2d(n, 2 * n, 3, 1, 1), nn.LeakyReLU(slope), nn.MaxPool2d(2), NonLocal(2 * n),
            nn.Conv2d(2 * n, 4 * n, 3, 1, 1), nn.LeakyReLU(slope), nn.MaxPool2d(2),
        )  # fmt: skip
        self.fc = nn.Sequential(
            nn.Linear(4 * n * (side // 8) ** 2, 8 * n), nn.LeakyReLU(slope), nn.Linear(8 * n, 1)
        )

    def forward(self, states):
        return self.fc(self.convs(states).flatten(1)).flatten()


def sample_in_pytorch(net, states, steps, seed):
    """The inner loop as it is usually written."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for _ in range(steps):
        states.requires_grad_()
        (gradient,) = torch.autograd.grad(net(states).sum(), states)
        noise = torch.randn(states.shape, generator=generator)
        states = (states - gradient + EPSILON * noise).detach()
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    return states


def learn(net, optimiser, data, steps, iteration, chains=None):
    """One iteration of Algorithm 1; with `chains`, an ebm_anatomy.Net, that runs the inner loop. Returns d."""
    starts = torch.rand(data.shape, generator=torch.Generator().manual_seed(iteration)) * 2 - 1
    if chains is None:
        samples = sample_in_pytorch(net, starts, steps, seed=iteration)
    else:
        chains.update(net.state_dict())
        samples, _ = chains.sample(starts, steps, EPSILON, seed=iteration)
        samples = torch.from_numpy(samples)
    difference = net(data).mean() - net(samples).mean()
    optimiser.zero_grad()
    difference.backward()
    optimiser.step()
    return 2 / EPSILON**2 * difference.item()


def learn_here(net, optimiser, data, steps, iteration, chains):
    """The same, with the gradients of the parameters from here too: PyTorch has the optimiser alone."""
    starts = torch.rand(data.shape, generator=torch.Generator().manual_seed(iteration)) * 2 - 1
    chains.update(net.state_dict())
    samples, _ = chains.sample(starts, steps, EPSILON, seed=iteration)
    count = len(samples)
    weights = np.repeat(np.float32([1 / count, -1 / count]), count)
    both = np.concatenate([data.numpy(), samples])
    gradients, energies = chains.parameter_gradient(both, weights, return_energies=True)
    for name, parameter in net.named_parameters():
        parameter.grad = torch.from_numpy(gradients[name])
    optimiser.step()
    return 2 / EPSILON**2 * float(energies @ weights)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=["vanilla", "nonlocal"], default="vanilla")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30, help="Langevin steps of an iteration")
    parser.add_argument("--rounds", type=int, default=7, help="iterations of each loop that are timed, in turns")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    shape = (options.channels, options.side, options.side)
    data = torch.from_numpy(blobs(options.batch, shape, seed=1))

    loops = {}
    for name in ["PyTorch", "one call", "one call, gradients too"]:
        torch.manual_seed(0)
        make = Vanilla if options.net == "vanilla" else NonLocalNet
        net = make(options.channels, options.side, options.width)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.0, 0.999))
        if name == "PyTorch":
            loops[name] = lambda i, n=net, o=optimiser: learn(n, o, data, options.steps, i)
        else:
            chains = ebm.Net.from_torch(net.state_dict(), options.net, threads=options.threads)
            step = learn if name == "one call" else learn_here
            loops[name] = lambda i, n=net, o=optimiser, c=chains, s=step: s(n, o, data, options.steps, i, c)

    print(
        f"{options.net}, width {options.width}, states {shape}, {options.batch} chains, {options.steps} Langevin steps "
        f"an iteration, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"
    )
    times = {name: [] for name in loops}
    # The first iteration warms up; then the loops take turns, so that other load on the machine hits all alike.
    for iteration in range(options.rounds + 1):
        texts = []
        for name, loop in loops.items():
            before = time.perf_counter()
            d = loop(iteration)
            seconds = time.perf_counter() - before
            if iteration > 0:
                times[name].append(seconds)
            texts.append(f"{name}: {seconds:.3f} s, d = {d:.1f}")
        print(f"iteration {iteration}: " + "; ".join(texts), flush=True)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, median in medians.items():
        ratios = [a / b for a, b in zip(times["PyTorch"], times[name])]
        print(
            f"{name}: median {median:.3f} s an iteration; PyTorch takes {statistics.median(ratios):.2f} times as long "
            f"(rounds from {min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
