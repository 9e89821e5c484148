"""``ops`` for a pass that a backward pass will follow: what that would have to find again is found once and kept.

Batch norm's backward needs the batch's mean and variance, max pooling's the place of each maximum. The functions of
``ops`` are pure and compute them anew; here the forward pass hands them on. The formulas are the same functions, and
so are the bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import ops
from ..backend import Array, namespace, settings
from ..ops import normalize
from ..ops.batch_norm_running_stats import running_stats
from ..ops.elementwise import FEW_PASSES, in_pieces
from ..ops.gelu import with_slope
from ..ops.max_pool2d import choose, give_back
from ..ops.pooling import pool_window
from ..ops.relu import gate
from ..ops.tiles import rows
from ..passes import positive
from ..spec.batch_norm import BatchNormGrads
from ..spec.gelu import GeluGrads
from ..spec.max_pool2d import MaxPool2dGrads
from ..spec.relu import ReluGrads

EPS, MOMENTUM = 1e-5, 0.1  # PyTorch's defaults, which all networks use


class Remembered(NamedTuple):
    """An output, what its backward pass will want, and updated running statistics (of batch norm)."""

    y: Array
    backward: Callable[[Array], Any]
    buffers: tuple[Array, ...] = ()


class Remembering:
    """``ops``, and ``remember_*`` for operations with something to remember; ``None`` where the plain form must do."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)

    def remember_batch_norm(
        self, x: Array, weight: Array, bias: Array, running_mean: Array, running_var: Array, *, training: bool
    ) -> Remembered | None:
        """Training: the batch's moments serve the output, the running statistics and the gradient."""
        if not training or not _plain(x):
            return None
        ops.batch_norm(x[:0], weight, bias, running_mean, running_var, training=True)  # the rules of the arguments
        with settings():
            y, moments = normalize.forward(rows(x, 2), weight, bias, EPS, normalize.BATCH)
            M = x.shape[0] * math.prod(x.shape[2:])
            buffers = running_stats(moments, M, running_mean, running_var, MOMENTUM)
        return Remembered(y.reshape(x.shape), functools.partial(_batch_norm_backward, x, weight, moments), buffers)

    def remember_max_pool2d(self, x: Array, **options: Any) -> Remembered | None:
        """The number of the chosen tap, one byte an output pixel; the input itself is no longer needed."""
        if not _plain(x):
            return None
        window = pool_window(
            "max_pool2d", x.shape, options["kernel_size"], options.get("stride"), options.get("padding", 0), 1, False
        )
        with settings():
            y, taps = choose(x, window)

        def backward(dy: Array) -> MaxPool2dGrads:
            return MaxPool2dGrads(give_back(dy, taps, window))

        return Remembered(y, backward)

    def remember_gelu(self, x: Array) -> Remembered | None:
        """The slope in place of the input: both come out of one evaluation."""
        if x.dtype.char == "e":
            return None
        with settings():
            y, slope = with_slope(x)

        def backward(dy: Array) -> GeluGrads:
            with settings():
                return GeluGrads(dy * slope)

        return Remembered(y, backward)

    def relu_in_place(self, x: Array) -> Array:
        """ReLU of an array that nobody else will read, in its own memory."""
        if not _own_memory(x):
            return ops.relu(x)
        positive(x.reshape(-1), out=x.reshape(-1))
        return x

    def add_in_place(self, a: Array, b: Array) -> Array:
        """``a + b`` in the memory of an ``a`` that nobody else will read."""
        if a.shape != b.shape or not (_own_memory(a) and _own_memory(b)):
            return a + b
        in_pieces(lambda a, b: namespace(a).add(a, b, out=a), a, b, most=FEW_PASSES)
        return a

    def relu_backward_in_place(self, dy: Array, x: Array) -> ReluGrads:
        """Its gradient, in the memory of a ``dy`` that nobody else will read."""
        return ReluGrads(gate(dy, x, dy)) if _own_memory(dy) else ops.relu_backward(dy, x)


def _batch_norm_backward(x: Array, weight: Array, moments: normalize.Moments, dy: Array) -> BatchNormGrads:
    with settings():
        dx, dweight, dbias = normalize.backward(rows(dy, 2), rows(x, 2), weight, EPS, normalize.BATCH, moments)
    return BatchNormGrads(dx.reshape(x.shape), dweight, dbias)


def _own_memory(x: Array) -> bool:
    """An array whose elements can be written one by one where they lie (float16 is widened, others chosen by hand)."""
    return x.dtype.char in "fdg" and bool(x.flags.c_contiguous)


def _plain(x: Array) -> bool:
    """Neither float16, which ``ops`` widens, nor an image whose statistics do not exist (``ops`` says so)."""
    return bool(x.dtype.char != "e" and x.size > x.shape[1])
