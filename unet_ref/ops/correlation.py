"""The one contraction behind ``conv2d`` and ``conv_transpose2d``, and its two adjoints.

    correlate          y[n,o,i,j]   = sum over c,k,l of w[o,c,k,l] * x[n, c, s*i + d*k, s*j + d*l]      (x padded)
    correlate_adjoint  x[n,c,r,q]   = sum over o,k,l,i,j with (s*i + d*k, s*j + d*l) == (r, q) of w[o,c,k,l] * y[n,o,i,j]
    correlate_weight   w[o,c,k,l]   = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]

It is one trilinear form <w, x, y>: each function leaves out one of its three arguments. Pixels go through it in tiles,
whose size depends on one sample's shape alone, so that a sample gives the same bits in any batch.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..backend import Array, namespace
from .window import Window

TILE_ELEMENTS = 1 << 19  # the columns of one tile: 2 MB in float32, so that they stay in the cache


def correlate(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """``x (N,C,H,W)``, ``weight (O,C/G,KH,KW)`` -> ``y (N,O,H',W')``."""
    xp, (N, C), O = namespace(x), x.shape[:2], weight.shape[0]
    H_out, W_out = window.output
    xg = pad(x, window).reshape(N, groups, C // groups, *window.padded)
    w = weight.reshape(groups, O // groups, -1)
    y = xp.zeros((N, groups, O // groups, H_out, W_out), dtype=x.dtype)
    for samples, rows in tiles(N, C, window):
        columns = gather(xg[samples], window, rows)
        # (G, O/G, C/G·KH·KW) @ (n, G, C/G·KH·KW, h·W') -> (n, G, O/G, h·W')
        y[samples, :, :, rows] = xp.matmul(w, columns).reshape(y[samples, :, :, rows].shape)
    return y.reshape(N, O, H_out, W_out)


def correlate_adjoint(y: Array, weight: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``weight (O,C/G,KH,KW)`` -> ``x (N,C,H,W)``: transposed convolution, and conv's gradient of x."""
    xp, (N, O), C_in_group = namespace(y), y.shape[:2], weight.shape[1]
    C = C_in_group * groups
    yg = y.reshape(N, groups, O // groups, *window.output)
    w = weight.reshape(groups, O // groups, -1).swapaxes(1, 2)
    x = xp.zeros((N, groups, C_in_group, *window.padded), dtype=y.dtype)
    for samples, rows in tiles(N, C, window):
        tile = yg[samples, :, :, rows]
        # (G, C/G·KH·KW, O/G) @ (n, G, O/G, h·W') -> (n, G, C/G·KH·KW, h·W')
        columns = xp.matmul(w, tile.reshape(*tile.shape[:3], -1))
        scatter(columns, x[samples], window, rows)
    inside_rows, inside_columns = window.inside()
    return x.reshape(N, C, *window.padded)[:, :, inside_rows, inside_columns]


def correlate_weight(y: Array, x: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``x (N,C,H,W)`` -> ``weight (O,C/G,KH,KW)``: conv's gradient of weight."""
    xp, (N, C), O = namespace(x), x.shape[:2], y.shape[1]
    xg = pad(x, window).reshape(N, groups, C // groups, *window.padded)
    yg = y.reshape(N, groups, O // groups, *window.output)
    KH, KW = window.kernel
    weight = xp.zeros((groups, O // groups, C // groups * KH * KW), dtype=x.dtype)
    for samples, rows in tiles(N, C, window):
        columns = gather(xg[samples], window, rows)
        tile = yg[samples, :, :, rows]
        # (n, G, O/G, h·W') @ (n, G, h·W', C/G·KH·KW) -> (n, G, O/G, C/G·KH·KW), summed over n
        weight += xp.matmul(tile.reshape(*tile.shape[:3], -1), columns.swapaxes(2, 3)).sum(axis=0)
    return weight.reshape(O, C // groups, KH, KW)


def tiles(N: int, C: int, window: Window) -> Iterator[tuple[slice, slice]]:
    """Slices of samples and of output rows whose columns fill the cache: several samples whole, or one in parts."""
    (H_out, W_out), (KH, KW) = window.output, window.kernel
    row = max(1, C * KH * KW * W_out)
    rows = max(1, min(H_out, TILE_ELEMENTS // row))
    samples = max(1, TILE_ELEMENTS // (row * max(1, H_out))) if rows == H_out else 1
    for n in range(0, N, samples):
        for i in range(0, H_out, rows):
            yield slice(n, n + samples), slice(i, min(i + rows, H_out))


def pad(x: Array, window: Window) -> Array:
    """``x`` inside a border of zeros."""
    if window.padded == window.input:
        return x
    padded = namespace(x).zeros((*x.shape[:2], *window.padded), dtype=x.dtype)
    rows, columns = window.inside()
    padded[:, :, rows, columns] = x
    return padded


def gather(x: Array, window: Window, rows: slice) -> Array:
    """``x (n,G,c,H,W)`` -> columns ``(n, G, c·KH·KW, h·W')``: what each tap reads at the output rows ``rows``."""
    xp, part = namespace(x), part_of(window, rows)
    KH, KW = window.kernel
    columns = xp.empty((*x.shape[:3], KH, KW, *part.output), dtype=x.dtype)
    first = window.stride[0] * rows.start
    for k, l, r, q in part.taps():
        columns[:, :, :, k, l] = x[:, :, :, r.start + first : r.stop + first : r.step, q]
    return columns.reshape(*x.shape[:2], x.shape[2] * KH * KW, -1)


def scatter(columns: Array, x: Array, window: Window, rows: slice) -> None:
    """The adjoint of ``gather``: adds every column to the pixel that it was read from. In place on ``x``."""
    part = part_of(window, rows)
    taps = columns.reshape(*x.shape[:3], *window.kernel, *part.output)
    first = window.stride[0] * rows.start
    for k, l, r, q in part.taps():
        x[:, :, :, r.start + first : r.stop + first : r.step, q] += taps[:, :, :, k, l]


def part_of(window: Window, rows: slice) -> Window:
    """The window at the output rows ``rows`` alone."""
    return window._replace(output=(rows.stop - rows.start, window.output[1]))
