"""What an expression is estimated to cost before it is stored."""

from __future__ import annotations

from seatrial.sim.machinery.cel.checker import Checked


def estimate(checked: Checked) -> int:
    """The most that one evaluation is expected to cost."""
    return 0
