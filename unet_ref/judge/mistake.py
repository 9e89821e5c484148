"""What a named mistake is, and how one runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .. import ops


class Results(NamedTuple):
    """What an implementation returned: the output, and the gradients by argument name (without the absent ones)."""

    output: Any
    grads: dict[str, Any]


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


def right(arguments: Arguments) -> Results:
    """The reference's own results."""
    name, arrays, options, grad_output = arguments
    output = getattr(ops, name)(*arrays.values(), **options)
    if grad_output is None or not hasattr(ops, f"{name}_backward"):
        return Results(output, {})
    grads = getattr(ops, f"{name}_backward")(grad_output, *arrays.values(), **options)
    return Results(output, by_name(grads, arrays))


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
    """

    name: str
    operations: tuple[str, ...]
    explanation: str
    mend: str
    run: Callable[[Arguments, Callable[[Arguments], Results]], Results | None]
    affects: frozenset[str] = field(default=frozenset({"output", "grads"}))

    def __call__(self, arguments: Arguments, base: Callable[[Arguments], Results] = right) -> Results | None:
        """The results with this mistake, or ``None`` where it does not apply."""
        return self.run(arguments, base) if arguments.name in self.operations else None
