#!/usr/bin/env python3
"""Checks with PyTorch the energies that `cargo xtask sample` writes, and that PyTorch takes the weights strictly.

Usage: python check_energies.py WEIGHTS SAMPLES [SLOPE]   (needs torch, numpy and safetensors)

WEIGHTS is a .pth file or an exported .safetensors file of one of the three nets, SAMPLES the samples.safetensors of chains
under it. Prints the largest error of the energies against PyTorch in float64, and PyTorch's own in float32; fails above 1e-5.
Errors are relative to |F|, or to the root mean square of F in the batch where that is larger: near F = 0 no float32
arithmetic has a small error relative to F itself.
"""
import sys

import torch
from safetensors.torch import load_file

import make_golden


def net_of(state):
    if "convs.0.weight" in state:
        n, channels = state["convs.0.weight"].shape[:2]
        side = 8 * round((state["fc.0.weight"].shape[1] / (4 * n)) ** 0.5)
        return make_golden.NonLocal(channels, n, side)
    n, channels, kernel = state["f.0.weight"].shape[:3]
    if kernel == 1:
        return make_golden.toy(channels, n)
    return make_golden.vanilla(channels, n, 8 * state["f.8.weight"].shape[2])


def main():
    weights, samples = sys.argv[1:3]
    make_golden.SLOPE = float(sys.argv[3]) if len(sys.argv) > 3 else make_golden.SLOPE
    state = load_file(weights) if weights.endswith(".safetensors") else torch.load(weights, map_location="cpu")
    net = net_of(state)
    net.load_state_dict(state, strict=True)
    samples = load_file(samples)
    with torch.no_grad():
        single = net(samples["states"])
        truth = net.double()(samples["states"].double())

    scale = truth.abs().clamp_min(truth.square().mean().sqrt())

    def error(energies):
        return ((energies.double() - truth) / scale).abs().max().item()

    print(f"{weights}: {len(state)} tensors taken strictly, {len(truth)} energies from {truth.min():.4g} to {truth.max():.4g};"
          f" largest error {error(samples['energies']):.2g}, of PyTorch in float32 {error(single):.2g}")
    if not error(samples["energies"]) < 1e-5:
        sys.exit("the energies differ")


if __name__ == "__main__":
    main()
