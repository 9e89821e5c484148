"""The one contraction behind ``conv2d`` and ``conv_transpose2d``, and its two adjoints.

    correlate          y[n,o,i,j]   = sum over c,k,l of w[o,c,k,l] * x[n, c, s*i + d*k, s*j + d*l]      (x padded)
    correlate_adjoint  x[n,c,r,q]   = sum over o,k,l,i,j with (s*i + d*k, s*j + d*l) == (r, q) of w[o,c,k,l] * y[n,o,i,j]
    correlate_weight   w[o,c,k,l]   = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]

It is one trilinear form <w, x, y>: each function leaves out one of its three arguments. All three are products of
matrices with the columns of tiles (``im2col``), and the threads share the tiles:

    correlate          y = w @ columns of x, in each tile                                     (``slide``)
    correlate_adjoint  x = flipped w @ columns of y: pixels collect what belongs to them      (``gather``, by ``slide``)
                    or x += w.T @ y, tap by tap: products go to the pixels they belong to     (``scatter``)
    correlate_weight   w = sum over tiles of y @ (columns of x).T

Bits: how a sample is cut into tiles follows from its own shape alone, and so does the shape of each product; sums over
tiles have a fixed order. Neither the number of threads nor the rest of the batch changes a bit. Arrays are row-major.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..backend import Array, namespace, on_device
from .im2col import Scratch, Tile, each, merged, parts, tiles, windows
from .slide import OUTPUTS, slide
from .window import Window, contiguous

ROWS = 576  # of columns, where they are cut by channels: 64 channels of 3 x 3 taps
LANES = 16  # tasks of a sum over tiles
LANES_BYTES = 32 << 20  # of their sums


def correlate(x: Array, weight: Array, window: Window, groups: int, bias: Array | None = None) -> Array:
    """``x (N,C,H,W)``, ``weight (O,C/G,KH,KW)``, ``bias (O,)`` -> ``y (N,O,H',W')``."""
    y = namespace(x).empty((len(x), len(weight), *window.output), dtype=x.dtype)
    slide(x, weight.reshape(groups, len(weight) // groups, *weight.shape[1:]), window, y, bias)
    return y


def correlate_adjoint(y: Array, weight: Array, window: Window, groups: int, bias: Array | None = None) -> Array:
    """``y (N,O,H',W')``, ``weight (O,C/G,KH,KW)`` -> ``x (N,C,H,W)``: conv's gradient of x.

    With ``bias (C,)``, transposed convolution.
    """
    x = namespace(y).empty((len(y), groups * weight.shape[1], *window.input), dtype=y.dtype)
    w = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    (scatter if cheaper_scattered(w, window) else gather)(y, w, window, x, bias)
    return x


def cheaper_scattered(weight: Array, window: Window) -> bool:
    """Whether products should go to their pixels, or pixels collect their products.

    To go is the right thing where no two products meet in a pixel. Where they meet, they are added in memory; but to
    collect takes a transposed copy of the weight, which is dearer on an image of fewer pixels than channels.
    """
    if window.kernel == window.stride == (1, 1):
        return False  # the transposed weight is a view
    return disjoint(window) or math.prod(window.output) < weight.shape[1]


def disjoint(window: Window) -> bool:
    """Whether each pixel is under one window at most."""
    return all(s > d * (k - 1) for s, d, k in zip(window.stride, window.dilation, window.kernel, strict=True))


def scatter(y: Array, weight: Array, window: Window, x: Array, bias: Array | None) -> None:
    """Fills ``x``: each row of ``weight.T @ y``, of a channel and a tap, is added to the pixels under the tap."""
    xp, (G, O, C, KH, KW) = namespace(y), weight.shape
    matrix = weight.reshape(G, O, C * KH * KW).swapaxes(1, 2)
    xg, yg = x.reshape(len(x), G, C, *window.input), y.reshape(len(y), G, O, *window.output)
    (sh, sw), ((top, _), (left, _)), scratch = window.stride, window.pads, Scratch(y)

    def work(task: tuple[Tile, slice]) -> None:
        (samples, rows, columns), channels = task
        pixels, tile = xg[samples, :, channels], yg[samples, :, :, rows, columns]
        (n, _, c), (h, w) = pixels.shape[:3], tile.shape[3:]
        taps = slice(KH * KW * channels.start, KH * KW * channels.stop)
        # (G, c·KH·KW, O) @ (n, G, O, h·w) -> (n, G, c·KH·KW, h·w)
        z = scratch.empty("z", (n, G, c * KH * KW, h * w))
        z = xp.matmul(matrix[:, taps], tile.reshape(n, G, O, h * w), out=z).reshape(n, G, c, KH, KW, h, w)
        part = window._replace(output=(h, w), pads=((top - sh * rows.start, 0), (left - sw * columns.start, 0)))
        for k, i, r in part.on_image(0):
            for l, j, q in part.on_image(1):
                pixels[:, :, :, r, q] += z[:, :, :, k, l, i, j]

    x[...] = 0 if bias is None else bias[:, None, None]
    blocks = parts(C, max(1, ROWS // (KH * KW)))
    if disjoint(window):
        pixels = tiles(len(x), window.output, x.itemsize * G * KH * KW * -(-C // max(1, len(blocks))), x)
    else:  # tiles of one image would meet in pixels
        pixels = [Tile(n, slice(0, window.output[0]), slice(0, window.output[1])) for n in parts(len(x), 1)]
    each(work, [(tile, channels) for tile in pixels for channels in blocks], x)


def gather(y: Array, weight: Array, window: Window, x: Array, bias: Array | None) -> None:
    """Fills ``x``: its pixels at each position in a stride are a correlation of ``y`` with some taps of the flipped weight."""
    swapped = weight.swapaxes(1, 2)  # (G, C/G, O/G, KH, KW)
    for rows, k, height, dh, top in phases(window, 0):
        for columns, l, width, dw, left in phases(window, 1):
            taps, pads = swapped[:, :, :, k, l], ((top, 0), (left, 0))
            pixels = x[:, :, rows, columns]
            if taps.size:
                collects = Window(window.output, (height, width), taps.shape[3:], (1, 1), (dh, dw), pads)
                slide(y, taps, collects, pixels, bias)
            else:  # under no tap
                pixels[...] = 0 if bias is None else bias[:, None, None]


def phases(window: Window, axis: int) -> Iterator[tuple[slice, slice, int, int, int]]:
    """Along one axis, the pixels at each position in a stride, and the correlation by which they collect.

    Pixel ``first + s*u`` is under tap k of output i where ``s*i + d*k == first + s*u + before``. Such k have
    ``first + before - d*k`` divisible by s: every ``s / gcd(s, d)``-th one. Then ``i == u + (first + before - d*k) / s``.
    Yields the pixels, their taps from the last to the first, and the size, dilation and padding of the correlation.
    """
    s, d, before, size = window.stride[axis], window.dilation[axis], window.pads[axis][0], window.input[axis]
    step = s // math.gcd(s, d)
    for first in range(min(s, size)):
        taps = [k for k in range(window.kernel[axis]) if (first + before - d * k) % s == 0]
        last = taps[-1] if taps else 0
        flipped = slice(last, taps[0] - 1 if taps[0] else None, -step) if taps else slice(0, 0)
        yield slice(first, None, s), flipped, -(-(size - first) // s), d * step // s, (d * last - first - before) // s


def correlate_bias(y: Array) -> Array:
    """``y (N,O,H',W')`` -> ``(O,)``: conv's gradient of bias, the sum over samples and pixels."""
    total = namespace(y).empty(y.shape[1], dtype=y.dtype)

    def work(channels: slice) -> None:
        total[channels] = y[:, channels].sum(axis=(0, 2, 3))

    each(work, [slice(None)] if on_device(y) else parts(y.shape[1], 16), y)
    return total


def correlate_weight(y: Array, x: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``x (N,C,H,W)`` -> ``weight (O,C/G,KH,KW)``: conv's gradient of weight.

    A task is a block of channels and every ``lanes``-th tile, whose products it adds up in their order; then the lanes
    are added up in theirs.
    """
    xp, G, (KH, KW) = namespace(x), groups, window.kernel
    O, C = y.shape[1] // G, x.shape[1] // G
    xg, yg = x.reshape(len(x), G, C, *window.input), y.reshape(len(y), G, O, *window.output)
    turned = O < OUTPUTS  # BLAS is faster with the longer side first; the result is then small, and quickly turned back
    shape = (G, C * KH * KW, O) if turned else (G, O, C * KH * KW)

    blocks = parts(C, C if on_device(x) else max(1, ROWS // (KH * KW)))
    pixels = tiles(len(x), window.output, x.itemsize * G * KH * KW * -(-C // max(1, len(blocks))), x, shares=1)
    room = LANES_BYTES // max(1, x.itemsize * math.prod(shape))
    lanes = max(1, min(LANES // max(1, len(blocks)), len(pixels) // 2, room))
    sums, scratch = xp.zeros((lanes, *shape), dtype=x.dtype), Scratch(x)

    def work(task: tuple[int, slice]) -> None:
        lane, channels = task
        taps = slice(KH * KW * channels.start, KH * KW * channels.stop)
        total = sums[lane][:, taps] if turned else sums[lane][:, :, taps]
        for number, (samples, rows, columns) in enumerate(pixels[lane::lanes]):
            image, tile = xg[samples, :, channels], yg[samples, :, :, rows, columns]
            (n, _, c), (h, w) = image.shape[:3], tile.shape[3:]
            view = windows(image, window, rows, columns, scratch)
            # (n, G, c, KH, KW, h, w) -> (G, c·KH·KW, n·h·w), and (n, G, O, h, w) -> (G, O, n·h·w)
            seen = merged(view.transpose(1, 2, 3, 4, 0, 5, 6), (G, c * KH * KW, n * h * w), window, scratch)
            tile = tile.transpose(1, 2, 0, 3, 4).reshape(G, O, n * h * w)
            factors = (seen, tile.swapaxes(1, 2)) if turned else (tile, seen.swapaxes(1, 2))
            if number == 0:
                xp.matmul(*factors, out=total)
            else:
                total += xp.matmul(*factors, out=scratch.empty("z", total.shape))

    each(work, [(lane, channels) for lane in range(lanes) for channels in blocks], x)
    weight = sums.sum(axis=0) if lanes > 1 else sums[0]
    return contiguous(weight.swapaxes(1, 2) if turned else weight).reshape(G * O, C, KH, KW)
