#!/usr/bin/env python3
"""d and r of the paper's four toy settings in PyTorch, beside those of runs of this program.

    python3 benches/peers/toy_curves.py learn gmm_convergent --out torch
    cargo xtask experiment gmm_convergent --iterations 2000 --seed 1 --out runs/gmm-1    # and with seeds 2 and 3
    python3 benches/peers/toy_curves.py compare --peer torch-*.jsonl --ours runs/gmm-*/metrics.jsonl

`learn` is Algorithm 1 of arXiv 1903.12370 in PyTorch with the published settings, several runs at once. It writes a line for
each iteration, with the keys of `metrics.jsonl`. `compare` prints mean and standard deviation of d and r in parts of learning,
for each side over its seeds, and how far apart the two are in standard errors of the seeds' means. The two sides share
no random numbers, so they agree when few of these numbers exceed 3 or so.
"""

import argparse
import json
import math
import statistics

SETTINGS = {
    # density, optimiser, learning rate, epsilon, steps, start, factor of the start
    "gmm_convergent": ("gmm", "sgd", 0.1, 0.125, 500, "persistent", 1.0),
    "gmm_nonconvergent": ("gmm", "adam", 1e-4, 0.01, 100, "gaussian", 1.0),
    "rings_convergent": ("rings", "sgd", 0.1, 0.125, 500, "persistent", 1.0),
    "rings_nonconvergent": ("rings", "adam", 1e-4, 0.01, 100, "gaussian", 2.0),
}
BATCH = 100
SLOPE = 0.05
BANK = 10_000
PARTS = ((1, 100), (101, 300), (301, 1000), (1001, 2000))


def draw_data(torch, density, seeds, count):
    spread = 0.15
    if density == "gmm":
        angle = torch.randint(8, (seeds, count)) * (2 * math.pi / 8)
        means = torch.stack([angle.cos(), angle.sin()], 2)
        return means + spread * torch.randn(seeds, count, 2)
    angle = 2 * math.pi * torch.rand(seeds, count)
    radius = 1 + torch.randint(4, (seeds, count)) + spread * torch.randn(seeds, count)
    return radius[..., None] * torch.stack([angle.cos(), angle.sin()], 2)


def energies(torch, layers, states):
    """F of states `[seeds, chains, 2]` under one net a seed, by operations that autograd follows."""
    for weight, bias in layers[:-1]:
        states = torch.nn.functional.leaky_relu(torch.baddbmm(bias, states, weight), SLOPE)
    weight, bias = layers[-1]
    return torch.baddbmm(bias, states, weight)[..., 0]


def gradient(torch, layers, states):
    """The gradient of F with respect to the states, written out, since autograd takes several times as long."""
    before = []
    for weight, bias in layers[:-1]:
        before.append(torch.baddbmm(bias, states, weight))
        states = torch.nn.functional.leaky_relu(before[-1], SLOPE)
    back = layers[-1][0].transpose(1, 2).expand(-1, states.shape[1], -1)
    for (weight, _), inputs in zip(reversed(layers[:-1]), reversed(before)):
        # The kernel that autograd calls.
        back = torch.ops.aten.leaky_relu_backward(back, inputs, SLOPE, False)
        back = torch.bmm(back, weight.transpose(1, 2))
    return back


def learn(arguments):
    import torch

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    seeds = arguments.runs
    density, optimiser, rate, epsilon, steps, start, factor = SETTINGS[arguments.setting]
    widths = (2, 32, 64, 64, 64, 1)
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        # As torch.nn.Linear: both are uniform within one over the root of the inputs.
        bound = 1 / math.sqrt(inputs)
        shapes = ((seeds, inputs, outputs), (seeds, 1, outputs))
        layers.append([(bound * (2 * torch.rand(shape) - 1)).requires_grad_() for shape in shapes])
    parameters = [parameter for layer in layers for parameter in layer]
    check = torch.randn(seeds, BATCH, 2, requires_grad=True)
    (expected,) = torch.autograd.grad(energies(torch, layers, check).sum(), check)
    with torch.no_grad():
        assert torch.allclose(gradient(torch, layers, check), expected, atol=1e-5), "the gradient written out is wrong"
    temperature = epsilon**2 / 2
    if optimiser == "adam":
        update = torch.optim.Adam(parameters, lr=rate)
    else:
        update = torch.optim.SGD(parameters, lr=rate * temperature)
    bank = 2 * torch.rand(seeds, BANK, 2) - 1
    files = [open(f"{arguments.out}-{run + 1}.jsonl", "w", encoding="utf-8") for run in range(seeds)]
    for iteration in range(1, arguments.iterations + 1):
        data = draw_data(torch, density, seeds, BATCH)
        lengths = torch.zeros(seeds)
        with torch.no_grad():
            if start == "persistent":
                places = torch.stack([torch.randperm(BANK)[:BATCH] for _ in range(seeds)])
                places = places[..., None].expand(-1, -1, 2)
                states = bank.gather(1, places)
            else:
                states = factor * torch.randn(seeds, BATCH, 2)
            for _ in range(steps):
                slope = gradient(torch, layers, states)
                lengths += slope.norm(dim=2).mean(1)
                states = states - slope + epsilon * torch.randn_like(states)
            if start == "persistent":
                bank.scatter_(1, places, states)
        of_data, of_samples = energies(torch, layers, data).mean(1), energies(torch, layers, states).mean(1)
        difference = (of_data - of_samples) / temperature
        update.zero_grad()
        difference.sum().backward()
        update.step()
        for run, out in enumerate(files):
            line = {
                "iteration": iteration,
                "energy_difference": difference[run].item(),
                "gradient_magnitude": lengths[run].item() / steps,
                "energy_data": of_data[run].item(),
                "energy_samples": of_samples[run].item(),
                "learning_rate": rate,
            }
            out.write(json.dumps(line) + "\n")
    for out in files:
        out.close()


def read(path):
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines if line.strip()]
    return {record["iteration"]: record for record in records}


def compare(arguments):
    sides = {"PyTorch": [read(path) for path in arguments.peer], "ours": [read(path) for path in arguments.ours]}
    for side, runs in sides.items():
        if len(runs) < 2:
            raise SystemExit(f"{side}: give at least two runs of different seeds, or there is no spread to compare by")
    print(f"{'quantity':<10}{'iterations':<14}{'PyTorch: mean, sd':>24}{'ours: mean, sd':>24}{'standard errors apart':>24}")
    for name, key in (("d", "energy_difference"), ("r", "gradient_magnitude")):
        for first, last in PARTS:
            cells, means = [], []
            for runs in sides.values():
                values = [[run[t][key] for t in range(first, last + 1) if t in run] for run in runs]
                if not all(values):
                    raise SystemExit(f"a run has no iterations from {first} to {last}")
                of_seeds = [statistics.fmean(value) for value in values]
                spread = statistics.fmean(statistics.pstdev(value) for value in values)
                cells.append(f"{statistics.fmean(of_seeds):.4g}, {spread:.3g}")
                means.append(of_seeds)
            error = math.sqrt(sum(statistics.variance(side) / len(side) for side in means))
            apart = abs(statistics.fmean(means[0]) - statistics.fmean(means[1])) / error if error else math.inf
            print(f"{name:<10}{f'{first} to {last}':<14}{cells[0]:>24}{cells[1]:>24}{apart:>24.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    learning = commands.add_parser("learn")
    learning.add_argument("setting", choices=SETTINGS)
    learning.add_argument("--runs", type=int, default=3, help="so many independent runs, computed together")
    learning.add_argument("--seed", type=int, default=1, help="seed of all runs together")
    learning.add_argument("--iterations", type=int, default=PARTS[-1][1])
    learning.add_argument("--out", required=True, help="OUT-1.jsonl, OUT-2.jsonl and so on are written")
    learning.set_defaults(run=learn)
    comparing = commands.add_parser("compare")
    comparing.add_argument("--peer", nargs="+", required=True)
    comparing.add_argument("--ours", nargs="+", required=True)
    comparing.set_defaults(run=compare)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
