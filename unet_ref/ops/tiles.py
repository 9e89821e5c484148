"""Big arrays in pieces that stay in the cache, for operations that go over the same numbers several times."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..backend import Array, blocks, namespace

Tile = tuple[slice, slice]


def rows(x: Array, lead: int, groups: int = 0) -> Array:
    """``x`` as contiguous ``(N, G, D, L)``: samples, groups, channels of a group, and all pixels in one row.

    The first ``lead`` axes are ``(N, C)``, or ``(C,)`` for a batch of one; ``groups=0`` makes every channel a group.
    """
    N, C = x.shape[:2] if lead == 2 else (1, x.shape[0])
    G = groups or C
    return namespace(x).ascontiguousarray(x).reshape(N, G, C // G if G else 1, math.prod(x.shape[lead:]))


def tiles(x: Array, *, whole_batch: bool = False) -> Iterator[Tile]:
    """Slices of samples and of groups of ``x (N, G, D, L)`` that fill the cache; none where ``x`` is empty.

    A group of a sample is never cut; with ``whole_batch`` neither is a group of the whole batch.
    """
    N, G, D, L = x.shape
    if x.size == 0:
        return
    for samples in [slice(0, N)] if whole_batch else blocks(N, G * D * L, x):
        for groups in blocks(G, N * D * L if whole_batch else D * L, x):
            yield samples, groups
