"""The gradient of a convolution's weight by columns: a product for each tile, of all taps together.

w (O, C·KH·KW) = sum over tiles of y (O, T) @ (columns of x (C·KH·KW, T)).T
"""

from __future__ import annotations

import math

from ..backend import Array, namespace, on_device
from ..passes import may_be_nan
from .im2col import SHARES, channel_blocks, each, tiles
from .lanes import LANES, LANES_TERMS, add_product, lanes_for, lanes_sum
from .runs import Runs, runs_of
from .scratch import Scratch
from .slide import OUTPUTS
from .window import Window, contiguous


def by_columns(y: Array, x: Array, window: Window) -> Array:
    """``y (N,G,O,H',W')``, ``x (N,G,C,H,W)`` -> ``weight (G,O,C,KH,KW)``. A task is a block of channels and a lane."""
    xp, (KH, KW) = namespace(x), window.kernel
    (G, O), C = y.shape[1:3], x.shape[2]
    turned = O < OUTPUTS  # BLAS is faster with the longer side first; the result is then small, and quickly turned back
    shape = (G, C * KH * KW, O) if turned else (G, O, C * KH * KW)

    terms = len(x) * math.prod(window.output)
    # with one lane, channels must make the tasks
    blocks = [slice(0, C)] if on_device(x) else channel_blocks(C, window, SHARES if terms < 2 * LANES_TERMS else 1)
    shares = max(1, LANES // (4 * len(blocks) or 1))
    pixels = tiles(len(x), window.output, x.itemsize * G * KH * KW * -(-C // max(1, len(blocks))), x, shares)
    places = runs_of(window, window.input, pixels)
    lanes = lanes_for(len(pixels), len(blocks), x.itemsize * math.prod(shape), terms)
    sums, scratch = (xp.empty if pixels else xp.zeros)((lanes, *shape), dtype=x.dtype), Scratch(x)

    def work(task: tuple[int, slice]) -> None:
        lane, channels = task
        taps = slice(KH * KW * channels.start, KH * KW * channels.stop)
        total = sums[lane][:, taps] if turned else sums[lane][:, :, taps]
        for number, (samples, rows, columns) in enumerate(pixels[lane::lanes]):
            runs = places[rows.start, columns.start]
            seen = side_by_side(runs, x[samples, :, channels], scratch)
            # (n, G, O, h, w) -> (G, O, n·length)
            tile = runs.spread(y[samples, :, :, rows, columns].transpose(1, 2, 0, 3, 4), scratch)
            tile = tile.reshape(G, O, seen.shape[-1])
            factors = (seen, tile.swapaxes(1, 2)) if turned else (tile, seen.swapaxes(1, 2))
            add_product(total, *factors, number == 0, scratch)

    tasks = [(lane, channels) for lane in range(lanes) for channels in blocks]
    each(work, tasks, x, y.size * C * KH * KW)
    weight = lanes_sum(sums)
    return contiguous(weight.swapaxes(1, 2) if turned else weight).reshape(G, O, C, KH, KW)


def side_by_side(runs: Runs, image: Array, scratch: Scratch) -> Array:
    """``image (n, G, C, H, W)`` -> columns ``(G, C·KH·KW, n·length)``; what lies between a tile's rows may hold no NaN."""
    (n, G, C), (KH, KW) = image.shape[:3], runs.window.kernel
    pixels = runs.of(image, scratch)
    if n == 1 and runs.direct:
        return pixels.reshape(G, C * KH * KW, runs.length)
    columns = scratch.rows("columns", (G, C * KH * KW, n * runs.length))
    view = columns.reshape(G, C, KH, KW, n, runs.length).transpose(4, 0, 1, 2, 3, 5)
    runs.fill(view, pixels)
    if runs.pitch != runs.w and may_be_nan(pixels):
        runs.between(view)[...] = 0
    return columns
