#!/usr/bin/env python3
"""d and r of the paper's four toy settings in PyTorch, beside those of runs of this program.

    python3 benches/peers/toy_curves.py learn gmm_convergent --seed 1 --out torch-1.jsonl
    cargo xtask experiment gmm_convergent --iterations 2000 --seed 1 --out runs/gmm-1
    python3 benches/peers/toy_curves.py compare --peer torch-*.jsonl --ours runs/gmm-*/metrics.jsonl

`learn` is Algorithm 1 of arXiv 1903.12370 in plain PyTorch with the published settings. It writes a line for each
iteration, with the keys of `metrics.jsonl`. `compare` prints mean and standard deviation of d and r in parts of learning,
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
BANK = 10_000
PARTS = ((1, 100), (101, 300), (301, 1000), (1001, 2000))


def draw_data(torch, density, count):
    spread = 0.15
    if density == "gmm":
        angle = torch.randint(8, (count,)) * (2 * math.pi / 8)
        means = torch.stack([angle.cos(), angle.sin()], 1)
        return means + spread * torch.randn(count, 2)
    angle = 2 * math.pi * torch.rand(count)
    radius = 1 + torch.randint(4, (count,)) + spread * torch.randn(count)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


def learn(arguments):
    import torch

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    density, optimiser, rate, epsilon, steps, start, factor = SETTINGS[arguments.setting]
    layers = []
    widths = (2, 32, 64, 64, 64, 1)
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.LeakyReLU(0.05)]
    net = torch.nn.Sequential(*layers[:-1])
    temperature = epsilon**2 / 2
    parameters = list(net.parameters())
    if optimiser == "adam":
        update = torch.optim.Adam(parameters, lr=rate)
    else:
        update = torch.optim.SGD(parameters, lr=rate * temperature)
    bank = 2 * torch.rand(BANK, 2) - 1
    with open(arguments.out, "w", encoding="utf-8") as out:
        for iteration in range(1, arguments.iterations + 1):
            data = draw_data(torch, density, BATCH)
            if start == "persistent":
                places = torch.randperm(BANK)[:BATCH]
                states = bank[places]
            else:
                states = factor * torch.randn(BATCH, 2)
            lengths = 0.0
            for parameter in parameters:
                parameter.requires_grad_(False)
            for _ in range(steps):
                states.requires_grad_(True)
                (gradient,) = torch.autograd.grad(net(states).sum(), states)
                lengths += gradient.norm(dim=1).mean().item()
                states = states.detach() - gradient + epsilon * torch.randn_like(states)
            if start == "persistent":
                bank[places] = states
            for parameter in parameters:
                parameter.requires_grad_(True)
            of_data, of_samples = net(data).mean(), net(states).mean()
            difference = (of_data - of_samples) / temperature
            update.zero_grad()
            difference.backward()
            update.step()
            line = {
                "iteration": iteration,
                "energy_difference": difference.item(),
                "gradient_magnitude": lengths / steps,
                "energy_data": of_data.item(),
                "energy_samples": of_samples.item(),
                "learning_rate": rate,
            }
            out.write(json.dumps(line) + "\n")
            out.flush()


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
    learning.add_argument("--seed", type=int, default=1)
    learning.add_argument("--iterations", type=int, default=PARTS[-1][1])
    learning.add_argument("--out", required=True)
    learning.set_defaults(run=learn)
    comparing = commands.add_parser("compare")
    comparing.add_argument("--peer", nargs="+", required=True)
    comparing.add_argument("--ours", nargs="+", required=True)
    comparing.set_defaults(run=compare)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
