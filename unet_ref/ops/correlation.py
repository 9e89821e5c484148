"""The one contraction behind ``conv2d`` and ``conv_transpose2d``, and its two adjoints.

    correlate          y[n,o,i,j]   = sum over c,k,l of w[o,c,k,l] * x[n, c, s*i + d*k, s*j + d*l]      (x padded)
    correlate_adjoint  x[n,c,r,q]   = sum over o,k,l,i,j with (s*i + d*k, s*j + d*l) == (r, q) of w[o,c,k,l] * y[n,o,i,j]
    correlate_weight   w[o,c,k,l]   = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]

It is one trilinear form <w, x, y>: each function leaves out one of its three arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..backend import Array, namespace
from ..threads import one_blas_thread, parallel
from .im2col import Tile, columns, tiles
from .window import Pair, Window


def correlate(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """``x (N,C,H,W)``, ``weight (O,C/G,KH,KW)`` -> ``y (N,O,H',W')``."""
    N, O = x.shape[0], weight.shape[0]
    y = namespace(x).empty((N, O, *window.output), dtype=x.dtype)
    slide(x, weight.reshape(groups, O // groups, *weight.shape[1:]), window, y)
    return y


def correlate_adjoint(y: Array, weight: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``weight (O,C/G,KH,KW)`` -> ``x (N,C,H,W)``: transposed convolution, and conv's gradient of x."""
    N, (O, C) = y.shape[0], weight.shape[:2]
    x = namespace(y).empty((N, groups * C, *window.input), dtype=y.dtype)
    w = weight.reshape(groups, O // groups, *weight.shape[1:]).swapaxes(1, 2)  # (G, C/G, O/G, KH, KW)
    for row, k, (height, dh, top) in phases(window, 0):
        for column, l, (width, dw, left) in phases(window, 1):
            pixels, taps = x[:, :, row, column], w[:, :, :, k, l]
            if 0 in taps.shape[3:]:
                pixels[...] = 0
            else:
                reading = Window(
                    window.output, (height, width), taps.shape[3:], (1, 1), (dh, dw), ((top, 0), (left, 0))
                )
                slide(y, taps, reading, pixels)
    return x


def phases(window: Window, axis: int) -> Iterator[tuple[slice, slice, tuple[int, int, int]]]:
    s, d, size, before = window.stride[axis], window.dilation[axis], window.input[axis], window.pads[axis][0]
    step = s // math.gcd(s, d)
    for first in range(min(s, size)):
        taps = [k for k in range(window.kernel[axis]) if (first + before - d * k) % s == 0]
        flipped = slice(taps[-1], taps[0] - 1 if taps[0] else None, -step) if taps else slice(0, 0)
        offset = (d * taps[-1] - first - before) // s if taps else 0
        yield slice(first, None, s), flipped, (len(range(first, size, s)), d * step // s, offset)


def slide(x: Array, weight: Array, window: Window, y: Array) -> None:
    xp, (G, O, C, KH, KW), N = namespace(x), weight.shape, x.shape[0]
    (sh, sw), (dh, dw) = window.stride, window.dilation
    direct = y.flags.c_contiguous
    apart = cheaper_apart(weight.shape, window)
    if apart:
        matrix = weight.transpose(0, 4, 1, 2, 3).reshape(G, KW * O, C * KH)
        reading = window._replace(kernel=(KH, 1), stride=(sh, 1))
        pixel = (C * KH + KW * O) * G * x.itemsize
    else:
        matrix = weight.reshape(G, O, C * KH * KW)
        reading = window
        pixel = C * KH * KW * G * x.itemsize

    def work(task: tuple[Tile, slice]) -> None:
        (samples, rows, cols), outputs = task
        pixels = y[samples, :, rows, cols]
        n, _, h, w = pixels.shape
        out = by_group(pixels, G)[:, :, outputs]
        if not apart:
            B = columns(x[samples], reading, rows, cols, G)
            B = B.reshape(n, G, C * KH * KW, h * w)
            if direct:
                xp.matmul(matrix[:, outputs], B, out=out.reshape(*out.shape[:3], h * w))
            else:
                out[...] = xp.matmul(matrix[:, outputs], B).reshape(out.shape)
            return
        wide = slice(sw * cols.start, sw * (cols.stop - 1) + dw * (KW - 1) + 1)
        B = columns(x[samples], reading, rows, wide, G)
        z = xp.matmul(matrix, B.reshape(n, G, C * KH, -1)).reshape(n, G, KW, O, h, -1)
        terms = [z[:, :, l, :, :, dw * l : dw * l + sw * (w - 1) + 1 : sw] for l in range(KW)]
        for term in terms[1:-1]:
            terms[0] += term
        xp.add(terms[0], terms[-1], out=out)

    run(work, [(t, o) for t in tiles(N, window.output, pixel) for o in output_blocks(O, window, apart)], x)


def by_group(a, G):
    N, C, h, w = a.shape
    s = a.strides
    return namespace(a).lib.stride_tricks.as_strided(a, (N, G, C // G, h, w), (s[0], s[1] * (C // G), *s[1:]))


def output_blocks(O, window, apart):
    H, W = window.output
    if apart or H * W > 512 or O < 512:
        return [slice(0, O)]
    return [slice(o, min(O, o + 256)) for o in range(0, O, 256)]


def cheaper_apart(shape, window):
    G, O, C, KH, KW = shape
    if KW == 1:
        return False
    w = window.output[1]
    wide = window.stride[1] * (w - 1) + window.dilation[1] * (KW - 1) + 1
    q = wide / w
    together = 3.5 * C * KH * KW
    apart = 3.5 * C * KH * q + 3 * O * KW * q + C * O * KH * KW * (q - 1) / 11
    return apart < together


def run(work, tasks, x):
    if namespace(x).__name__ == "numpy" and x.dtype != object:
        with one_blas_thread():
            parallel(work, tasks)
    else:
        for t in tasks:
            work(t)


def correlate_weight(y: Array, x: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``x (N,C,H,W)`` -> ``weight (O,C/G,KH,KW)``: conv's gradient of weight."""
    xp, N, G, (KH, KW) = namespace(x), x.shape[0], groups, window.kernel
    C, O = x.shape[1] // G, y.shape[1] // G
    first = O < 256
    shape = (G, C * KH * KW, O) if first else (G, O, C * KH * KW)
    size = math.prod(shape) * x.itemsize
    yg, xg = y.reshape(N, G, O, *y.shape[2:]), x.reshape(N, G, C, *x.shape[2:])

    todo = tiles(N, window.output, G * (C * KH * KW) * x.itemsize, many=True)
    lanes = max(1, min(len(todo) // 2, 16, (32 << 20) // max(1, size)))
    cb = max(32, -(-C * lanes // 8))
    blocks = [slice(c, min(C, c + cb)) for c in range(0, C, cb)]
    parts = xp.zeros((lanes, *shape), dtype=x.dtype)

    def work(task) -> None:
        lane, c = task
        taps = slice(c.start * KH * KW, c.stop * KH * KW)
        total = parts[lane][:, taps] if first else parts[lane][:, :, taps]
        mine = todo[len(todo) * lane // lanes : len(todo) * (lane + 1) // lanes]
        for samples, rows, cols in mine:
            xs = xg[samples, :, c]
            n = xs.shape[0]
            B = columns(xs.reshape(n, -1, *xs.shape[3:]), window, rows, cols, G, inside=True)  # G, C, KH, KW, n, h, w
            B = B.reshape(G, (c.stop - c.start) * KH * KW, -1)
            Y = yg[samples, :, :, rows, cols].transpose(1, 2, 0, 3, 4).reshape(G, O, -1)
            a, b = (B, Y.swapaxes(1, 2)) if first else (Y, B.swapaxes(1, 2))
            if samples is mine[0][0] and rows is mine[0][1]:
                xp.matmul(a, b, out=total)
            else:
                total += xp.matmul(a, b)

    run(work, [(lane, c) for lane in range(lanes) for c in blocks], x)
    total = parts[0] if lanes == 1 else parts.sum(axis=0)
    if first:
        total = xp.ascontiguousarray(total.swapaxes(1, 2))
    return total.reshape(G * O, C, KH, KW)
