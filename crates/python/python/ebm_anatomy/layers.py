"""The layers that the engine has, with PyTorch's names, attributes and layouts.

Modules of `torch.nn` with these names can be given in their place. Weights and biases are NumPy arrays, tensors of
PyTorch or lists of floats.
"""

from dataclasses import dataclass
from typing import Any, Optional

__all__ = [
    "Conv2d",
    "ELU",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "NonLocal",
    "ReLU",
    "SiLU",
]


@dataclass(frozen=True, eq=False)
class Conv2d:
    """2-D convolution with a square kernel and zero padding.

    weight: shape (outputs, inputs, kernel, kernel). bias: shape (outputs,), or None.
    """

    weight: Any
    bias: Optional[Any] = None
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear map of the whole flattened state.

    weight: shape (outputs, inputs). bias: shape (outputs,), or None.
    """

    weight: Any
    bias: Optional[Any] = None


@dataclass(frozen=True)
class LeakyReLU:
    """x for x > 0, negative_slope * x otherwise."""

    negative_slope: float = 0.01


@dataclass(frozen=True)
class ReLU:
    """max(x, 0)."""


@dataclass(frozen=True)
class SiLU:
    """x * sigmoid(x)."""


@dataclass(frozen=True)
class ELU:
    """x for x > 0, alpha * (exp(x) - 1) otherwise."""

    alpha: float = 1.0


@dataclass(frozen=True)
class MaxPool2d:
    """Maximum over square windows side by side; kernel_size is also the stride."""

    kernel_size: int


@dataclass(frozen=True, eq=False)
class NonLocal:
    """x + W · softmax(theta(x)ᵀ phi(x)) g(x): self-attention over pixels, with phi and g max-pooled by 2.

    Each part is a Conv2d with a bias and a kernel of 1×1: theta, phi and g from channels to inner ones, weight of shape
    (inner, channels, 1, 1); W back, weight of shape (channels, inner, 1, 1). The parameters of layer 3 are named
    "3.theta.weight", "3.phi.0.weight", "3.g.0.weight", "3.W.weight" and so on, as in the published checkpoints.
    """

    theta: Conv2d
    phi: Conv2d
    g: Conv2d
    W: Conv2d


@dataclass(frozen=True)
class Flatten:
    """Does nothing, because Linear flattens; it keeps the numbers of layers those of an nn.Sequential."""


@dataclass(frozen=True)
class Identity:
    """Does nothing."""
