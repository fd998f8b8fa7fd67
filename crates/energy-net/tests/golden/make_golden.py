#!/usr/bin/env python3
"""Writes the golden values of the nets with PyTorch: outputs F and input gradients for fixed weights and states.

Usage: python make_golden.py   (needs torch and numpy; writes nets.json beside itself)

Weights and states come from the formula below instead of a generator, so that the file stays small and the Rust test
builds the same numbers: value(i) = bound * sin(1 + i * 0.7548776662 + salt * 1.3247179572), computed in float64.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn as nn

SLOPE = 0.05


def values(count, salt, bound):
    index = np.arange(count, dtype=np.float64)
    return (bound * np.sin(1.0 + index * 0.7548776662 + salt * 1.3247179572)).astype(np.float32)


def act():
    return nn.LeakyReLU(SLOPE)


class Sequential(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return self.f(x).flatten()


def toy(c, n):
    return Sequential([nn.Conv2d(c, n, 1), act(), nn.Conv2d(n, 2 * n, 1), act(), nn.Conv2d(2 * n, 2 * n, 1), act(),
                       nn.Conv2d(2 * n, 2 * n, 1), act(), nn.Conv2d(2 * n, 1, 1)])


def vanilla(c, n, side):
    return Sequential([nn.Conv2d(c, n, 3, 1, 1), act(), nn.Conv2d(n, 2 * n, 4, 2, 1), act(),
                       nn.Conv2d(2 * n, 4 * n, 4, 2, 1), act(), nn.Conv2d(4 * n, 8 * n, 4, 2, 1), act(),
                       nn.Conv2d(8 * n, 1, side // 8, 1, 0)])


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        h = max(1, c // 2)
        self.theta = nn.Conv2d(c, h, 1)
        self.phi = nn.Sequential(nn.Conv2d(c, h, 1), nn.MaxPool2d(2))
        self.g = nn.Sequential(nn.Conv2d(c, h, 1), nn.MaxPool2d(2))
        self.W = nn.Conv2d(h, c, 1)

    def forward(self, x):
        q = self.theta(x).flatten(2).transpose(1, 2)
        k = self.phi(x).flatten(2)
        v = self.g(x).flatten(2).transpose(1, 2)
        y = (torch.softmax(q @ k, dim=-1) @ v).transpose(1, 2)
        return x + self.W(y.reshape(x.shape[0], -1, *x.shape[2:]))


class NonLocal(nn.Module):
    def __init__(self, c, n, side):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(c, n, 3, 1, 1), act(), nn.MaxPool2d(2), Block(n),
                                   nn.Conv2d(n, 2 * n, 3, 1, 1), act(), nn.MaxPool2d(2), Block(2 * n),
                                   nn.Conv2d(2 * n, 4 * n, 3, 1, 1), act(), nn.MaxPool2d(2))
        self.fc = nn.Sequential(nn.Linear(4 * n * (side // 8) ** 2, 8 * n), act(), nn.Linear(8 * n, 1))

    def forward(self, x):
        return self.fc(self.convs(x).flatten(1)).flatten()


def main():
    cases = {}
    for name, net, shape in [("toy", toy(2, 8), (5, 2, 1, 1)), ("vanilla", vanilla(1, 4, 16), (3, 1, 16, 16)),
                             ("vanilla-32", vanilla(3, 2, 32), (2, 3, 32, 32)),
                             ("nonlocal", NonLocal(1, 4, 16), (3, 1, 16, 16))]:
        state = net.state_dict()
        for salt, (key, tensor) in enumerate(state.items()):
            fan_in = np.prod(tensor.shape[1:]) if tensor.dim() > 1 else tensor.shape[0]
            flat = values(tensor.numel(), salt, 2.0 / np.sqrt(fan_in))
            state[key] = torch.from_numpy(flat).reshape(tensor.shape)
        net.load_state_dict(state)
        x = torch.from_numpy(values(int(np.prod(shape)), 99, 1.0)).reshape(shape)
        # The parameters are float32 numbers; the arithmetic is done in float64 to give a reference, not a rival.
        net, x = net.double(), x.double().requires_grad_(True)
        energy = net(x)
        (gradient,) = torch.autograd.grad(energy.sum(), [x])
        flat = gradient.flatten()
        keep = max(1, flat.numel() // 200)
        cases[name] = dict(
            shape=list(shape), parameters=list(state), energies=energy.tolist(), gradient_stride=keep,
            gradient=flat[::keep].tolist(),
            gradient_norms=gradient.flatten(1).norm(dim=1).tolist())
    path = pathlib.Path(__file__).with_name("nets.json")
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
