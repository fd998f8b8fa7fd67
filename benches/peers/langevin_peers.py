#!/usr/bin/env python3
"""Langevin steps of the published nets in PyTorch and JAX, for `cargo xtask bench --peers PYTHON`.

Prints one JSON object a line, {"engine", "net", "batch", "ms_per_step", "chain_steps_per_s", "version", "precision"}, or
{"engine", "skipped"} for a library that cannot be used. A step is a whole update of all chains: forward pass, gradient
with respect to the states, fresh Gaussian noise, new states. Reported is the median of five timed blocks. On a GPU PyTorch
is also measured with the step captured in a CUDA graph, and f32 products keep all their bits unless tf32 or bf16 is asked for.
"""

import argparse
import importlib
import itertools
import json
import os
import statistics
import sys
import time

BATCHES = {"toy": (100, 10000), "vanilla": (100,), "nonlocal": (100,)}
STEP_SIZES = {"toy": 0.125, "vanilla": 1e-2, "nonlocal": 7.5e-3}
WIDTH = 32
SLOPE = 0.05
BLOCK_SECONDS = 0.4
BLOCKS = 5


def state_shape(net):
    return (2, 1, 1) if net == "toy" else (3, 32, 32)


def say(**line):
    print(json.dumps(line), flush=True)


def measure(engine, version, net, batch, run, at_once=1, precision="f32"):
    """Times `run(calls)`, `at_once` steps a call, which must not return before the steps are done."""
    run(1)  # Allocates and compiles.
    calls, elapsed = 1, timed(run, 1)
    while elapsed < BLOCK_SECONDS / 2:
        calls *= 2
        elapsed = timed(run, calls)
    calls = max(1, round(calls * BLOCK_SECONDS / elapsed))
    seconds = statistics.median(timed(run, calls) for _ in range(BLOCKS)) / (calls * at_once)
    say(engine=engine, net=net, batch=batch, ms_per_step=seconds * 1e3, chain_steps_per_s=batch / seconds,
        version=version, precision=precision)


def timed(run, steps):
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


# PyTorch, eager.


def torch_net(torch, name):
    nn = torch.nn

    class NonLocal(nn.Module):
        """x + W softmax(theta(x)^T phi(x)) g(x) with 2x2-pooled phi and g."""

        def __init__(self, channels):
            super().__init__()
            inner = channels // 2
            self.theta = nn.Conv2d(channels, inner, 1)
            self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
            self.g = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
            self.W = nn.Conv2d(inner, channels, 1)

        def forward(self, states):
            query = self.theta(states).flatten(2)
            key = self.phi(states).flatten(2)
            value = self.g(states).flatten(2)
            weights = torch.softmax(torch.bmm(query.transpose(1, 2), key), dim=2)
            mixed = torch.bmm(value, weights.transpose(1, 2))
            return states + self.W(mixed.unflatten(2, states.shape[2:]))

    def activated(layer):
        return [layer, nn.LeakyReLU(SLOPE)]

    n = WIDTH
    if name == "toy":
        hidden = [(2, n), (n, 2 * n), (2 * n, 2 * n), (2 * n, 2 * n)]
        layers = [part for pair in hidden for part in activated(nn.Conv2d(*pair, 1))]
        layers += [nn.Conv2d(2 * n, 1, 1)]
    elif name == "vanilla":
        layers = activated(nn.Conv2d(3, n, 3, padding=1))
        for factor in (1, 2, 4):
            layers += activated(nn.Conv2d(factor * n, 2 * factor * n, 4, stride=2, padding=1))
        layers += [nn.Conv2d(8 * n, 1, 4)]
    else:
        layers = [*activated(nn.Conv2d(3, n, 3, padding=1)), nn.MaxPool2d(2), NonLocal(n)]
        layers += [*activated(nn.Conv2d(n, 2 * n, 3, padding=1)), nn.MaxPool2d(2), NonLocal(2 * n)]
        layers += [*activated(nn.Conv2d(2 * n, 4 * n, 3, padding=1)), nn.MaxPool2d(2), nn.Flatten()]
        layers += [*activated(nn.Linear(4 * n * 16, 8 * n)), nn.Linear(8 * n, 1)]
    return nn.Sequential(*layers).requires_grad_(False)


def torch_chains(torch, net, states, step_size, wait):
    def run(steps):
        nonlocal states
        for _ in range(steps):
            states.requires_grad_(True)
            (gradient,) = torch.autograd.grad(net(states).sum(), states)
            with torch.no_grad():
                states = states - gradient + step_size * torch.randn_like(states)
        wait()

    return run


def torch_graph_chains(torch, net, states, step_size, wait):
    """The step captured once and replayed: no work on the host between kernels."""
    states = states.detach().clone().requires_grad_(True)

    def step():
        (gradient,) = torch.autograd.grad(net(states).sum(), states)
        with torch.no_grad():
            states.copy_(states - gradient + step_size * torch.randn_like(states))

    # Libraries choose and allocate on the first calls, which must not be captured.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def run(steps):
        for _ in range(steps):
            graph.replay()
        wait()

    return run


def rounded_to_bf16(torch, net, device):
    """As PyTorch has it: products of bf16 factors, whose results are bf16 too."""

    def energy(states):
        # A graph must not reuse weights that were rounded outside of it.
        with torch.autocast(device, dtype=torch.bfloat16, cache_enabled=False):
            return net(states).float()

    return energy


def all_in_bf16(torch, net):
    """Weights and activations kept in bf16; only the states and their update are f32."""
    net = net.to(torch.bfloat16)
    return lambda states: net(states.to(torch.bfloat16)).float()


def measure_torch(options):
    torch = importlib.import_module("torch")
    on_gpu = options.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        say(engine="torch-cuda", skipped="torch finds no CUDA device")
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    for precision in options.precision:
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        # Its fastest kernels, as the other programs look for theirs.
        torch.backends.cudnn.benchmark = on_gpu
        suffix = "" if precision == "f32" else f"-{precision}"
        for net in options.only:
            # With one pixel both layouts are the same memory.
            layouts = ("contiguous",) if net == "toy" else ("contiguous", "channels_last")
            for batch in options.batches or BATCHES[net]:
                for layout in layouts:
                    memory = getattr(torch, f"{layout}_format" if layout == "contiguous" else layout)
                    module = torch_net(torch, net).to(options.device, memory_format=memory)
                    modules = {suffix: module}
                    if precision == "bf16":
                        modules = {suffix: rounded_to_bf16(torch, module, options.device)}
                        if not on_gpu:
                            # A copy, because the weights of the other are rounded as they are used.
                            whole = torch_net(torch, net).to(memory_format=memory)
                            modules[f"{suffix}-whole"] = all_in_bf16(torch, whole)
                    states = torch.randn(batch, *state_shape(net), device=options.device)
                    states = states.contiguous(memory_format=memory)
                    ways = {options.device: torch_chains}
                    if on_gpu:
                        ways["cuda-graph"] = torch_graph_chains
                    for (way, chains), (kind, module) in itertools.product(ways.items(), modules.items()):
                        engine = f"torch-{way}-{layout}{kind}"
                        try:
                            run = chains(torch, module, states.clone(), STEP_SIZES[net], wait)
                            measure(engine, torch.__version__, net, batch, run, precision=precision)
                        except RuntimeError as error:
                            say(engine=engine, skipped=f"{net}, {batch} chains: {str(error).splitlines()[0]}")


# JAX, compiled, with the loop over steps inside. States are [chain, row, column, channel], which suits XLA.


def jax_net(jax, name, key):
    """The net's function and parameters."""
    jnp, lax = jax.numpy, jax.lax
    keys = iter(jax.random.split(key, 64))
    n = WIDTH

    def layer(*shape):
        fan_in = 1
        for size in shape[:-1]:
            fan_in *= size
        weight = fan_in**-0.5 * jax.random.uniform(next(keys), shape, minval=-1.0)
        return weight, jnp.zeros(shape[-1])

    def activate(states):
        return jnp.where(states > 0, states, SLOPE * states)

    def dense(parameters, states):
        return states @ parameters[0] + parameters[1]

    def convolve(parameters, states, stride, padding):
        pads = [(padding, padding)] * 2
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(states, parameters[0], (stride,) * 2, pads,
                                        dimension_numbers=layout) + parameters[1]

    def pool(states):
        chains, height, width, channels = states.shape
        return states.reshape(chains, height // 2, 2, width // 2, 2, channels).max((2, 4))

    def attend(parameters, states):
        theta, phi, g, output = parameters
        chains, _, _, channels = states.shape
        query = dense(theta, states).reshape(chains, -1, channels // 2)
        pooled = [pool(dense(part, states)).reshape(chains, -1, channels // 2) for part in (phi, g)]
        weights = jax.nn.softmax(jnp.einsum("nqc,nkc->nqk", query, pooled[0]), axis=-1)
        mixed = jnp.einsum("nqk,nkc->nqc", weights, pooled[1])
        return states + dense(output, mixed.reshape(*states.shape[:3], channels // 2))

    def block(channels):
        return [*(layer(channels, channels // 2) for _ in range(3)), layer(channels // 2, channels)]

    if name == "toy":
        # One-by-one convolutions of single pixels are matrix products.
        widths = (2, n, 2 * n, 2 * n, 2 * n, 1)
        parameters = [layer(*pair) for pair in zip(widths, widths[1:])]

        def energy(parameters, states):
            states = states.reshape(states.shape[0], -1)
            for part in parameters[:-1]:
                states = activate(dense(part, states))
            return dense(parameters[-1], states)
    elif name == "vanilla":
        parameters = [layer(3, 3, 3, n), layer(4, 4, n, 2 * n), layer(4, 4, 2 * n, 4 * n),
                      layer(4, 4, 4 * n, 8 * n), layer(16 * 8 * n, 1)]

        def energy(parameters, states):
            states = activate(convolve(parameters[0], states, 1, 1))
            for part in parameters[1:4]:
                states = activate(convolve(part, states, 2, 1))
            return dense(parameters[4], states.reshape(states.shape[0], -1))
    else:
        parameters = [layer(3, 3, 3, n), block(n), layer(3, 3, n, 2 * n), block(2 * n),
                      layer(3, 3, 2 * n, 4 * n), layer(16 * 4 * n, 8 * n), layer(8 * n, 1)]

        def energy(parameters, states):
            for index in (0, 2):
                states = pool(activate(convolve(parameters[index], states, 1, 1)))
                states = attend(parameters[index + 1], states)
            states = pool(activate(convolve(parameters[4], states, 1, 1)))
            states = activate(dense(parameters[5], states.reshape(states.shape[0], -1)))
            return dense(parameters[6], states)

    return energy, parameters


def jax_chains(jax, net, batch, casts):
    # The counter-based generator of the hardware is faster than JAX's default one.
    key, net_key, start_key = jax.random.split(jax.random.key(0, impl="rbg"), 3)
    energy, parameters = jax_net(jax, net, net_key)
    channels, height, width = state_shape(net)
    states = jax.random.normal(start_key, (batch, height, width, channels))
    number = jax.numpy.bfloat16 if casts else jax.numpy.float32
    parameters = jax.tree.map(lambda values: values.astype(number), parameters)
    gradient = jax.grad(lambda states: energy(parameters, states.astype(number)).sum().astype(jax.numpy.float32))
    step_size = STEP_SIZES[net]

    def step(states, key):
        noise = jax.random.normal(key, states.shape)
        return states - gradient(states) + step_size * noise, None

    at_once = 100 if net == "toy" or jax.default_backend() != "cpu" else 1

    @jax.jit
    def advance(states, key):
        key, noise_key = jax.random.split(key)
        return jax.lax.scan(step, states, jax.random.split(noise_key, at_once))[0], key

    def run(calls):
        nonlocal states, key
        for _ in range(calls):
            states, key = advance(states, key)
        states.block_until_ready()

    return run, at_once


JAX_PRECISIONS = {"f32": "highest", "tf32": "tensorfloat32", "bf16": "bfloat16"}


def measure_jax(options):
    jax = importlib.import_module("jax")
    try:
        jax.devices()
    except RuntimeError as error:
        say(engine=f"jax-{options.device}", skipped=str(error).splitlines()[0])
        return
    for precision in options.precision:
        suffix = "" if precision == "f32" else f"-{precision}"
        with jax.default_matmul_precision(JAX_PRECISIONS[precision]):
            for net in options.only:
                for batch in options.batches or BATCHES[net]:
                    # XLA heeds the precision of f32 products on GPUs and TPUs alone.
                    casts = precision == "bf16" and options.device == "cpu"
                    run, at_once = jax_chains(jax, net, batch, casts)
                    measure(f"jax-{options.device}{suffix}", jax.__version__, net, batch, run, at_once, precision)


MEASURES = {"torch": measure_torch, "jax": measure_jax}


def parsed():
    def names(known):
        def split(text):
            chosen = text.split(",")
            unknown = [name for name in chosen if name not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
            return chosen

        return split

    def counts(text):
        return [int(count) for count in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", metavar="NET,..", type=names(BATCHES), default=list(BATCHES))
    parser.add_argument("--batches", metavar="N,..", type=counts, help="chains [default: 100, and 10000 for toy]")
    parser.add_argument("--precision", metavar="NAME,..", type=names(("f32", "tf32", "bf16")), default=["f32"])
    parser.add_argument("--threads", metavar="N", type=int, default=0, help="0 leaves it to the libraries")
    parser.add_argument("--engines", metavar="NAME,..", type=names(MEASURES), default=list(MEASURES))
    return parser.parse_args()


def main():
    options = parsed()
    os.environ["JAX_PLATFORMS"] = options.device
    # Others measure on the same card.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if options.device == "cpu" and options.threads and hasattr(os, "sched_setaffinity"):
        # JAX has no setting for its threads, but starts no more than it may use processors.
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable[: options.threads])
    for engine in options.engines:
        try:
            MEASURES[engine](options)
        except ImportError as error:
            say(engine=engine, skipped=f"not installed for {sys.executable}: {error}")


if __name__ == "__main__":
    main()
