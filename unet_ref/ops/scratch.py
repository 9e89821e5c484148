"""Memory for the temporaries of tiles: taken once, not for each tile."""

from __future__ import annotations

import math
import threading
from typing import Any

from ..backend import Array, namespace, on_device

KEPT_BYTES = 4 << 20  # of one temporary: what is larger is not kept for the next operation
GAP = 16  # elements between the rows of columns

Buffers = dict[tuple[str, Any], Array]


class Scratch(threading.local):
    """Temporaries of one operation, by name: each thread has memory of its own for all its tiles.

    Memory that comes anew from the system comes page by page, which can take longer than the product that it is for. So
    a thread leaves it to its next operation.
    """

    def __init__(self, like: Array) -> None:
        self.xp, self.dtype = namespace(like), like.dtype
        keeps = not on_device(like) and like.dtype != object  # a device has a pool; objects would live on
        self.lent = _Lent() if keeps else None
        self.buffers: Buffers = self.lent.buffers if self.lent else {}

    def empty(self, name: str, shape: tuple[int, ...]) -> Array:
        """An array of any content; the one that had the name before is no longer valid."""
        size, key = math.prod(shape), (name, self.dtype)
        if key not in self.buffers or self.buffers[key].size < size:
            self.buffers[key] = self.xp.empty(size, dtype=self.dtype)
        return self.buffers[key][:size].reshape(shape)

    def rows(self, name: str, shape: tuple[int, ...]) -> Array:
        """The same, with a gap after each row.

        Without the gap, rows of 4 KB would all fall into the same few places of the cache: up to half as fast a product.
        """
        return self.empty(name, (*shape[:-1], shape[-1] + GAP))[..., : shape[-1]]


class Shelves(threading.local):
    """What each thread has to lend: nothing at first, and nothing while it is lent."""

    def __init__(self) -> None:
        self.free: list[Buffers] = []


class _Lent:
    """A thread's memory in the hands of one operation; back on its shelf when nobody has it any more.

    Who asks in the meantime, in the same thread (a finalizer may), gets memory of its own.
    """

    def __init__(self) -> None:
        self.shelf = _shelves.free
        self.buffers = self.shelf.pop() if self.shelf else {}

    def __del__(self, most: int = KEPT_BYTES) -> None:
        if not self.shelf:
            self.shelf.append({key: buffer for key, buffer in self.buffers.items() if buffer.nbytes <= most})


_shelves = Shelves()


def clear() -> None:
    """Let go of what all threads keep: for who measures memory."""
    global _shelves  # noqa: PLW0603
    _shelves = Shelves()
