"""The one contraction behind ``conv2d`` and ``conv_transpose2d``, and its two adjoints.

    correlate          y[n,o,i,j]   = sum over c,k,l of w[o,c,k,l] * x[n, c, s*i + d*k, s*j + d*l]      (x padded)
    correlate_adjoint  x[n,c,r,q]   = sum over o,k,l,i,j with (s*i + d*k, s*j + d*l) == (r, q) of w[o,c,k,l] * y[n,o,i,j]
    correlate_weight   w[o,c,k,l]   = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]

It is one trilinear form <w, x, y>: each function leaves out one of its three arguments. All three are matrix products
with the columns of a tile (``im2col``), and the tiles go to the threads (``threads.parallel``):

    correlate          y tile   (O, pixels)  = w (O, C·KH·KW) @ columns (C·KH·KW, pixels)
    correlate_weight   w        (O, C·KH·KW) = sum over tiles of y tile (O, pixels) @ columns.T
    correlate_adjoint  x        is a correlation of y with the flipped w: one for each pixel of a stride (``phases``)

Where the image is large and the channels are few, copying a pixel KH·KW times into columns costs as much as the
product. There ``correlate`` takes the horizontal taps out of the columns and sums them afterwards: KW times fewer
copies, and a product with KW times as many rows, which BLAS does faster.

    together     w (O, C·KH·KW) @ one column per pixel and its window          KH x KW taps in the product
    apart        z (KW, O, h·w) = w (KW·O, C·KH) @ the KH rows of the window   KH taps in the product
                 y[i, j] = z[0][i, j] + z[1][i, j + d] + z[2][i, j + 2*d]      KW sums of the shifted products

Bits: a sample is cut into tiles by its own shape alone, each product has a shape of its own sample's alone, and sums
over tiles have a fixed order: neither the number of threads nor the rest of the batch changes a bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..backend import Array, namespace, on_device
from ..threads import one_blas_thread, parallel
from .im2col import Scratch, Tile, merged, tiles, whole, windows
from .window import Window, contiguous

T = TypeVar("T")

OUTPUTS = 256  # output channels that a task computes where the image is too small to be cut
PIXELS = 512  # which images are that small
ROWS = 576  # of a tile's columns, where they are cut by channels: 64 channels of 3 x 3 taps
LANES = 16  # sums over tiles that run side by side
LANES_BYTES = 32 << 20  # and what they may take together


def correlate(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """``x (N,C,H,W)``, ``weight (O,C/G,KH,KW)`` -> ``y (N,O,H',W')``."""
    O = weight.shape[0]
    y = namespace(x).empty((len(x), O, *window.output), dtype=x.dtype)
    slide(x, weight.reshape(groups, O // groups, *weight.shape[1:]), window, y)
    return y


def correlate_adjoint(y: Array, weight: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``weight (O,C/G,KH,KW)`` -> ``x (N,C,H,W)``: transposed convolution, and conv's gradient of x."""
    O, C = weight.shape[0] // groups, weight.shape[1]
    x = namespace(y).zeros((len(y), groups * C, *window.input), dtype=y.dtype)
    (scatter if cheaper_scattered(O, window) else gather)(y, weight.reshape(groups, O, *weight.shape[1:]), window, x)
    return x


def cheaper_scattered(O: int, window: Window) -> bool:
    """Whether to add products to the pixels they belong to, rather than to collect for each pixel what belongs to it.

    To collect takes a transposed copy of the weight, which on an image of fewer pixels than channels costs more than
    the sums. To add is right, too, where no two products meet. A plain product needs neither.
    """
    spans = [d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True)]
    if spans == [1, 1] and window.stride == (1, 1):
        return False
    return disjoint(window) or math.prod(window.output) < O


def disjoint(window: Window) -> bool:
    """Whether every pixel is under one window at most."""
    return all(s > d * (k - 1) for s, d, k in zip(window.stride, window.dilation, window.kernel, strict=True))


def scatter(y: Array, weight: Array, window: Window, x: Array) -> None:
    """Adds to ``x``, tap by tap, the products ``(C·KH·KW, O) @ y (O, pixels)`` that belong to its pixels."""
    xp, (G, O, C, KH, KW) = namespace(y), weight.shape
    matrix, step = weight.reshape(G, O, C * KH * KW).swapaxes(1, 2), max(1, ROWS // (KH * KW))
    xg, yg = x.reshape(len(x), G, C, *window.input), y.reshape(len(y), G, O, *window.output)
    scratch = Scratch(x)

    def work(task: tuple[Tile, slice]) -> None:
        (samples, rows, columns), channels = task
        seen, pixels = yg[samples, :, :, rows, columns], xg[samples, :, channels]
        (n, _, c), (h, w) = pixels.shape[:3], seen.shape[3:]
        # (G, c·KH·KW, O) @ (n, G, O, h·w) -> (n, G, c·KH·KW, h·w)
        taps = slice(KH * KW * channels.start, KH * KW * channels.stop)
        z = scratch.empty("z", (n, G, c * KH * KW, h * w))
        z = xp.matmul(matrix[:, taps], seen.reshape(n, G, O, h * w), out=z).reshape(n, G, c, KH, KW, h, w)
        (sh, sw), ((top, _), (left, _)) = window.stride, window.pads
        part = window._replace(output=(h, w), pads=((top - sh * rows.start, 0), (left - sw * columns.start, 0)))
        for k, i, r in part.on_image(0):
            for l, j, q in part.on_image(1):
                pixels[:, :, :, r, q] += z[:, :, :, k, l, i, j]

    bytes_of_pixel = x.itemsize * G * min(C, step) * KH * KW
    parts = tiles(len(x), window.output, bytes_of_pixel, x) if disjoint(window) else whole(len(x), window.output)
    each(work, [(tile, slice(c, min(C, c + step))) for tile in parts for c in range(0, C, step)], x)


def gather(y: Array, weight: Array, window: Window, x: Array) -> None:
    """Fills ``x`` with correlations of ``y`` with the flipped weight, one for each of its pixels' positions in a stride."""
    swapped = weight.swapaxes(1, 2)  # (G, C/G, O/G, KH, KW)
    for rows, k, height, dh, top in phases(window, 0):
        for columns, l, width, dw, left in phases(window, 1):
            taps, pads = swapped[:, :, :, k, l], ((top, 0), (left, 0))
            if taps.size:
                reading = Window(window.output, (height, width), taps.shape[3:], (1, 1), (dh, dw), pads)
                slide(y, taps, reading, x[:, :, rows, columns])


def phases(window: Window, axis: int) -> Iterator[tuple[slice, slice, int, int, int]]:
    """Along one axis, the pixels of the image by their position in a stride, and how each such set is gathered.

    Pixel ``first + s*u`` (``before`` more in the padded image) meets tap k where ``first + before + s*u - d*k`` is a
    multiple of s, that is for every ``s / gcd(s, d)``-th tap; the output that it meets there is that over s. Yields
    the pixels, their taps, last first, and of the correlation that gathers them: output size, dilation and padding.
    """
    s, d, before, size = window.stride[axis], window.dilation[axis], window.pads[axis][0], window.input[axis]
    step = s // math.gcd(s, d)
    for first in range(min(s, size)):
        taps = [k for k in range(window.kernel[axis]) if (first + before - d * k) % s == 0]
        last = taps[-1] if taps else 0
        flipped = slice(last, taps[0] - 1 if taps[0] else None, -step) if taps else slice(0, 0)
        yield (
            slice(first, None, s),
            flipped,
            len(range(first, size, s)),
            d * step // s,
            (d * last - first - before) // s,
        )


def slide(x: Array, weight: Array, window: Window, y: Array) -> None:
    """Fills ``y (N,O,H',W')``, of any strides, with the correlation of ``x`` with ``weight (G,O/G,C/G,KH,KW)``."""
    (apart if cheaper_apart(weight, window) else together)(x, weight, window, y)


def cheaper_apart(weight: Array, window: Window) -> bool:
    """Whether to sum the horizontal taps after the product; in copies of an element (0.1 ns), for each output pixel.

    An element of a column is copied once here and once, slower, by BLAS; an element of a product is written, read and
    added; and the rows of products are longer than those of outputs (``wide``), by what the taps overhang.
    """
    _, O, C, KH, KW = weight.shape
    W = window.output[1]
    wide = (window.stride[1] * (W - 1) + window.dilation[1] * (KW - 1) + 1) / W
    sums_together = 3.5 * C * KH * KW
    sums_apart = wide * (3.5 * C * KH + 3 * O * KW) + (wide - 1) * O * C * KH * KW / 11
    return KW > 1 and bool(sums_apart < sums_together)


def together(x: Array, weight: Array, window: Window, y: Array) -> None:
    """All taps in the product: ``(O, C·KH·KW) @ (C·KH·KW, pixels)``."""
    xp, (G, O, C, KH, KW) = namespace(x), weight.shape
    matrix, yg, scratch = flat_weight(weight), split(y, G), Scratch(x)
    direct = y.flags.c_contiguous  # else y is every s-th pixel of an image, where BLAS cannot write

    def work(task: tuple[Tile, slice]) -> None:
        (samples, rows, columns), outputs = task
        out = yg[samples, :, outputs, rows, columns]
        n, _, o, h, w = out.shape
        seen = windows(x[samples], window, rows, columns, scratch)
        seen = merged(seen, (n, G, C * KH * KW, h * w), window, scratch)
        # (G, o, C·KH·KW) @ (n, G, C·KH·KW, h·w) -> (n, G, o, h·w)
        z = out.reshape(n, G, o, h * w) if direct else scratch.empty("z", (n, G, o, h * w))
        xp.matmul(matrix[:, outputs], seen, out=z)
        if not direct:
            out[...] = z.reshape(out.shape)

    small = math.prod(window.output) <= PIXELS and not on_device(x)
    step = OUTPUTS if small else O
    outputs = [slice(o, o + step) for o in range(0, O, step)]
    pixels = tiles(len(x), window.output, G * C * KH * KW * x.itemsize, x)
    each(work, [(tile, o) for tile in pixels for o in outputs], x)


def apart(x: Array, weight: Array, window: Window, y: Array) -> None:
    """The vertical taps in the product, ``(KW·O, C·KH) @ (C·KH, h·wide)``, the horizontal ones summed after it."""
    xp, (G, O, C, KH, KW) = namespace(x), weight.shape
    (sh, sw), dw = window.stride, window.dilation[1]
    vertical = window._replace(kernel=(KH, 1), stride=(sh, 1))
    matrix = weight.transpose(0, 4, 1, 2, 3).reshape(G, KW * O, C * KH)
    yg, scratch = split(y, G), Scratch(x)

    def work(tile: Tile) -> None:
        samples, rows, columns = tile
        out = yg[samples, :, :, rows, columns]
        n, _, _, h, w = out.shape
        wide = slice(sw * columns.start, sw * (columns.stop - 1) + dw * (KW - 1) + 1)
        seen = windows(x[samples], vertical, rows, wide, scratch)
        seen = scratch.matrix("columns", seen, (n, G, C * KH, h * (wide.stop - wide.start)))
        # (G, KW·O, C·KH) @ (n, G, C·KH, h·wide) -> (n, G, KW·O, h·wide)
        z = scratch.empty("z", (n, G, KW * O, seen.shape[3]))
        z = xp.matmul(matrix, seen, out=z).reshape(n, G, KW, O, h, -1)
        shifted = [z[:, :, l, :, :, dw * l : dw * l + sw * (w - 1) + 1 : sw] for l in range(KW)]
        for term in shifted[1:-1]:
            shifted[0] += term
        xp.add(shifted[0], shifted[-1], out=out)

    each(work, tiles(len(x), window.output, G * (C * KH + O * KW) * x.itemsize, x), x)


def correlate_weight(y: Array, x: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``x (N,C,H,W)`` -> ``weight (O,C/G,KH,KW)``: conv's gradient of weight."""
    xp, G, (KH, KW) = namespace(x), groups, window.kernel
    O, C = y.shape[1] // G, x.shape[1] // G
    xg, yg = x.reshape(len(x), G, C, *window.input), y.reshape(len(y), G, O, *window.output)
    swapped = O < OUTPUTS  # BLAS is faster with the longer side first; the result is then small and quickly turned
    shape = (G, C * KH * KW, O) if swapped else (G, O, C * KH * KW)
    step = C if on_device(x) else min(C, max(1, ROWS // (KH * KW)))
    channels = [slice(c, min(C, c + step)) for c in range(0, C, step)]
    pixels = tiles(len(x), window.output, x.itemsize * G * step * KH * KW, x, shares=1)
    lanes = max(1, min(len(pixels) // 2, LANES // len(channels), LANES_BYTES // (math.prod(shape) * x.itemsize)))
    total, scratch = xp.zeros((lanes, *shape), dtype=x.dtype), Scratch(x)

    def work(task: tuple[int, slice]) -> None:
        lane, channels = task
        taps = slice(KH * KW * channels.start, KH * KW * channels.stop)
        part = total[lane][:, taps] if swapped else total[lane][:, :, taps]
        for number, (samples, rows, columns) in enumerate(pixels[lane::lanes]):
            image = xg[samples, :, channels]
            n, _, c = image.shape[:3]
            seen = windows(image.reshape(n, G * c, *window.input), window, rows, columns, scratch)
            h, w = seen.shape[4:]
            # (n, G·c, KH, KW, h, w) -> (G, c·KH·KW, n·h·w), and (n, G, O, h, w) -> (G, O, n·h·w)
            seen = merged(seen.transpose(1, 2, 3, 0, 4, 5), (G, c * KH * KW, n * h * w), window, scratch)
            upstream = yg[samples, :, :, rows, columns].transpose(1, 2, 0, 3, 4).reshape(G, O, n * h * w)
            factors = (seen, upstream.swapaxes(1, 2)) if swapped else (upstream, seen.swapaxes(1, 2))
            if number == 0:
                xp.matmul(*factors, out=part)
            else:
                part += xp.matmul(*factors, out=scratch.empty("z", part.shape))

    each(work, [(lane, part) for lane in range(lanes) for part in channels], x)
    weight = total.sum(axis=0) if lanes > 1 else total[0]
    return contiguous(weight.swapaxes(1, 2) if swapped else weight).reshape(G * O, C, KH, KW)


def flat_weight(weight: Array) -> Array:
    """``(G, O, C, KH, KW)`` -> ``(G, O, C·KH·KW)``: a view where there is one, else a copy that the threads share."""
    (G, O, C, KH, KW), step = weight.shape, 64
    if KH * KW == 1 or weight.flags.c_contiguous or on_device(weight):
        return weight.reshape(G, O, C * KH * KW)
    copy = namespace(weight).empty(weight.shape, dtype=weight.dtype)

    def work(outputs: slice) -> None:
        copy[:, outputs] = weight[:, outputs]

    each(work, [slice(o, o + step) for o in range(0, O, step)], weight)
    return copy.reshape(G, O, C * KH * KW)


def split(y: Array, groups: int) -> Array:
    """``y (N,O,H,W)`` as ``(N,G,O/G,H,W)``: a view, whatever its strides."""
    N, O, H, W = y.shape
    n, o, i, j = y.strides
    return namespace(y).lib.stride_tricks.as_strided(y, (N, groups, O // groups, H, W), (n, o * (O // groups), o, i, j))


def each(work: Callable[[T], None], tasks: list[T], like: Array) -> None:
    """``work(task)`` for every task: spread over the threads, one BLAS thread in each; on a GPU one after another."""
    if on_device(like):
        for task in tasks:
            work(task)
    else:
        with one_blas_thread():
            parallel(work, tasks)
