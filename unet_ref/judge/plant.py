"""Mistakes planted: random arguments at which a mistake shows, and what an implementation with it returns there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..check.table import OPERATIONS
from .bank.memory import cast
from .cases import designed_cases
from .mistake import Arguments, Base, Mistake, Results, each_array, right
from .pairs import composed
from .trial import Observation, Trial, guarded

TRIES, TRIES_OF_A_PAIR = 600, 60  # draws in all
PLAIN = 30  # of them as they come from the table, before anything particular is tried


class Planted(NamedTuple):
    """A wrong result, and the mistakes that made it."""

    arguments: Arguments
    got: Results
    mistakes: tuple[Mistake, ...]


def plant(mistake: Mistake, operation: str, rng: np.random.Generator, dtype: Any = "float64") -> Planted | None:
    """The mistake at random arguments at which it shows; ``None`` where none are found."""
    return _first(operation, rng, dtype, (mistake,), mistake)


def plant_pair(
    one: Mistake, other: Mistake, operation: str, rng: np.random.Generator, dtype: Any = "float64"
) -> Planted | None:
    """Two mistakes at once, at arguments at which both show, and which neither explains alone."""
    return _first(operation, rng, dtype, (one, other), composed(one, other))


def candidate(mistake: Mistake, operation: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and backward with the mistake in them, as ``judge_implementation`` calls them; right where it cannot show."""
    names = list(designed_cases(operation)[0].arguments.arrays)

    def run(grad_output: Any, arrays: tuple[Any, ...], options: dict[str, Any]) -> Results:
        arguments = Arguments(operation, dict(zip(names, arrays, strict=True)), options, grad_output)
        return mistake(arguments) or right(arguments)

    def forward(*arrays: Any, **options: Any) -> Any:
        return each_array(run(None, arrays, options).output, np.array)  # never the argument's own memory

    def backward(grad_output: Any, *arrays: Any, **options: Any) -> Any:
        return run(grad_output, arrays, options).grads

    return forward, backward


def _first(
    operation: str, rng: np.random.Generator, dtype: Any, mistakes: tuple[Mistake, ...], run: Base | Mistake
) -> Planted | None:
    for k in range(TRIES if len(mistakes) == 1 else TRIES_OF_A_PAIR):
        particular = plain if k < PLAIN else SPECIAL[k % len(SPECIAL)]
        arguments = drawn(operation, rng, dtype, particular)
        got = guarded(lambda arguments=arguments: run(arguments))
        if got is None:
            continue
        trial = Trial(Observation(arguments, got))
        if trial.wrong and (len(mistakes) == 1 or _both_show(trial, mistakes)):
            return Planted(arguments, got, mistakes)
    return None


def _both_show(trial: Trial, mistakes: tuple[Mistake, ...]) -> bool:
    matches = [trial.run(each) for each in mistakes]
    return all(match is not None and match.explains != set(trial.wrong) for match in matches)


def drawn(operation: str, rng: np.random.Generator, dtype: Any, particular: Callable[..., Arguments]) -> Arguments:
    """Random arguments from the table, made particular, with an upstream gradient."""
    row = OPERATIONS[operation]
    case = row.draw(rng)
    arguments = particular(Arguments(operation, dict(case.arrays), dict(case.options)), rng).map(np.asarray)
    if row.backward is not None:
        y = row.forward(*arguments.arrays.values(), **arguments.options)
        arguments = arguments._replace(grad_output=np.asarray(rng.standard_normal(y.shape)))
    if particular is stretched_in_memory:
        arguments = arguments.map(_columns_first)
    return arguments.map(lambda array: cast(array, dtype))


def plain(arguments: Arguments, rng: np.random.Generator) -> Arguments:  # noqa: ARG001
    """As the table draws them."""
    return arguments


def stretched_in_memory(arguments: Arguments, rng: np.random.Generator) -> Arguments:  # noqa: ARG001
    """In column-major order (when the upstream gradient is there too)."""
    return arguments


def _columns_first(array: Any) -> Any:
    return np.array(array, order="F")


def _of_x(change: Callable[[Any, np.random.Generator], Any]) -> Callable[..., Arguments]:
    """The first argument changed."""

    def particular(arguments: Arguments, rng: np.random.Generator) -> Arguments:
        x = arguments.arrays.get("x")
        return arguments if x is None else arguments.with_arrays(x=change(np.array(x), rng))

    return particular


def _sprinkled(value: float) -> Callable[[Any, np.random.Generator], Any]:
    def change(x: Any, rng: np.random.Generator) -> Any:
        return np.where(rng.random(x.shape) < 0.4, value, x)

    return change


def more_channels(arguments: Arguments, rng: np.random.Generator) -> Arguments:
    """Five to nine input channels in every group of a convolution, and no bias half of the time."""
    name, arrays = arguments.name, dict(arguments.arrays)
    if name not in ("conv2d", "conv_transpose2d", "linear"):
        return arguments
    I, groups = int(rng.integers(5, 10)), arguments.options.get("groups", 1)
    x, weight = list(arrays["x"].shape), list(arrays["weight"].shape)
    x[-1 if name == "linear" else -3] = I * groups
    weight[0 if name == "conv_transpose2d" else 1] = I * (groups if name == "conv_transpose2d" else 1)
    arrays |= {"x": rng.standard_normal(x), "weight": rng.standard_normal(weight)}
    return arguments._replace(arrays=arrays | ({"bias": None} if rng.integers(2) else {}))


SPECIAL: tuple[Callable[..., Arguments], ...] = (
    plain,
    _of_x(lambda x, _: np.round(x)),  # ties, and zeros
    _of_x(_sprinkled(np.nan)),
    _of_x(_sprinkled(-np.inf)),
    _of_x(lambda x, _: 8 * x),
    _of_x(lambda x, _: 400 * x),  # exp overflows, in float32 at least
    _of_x(lambda x, _: x + 2000),  # a mean that is large beside the spread
    stretched_in_memory,
    more_channels,
)
