"""Error bounds of Winograd's convolutions F(m x m, 3 x 3), for 3x3 kernels with stride and dilation 1.

An output tile of m x m pixels, from ``n x n`` input pixels with ``n = m + 2``, is ``A' [ (G g G') * (B' d B) ] A``,
the product in the middle elementwise and summed over the channels. So an output at place a of its tile is a sum of
products of an input, a weight and entries of the three matrices; its error is the number of roundings on the longest
way through them times the sum of the absolute values of those products (Barabasz et al. 2020):

    g(N) |A'| [ sum over c of (|G||g||G|') * (|B|'|d||B|) ] |A|       N = 2 (a + b + g) + C + 1

with a, b, g the roundings of each transform along one axis: as many as a row has entries, and one more where these
are rounded themselves. Every implementation cuts the image into tiles where it likes: the bound is the largest over
all places in a tile. The gradient of x is the same with the flipped kernel; that of the weight is the same trilinear
form, summed over the tiles.

Source: Lavin and Gray, *Fast algorithms for convolutional neural networks* (2016), for the matrices.
"""

from __future__ import annotations

import itertools

import numpy as np

from ... import ops
from ...backend import Array
from ...ops.window import Pads

B2 = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
G2 = [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]
A2 = [[1, 1, 1, 0], [0, 1, -1, -1]]
B4 = [
    [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
]  # fmt: skip
G4 = [
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
]  # fmt: skip
A4 = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
STRIP = 1 << 22  # numbers that are worked on at a time
MATRICES = {2: (A2, G2, B2), 4: (A4, G4, B4)}  # A', G and B'; the numbers of B' and A' are exact


def tiled(m: int, x: Array, weight: Array, pads: Pads, groups: int) -> tuple[Array, int]:
    """The output's magnitude and number of roundings; ``x`` and ``weight`` absolute, ``x (..., C, H, W)``."""
    A, G, B = _absolute(m)
    g = np.einsum("tk,ockl,sl->tsoc", G, weight, G)
    sides = [(before + m - 1, after + m - 1) for before, after in pads]  # tiles that begin m - 1 before the output too
    padded = ops.pad2d(x, padding=tuple(sides))
    rows = padded.shape[-2] - 2 * m
    step = max(1, STRIP // (m * m * len(weight) * padded.shape[-1]))
    images = padded.reshape(-1, *padded.shape[-3:])
    strips = [
        np.concatenate(
            [_strip(image[None, :, i : i + step + 2 * m], g, A, B, groups)[0] for i in range(0, rows, step)], axis=1
        )
        for image in images
    ]
    magnitude = np.stack(strips) if strips else np.zeros((0, len(weight), rows, padded.shape[-1] - 2 * m))
    roundings = 2 * (_most(A) + _most(B) + _most(G) + 1) + weight.shape[1] + 1
    return magnitude.reshape(*x.shape[:-3], *magnitude.shape[1:]), roundings


def _strip(x: Array, g: Array, A: Array, B: Array, groups: int) -> Array:
    """Some rows of outputs: for each of them the largest of the sums that it has at the m x m places of a tile.

    A tile begins at every pixel; the output at place (a, b) of a tile lies (a, b) after its beginning.
    """
    (m, n), (H, W) = A.shape, x.shape[2:]
    starts = H - n + 1, W - n + 1
    height, width = H - 2 * m, W - 2 * m
    sums = np.zeros((m, m, 1, g.shape[2], height, width))
    for s in range(n):
        across = sum(B[s, q] * x[..., q : q + starts[1]] for q in range(n))
        column = np.zeros((m, 1, g.shape[2], height, starts[1]))
        for t in range(n):
            d = sum(B[t, p] * across[:, :, p : p + starts[0]] for p in range(n))
            product = ops.conv2d(d, np.ascontiguousarray(g[t, s])[:, :, None, None], groups=groups)
            for a in range(m):
                column[a] += A[a, t] * product[:, :, m - 1 - a : m - 1 - a + height]
        for b in range(m):
            sums[:, b] += A[b, s] * column[..., m - 1 - b : m - 1 - b + width]
    return sums.max(axis=(0, 1))


def tiled_input(m: int, dy: Array, weight: Array, pads: Pads, groups: int) -> tuple[Array, int]:
    """The same for the gradient of x: a convolution of ``dy`` with the flipped kernel, padded by what is left of it."""
    O, C = weight.shape[0] // groups, weight.shape[1]
    swapped = weight.reshape(groups, O, C, 3, 3).swapaxes(1, 2).reshape(groups * C, O, 3, 3)
    vertical, horizontal = ((2 - before, 2 - after) for before, after in pads)
    return tiled(m, dy, swapped[:, :, ::-1, ::-1], (vertical, horizontal), groups)


def tiled_weight(m: int, dy: Array, x: Array, pads: Pads, groups: int) -> tuple[Array, int]:
    """The same for the gradient of weight, ``G' [ sum over tiles of (A dy A') * (B' d B) ] G``.

    ``d`` at p and ``dy`` at a of a tile lie ``p - a`` apart: for each such distance the place that weighs most counts.
    """
    A, G, B = _absolute(m)
    most = np.zeros((3, 2 * m + 1))
    for a, p in itertools.product(range(m), range(m + 2)):
        most[:, p - a + m - 1] = np.maximum(most[:, p - a + m - 1], np.einsum("tk,t,t->k", G, B[:, p], A[a]))
    (top, bottom), (left, right) = pads
    sides = ((top + m - 1, bottom + m - 1), (left + m - 1, right + m - 1))
    wide = np.zeros((dy.shape[-3], x.shape[-3] // groups, 2 * m + 1, 2 * m + 1))
    products = ops.conv2d_backward(dy, ops.pad2d(x, padding=sides), wide, groups=groups).weight
    images = int(np.prod(x.shape[:-3]))
    tiles = images * (dy.shape[-2] // m + 2) * (dy.shape[-1] // m + 2)
    roundings = 2 * (_most(A.T) + _most(B) + _most(G.T) + 1) + tiles
    return np.einsum("ki,lj,ocij->ockl", most, most, products), roundings


def _absolute(m: int) -> tuple[Array, Array, Array]:
    A, G, B = (np.abs(np.array(matrix)) for matrix in MATRICES[m])
    return A, G, B


def _most(matrix: Array) -> int:
    """The largest number of entries in a row."""
    return int((matrix > 0).sum(axis=1).max())
