"""The gradient of a convolution's weight by shifts, without a stride: a tap reads x as it lies, only further on.

So x is not copied at all. The image of fewer channels, say y, is shifted by as much as each horizontal tap reads to the
side, and laid out with rows as long as those of x; a vertical tap begins at another row of x, and where that is outside,
there is no product.

    y            shifted for l=0, 1, 2                  x, 3 x 3 pixels, padded by 1

    a b c        b c 0      a b c      0 a b            p q r        tap (0, 0): e f 0 and h i 0 (the second and third row)
    d e f        e f 0      d e f      0 d e            s t u                    against p q r and s t u (the first and second)
    g h i        h i 0      g h i      0 g h            v w z                    e·p + f·q + h·s + i·t

    w[k] (KW·O, C) = sum over tiles of shifted y (KW·O, T) @ (x (C, T), from the row of tap k on).T

That is KW copies of the smaller image in place of KH·KW of x.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..backend import Array, namespace, on_device
from .im2col import LEAST_PIXELS, MOST_BYTES, SHARES, cache_pixels, each, parts
from .lanes import LANES_TERMS, add_product, lanes_for, lanes_sum
from .scratch import Scratch
from .window import Window

SHIFTED = 128  # channels of a task, if they are shifted
MANY_CHANNELS = 256  # at 512, 25 % slower in some processes, for a reason not found
FEW_CHANNELS, PRODUCTS = 32, 1 << 22  # of an image, and for one vertical tap: fewer, and shifts are not worth it


class Roles(NamedTuple):
    """Which image is shifted, and which is read as it lies, from how many rows and pixels further on for each tap."""

    moved: Array
    still: Array
    down: list[int]
    right: list[int]


def cheaper_shifted(y: Array, x: Array, window: Window) -> bool:
    """Whether shifts cost less: they need fewer copies, but a product for each sample, and axes of the result are turned."""
    few, many = sorted((y.shape[2], x.shape[2]))
    pixels, width = math.prod(window.output), max(window.input[1], LEAST_PIXELS)
    if many > MANY_CHANNELS:
        return False
    if x.itemsize * x.shape[1] * window.kernel[1] * min(few, SHIFTED) * width > MOST_BYTES:
        return False  # a row is not cut
    if on_device(x) or window.kernel == (1, 1) or few < FEW_CHANNELS or len(y) * pixels < 2 * max(many, LANES_TERMS):
        return False
    return bool(few * many * pixels * window.kernel[1] >= PRODUCTS)


def by_shifts(y: Array, x: Array, window: Window) -> Array:
    """``y (N,G,O,H',W')``, ``x (N,G,C,H,W)`` -> ``weight (G,O,C,KH,KW)``. A task is a block of channels and a lane."""
    xp, (KH, KW), (G, O), C = namespace(x), window.kernel, y.shape[1:3], x.shape[2]
    moved, still, down, right = roles(y, x, window)
    M, H, W = still.shape[2:]
    blocks = parts(moved.shape[2], SHIFTED)
    numbers = range(len(blocks))
    tiles = rows_of(moved, W, x.itemsize * G * KW * blocks[0].stop, len(blocks))
    lanes = lanes_for(len(tiles), len(blocks), x.itemsize * G * O * C * KH * KW, len(x) * math.prod(window.output))
    unit, scratch = lanes * KH * G * KW * M, Scratch(x)
    memory = xp.empty(unit * moved.shape[2], dtype=x.dtype)  # at once: the system gives much memory in large pages
    sums = [memory[unit * part.start : unit * part.stop].reshape(lanes, KH, G, -1, M) for part in blocks]

    def work(task: tuple[int, int]) -> None:
        lane, block = task
        for number, (n, rows) in enumerate(tiles[lane::lanes]):
            shifted = shifts(moved[n, :, blocks[block], rows], right, W, scratch)
            for k in range(KH):
                begin, end = (min(max(0, row + down[k]), H) for row in (rows.start, rows.stop))
                seen = slice(*(W * (row - down[k] - rows.start) for row in (begin, end)))
                # (G, KW·m, T) @ (G, T, M) -> (G, KW·m, M)
                factors = shifted[..., seen], still[n, :, :, begin:end].reshape(G, M, -1).swapaxes(1, 2)
                add_product(sums[block][lane, k], *factors, number == 0, scratch)

    weight = xp.empty((G, O, C, KH, KW), dtype=x.dtype)
    axes = weight if moved is y else weight.swapaxes(1, 2)  # (G, m, M, KH, KW)

    def turn(task: tuple[int, int]) -> None:
        block, k = task
        total = lanes_sum(sums[block][:, k]).reshape(G, KW, -1, M)
        for l in range(KW):
            axes[:, blocks[block], :, k, l] = total[:, l]

    each(work, [(lane, block) for lane in range(lanes) for block in numbers], x, y.size * C * KH * KW)
    each(turn, [(block, k) for block in numbers for k in range(KH)], x, y.size * C * KH * KW)
    return weight


def roles(y: Array, x: Array, window: Window) -> Roles:
    """The image of fewer channels is shifted."""
    (KH, KW), (dh, dw), ((top, _), (left, _)) = window.kernel, window.dilation, window.pads
    down, right = [dh * k - top for k in range(KH)], [left - dw * l for l in range(KW)]
    if y.shape[2] <= x.shape[2]:
        return Roles(y, x, down, right)
    return Roles(x, y, [-k for k in down], [-l for l in right])  # what is further on for x is further back for y


def rows_of(moved: Array, width: int, pixel_bytes: int, blocks: int) -> list[tuple[int, slice]]:
    """The tiles: samples, and some whole rows of each, of ``width`` pixels once they are laid out."""
    N, height = len(moved), moved.shape[3]
    share = max(LANES_TERMS, N * height * width * blocks // SHARES)  # of a thread
    pixels = min(cache_pixels(pixel_bytes), share)
    return [(n, rows) for n in range(N) for rows in parts(height, max(1, pixels // width))]


def shifts(image: Array, right: list[int], width: int, scratch: Scratch) -> Array:
    """``image (G, m, h, w)`` shifted for each horizontal tap: ``(G, KW·m, h·width)``."""
    G, m, h = image.shape[:3]
    shifted = scratch.rows("columns", (G, len(right), m, h * width))
    for l, by in enumerate(right):
        shift(image, by, width, shifted[:, l])
    return shifted.reshape(G, len(right) * m, h * width)


def shift(image: Array, by: int, width: int, out: Array) -> None:
    """Fills ``out (..., h·width)``: pixel q of a row is pixel ``q + by`` of the image's row, or zero where it has none."""
    h, w = image.shape[-2:]
    begin = min(max(0, -by), width)
    end = max(begin, min(width, w - by))
    rows = namespace(out).lib.stride_tricks.as_strided(
        out, (*out.shape[:-1], h, width), (*out.strides[:-1], width * out.strides[-1], out.strides[-1])
    )
    if begin < end and w == width:  # all rows at once, and then their ends
        run = image.reshape(*out.shape)
        out[..., max(0, -by) : h * w - max(0, by)] = run[..., max(0, by) : h * w - max(0, -by)]
    elif begin < end:
        rows[..., begin:end] = image[..., begin + by : end + by]
    rows[..., :begin] = 0
    rows[..., end:] = 0
