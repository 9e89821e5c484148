from __future__ import annotations

from typing import NamedTuple

from ..backend import Array, namespace
from .window import Pair, Window

TILE_BYTES = 3 << 20


class Tile(NamedTuple):
    samples: slice
    rows: slice
    columns: slice


def tiles(N: int, output: Pair, pixel_bytes: int, many: bool = False) -> list[Tile]:
    H, W = output
    if H * W == 0 or N == 0:
        return []
    T = min(2048, max(256, TILE_BYTES // max(1, pixel_bytes)))
    if H * W <= T:
        if many:
            samples = T // (H * W)
        else:
            samples = max(1, min(N // 8, TILE_BYTES // max(1, pixel_bytes) // (H * W)))
        return [Tile(slice(n, min(N, n + samples)), slice(0, H), slice(0, W)) for n in range(0, N, samples)]
    rows = max(1, T // W)
    rows = -(-H // -(-H // rows))
    columns = W if W <= 2 * T else T
    return [
        Tile(slice(n, n + 1), slice(i, min(H, i + rows)), slice(j, min(W, j + columns)))
        for n in range(N)
        for i in range(0, H, rows)
        for j in range(0, W, columns)
    ]


def columns(x: Array, window: Window, rows: slice, cols: slice, G: int, inside: bool = False):
    """(n, G, C, KH, KW, h, w)  or inside: (G, C, KH, KW, n, h, w)"""
    xp, (KH, KW) = namespace(x), window.kernel
    p = patch(x, window, rows, cols)
    n, C = p.shape[:2]
    h, w = rows.stop - rows.start, cols.stop - cols.start
    (sh, sw), (dh, dw) = window.stride, window.dilation
    if (KH, KW, sh, sw) == (1, 1, 1, 1) and (not inside or n == 1):
        p = p.reshape(n, G, C // G, 1, 1, h, w)
        return p[0][:, :, :, :, None] if inside else p
    if inside:
        B = xp.empty((C, KH, KW, n, h, w), dtype=x.dtype)
        into = B.transpose(3, 0, 1, 2, 4, 5)
    else:
        into = B = xp.empty((n, C, KH, KW, h, w), dtype=x.dtype)
    for k in range(KH):
        for l in range(KW):
            into[:, :, k, l] = p[:, :, dh * k : dh * k + sh * (h - 1) + 1 : sh, dw * l : dw * l + sw * (w - 1) + 1 : sw]
    return B.reshape(G, C // G, KH, KW, n, h, w) if inside else B.reshape(n, G, C // G, KH, KW, h, w)


def patch(x: Array, window: Window, rows: slice, cols: slice) -> Array:
    (r0, r1), (c0, c1) = span(window, 0, rows), span(window, 1, cols)
    H, W = x.shape[2:]
    if r0 >= 0 and r1 <= H and c0 >= 0 and c1 <= W:
        return x[:, :, r0:r1, c0:c1]
    p = namespace(x).zeros((*x.shape[:2], r1 - r0, c1 - c0), dtype=x.dtype)
    a, b, c, d = max(r0, 0), min(r1, H), max(c0, 0), min(c1, W)
    if a < b and c < d:
        p[:, :, a - r0 : b - r0, c - c0 : d - c0] = x[:, :, a:b, c:d]
    return p


def span(window: Window, axis: int, t: slice) -> Pair:
    first = window.stride[axis] * t.start - window.pads[axis][0]
    last = window.stride[axis] * (t.stop - 1) - window.pads[axis][0] + window.dilation[axis] * (window.kernel[axis] - 1)
    return first, last + 1
