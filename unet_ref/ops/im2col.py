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

from typing import NamedTuple

from ..backend import Array, namespace, on_device
from .window import Pair, Window

TILE_BYTES = 2 << 20  # of a tile's matrix: the larger, the better the product; the smaller, the more stays in the cache
DEVICE_BYTES = 1 << 30  # of a tile's matrix on a GPU, whose few tiles should be large
MOST_PIXELS, LEAST_PIXELS = 4096, 256  # of a tile: enough tiles for all threads, enough columns for a fast product
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


def windows(x: Array, window: Window, rows: slice, columns: slice) -> Array:
    """``x (n,C,H,W)`` -> ``(n, C, KH, KW, h, w)``: at [k, l, i, j] what tap (k, l) of the tile's output (i, j) reads.

    A view, in which every pixel appears in many places: of ``x``, or of a padded copy of the part that the tile reads.
    """
    (KH, KW), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    h, w = rows.stop - rows.start, columns.stop - columns.start
    top, left = sh * rows.start - window.pads[0][0], sw * columns.start - window.pads[1][0]
    part = region(x, top, left, sh * (h - 1) + dh * (KH - 1) + 1, sw * (w - 1) + dw * (KW - 1) + 1)
    n, c, r, q = part.strides
    return namespace(x).lib.stride_tricks.as_strided(
        part, (*x.shape[:2], KH, KW, h, w), (n, c, dh * r, dw * q, sh * r, sw * q)
    )


def region(x: Array, top: int, left: int, height: int, width: int) -> Array:
    """``x[:, :, top : top + height, left : left + width]``, zero where that is not on the image."""
    H, W = x.shape[2:]
    rows, columns = slice(max(0, top), min(H, top + height)), slice(max(0, left), min(W, left + width))
    inside = x[:, :, rows, columns]
    if inside.shape == (*x.shape[:2], height, width):
        return inside
    padded = namespace(x).zeros((*x.shape[:2], height, width), dtype=x.dtype)
    if inside.size:
        padded[:, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return padded
