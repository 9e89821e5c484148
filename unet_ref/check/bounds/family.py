"""What the bounds of every family of operations are made from, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import ops
from ...backend import Array
from .profiles import Profile

Error = Callable[[Profile], Any]  # the elementwise error of one tensor (or of a tuple of them) in some arithmetic


@dataclass(frozen=True)
class Given:
    """An operation at one point: its arguments, and its results in a precision that the bounds may rely on."""

    name: str
    arrays: dict[str, Any]
    options: dict[str, Any]
    grad_output: Any
    y: Any
    grads: dict[str, Any]

    def magnitude(self) -> Array:
        """The operation on absolute values, in float64."""
        return getattr(ops, self.name)(**absolute(self.arrays), **self.options)

    def magnitudes(self) -> dict[str, Array]:
        """Its gradients on absolute values."""
        if self.grad_output is None:
            return {}
        return backward(self.name, absolute(self.grad_output), absolute(self.arrays), self.options)


@dataclass(frozen=True)
class Choice:
    """Where several answers are right: how far another right one may be away, and which one the reference takes."""

    allowance: Any
    rule: str


@dataclass(frozen=True)
class Errors:
    """The errors of an operation's results, each a function of the arithmetic."""

    output: Error
    grads: dict[str, Error] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)


Family = Callable[[Given], Errors]


def absolute(value: Any) -> Any:
    """Absolute values in float64, in dicts and tuples too; integers and ``None`` as they are."""
    if isinstance(value, dict):
        return {name: absolute(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(absolute(item) for item in value)
    return value if value is None or value.dtype.kind != "f" else np.abs(value).astype(np.float64)


def backward(name: str, grad_output: Any, arrays: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The gradients of an operation by name."""
    function = getattr(ops, f"{name}_backward", None)
    if grad_output is None or function is None:
        return {}
    grads = function(grad_output, **arrays, **options)
    return dict(grads._asdict()) if hasattr(grads, "_fields") else {"arrays": grads}


def copied(value: Any) -> Error:
    """The error of numbers that are only moved: none, in any arithmetic."""
    return lambda profile: profile.copied(value)
