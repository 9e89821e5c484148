"""The pieces that ``unet-ref verify`` hands out: one operation or network each, picklable."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..models import MODELS, Model
from .network import Point
from .report import Row
from .table import OPERATIONS
from .verify import verify_operation
from .verify_model import verify_model, verify_point


def verify_task(name: str, seed: int = 0, device: str = "cpu") -> list[Row]:
    """All rows of one operation or network."""
    if name in MODELS:
        xp = importlib.import_module("cupy") if device == "gpu" else np
        return verify_model(name, seed, xp=xp)
    return verify_operation(OPERATIONS[name], seed, device=device)


def verify_state(
    name: str,
    model: Model,
    state: str | os.PathLike[str] | None,
    inputs: Sequence[str | os.PathLike[str]],
    seed: int = 0,
) -> list[Row]:
    """A network at the user's own state and inputs, in float64: a direction for every parameter tensor, both modes.

    What is left out is drawn: the state from PyTorch's default, the inputs at random.
    """
    rng = np.random.default_rng(seed)
    loaded = model.load(state) if state is not None else model.init(rng, "float64")
    values = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in loaded.items()}
    arrays = [_read(path) for path in inputs]
    if not arrays:
        raise ValueError("--input is needed: the image to check at, as .npy")
    shapes = model.input_shapes(arrays[0].shape if arrays[0].ndim == 4 else (1, *arrays[0].shape))
    arrays += [rng.standard_normal(shape) for shape in shapes[len(arrays) :]]
    arrays = [a if a.ndim == len(s) else a[None] for a, s in zip(arrays, shapes, strict=False)]
    model.check_state(values)
    model.output_shape(*(a.shape for a in arrays))
    rows = []
    for training in (False, True):
        point = Point(model, values, arrays, rng, training=training)
        rows += verify_point(name, point, rng, every=False)
    return rows


def _read(path: str | os.PathLike[str]) -> Any:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{os.fspath(path)} must hold one array: a .npy file")  # noqa: TRY004 - the file is at fault
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{os.fspath(path)}: dtype {array.dtype} must be a real number type")
    return array.astype(np.float64)
