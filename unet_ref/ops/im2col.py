"""Images in tiles, whose columns (im2col) a matrix product can take: the tiles, the threads, and memory for columns.

A column holds all that the window shows at one output pixel, so that a product with the weight weighs and sums it:

         x (C, H, W), padded                      columns (C·KH·KW, h·w)
       +-----------------+
       |  . . . . .      |   a tile:              c=0,   tap (0,0)        | # # # # #    a row for each channel and tap,
       |  . # # # .      |   h x w outputs,       c=0,   tap (0,1)        | # # # # #    a column for each output
       |  . # # # .      |   and the pixels       ...                     |
       |  . . . . .      |   that they see        c=C-1, tap (KH-1,KW-1) | # # # # #
       +-----------------+

The columns of a whole image would take KH·KW times its memory. A tile's stay in the cache, where the product reads them.
``runs`` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ..backend import Array, on_device
from ..threads import get_num_threads, one_blas_thread, parallel
from .window import Pair, Window

T = TypeVar("T")

TILE_BYTES = 3 << 20  # of a tile's matrix: smaller, and the product is slower; larger, and it leaves the cache
MOST_BYTES = 32 << 20  # of a tile's matrix, whatever the window and the number of channels
LEAST_PIXELS, MOST_PIXELS = 256, 4096  # of a tile: columns enough for a fast product, tiles enough for all threads
LEAST_PRODUCTS = 1 << 24  # for threads: a tenth of a millisecond
MOST_AT_ONCE = 1 << 28  # for two operations at once: a millisecond, and threads would wait for each other in both
ROWS = 576  # of a tile's matrix, where it is cut by channels: 64 channels of 3 x 3 taps
SHARES = 4  # into at least so many tiles falls a batch of small images
DEVICE_BYTES = 1 << 30  # of a tile's matrix on a GPU, which a few large products suit


class Tile(NamedTuple):
    """Outputs that are computed together: a few samples whole, or some rows of one, or a part of a row."""

    samples: slice
    rows: slice
    columns: slice


def tiles(N: int, output: Pair, pixel_bytes: int, like: Array, shares: int = SHARES) -> list[Tile]:
    """All pixels of ``(N, H', W')`` in tiles, each pixel of which takes ``pixel_bytes`` of a tile's matrix.

    How a sample is cut follows from its own shape alone. Only how many whole samples share a tile depends on the batch.
    """
    if on_device(like):
        pixels, shares = max(1, DEVICE_BYTES // max(1, pixel_bytes)), 1
    else:
        pixels = tile_pixels(output, pixel_bytes)
    samples = min(-(-N // shares), pixels // math.prod(output)) or 1
    rows, columns = row_parts(output, pixels), parts(output[1], pixels)
    return [Tile(n, i, j) for n in parts(N, samples, even=False) for i in rows for j in columns]


def tile_pixels(output: Pair, pixel_bytes: int) -> int:
    """How many pixels a tile may have: as many as suit the cache, and a part of a large sample for each thread."""
    (H, W), pixels = output, cache_pixels(pixel_bytes)
    if 2 * H * W > MOST_PIXELS:
        pixels = min(pixels, -(-H // SHARES) * W)
    return max(1, pixels)


def cache_pixels(pixel_bytes: int) -> int:
    """How many pixels a tile's matrix may have."""
    pixel_bytes = max(1, pixel_bytes)
    return min(max(TILE_BYTES // pixel_bytes, LEAST_PIXELS), MOST_PIXELS, MOST_BYTES // pixel_bytes)


def row_parts(output: Pair, pixels: int) -> list[slice]:
    """The rows of a sample in parts of at most so many pixels, if a row is not longer."""
    return parts(output[0], max(1, pixels // output[1]), multiple=SHARES)


def parts(size: int, most: int, *, even: bool = True, multiple: int = 1) -> list[slice]:
    """``range(size)`` in slices of at most ``most``: as few as possible, of like sizes, or all but the last full.

    ``multiple``: of how many there should be, if there is more than one.
    """
    if not even:
        return [slice(start, min(size, start + most)) for start in range(0, size, most)]
    count = -(-size // most)
    if count > 1:
        count = min(size, -(-count // multiple) * multiple)
    return [slice(size * k // count, size * (k + 1) // count) for k in range(count)]


def channel_blocks(C: int, window: Window, least: int = 1) -> list[slice]:
    """``C`` channels in blocks, whose taps take up to ``ROWS`` rows of a matrix; ``least`` of them if there can be."""
    KH, KW = window.kernel
    return parts(C, max(1, min(ROWS // (KH * KW), -(-C // least))))


def each(work: Callable[[T], None], tasks: list[T], like: Array, products: float = math.inf) -> None:
    """``work(task)`` for every task: the threads share them, BLAS has one in each; on a GPU, one after another.

    So are tasks of few ``products`` altogether: they would be done before the threads are awake.
    """
    if on_device(like):
        for task in tasks:
            work(task)
        return
    with one_blas_thread():
        if products >= LEAST_PRODUCTS:
            parallel(work, tasks)
        else:
            for task in tasks:
                work(task)


def at_once(jobs: list[Callable[[], T]], like: Array, products: int) -> list[T]:
    """What every job gives. Each has all threads, one after another; but short ones a thread each, if no more are there.

    Threads that share one short operation wait for each other at its beginning and its end.
    """
    short = LEAST_PRODUCTS <= products < MOST_AT_ONCE and not on_device(like)
    if not short or get_num_threads() > len(jobs):
        return [job() for job in jobs]
    results: dict[int, T] = {}
    parallel(lambda number: results.update({number: jobs[number]()}), range(len(jobs)))
    return [results[number] for number in range(len(jobs))]
