#!/usr/bin/env python3
"""Writes the files in pytorch/: weights as PyTorch users have them, and what PyTorch computes with them.

Usage: python make_pytorch_files.py   (needs torch, numpy and safetensors)

For each net: NAME.pth in the format of PyTorch before 1.6 (one pickle after another, then the numbers), NAME.zip.pth in
that of PyTorch from 1.6 on, and NAME.safetensors with states, energies F and gradients of F, in float64 for the float32
weights. Then the toy net's weights once more in every way a state_dict comes in, and files that must be refused. The older
format names storages by their addresses in memory, so its files differ from run to run in those names.
"""
import collections
import os
import pathlib

import torch
import torch.nn as nn
from safetensors.torch import save_file

from make_golden import NonLocal, toy, vanilla

FOLDER = pathlib.Path(__file__).with_name("pytorch")


def save(value, name):
    """In both formats."""
    torch.save(value, FOLDER / f"{name}.pth", _use_new_zipfile_serialization=False)
    torch.save(value, FOLDER / f"{name}.zip.pth")


def save_from_gpu(value, name):
    """As tensors on the first GPU are saved: the file's only trace of a device is a tag beside each storage."""
    tag = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:0"
    save(value, name)
    torch.serialization.location_tag = tag


def strided(state):
    """The same numbers in one shared storage with a gap before each tensor, those of weights in column-major order."""
    storage = torch.full((sum(tensor.numel() + 3 for tensor in state.values()),), float("nan"))
    views, offset = collections.OrderedDict(), 0
    for name, tensor in state.items():
        offset += 3
        stride = [1]
        for side in tensor.shape[:-1]:
            stride.append(stride[-1] * side)
        views[name] = storage.as_strided(tensor.shape, stride, offset)
        views[name].copy_(tensor)
        offset += tensor.numel()
    return views


def short_floats(state):
    """The weights in float16 and bfloat16, with the ends of their ranges, and what PyTorch makes of these in float32."""
    for kind, name in [(torch.float16, "half"), (torch.bfloat16, "bfloat16")]:
        limits = torch.finfo(kind)
        ends = torch.tensor([0.0, -0.0, limits.smallest_normal, limits.max, limits.min, 1 / 3, 1.0], dtype=kind)
        # Below the normal numbers: the smallest and the largest of them.
        smallest_normal = int(ends[2:3].view(torch.int16))
        below = torch.tensor([1, smallest_normal - 1], dtype=torch.int16)
        short = collections.OrderedDict((key, tensor.to(kind)) for key, tensor in state.items())
        short["ends"] = torch.cat([ends, below.view(kind)])
        save(short, name)
        save_file(dict(short), FOLDER / f"{name}.safetensors")
        save_file({key: tensor.float() for key, tensor in short.items()}, FOLDER / f"{name}-in-float32.safetensors")
    integers = {"f.0.weight": torch.arange(4)}
    save(integers, "integers")
    save_file(integers, FOLDER / "integers.safetensors")


class Command:
    """Runs a command when Python's own unpickler reads it."""

    def __reduce__(self):
        return os.system, ("touch the-pickle-was-run",)


def main():
    torch.manual_seed(1)
    FOLDER.mkdir(exist_ok=True)
    for name, net, shape in [("toy", toy(2, 2), (4, 2, 1, 1)), ("vanilla", vanilla(3, 2, 16), (2, 3, 16, 16)),
                             ("nonlocal", NonLocal(1, 2, 16), (2, 1, 16, 16))]:
        for parameter in net.parameters():
            # Larger than PyTorch's initial ones, so that every layer and the attention leave a mark on the energy.
            fan_in = parameter[0].numel() if parameter.dim() > 1 else parameter.numel()
            nn.init.normal_(parameter, std=fan_in ** -0.5)
        save(net.state_dict(), name)
        states = torch.randn(shape)
        net, states = net.double(), states.double().requires_grad_(True)
        energies = net(states)
        (gradient,) = torch.autograd.grad(energies.sum(), [states])
        save_file({"states": states.detach().float(), "energies": energies.detach(), "gradient": gradient},
                  FOLDER / f"{name}.safetensors")

    state = torch.load(FOLDER / "toy.pth")
    save(dict(state), "plain-dict")
    save(strided(state), "strided")
    save(collections.OrderedDict((name, tensor.double()) for name, tensor in state.items()), "double")
    save(collections.OrderedDict((f"module.{name}", tensor) for name, tensor in state.items()), "data-parallel")
    save_from_gpu(state, "gpu")
    net = toy(2, 2)
    net.load_state_dict(state)
    save(dict(net.named_parameters()), "parameters")
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(3, 2, 1, 1)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "loss": 0.25, "net": state, "optim": optimizer.state_dict(), "bank": torch.randn(5, 2, 1, 1)}
    save(checkpoint, "checkpoint")
    torch.save(state, FOLDER / "protocol-4.pth", _use_new_zipfile_serialization=False, pickle_protocol=4)

    average = collections.OrderedDict((name, 0.9 * tensor) for name, tensor in state.items())
    save({"net": state, "average": average}, "two-nets")
    save({"epoch": 3, "nets": [state]}, "no-weights")
    short_floats(state)
    # Not in the older format, which would bring the source text of all classes along.
    torch.save(net, FOLDER / "module.zip.pth")
    save({"f.0.weight": Command()}, "command")


if __name__ == "__main__":
    main()
