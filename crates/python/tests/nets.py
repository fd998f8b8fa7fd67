"""The nets of arXiv 1903.12370 in PyTorch, with the parameter names of the published checkpoints, and an odd one.

Written for these tests from the descriptions in the paper and in `ebm-energy-net`.
"""

import torch
from torch import nn
from torch.nn import functional


class Stack(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, states):
        return self.f(states).flatten()


def toy(width=6, slope=0.05, channels=2):
    def point(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 1)

    n = width
    sizes = [channels, n, 2 * n, 2 * n, 2 * n]
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [point(inputs, outputs), nn.LeakyReLU(slope)]
    return Stack(*layers, point(2 * n, 1))


def vanilla(width=4, slope=0.05, channels=3, side=16):
    n = width
    return Stack(
        nn.Conv2d(channels, n, 3, 1, 1),
        nn.LeakyReLU(slope),
        nn.Conv2d(n, 2 * n, 4, 2, 1),
        nn.LeakyReLU(slope),
        nn.Conv2d(2 * n, 4 * n, 4, 2, 1),
        nn.LeakyReLU(slope),
        nn.Conv2d(4 * n, 8 * n, 4, 2, 1),
        nn.LeakyReLU(slope),
        nn.Conv2d(8 * n, 1, side // 8),
    )


class NonLocal(nn.Module):
    """The paper's attention over pixels, with keys and values pooled by 2."""

    def __init__(self, channels):
        super().__init__()
        self.inner = max(1, channels // 2)
        self.theta = nn.Conv2d(channels, self.inner, 1)
        self.phi = nn.Sequential(nn.Conv2d(channels, self.inner, 1), nn.MaxPool2d(2))
        self.g = nn.Sequential(nn.Conv2d(channels, self.inner, 1), nn.MaxPool2d(2))
        self.W = nn.Conv2d(self.inner, channels, 1)

    def forward(self, x):
        query = self.theta(x).flatten(2).transpose(1, 2)
        key = self.phi(x).flatten(2)
        value = self.g(x).flatten(2).transpose(1, 2)
        mixed = functional.softmax(query @ key, 2) @ value
        mixed = mixed.transpose(1, 2).reshape(x.shape[0], self.inner, *x.shape[2:])
        return x + self.W(mixed)


class NonLocalNet(nn.Module):
    def __init__(self, width=4, slope=0.05, channels=3, side=16):
        super().__init__()
        n = width
        self.convs = nn.Sequential(
            nn.Conv2d(channels, n, 3, 1, 1),
            nn.LeakyReLU(slope),
            nn.MaxPool2d(2),
            NonLocal(n),
            nn.Conv2d(n, 2 * n, 3, 1, 1),
            nn.LeakyReLU(slope),
            nn.MaxPool2d(2),
            NonLocal(2 * n),
            nn.Conv2d(2 * n, 4 * n, 3, 1, 1),
            nn.LeakyReLU(slope),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Sequential(
            nn.Linear(4 * n * (side // 8) ** 2, 8 * n), nn.LeakyReLU(slope), nn.Linear(8 * n, 1)
        )

    def forward(self, states):
        return self.fc(self.convs(states).flatten(1)).flatten()


def odd():
    """Sides that are no power of two, uneven channels, all activations, and layers without a bias."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, 2, 1),
        nn.SiLU(),
        nn.Conv2d(5, 7, 3, 1, 0, bias=False),
        nn.ELU(0.7),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 2 * 1, 9),
        nn.ReLU(),
        nn.Linear(9, 6, bias=False),
        nn.LeakyReLU(0.2),
        nn.Linear(6, 1),
    )


ODD_SHAPE = (2, 13, 9)


def randomised(net, seed):
    """The net with other random parameters than PyTorch's first ones, which leave the non-local blocks' W near zero."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 4
            parameter.copy_(torch.randn_like(parameter) / fan_in**0.5)
    return net
