"""The one contraction behind ``conv2d`` and ``conv_transpose2d``, and its two adjoints.

    correlate          y[n,o,i,j]   = sum over c,k,l of w[o,c,k,l] * x[n, c, s*i + d*k, s*j + d*l]      (x padded)
    correlate_adjoint  x[n,c,r,q]   = sum over o,k,l,i,j with (s*i + d*k, s*j + d*l) == (r, q) of w[o,c,k,l] * y[n,o,i,j]
    correlate_weight   w[o,c,k,l]   = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]

It is one trilinear form <w, x, y>: each function leaves out one of its three arguments. All three are products of
matrices, mostly with the columns of tiles (``im2col``), and the threads share the tiles:

    correlate          y = w @ columns of x, in each tile                                     (``slide``)
    correlate_adjoint  x = flipped w @ columns of y: pixels collect what belongs to them      (``gather``, by ``slide``)
                    or x += w.T @ y, tap by tap: products go to the pixels they belong to     (``scatter``)
    correlate_weight   w = sum over tiles of y @ (columns of x).T, or of shifts @ x.T (``correlate_weight``)

Bits: how a sample is cut into tiles follows from its own shape alone, and so does the shape of each product; sums over
tiles have a fixed order. Neither the number of threads nor the rest of the batch changes a bit. Arrays are row-major.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..backend import Array, namespace, on_device
from ..passes import may_be_nan, row_sums
from .im2col import MOST_BYTES, ROWS, Tile, channel_blocks, each, parts, tiles
from .runs import Runs
from .scratch import Scratch
from .slide import OUTPUTS, slide
from .tiles import ALONE
from .window import Window

FEW_PIXELS = 1024  # of an image, whose products for a block of channels then take less than 3 MB


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
    single = window.kernel == window.stride == (1, 1)  # gathering takes the weight as it lies
    if window.disjoint and not single:
        place(y, w, window, x, bias)
    else:
        (scatter if cheaper_scattered(w, window) or spoils_zeros(w) else gather)(y, w, window, x, bias)
    return x


def cheaper_scattered(weight: Array, window: Window) -> bool:
    """Whether products should go to their pixels, or pixels collect their products.

    Where they meet, they are added in memory. But to collect takes a transposed copy of the weight, which is dearer for
    an image of few pixels and many channels, whose tiles are too small for a fast product; and with a stride it takes a
    small product for each position in it, where scattering has one, of which it holds all pixels.
    """
    pixels, O = math.prod(window.output), weight.shape[1]
    strided = window.stride != (1, 1) and ROWS * pixels * weight.itemsize <= MOST_BYTES
    deep = 8 * pixels < O or (pixels <= FEW_PIXELS and O >= OUTPUTS)
    return window.kernel != (1, 1) and (strided or deep)


def spoils_zeros(weight: Array) -> bool:
    """Whether the zeros that pixels collect from outside ``y`` may become NaN (a device is not waited for)."""
    return weight.dtype != object and not on_device(weight) and may_be_nan(weight)


def place(y: Array, weight: Array, window: Window, x: Array, bias: Array | None) -> None:
    """Fills ``x``, in which no two products meet: each row of ``weight.T @ y``, of a channel and a tap, has its pixels."""
    xp, (G, O, C, KH, KW) = namespace(y), weight.shape
    matrix = weight.reshape(G, O, C * KH * KW).swapaxes(1, 2)
    xg, yg = x.reshape(len(x), G, C, *window.input), y.reshape(len(y), G, O, *window.output)
    (sh, sw), ((top, _), (left, _)), scratch = window.stride, window.pads, Scratch(y)
    offsets = None if bias is None else bias.reshape(G, C, 1, 1)

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
                if offsets is None:
                    pixels[:, :, :, r, q] = z[:, :, :, k, l, i, j]
                else:
                    xp.add(z[:, :, :, k, l, i, j], offsets[:, channels], out=pixels[:, :, :, r, q])

    if not window.tiles:  # some pixels are under no tap
        x[...] = 0 if bias is None else bias[:, None, None]
    blocks = channel_blocks(C, window)
    pixels = tiles(len(x), window.output, x.itemsize * G * KH * KW * -(-C // max(1, len(blocks))), x)
    each(work, [(tile, channels) for tile in pixels for channels in blocks], x, y.size * C * KH * KW)


def scatter(y: Array, weight: Array, window: Window, x: Array, bias: Array | None) -> None:
    """Fills ``x``: each row of ``weight.T @ y``, of a channel and a tap, is added to the run of the tap."""
    xp, (G, O, C, KH, KW) = namespace(y), weight.shape
    matrix = weight.reshape(G, O, C * KH * KW).swapaxes(1, 2)
    xg, yg = x.reshape(len(x), G, C, *window.input), y.reshape(len(y), G, O, *window.output)
    runs, scratch = Runs(window, window.input, *(slice(0, size) for size in window.output)), Scratch(y)
    mends = runs.pitch != runs.w and may_be_nan(weight)

    def work(task: tuple[int, slice]) -> None:
        n, channels = task
        c, taps = channels.stop - channels.start, slice(KH * KW * channels.start, KH * KW * channels.stop)
        # (G, c·KH·KW, O) @ (G, O, length) -> (G, c·KH·KW, length)
        z = scratch.empty("z", (G, c * KH * KW, runs.length))
        z = xp.matmul(matrix[:, taps], runs.spread(yg[n], scratch), out=z).reshape(G, c, KH, KW, runs.length)
        if mends:
            runs.between(z)[...] = 0
        pixels = scratch.empty("pixels", (G, c, runs.total))
        pixels[...] = 0
        for k in range(KH):
            for l in range(KW):
                start = runs.start(k, l)
                pixels[:, :, start : start + runs.length] += z[:, :, k, l]
        for number, ((i, j), (r, q)) in enumerate(runs.pieces):
            xg[n, :, channels, r, q] += runs.phase(pixels, number)[..., i, j]

    x[...] = 0 if bias is None else bias[:, None, None]
    blocks = channel_blocks(C, window)  # tiles of one image would meet in pixels: so tasks are channels
    each(work, [(n, channels) for n in range(len(x)) for channels in blocks], x, y.size * C * KH * KW)


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
    rows = y.reshape(*y.shape[:2], math.prod(y.shape[2:]))

    def work(channels: slice) -> None:
        total[channels] = row_sums(rows[:, channels]).sum(axis=(0, 2))

    if on_device(y) or y.nbytes <= ALONE:
        work(slice(None))
    else:
        each(work, parts(y.shape[1], 16), y)
    return total
