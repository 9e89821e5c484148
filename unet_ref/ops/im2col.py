"""From an image to the columns of a matrix (im2col), a tile of output pixels at a time.

A column holds what the window shows at one output pixel, so that a matrix product weighs and sums it:

      x (C, H, W), padded              columns (C·KH·KW, h·w)
      +---------------+
      |  [#####]      |  tile: h x w      c=0, tap (0,0) | # # # ... one row per channel and tap,
      |  [#####]      |  output pixels    c=0, tap (0,1) | # # # ... one column per output pixel
      |               |                        ...
      +---------------+                   c=C-1, tap (KH-1,KW-1) | # # # ...

All columns of an image would take KH·KW times its memory. Those of a tile stay in the cache, where the product needs them.
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

from ..backend import Array, namespace, on_device
from .window import Pair, Window

TILE_BYTES = 3 << 20  # of a tile's matrix: the larger, the better the product; the smaller, the more stays in the cache
DEVICE_BYTES = 1 << 30  # of a tile's matrix on a GPU, whose few tiles should be large
MOST_PIXELS, LEAST_PIXELS = 4096, 256  # of a tile: enough tiles for all threads, enough columns for a fast product
GAP = 16  # elements
SHARES = 8  # a batch of small images falls into that many tiles, that there is work for several threads


class Tile(NamedTuple):
    """Output pixels that are computed together: of several samples whole, or some rows of one, or a part of a row."""

    samples: slice
    rows: slice
    columns: slice


def tiles(N: int, output: Pair, pixel_bytes: int, like: Array, shares: int = SHARES) -> list[Tile]:
    """All pixels of ``(N, H', W')`` in tiles, of each of which ``pixel_bytes`` of workspace are wanted.

    How a sample is cut depends on its own shape alone; only how many whole samples share a tile depends on the batch.
    """
    (H, W), pixel_bytes = output, max(1, pixel_bytes)
    if on_device(like):
        shares, pixels = 1, max(1, DEVICE_BYTES // pixel_bytes)
    else:
        pixels = min(MOST_PIXELS, max(LEAST_PIXELS, TILE_BYTES // pixel_bytes))
    samples = min(-(-N // shares), pixels // (H * W)) or 1
    rows = max(1, min(H, pixels // W))
    rows = -(-H // -(-H // rows))  # as many tiles, of more equal size
    columns = W if W <= 2 * pixels else pixels
    return [
        Tile(slice(n, min(N, n + samples)), slice(i, min(H, i + rows)), slice(j, min(W, j + columns)))
        for n in range(0, N, samples)
        for i in range(0, H, rows)
        for j in range(0, W, columns)
    ]


def whole(N: int, output: Pair) -> list[Tile]:
    """Each sample as one tile."""
    return [Tile(slice(n, n + 1), slice(0, output[0]), slice(0, output[1])) for n in range(N)]


class Scratch(threading.local):
    """Memory for the temporaries of tiles, by name: each thread takes it once for all its tiles of one operation.

    Taken anew for every tile, it would come from the system page by page, which can cost more than the product.
    """

    def __init__(self, like: Array) -> None:
        self.xp, self.dtype = namespace(like), like.dtype
        self.buffers: dict[str, Array] = {}

    def empty(self, name: str, shape: tuple[int, ...]) -> Array:
        """An array of any content; what had the name before is no longer valid."""
        size = math.prod(shape)
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = self.xp.empty(size, dtype=self.dtype)
        return self.buffers[name][:size].reshape(shape)

    def matrix(self, name: str, array: Array, shape: tuple[int, ...]) -> Array:
        """A copy of ``array``, its axes merged to ``shape``, with a gap after each row.

        Without it, rows of 4 KB would all fall into the same few places of the cache, and the product take half as
        long again.
        """
        gap = 0 if on_device(array) else GAP
        rows = self.empty(name, (*shape[:-1], shape[-1] + gap))[..., : shape[-1]]
        rows.reshape(array.shape)[...] = array  # a view: the last axis is only divided
        return rows


def windows(x: Array, window: Window, rows: slice, columns: slice, scratch: Scratch) -> Array:
    """``x (n,C,H,W)`` -> ``(n, C, KH, KW, h, w)``: at [k, l, i, j] what tap (k, l) of the tile's output (i, j) reads.

    A view, in which a pixel has many places: of ``x``, or of a padded copy of the part of it that the tile reads.
    """
    (KH, KW), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    h, w = rows.stop - rows.start, columns.stop - columns.start
    top, left = sh * rows.start - window.pads[0][0], sw * columns.start - window.pads[1][0]
    part = region(x, top, left, sh * (h - 1) + dh * (KH - 1) + 1, sw * (w - 1) + dw * (KW - 1) + 1, scratch)
    n, c, r, q = part.strides
    return namespace(x).lib.stride_tricks.as_strided(
        part, (*x.shape[:2], KH, KW, h, w), (n, c, dh * r, dw * q, sh * r, sw * q)
    )


def region(x: Array, top: int, left: int, height: int, width: int, scratch: Scratch) -> Array:
    """``x[:, :, top : top + height, left : left + width]``, zero where that is not on the image."""
    H, W = x.shape[2:]
    rows, columns = slice(max(0, top), min(H, top + height)), slice(max(0, left), min(W, left + width))
    inside, shape = x[:, :, rows, columns], (*x.shape[:2], height, width)
    if tuple(inside.shape) == shape:
        return inside
    padded = scratch.empty("region", shape)
    padded[...] = 0
    if inside.size:
        padded[:, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return padded


def merged(view: Array, shape: tuple[int, ...], window: Window, scratch: Scratch) -> Array:
    """What ``windows`` shows with its axes merged to ``shape``: copied, unless a window is one pixel next to another."""
    if window.kernel == window.stride == (1, 1):
        return view.reshape(shape)
    return scratch.matrix("columns", view, shape)
