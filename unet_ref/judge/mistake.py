"""What a named mistake is, and how one runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import ops
from ..backend import quiet


class Results(NamedTuple):
    """What an implementation returned: the output, and the gradients by argument name (without the absent ones)."""

    output: Any
    grads: dict[str, Any]

    def tensors(self) -> dict[str, Any]:
        """All arrays by name: ``output`` (or ``output.mean``, ``output.var``), ``x``, ``weight``, ``arrays[0]``, ..."""
        found: dict[str, Any] = {}
        for name, value in {"output": self.output, **self.grads}.items():
            if hasattr(value, "_asdict"):
                found |= {f"{name}.{part}": array for part, array in value._asdict().items()}
            elif isinstance(value, tuple | list):
                found |= {f"{name}[{k}]": array for k, array in enumerate(value)}
            else:
                found[name] = value
        return found


class Arguments(NamedTuple):
    """What it was called with: arrays by name in the order of the signature, options, and the upstream gradient."""

    name: str
    arrays: dict[str, Any]
    options: dict[str, Any]
    grad_output: Any = None

    def with_arrays(self, **changed: Any) -> Arguments:
        """The same call with other arrays."""
        return self._replace(arrays=self.arrays | changed)

    def with_options(self, **changed: Any) -> Arguments:
        """The same call with other options."""
        return self._replace(options=self.options | changed)

    def map(self, function: Callable[[Any], Any]) -> Arguments:
        """The same call with ``function`` of every array of numbers, ``grad_output`` too; targets stay what they are."""

        def convert(array: Any) -> Any:
            if isinstance(array, tuple | list):
                return tuple(convert(item) for item in array)
            return array if array is None or array.dtype.kind not in "fcO" else function(array)

        arrays = {name: convert(array) for name, array in self.arrays.items()}
        return self._replace(arrays=arrays, grad_output=convert(self.grad_output))


Base: TypeAlias = Callable[[Arguments], Results]
Run: TypeAlias = Callable[[Arguments, Base], Results | None]
Fit: TypeAlias = Callable[[Arguments, Base, Results], Results | None]


def right(arguments: Arguments) -> Results:
    """The reference's own results."""
    name, arrays, options, grad_output = arguments
    output = getattr(ops, name)(*arrays.values(), **options)
    if grad_output is None or not hasattr(ops, f"{name}_backward"):
        return Results(output, {})
    grads = getattr(ops, f"{name}_backward")(grad_output, *arrays.values(), **options)
    return Results(output, by_name(grads, arrays))


def each_array(results: Any, change: Callable[[Any], Any]) -> Any:
    """A result with every array in it changed: one array, a tuple, a named tuple with absent ones."""
    if isinstance(results, tuple):
        found = [each_array(item, change) for item in results]
        return type(results)(*found) if hasattr(results, "_fields") else tuple(found)
    return None if results is None else change(np.asarray(results))


def by_name(grads: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Gradients in any form that a backward pass returns them in, by argument name, without the absent ones."""
    if hasattr(grads, "_asdict"):
        found = grads._asdict()
    elif isinstance(grads, Mapping):
        found = dict(grads)
    elif isinstance(grads, tuple | list):
        found = {"arrays": tuple(grads)} if "arrays" in arrays else dict(zip(arrays, grads, strict=False))
    else:
        found = {next(iter(arrays)): grads}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


@dataclass(frozen=True)
class Mistake:
    """A wrong operation that people really write, as a function beside its name, its explanation and its mend.

    ``run(arguments, base)`` returns the results with the mistake, starting from ``base``: a function like ``right``
    that computes the results without this mistake (so that two mistakes can be combined: the one's base is the other).
    ``None`` where the mistake cannot show for these arguments, by construction (stride ignored at stride 1).

    Attributes
    ----------
        affects: the tensors that it may change: ``output``, ``grads`` (all gradients), or gradients by argument.
        seen: where it shipped: issues of other projects.
        fit: for a mistake with a number in it that one cannot know (a factor): ``fit(arguments, base, got)`` is the
            mistake with the number that suits ``got`` best. ``run`` then has one of its own.
        narrow: whether rounding or overflow is the mistake, so that it shows only in the dtype of the arguments.
    """

    name: str
    operations: tuple[str, ...]
    explanation: str
    mend: str
    run: Run
    affects: frozenset[str] = field(default=frozenset({"output", "grads"}))
    seen: tuple[str, ...] = ()
    fit: Fit | None = None
    narrow: bool = False

    def __call__(self, arguments: Arguments, base: Base = right) -> Results | None:
        """The results with this mistake, or ``None`` where it does not apply."""
        if arguments.name not in self.operations or not self._shows(arguments):
            return None
        with quiet():
            return self.run(arguments.map(np.asarray), base)

    def fitted(self, arguments: Arguments, got: Results) -> Results | None:
        """The results with this mistake that come nearest to ``got``."""
        if self.fit is None or arguments.name not in self.operations or not self._shows(arguments):
            return None
        with quiet():
            return self.fit(arguments.map(np.asarray), right, got)

    def _shows(self, arguments: Arguments) -> bool:
        """A mistake in the backward pass needs one to show."""
        return "output" in self.affects or arguments.grad_output is not None


def mistake(
    *operations: str, mend: str, affects: tuple[str, ...] = ("output", "grads"), seen: tuple[str, ...] = (),
    name: str | None = None, fit: Fit | None = None, narrow: bool = False,
) -> Callable[[Run], Mistake]:  # fmt: skip
    """Turns a function into the mistake of that name; its docstring is the explanation."""

    def decorate(run: Run) -> Mistake:
        explanation = " ".join((inspect.getdoc(run) or "").split())
        label = name or run.__name__.replace("_", " ")
        return Mistake(label, operations, explanation, mend, run, frozenset(affects), seen, fit, narrow)

    return decorate
