"""What is written in Rust. Arrays that come in may be NumPy arrays, tensors of PyTorch, or lists of floats."""

from typing import Any, Dict, Iterable, List, Literal, Mapping, Optional, Sequence, Tuple, Union, final, overload

import numpy as np
from numpy.typing import NDArray

__version__: str

class RanAway(ArithmeticError):
    """States or energies of chains became NaN or infinite."""

@final
class Record:
    """Chains at a step of `Net.sample`."""

    @property
    def step(self) -> int:
        """The number of the step that comes next: `first_step` at the start, first_step + steps at the end."""
    @property
    def energies(self) -> NDArray[np.float32]:
        """F of each chain, shape (chains,)."""
    @property
    def gradient_magnitude(self) -> Optional[float]:
        """r, the mean of ‖∇F‖₂ over the chains and the steps since the record before; None before the first step."""
    @property
    def acceptance_rate(self) -> Optional[float]:
        """The fraction of accepted proposals since the record before; None for kernels that take every step."""

@final
class Net:
    """An energy net F, which the engine for CPUs computes: chains, energies, gradients.

    layers: the layers in order, from ebm_anatomy.layers; or modules of torch.nn of the same names.
    shape: (channels, height, width) of a state; (dimensions,) for points.
    threads: worker threads; None for one a core. Their number changes no result, to the last bit.
    """

    def __new__(cls, layers: Iterable[Any], shape: Sequence[int], *, threads: Optional[int] = None) -> Net: ...
    @classmethod
    def from_torch(
        cls,
        state_dict: Mapping[str, Any],
        architecture: Optional[Literal["toy", "vanilla", "nonlocal"]] = None,
        *,
        slope: float = 0.05,
        threads: Optional[int] = None,
    ) -> Net:
        """One of the nets of arXiv 1903.12370, from the parameters that the authors' PyTorch code gives it."""
    @property
    def shape(self) -> Tuple[int, int, int]:
        """(channels, height, width) of a state."""
    @property
    def parameter_shapes(self) -> Dict[str, Tuple[int, ...]]:
        """Names and shapes of the parameters."""
    def update(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over other values of the parameters."""
    def energy(self, states: Any) -> NDArray[np.float32]:
        """F of each state, shape (chains,)."""
    def gradient(self, states: Any) -> NDArray[np.float32]:
        """The gradient of F with respect to each state, of the shape of states."""
    @overload
    def parameter_gradient(
        self, states: Any, weights: Any, *, return_energies: Literal[False] = False
    ) -> Dict[str, NDArray[np.float32]]:
        """The gradient of sum_i weights[i] * F(states[i]) with respect to the parameters, by name."""
    @overload
    def parameter_gradient(
        self, states: Any, weights: Any, *, return_energies: Literal[True]
    ) -> Tuple[Dict[str, NDArray[np.float32]], NDArray[np.float32]]: ...
    def sample(
        self,
        states: Any,
        steps: int,
        epsilon: float,
        *,
        seed: int,
        kernel: Literal["ula", "mala", "underdamped", "hmc"] = "ula",
        temperature: Optional[float] = None,
        record_every: Optional[int] = None,
        first_step: int = 0,
        friction: Optional[float] = None,
        leapfrogs: Optional[int] = None,
        gradient_clip: Optional[float] = None,
        state_clamp: Optional[float] = None,
    ) -> Tuple[NDArray[np.float32], List[Record]]:
        """Runs chains of exp(-F / T) from states; returns the states after the last step and records."""

def noise(shape: Sequence[int], seed: int, step: int = 0) -> NDArray[np.float32]:
    """The Z ~ N(0, I) of one step of `Net.sample`."""

@final
class Verdict:
    """What d and r say about learning; `str()` of it is a sentence."""

    @property
    def details(self) -> Dict[str, Any]:
        """All numbers and conclusions."""
    @property
    def stability(self) -> str:
        """"stable", "unstable" or "undecided"."""
    @property
    def oscillation(self) -> Optional[str]:
        """"weak", "strong", "wandering" or "undecided"; None where it could not be tested."""

def verdict(d: Any, r: Any, window: int = 2000) -> Verdict:
    """Judges a learning run from d and r of its iterations, each of shape (iterations,)."""

def rhat(chains: Any) -> float:
    """The rank-normalised, folded split R̂ of numbers of shape (chains, draws)."""

def ess(chains: Any, kind: Literal["bulk", "tail"] = "bulk") -> float:
    """The effective sample size of numbers of shape (chains, draws)."""
