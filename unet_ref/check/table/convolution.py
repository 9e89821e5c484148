"""Rows of the table of operations: convolutions and the linear layer."""

from __future__ import annotations

import numpy as np

from ..operation import Case, Operation


def draw_conv2d(rng: np.random.Generator) -> Case:
    """Uneven everything: groups, stride, dilation and four different pads, with a remainder or without."""
    groups = int(rng.integers(1, 4))
    O, C = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    KH, KW, sh, sw, dh, dw = (int(v) for v in rng.integers(1, 4, 6))
    padding = tuple(tuple(int(v) for v in rng.integers(0, 3, 2)) for _ in "hw")
    H, W = (d * (k - 1) + 1 + int(rng.integers(2, 5)) for d, k in ((dh, KH), (dw, KW)))
    lead = [(), (int(rng.integers(1, 4)),)][int(rng.integers(4) > 0)]
    arrays = {
        "x": rng.standard_normal((*lead, C, H, W)),
        "weight": rng.standard_normal((O, C // groups, KH, KW)),
        "bias": rng.standard_normal(O) if rng.integers(4) else None,
    }
    return Case(arrays, {"stride": (sh, sw), "padding": padding, "dilation": (dh, dw), "groups": groups})


def draw_conv_transpose2d(rng: np.random.Generator) -> Case:
    """Uneven everything, and an output padding of up to the larger of stride and dilation."""
    groups = int(rng.integers(1, 4))
    C, O = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    KH, KW, sh, sw, dh, dw = (int(v) for v in rng.integers(1, 4, 6))
    H, W = (int(v) for v in rng.integers(1, 4, 2))
    more = tuple(int(rng.integers(0, max(s, d))) for s, d in ((sh, dh), (sw, dw)))
    padding = []
    for n, s, k, d, extra in ((H, sh, KH, dh, more[0]), (W, sw, KW, dw, more[1])):
        before, after = (int(v) for v in rng.integers(0, 3, 2))
        room = s * (n - 1) + d * (k - 1) + extra  # at least one row must be left
        padding.append((min(before, room), min(after, room - min(before, room))))
    lead = [(), (int(rng.integers(1, 4)),)][int(rng.integers(4) > 0)]
    arrays = {
        "x": rng.standard_normal((*lead, C, H, W)),
        "weight": rng.standard_normal((C, O // groups, KH, KW)),
        "bias": rng.standard_normal(O) if rng.integers(4) else None,
    }
    options = {
        "stride": (sh, sw), "padding": tuple(padding), "output_padding": more, "groups": groups, "dilation": (dh, dw)
    }  # fmt: skip
    return Case(arrays, options)


def draw_linear(rng: np.random.Generator) -> Case:
    """No leading axis, one, or two."""
    I, O = (int(v) for v in rng.integers(1, 8, 2))
    lead = tuple(int(v) for v in rng.integers(1, 5, rng.integers(0, 3)))
    arrays = {
        "x": rng.standard_normal((*lead, I)),
        "weight": rng.standard_normal((O, I)),
        "bias": rng.standard_normal(O) if rng.integers(4) else None,
    }
    return Case(arrays, {})


AFFINE = ("x", "weight", "bias")

CONVOLUTION = (
    Operation("conv2d", AFFINE, draw_conv2d, linear=AFFINE),
    Operation("conv_transpose2d", AFFINE, draw_conv_transpose2d, linear=AFFINE),
    Operation("linear", AFFINE, draw_linear, linear=AFFINE),
)
