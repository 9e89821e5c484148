"""Big arrays in pieces that stay in the cache, for operations that go over the same numbers several times."""

from __future__ import annotations

import math

from ..backend import Array, namespace, on_device
from ..threads import get_num_threads
from .im2col import parts

Tile = tuple[slice, slice]

ALONE, LEAST, MOST = 2 << 20, 1 << 20, 4 << 20  # bytes: for one thread; of a tile


def rows(x: Array, lead: int, groups: int = 0) -> Array:
    """``x`` as contiguous ``(N, G, D, L)``: samples, groups, channels of a group, and all pixels in one row.

    The first ``lead`` axes are ``(N, C)``, or ``(C,)`` for a batch of one; ``groups=0`` makes every channel a group.
    """
    N, C = x.shape[:2] if lead == 2 else (1, x.shape[0])
    G = groups or C
    return namespace(x).ascontiguousarray(x).reshape(N, G, C // G if G else 1, math.prod(x.shape[lead:]))


def tiles(x: Array, *, whole_batch: bool = False) -> list[Tile]:
    """Slices of samples and of groups of ``x (N, G, D, L)``; none where ``x`` is empty.

    A group of a sample is never cut; with ``whole_batch`` neither is a group of the whole batch. So no sum depends on
    where a tile ends.
    """
    N, G, _, _ = x.shape
    if x.size == 0:
        return []
    count = _count(x)
    samples = [slice(0, N)] if whole_batch else parts(N, -(-N // count))
    groups = parts(G, -(-G // -(-count // len(samples))))
    return [(n, g) for n in samples for g in groups]


def _count(x: Array) -> int:
    """How many tiles: one of what is small, or on a GPU; else a whole number for each thread, which stay in the cache.

    A norm is many passes, and after each a thread waits for the interpreter's lock. Passes must be long to be worth it.
    """
    if on_device(x) or x.nbytes <= ALONE:
        return 1
    threads = get_num_threads()
    size: int = x.nbytes
    return min(threads * -(-size // (threads * MOST)), size // LEAST)
