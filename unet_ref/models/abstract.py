"""Shapes in place of arrays: the same forward and backward code, without touching a number.

``Shapes`` has the functions of ``ops``, each given by its shape law: a forward function returns the shape that its law
says, a backward function returns shapes like those of its arguments. ``Meter`` counts the bytes that are alive, as
Python frees them: that is the peak memory of the real run, workspace inside an operation apart.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import ops


class Meter:
    """Bytes alive now, and the most that ever were."""

    def __init__(self) -> None:
        self.alive = self.peak = 0

    def watch(self, array: Abstract) -> None:
        """Count ``array`` until it is freed."""
        self.alive += array.nbytes
        self.peak = max(self.peak, self.alive)
        weakref.finalize(array, self._freed, array.nbytes)

    def _freed(self, nbytes: int) -> None:
        self.alive -= nbytes


class Abstract:
    """An array's shape and dtype."""

    def __init__(self, shape: Any, dtype: Any, meter: Meter | None = None) -> None:
        self.shape, self.dtype, self.meter = tuple(shape), np.dtype(dtype), meter
        if meter is not None:
            meter.watch(self)

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Their memory."""
        return self.size * int(self.dtype.itemsize)

    def like(self, shape: Any) -> Abstract:
        """Another array of the same dtype."""
        return Abstract(shape, self.dtype, self.meter)

    def hollow(self) -> Abstract:
        """The same shape, without memory."""
        return Abstract(self.shape, self.dtype)

    def reshape(self, *shape: Any) -> Abstract:
        """A view: no memory of its own."""
        return Abstract(shape if len(shape) != 1 or isinstance(shape[0], int) else shape[0], self.dtype)

    def __getitem__(self, index: Any) -> Abstract:
        if index == 0:
            return Abstract(self.shape[1:], self.dtype)
        if index is None:
            return Abstract((1, *self.shape), self.dtype)
        return Abstract(np.broadcast_to(np.zeros(()), self.shape)[index].shape, self.dtype)

    def _same(self, _: Any) -> Abstract:
        return self.like(self.shape)

    __add__ = __truediv__ = __radd__ = _same


class Shapes:
    """``ops`` on ``Abstract`` arrays: ``Shapes().conv2d(x, weight, bias, padding=1)``."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.endswith("_backward"):
            return self._backward
        if name != "add" and not hasattr(ops, name):
            raise AttributeError(name)
        law = getattr(ops, f"{name}_shape", None)

        def forward(*arguments: Any, **options: Any) -> Any:
            like = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
            if name == "batch_norm_running_stats":
                if like.size == like.shape[1]:  # one value per channel: the operation says so itself
                    ops.batch_norm_running_stats(*(np.zeros(a.shape) for a in arguments))
                return arguments[1], arguments[2]
            shape = like.shape if law is None else law(*map(_shape, arguments), **options)
            return like.like(shape)

        return forward

    def relu_in_place(self, x: Abstract) -> Abstract:
        """No memory of its own."""
        return x

    def add_in_place(self, a: Abstract, _: Abstract) -> Abstract:
        """No memory of its own."""
        return a

    def relu_backward_in_place(self, dy: Abstract, _: Abstract) -> Any:
        """Nor its gradient."""
        return _Fields([dy])

    def _backward(self, grad: Any, *arguments: Any, **_: Any) -> Any:
        x, *rest = arguments
        if isinstance(x, tuple):
            return tuple(grad.like(item.shape) for item in x)
        fields: list[Any] = [grad.like(x.shape), *(None if a is None else grad.like(a.shape) for a in rest)]
        return _Fields(fields)


class _Fields(SimpleNamespace):
    """Gradients by name (``x``, ``weight``, ``bias``) or in order."""

    def __init__(self, fields: list[Any]) -> None:
        super().__init__(**dict(zip(("x", "weight", "bias"), (*fields, None, None), strict=False)))
        self.fields = fields

    def __iter__(self) -> Any:
        return iter(self.fields)


def _shape(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return tuple(item.shape for item in argument)
    return None if argument is None else argument.shape
