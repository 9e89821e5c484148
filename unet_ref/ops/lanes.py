"""Sums over tiles that threads share, in one order whatever their number: a lane is every ``lanes``-th tile.

lane 0:  tile 0 + tile 4 + tile 8 ...       one task
lane 1:  tile 1 + tile 5 + tile 9 ...       another
...                                         and at the end  lane 0 + lane 1 + ...
"""

from __future__ import annotations

from ..backend import Array, namespace
from .scratch import Scratch

LANES = 16  # tasks of a sum over tiles
LANES_BYTES, LANES_TERMS = 32 << 20, 512  # memory for their sums, and the terms of each at least


def lanes_for(tiles: int, blocks: int, result_bytes: int, terms: int) -> int:
    """How many tasks share the tiles: more, and their sum would take as long as they do, or too much memory."""
    most = LANES // max(1, blocks), tiles, LANES_BYTES // max(1, result_bytes), terms // LANES_TERMS
    return max(1, min(most))


def add_product(total: Array, a: Array, b: Array, first: bool, scratch: Scratch) -> None:
    """``total += a @ b``; the first product is not added, but written."""
    xp = namespace(total)
    if first:
        xp.matmul(a, b, out=total)
    else:
        total += xp.matmul(a, b, out=scratch.empty("z", total.shape))


def lanes_sum(sums: Array) -> Array:
    """``(lanes, ...)`` -> ``(...)``, in their order."""
    return sums.sum(axis=0) if len(sums) > 1 else sums[0]
