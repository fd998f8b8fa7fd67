"""Nets that several test files use."""

import numpy as np
import pytest

import ebm_anatomy as ebm
from ebm_anatomy import layers


@pytest.fixture
def ridge():
    """F(x) = x tanh(x / 2) on the line, as SiLU(x) + SiLU(-x): exp(-F) is a density with tails exp(-|x|)."""
    return ebm.Net([layers.Linear([[1.0], [-1.0]]), layers.SiLU(), layers.Linear([[1.0, 1.0]])], (1,))


@pytest.fixture
def image_net():
    """A function that makes a small convolutional net for states (2, 7, 6) with so many threads."""

    def make(threads=None):
        rng = np.random.default_rng(5)
        return ebm.Net(
            [
                layers.Conv2d(rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), padding=1),
                layers.LeakyReLU(0.1),
                layers.MaxPool2d(2),
                layers.Linear(rng.normal(size=(4, 27)), rng.normal(size=4)),
                layers.ELU(),
                layers.Linear(rng.normal(size=(1, 4)), [0.3]),
            ],
            shape=(2, 7, 6),
            threads=threads,
        )

    return make
