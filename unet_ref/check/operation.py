"""What a row of the table of operations says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import ops, spec


class Case(NamedTuple):
    """Valid arguments of an operation: ``forward(**arrays, **options)``; array order is the signature's order."""

    arrays: dict[str, Any]
    options: dict[str, Any]

    def map(self, function: Callable[[Any], Any]) -> Case:
        """The same case with ``function`` of every array of floats or exact scalars, those in tuples too.

        Arrays of integers and absent arguments stay what they are.
        """

        def convert(array: Any) -> Any:
            if isinstance(array, tuple | list):
                return tuple(convert(item) for item in array)
            return array if array is None or array.dtype.kind not in "fcO" else function(array)

        return Case({name: convert(array) for name, array in self.arrays.items()}, self.options)


@dataclass(frozen=True)
class Operation:
    """One operation of the contract: the checker, the tests, the judge, the docs and the command go through these.

    Attributes
    ----------
        name: the one name: of the function in ``ops`` and ``spec``, of the test file and of the page.
        gradients: the arguments that get a gradient, as the backward pass returns them.
        draw: valid arguments in float64, another geometry at each call; ``draw(rng)``.
        arithmetic: what the definition is made of. ``"rational"``: only ``+ - * /`` and comparisons;
            ``"root"``: square roots too; ``"transcendental"``: exp, log, tanh or erf too.
        draw_exact: for ``"root"``, arguments in Fractions at which every root is rational.
        linear: the arguments in each of which (the others held) the output is affine: a difference quotient with a
            step of 1 has no truncation error there.
        analytic: whether the complex step applies (no comparison of the varied values decides).
        separable: whether sample ``n`` of the output depends on sample ``n`` of ``x`` alone.
    """

    name: str
    gradients: tuple[str, ...]
    draw: Callable[[np.random.Generator], Case]
    arithmetic: str = "rational"
    draw_exact: Callable[[np.random.Generator], Case] | None = None
    linear: tuple[str, ...] = ()
    analytic: bool = True
    separable: bool = True

    @property
    def forward(self) -> Callable[..., Any]:
        """``ops.name``."""
        return getattr(ops, self.name)  # type: ignore[no-any-return]

    @property
    def backward(self) -> Callable[..., Any] | None:
        """``ops.name_backward``; ``None`` for ``batch_norm_running_stats``, which has none."""
        return getattr(ops, f"{self.name}_backward", None)

    @property
    def shape(self) -> Callable[..., Any] | None:
        """``ops.name_shape``, where the operation changes a shape."""
        return getattr(ops, f"{self.name}_shape", None)

    @property
    def definition(self) -> Callable[..., Any]:
        """``spec.name``."""
        return getattr(spec, self.name)  # type: ignore[no-any-return]

    @property
    def definition_backward(self) -> Callable[..., Any] | None:
        """``spec.name_backward``."""
        return getattr(spec, f"{self.name}_backward", None)
