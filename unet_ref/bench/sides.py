"""Both sides of a measurement."""

from __future__ import annotations

from typing import NamedTuple

from .clock import Call
from .machine import Limit

PASSES = "forward", "both"


class Sides(NamedTuple):
    """For each pass a call of ours and one of PyTorch's (without PyTorch there is none), and its work.

    The work is counted like that of ``limit``: additions and multiplications, or bytes that have to move.
    """

    ours: dict[str, Call]
    theirs: dict[str, Call]
    work: dict[str, float]
    limit: Limit
