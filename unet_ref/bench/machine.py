"""What the machine can do: its matrix product, and how fast it copies."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..passes import BLOCK_ELEMENTS
from ..threads import parallel
from .clock import Call, array_module

MATRIX = {"cpu": 2048, "gpu": 8192}  # side of the matrix product that stands for the machine
PARTS = 16  # of an array that threads copy, unless that makes them small


class Limit(NamedTuple):
    """Something that the machine does as fast as it can: a call, and its work.

    ``kind`` is ``"product"``, whose work are additions and multiplications, or ``"copy"``, whose work are bytes.
    """

    kind: str
    call: Call
    work: float


def product(dtype: str, device: str) -> Limit:
    """A large square matrix product, on all threads of BLAS."""
    xp, side = array_module(device), MATRIX[device]
    matrix = xp.asarray(np.random.default_rng(0).standard_normal((side, side)).astype(dtype))
    result = xp.empty_like(matrix)
    return Limit("product", lambda: xp.matmul(matrix, matrix, out=result), 2.0 * side**3)


def copying(array: Any) -> Limit:
    """A copy of the array into new memory, which every operation's result needs, on all threads."""
    if not isinstance(array, np.ndarray):
        return Limit("copy", array.copy, 2.0 * array.nbytes)
    source = np.ascontiguousarray(array).reshape(-1)
    step = max(BLOCK_ELEMENTS, -(-source.size // PARTS))
    parts = [slice(start, start + step) for start in range(0, source.size, step)]

    def copy() -> Any:
        made = np.empty_like(source)
        parallel(lambda part: np.copyto(made[part], source[part]), parts)
        return made

    return Limit("copy", copy, 2.0 * array.nbytes)
