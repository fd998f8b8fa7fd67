"""Verdicts on learning, and how well chains mix."""

from ._engine import Verdict, ess, rhat, verdict

__all__ = ["Verdict", "ess", "rhat", "verdict"]
