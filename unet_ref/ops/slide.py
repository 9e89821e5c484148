"""A weight slid over images: the correlation at the bottom of every convolution, in two ways of one result.

*Together*: all taps of the window in one product.

    y (O, h·w) = weight (O, C·KH·KW) @ columns (C·KH·KW, h·w)

*Apart*: where images are wide and channels few, BLAS and we copy so much for so few products that the copies count.
So only the vertical taps go into the columns, and the weights of all horizontal taps below one another into the matrix.
Its product holds, for each horizontal tap, the outputs that only this tap contributes to, beginning one pixel further
right for each tap; they are summed afterwards:

    z (KW·O, h·wide) = weight (KW·O, C·KH) @ columns (C·KH, h·wide)

    z[l=0]   a a a a a a . .      y[j] = a[j] + b[j + d] + c[j + 2·d]
    z[l=1]   . b b b b b b .
    z[l=2]   . . c c c c c c      wide = w + d·(KW - 1) columns of products give w columns of outputs

KW times fewer copies here and in BLAS, and its product is faster, having more rows: 64 channels go up from 60 % to 75 %
of the speed of a large matrix product. See ``docs/engine.md``.
"""

from __future__ import annotations

import math

from ..backend import Array, namespace, on_device
from .im2col import Tile, each, parts, row_parts, tile_pixels, tiles
from .runs import runs_of
from .scratch import Scratch
from .window import Window

SMALL, OUTPUTS = 512, 256  # on an image of so few pixels, a task computes so many output channels of all pixels
LONG = 512  # pixels of a tile, apart: with fewer, what is done for each tile counts as well
WHOLE = 1 << 27  # products of a sample, apart: with as many it should not be one tile, for which other threads wait


def slide(x: Array, weight: Array, window: Window, y: Array, bias: Array | None = None) -> None:
    """Fills ``y (N,O,H',W')``, of any strides, with ``bias (O,)`` and the correlation of ``x`` with ``weight``.

    The weight is ``(G,O/G,C/G,KH,KW)``, of any strides.
    """
    offsets = None if bias is None else bias.reshape(*weight.shape[:2], 1, 1)
    (apart if cheaper_apart(weight, window) else together)(x, weight, window, y, offsets)


def cheaper_apart(weight: Array, window: Window) -> bool:
    """Which way costs less, for each output pixel, in copies of a cached element.

    An element of a column: once copied here, once packed by BLAS (together 2.5). An element of z: written, read, added (3).
    """
    O, C, KH, KW = weight.shape[1:]
    if KW == 1 or window.stride[1] > 1 or 2.5 * C * KH + 3 * O * KW >= 2.5 * C * KH * KW:
        return False
    rows = row_parts(window.output, tile_pixels(window.output, apart_bytes(weight)))
    pixels = rows[0].stop * window.output[1]
    whole = len(rows) == 1 and pixels * weight.size >= WHOLE
    return bool(pixels >= LONG and not whole)


def apart_bytes(weight: Array) -> int:
    """What a pixel takes of the larger one of the two matrices of a tile: columns and products."""
    G, O, C, KH, KW = weight.shape
    return int(weight.itemsize * G * max(C * KH, KW * O))


def together(x: Array, weight: Array, window: Window, y: Array, bias: Array | None) -> None:
    """All taps in the product."""
    xp, (G, O, C, KH, KW) = namespace(x), weight.shape
    matrix, yg, scratch = flat(weight), grouped(y, G), Scratch(x)

    def work(task: tuple[Tile, slice]) -> None:
        (samples, rows, columns), outputs = task
        out, runs = yg[samples, :, outputs, rows, columns], places[rows.start, columns.start]
        n, _, o, h, w = out.shape
        seen = runs.of(x[samples], scratch)
        if not runs.direct:
            pixels, seen = seen, scratch.rows("columns", (n, G * C, KH, KW, runs.length))
            runs.fill(seen, pixels)
        seen = seen.reshape(n, G, C * KH * KW, runs.length)
        # (G, o, C·KH·KW) @ (n, G, C·KH·KW, length) -> (n, G, o, length)
        direct = runs.pitch == w and y.flags.c_contiguous
        z = out.reshape(n, G, o, h * w) if direct else scratch.empty("z", (n, G, o, runs.length))
        xp.matmul(matrix[:, outputs], seen, out=z)
        z = runs.outputs(z)
        if bias is not None:
            xp.add(z, bias[:, outputs], out=out)
        elif not direct:
            out[...] = z

    small = math.prod(window.output) <= SMALL and not on_device(x)
    outputs = parts(O, OUTPUTS if small else max(1, O))
    pixels = tiles(len(x), window.output, x.itemsize * G * C * KH * KW, x)
    places = runs_of(window, x.shape[2:], pixels)
    each(work, [(tile, part) for tile in pixels for part in outputs], x, y.size * C * KH * KW)


def apart(x: Array, weight: Array, window: Window, y: Array, bias: Array | None) -> None:
    """The vertical taps in the product, the horizontal ones summed after it."""
    xp, (G, O, C, KH, KW) = namespace(x), weight.shape
    dw = window.dilation[1]
    matrix = weight.transpose(0, 4, 1, 2, 3).reshape(G, KW * O, C * KH)
    yg, scratch = grouped(y, G), Scratch(x)

    def work(tile: Tile) -> None:
        samples, rows, columns = tile
        out, runs = yg[samples, :, :, rows, columns], places[rows.start, columns.start]
        n, length = len(out), runs.length
        seen = scratch.rows("columns", (n, G * C, KH, 1, length + dw * (KW - 1)))
        runs.fill(seen, runs.of(x[samples], scratch))
        seen = seen.reshape(n, G, C * KH, length + dw * (KW - 1))
        # (G, KW·O, C·KH) @ (n, G, C·KH, long) -> (n, G, KW·O, long)
        z = scratch.empty("z", (n, G, KW * O, seen.shape[-1]))
        z = xp.matmul(matrix, seen, out=z).reshape(n, G, KW, O, seen.shape[-1])
        terms = [z[:, :, l, :, dw * l : dw * l + length] for l in range(KW)]
        for term in terms[1:-1]:
            terms[0] += term
        xp.add(runs.outputs(terms[0]), runs.outputs(terms[-1]), out=out)
        if bias is not None:
            out += bias

    pixels = tiles(len(x), window.output, apart_bytes(weight), x)
    places = runs_of(window, x.shape[2:], pixels)
    each(work, pixels, x, y.size * C * KH * KW)


def flat(weight: Array) -> Array:
    """``(G,O,C,KH,KW)`` -> ``(G, O, C·KH·KW)``: a view if there is one, else a copy, which the threads share."""
    shape = (*weight.shape[:2], math.prod(weight.shape[2:]))
    if weight.shape[3:] == (1, 1) or weight.flags.c_contiguous or on_device(weight):
        return weight.reshape(shape)
    copy = namespace(weight).empty(weight.shape, dtype=weight.dtype)

    def work(outputs: slice) -> None:
        copy[:, outputs] = weight[:, outputs]

    each(work, parts(weight.shape[1], 64), weight)
    return copy.reshape(shape)


def grouped(y: Array, groups: int) -> Array:
    """``y (N,O,H,W)`` as ``(N,G,O/G,H,W)``: a view, whatever its strides."""
    N, O, H, W = y.shape
    n, o, i, j = y.strides
    return namespace(y).lib.stride_tricks.as_strided(y, (N, groups, O // groups, H, W), (n, o * (O // groups), o, i, j))
