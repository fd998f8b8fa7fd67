"""Langevin chains of energy nets on CPUs, and what they say about learning.

    import ebm_anatomy as ebm

    net = ebm.Net.from_torch(torch_net.state_dict(), "vanilla")
    states, records = net.sample(starts, steps=100, epsilon=0.01, seed=iteration)

`Net` computes energies, gradients and chains; `layers` describes nets of your own; `diagnostics` judges learning and
chains. The engine is that of https://arxiv.org/abs/1903.12370 in Rust; neither PyTorch nor a GPU is needed.
"""

from . import diagnostics, layers
from ._engine import Net, RanAway, Record, __version__, noise

__all__ = ["Net", "RanAway", "Record", "__version__", "diagnostics", "layers", "noise"]
