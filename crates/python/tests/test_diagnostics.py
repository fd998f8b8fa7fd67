"""Verdicts and the statistics of chains."""

import numpy as np
import pytest

from ebm_anatomy import diagnostics


def test_chains_that_agree_and_chains_that_do_not():
    rng = np.random.default_rng(1)
    same = rng.normal(size=(4, 500))
    assert 0.99 < diagnostics.rhat(same) < 1.01
    # Independent draws are worth their number; 20 % is more than 5 standard errors of the estimate.
    assert diagnostics.ess(same) == pytest.approx(2000, rel=0.2)
    assert diagnostics.ess(same, "tail") == pytest.approx(2000, rel=0.3)
    apart = same + 3 * np.arange(4)[:, None]
    assert diagnostics.rhat(apart) > 1.5
    sticky = np.cumsum(same, axis=1)
    assert diagnostics.ess(sticky) < 100


def test_verdicts():
    rng = np.random.default_rng(2)
    d = rng.normal(size=4000)
    r = 0.5 + 0.01 * rng.normal(size=4000)
    verdict = diagnostics.verdict(d, r)
    assert verdict.stability == "stable" and verdict.oscillation in ("weak", "undecided")
    assert str(verdict).startswith("Stable learning")
    assert verdict.details["learning"]["stability"]["conclusion"] == "stable"
    grows = diagnostics.verdict(d, np.exp(np.linspace(0, 5, 4000)))
    assert grows.stability == "unstable"
    d[-1] = np.nan
    assert diagnostics.verdict(d, r).stability == "unstable"
    short = diagnostics.verdict(d[:3], r[:3])
    assert short.stability == "undecided" and short.oscillation is None


def test_errors():
    with pytest.raises(ValueError, match="d has 3 values and r 4"):
        diagnostics.verdict(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="the window of d and r has 0 values"):
        diagnostics.verdict(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match=r"chains has the shape \[4\]"):
        diagnostics.rhat(np.zeros(4))
    with pytest.raises(ValueError, match="at least 4 are needed"):
        diagnostics.rhat(np.zeros((2, 3)))
    with pytest.raises(ValueError, match='kind = "mean"'):
        diagnostics.ess(np.zeros((2, 5)), "mean")
    with pytest.raises(TypeError, match="d is of the type"):
        diagnostics.verdict([1, 2, 3], [1.0, 2.0, 3.0])
