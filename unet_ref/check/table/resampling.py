"""Rows of the table of operations: resampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..operation import Case, Operation


def draw_resized(rng: np.random.Generator) -> Case:
    """Up and down, by a size or by a factor, one for both axes or one for each, whole factors and broken ones."""
    x = _image(rng, *(int(v) for v in rng.integers(2, 6, 2)))
    sizes, factors = (int(v) for v in rng.integers(1, 12, 2)), (_factor(rng) for _ in "hw")
    option = "size" if rng.integers(2) else "scale_factor"
    h, w = sizes if option == "size" else factors
    return Case({"x": x}, {option: h if rng.integers(4) == 0 else (h, w)})


def _factor(rng: np.random.Generator) -> Any:
    """Whole, short, one at which the size stays or doubles anyway, or any; at least 1/2: of two pixels one stays."""
    kinds = int(rng.integers(1, 4)), float(rng.choice([0.5, 1.3, 5 / 3, 1.0239, 2.1])), float(rng.uniform(0.5, 3))
    return kinds[int(rng.integers(3))]


def draw_center_crop2d(rng: np.random.Generator) -> Case:
    """Odd and even differences, and none; a square now and then."""
    H, W = (int(v) for v in rng.integers(1, 8, 2))
    size = int(rng.integers(1, min(H, W) + 1)), int(rng.integers(1, H + 1)), int(rng.integers(1, W + 1))
    return Case({"x": _image(rng, H, W)}, {"size": size[0] if rng.integers(4) == 0 else size[1:]})


def draw_pad2d(rng: np.random.Generator) -> Case:
    """All modes and forms of padding, wider than the image where the mode allows, and negative ones."""
    mode = str(rng.choice(["constant", "reflect", "replicate"]))
    H, W = (int(v) for v in rng.integers(3, 6, 2))
    most = min(H, W) - 1 if mode == "reflect" else 6
    p = [int(v) for v in rng.integers(-1, most + 1, 4)]
    padding = [abs(p[0]), (p[0], p[1]), ((p[0], p[1]), (p[2], p[3]))][int(rng.integers(3))]
    options = {"padding": padding, "mode": mode}
    return Case({"x": _image(rng, H, W)}, options | ({"value": float(rng.normal())} if mode == "constant" else {}))


def _image(rng: np.random.Generator, H: int, W: int) -> Any:
    """One to three channels, in a batch three times out of four."""
    lead = [(), (int(rng.integers(1, 3)),)][int(rng.integers(4) > 0)]
    return rng.standard_normal((*lead, int(rng.integers(1, 4)), H, W))


RESAMPLING = (
    Operation("upsample_nearest2d", ("x",), draw_resized, linear=("x",)),
    Operation("upsample_bilinear2d", ("x",), draw_resized, linear=("x",)),
    Operation("center_crop2d", ("x",), draw_center_crop2d, linear=("x",)),
    Operation("pad2d", ("x",), draw_pad2d, linear=("x",)),
)
