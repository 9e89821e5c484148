"""Rows of the table of operations: pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..operation import Case, Operation


def draw_max_pool2d(rng: np.random.Generator) -> Case:
    """Every form of stride and padding, dilation, ceil mode; no two pixels alike."""
    x, options = _draw_window(rng, dilation=int(rng.integers(1, 3)))
    return Case({"x": x}, options)


def draw_avg_pool2d(rng: np.random.Generator) -> Case:
    """The same without dilation, and every way to choose the divisor."""
    x, options = _draw_window(rng, dilation=1)
    del options["dilation"]
    options["count_include_pad"] = bool(rng.integers(2))
    options["divisor_override"] = [None, int(rng.integers(1, 9)), -3][rng.choice(3, p=[0.7, 0.2, 0.1])]
    return Case({"x": x}, options)


def draw_adaptive_avg_pool2d(rng: np.random.Generator) -> Case:
    """Sizes that divide the image's and sizes that do not, larger ones, the image's own."""
    H, W, H_out, W_out = (int(v) for v in rng.integers(1, 8, 4))
    output_size: Any = [(H_out, W_out), (None, W_out), (H_out, None), H_out][rng.integers(4)]
    return Case({"x": rng.standard_normal((*_lead(rng), H, W))}, {"output_size": output_size})


def _draw_window(rng: np.random.Generator, dilation: int) -> tuple[Any, dict[str, Any]]:
    kernel = tuple(int(v) for v in rng.integers(1, 5, 2))
    dilations = (dilation, int(rng.integers(1, dilation + 1)))
    pads = tuple(tuple(int(v) for v in rng.integers(0, k // 2 + 1, 2)) for k in kernel)
    options = {
        "kernel_size": kernel,
        "stride": [None, int(rng.integers(1, 4)), (2, 3), (3, 2)][rng.integers(4)],
        "padding": [pads, (pads[0][0], pads[1][1]), min(pads[0] + pads[1])][rng.integers(3)],
        "dilation": dilations,
        "ceil_mode": bool(rng.integers(2)),
    }
    H, W = (d * (k - 1) + 1 + int(rng.integers(0, 5)) for d, k in zip(dilations, kernel, strict=True))
    return rng.standard_normal((*_lead(rng), H, W)), options


def _lead(rng: np.random.Generator) -> tuple[int, ...]:
    """Channels alone, or samples and channels."""
    return tuple(int(v) for v in rng.integers(1, 4, 1 + (rng.integers(4) > 0)))


POOLING = (
    Operation("max_pool2d", ("x",), draw_max_pool2d),
    Operation("avg_pool2d", ("x",), draw_avg_pool2d, linear=("x",)),
    Operation("adaptive_avg_pool2d", ("x",), draw_adaptive_avg_pool2d, linear=("x",)),
)
