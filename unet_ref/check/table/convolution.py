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


CONVOLUTION = (Operation("conv2d", ("x", "weight", "bias"), draw_conv2d, linear=("x", "weight", "bias")),)
