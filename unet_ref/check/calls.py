"""An operation at a drawn case as a pair of functions of arrays alone, which is what a checker of gradients knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import namespace
from .device import OnDevice
from .operation import Case, Operation
from .subject import Subject


@dataclass(frozen=True)
class Call:
    """``function`` of a case's arrays laid flat: an argument that is a list of arrays (``concat``) is several here.

    ``layout``: each argument's name, and how many arrays it is, ``None`` for one. ``gradients``: for a backward pass,
    which takes ``grad_output`` first, the arguments that it has gradients for.
    """

    function: Callable[..., Any]
    layout: tuple[tuple[str, int | None], ...]
    options: dict[str, Any]
    gradients: tuple[str, ...] | None = None

    def __call__(self, *arrays: Any) -> Any:
        """One array; or, of a backward pass, the gradients by name."""
        given = iter(arrays)
        lead = [] if self.gradients is None else [next(given)]
        arguments = [next(given) if n is None else tuple(next(given) for _ in range(n)) for _, n in self.layout]
        result = self.function(*lead, *arguments, **self.options)
        if self.gradients is not None:
            return dict(named(self.gradients, by_argument(result)))
        if isinstance(result, tuple):  # batch_norm_running_stats: mean and variance
            return namespace(*result).concatenate([part.ravel() for part in result])
        return result


def named(names: tuple[str, ...], values: Any) -> Iterator[tuple[str, Any]]:
    """A case's arrays, or gradients, laid flat: ``(name, array)``, and ``arrays[0]`` for the first array of a list."""
    for name, value in zip(names, values, strict=True):
        if isinstance(value, tuple | list):
            yield from ((f"{name}[{k}]", item) for k, item in enumerate(value))
        else:
            yield name, value


def by_argument(gradients: Any) -> tuple[Any, ...]:
    """What a backward pass returns, an entry an argument: a NamedTuple is that; ``concat``'s tuple is one argument's."""
    return gradients if hasattr(gradients, "_fields") else (gradients,)


def subject_of(operation: Operation, case: Case, device: str = "cpu", *, definition: bool = False) -> Subject:
    """The operation (or its definition) at this case, on the device; its arrays and gradients on the host."""
    layout = tuple((name, len(a) if isinstance(a, tuple | list) else None) for name, a in case.arrays.items())
    functions = (operation.forward, operation.backward)
    if definition:
        functions = (operation.definition, operation.definition_backward)
    forward: Callable[..., Any] = Call(functions[0], layout, case.options)
    backward: Callable[..., Any] = no_gradients
    if functions[1] is not None:
        backward = Call(functions[1], layout, case.options, operation.gradients)
    if device != "cpu":
        forward, backward = OnDevice(forward), OnDevice(backward)
    names, arrays = zip(*named(tuple(case.arrays), tuple(case.arrays.values())), strict=True)
    return Subject(forward, backward, tuple(np.asarray(a) if isinstance(a, np.generic) else a for a in arrays), names)


def no_gradients(*arrays: Any) -> dict[str, Any]:
    """The backward pass of an operation that has none."""
    del arrays
    return {}
