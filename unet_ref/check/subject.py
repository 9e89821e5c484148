"""The pair of functions under test, its arguments named, and its gradients told apart."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import Array


@dataclass(frozen=True)
class Subject:
    """``forward``, ``backward`` and the point at which they are checked. It pickles, if the functions do.

    Attributes
    ----------
        forward: ``forward(*arrays) -> y``.
        backward: ``backward(grad_output, *arrays)`` -> gradients.
        arrays: the arguments; ``None`` and arrays of integers are passed on and never varied.
        names: one for each argument.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    arrays: tuple[Any, ...]
    names: tuple[str, ...]

    @property
    def varied(self) -> tuple[int, ...]:
        """The positions of the arguments that have derivatives: floating arrays, and arrays of exact scalars."""
        return tuple(k for k, array in enumerate(self.arrays) if is_varied(array))

    def cast(self, dtype: Any) -> Subject:
        """The same with every varied array in ``dtype``."""
        return replace(self, arrays=tuple(a.astype(dtype) if is_varied(a) else a for a in self.arrays))

    def at(self, position: int, array: Array) -> Subject:
        """The same with another array for one argument."""
        array = np.asarray(array)  # what NumPy makes a scalar of where there are no axes
        return replace(self, arrays=(*self.arrays[:position], array, *self.arrays[position + 1 :]))

    def y(self) -> Array:
        """The output, as an array."""
        result = self.forward(*self.arrays)
        if isinstance(result, tuple | list) or np.asarray(result).dtype.kind not in "fcO":
            raise TypeError(f"gradcheck: forward must return one floating array, got {type(result).__name__}")
        return np.asarray(result)

    def gradients(self, grad_output: Array) -> dict[int, Any]:
        """What ``backward`` returns, by the position of the argument it belongs to."""
        return by_argument(self.backward(grad_output, *self.arrays), self.names, self.varied)


def is_varied(array: Any) -> bool:
    """Whether an argument has derivatives."""
    return hasattr(array, "dtype") and array.dtype.kind in "fO"


def argument_names(forward: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The names of ``forward``'s first ``count`` parameters; ``arg0, arg1 ..`` where it has ``*args``."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):  # some functions written in C
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(named[k] if k < len(named) else f"arg{k}" for k in range(count))


def by_argument(gradients: Any, names: Sequence[str], varied: Sequence[int]) -> dict[int, Any]:
    """A dict or NamedTuple goes by its names; a tuple or list has one gradient for each argument or each varied one."""
    fields = getattr(gradients, "_fields", None)
    if fields is not None and set(fields) <= set(names):
        gradients = dict(zip(fields, gradients, strict=True))
    if isinstance(gradients, Mapping):
        unknown = sorted(set(gradients) - set(names))
        if unknown:
            raise ValueError(f"backward returned a gradient for {unknown[0]!r}; the arguments are {', '.join(names)}")
        return {names.index(name): gradient for name, gradient in gradients.items()}
    if not isinstance(gradients, tuple | list):
        gradients = (gradients,)
    if len(gradients) not in (len(names), len(varied)):
        raise ValueError(
            f"backward returned {len(gradients)} gradients for {len(names)} arguments ({', '.join(names)}), "
            f"{len(varied)} of them floating arrays"
        )
    return dict(zip(varied if len(gradients) == len(varied) else range(len(names)), gradients, strict=True))
