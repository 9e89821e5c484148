"""``gradcheck``: is this backward pass the derivative of this forward pass?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from ..backend import quiet
from .argument import check_argument
from .conduct import conduct
from .device import OnDevice, fetched, is_on_device
from .duals import check_exactly
from .exact import rational
from .layouts import linear, narrow, same_elsewhere
from .point import Options, settle
from .report import Report, Row
from .rounding import signed
from .subject import Subject, argument_names

METHODS = ("auto", "complex", "differences", "exact")


def gradcheck(
    forward: Callable[..., Any], backward: Callable[..., Any], *arrays: Any,
    rng: int | np.random.Generator = 0, executor: Executor | None = None, method: str = "auto",
    directions: int | None = None, every: int = 10_000, batch: str = "auto", affine: Sequence[str] = (),
    names: Sequence[str] | None = None, aliasing: bool = False,
) -> Report:  # fmt: skip
    """Compare ``backward`` with slopes of ``forward``: ``d<v, forward(x)>/dx[i]`` for a random v and every i.

    Arguments:
        forward: ``forward(*arrays) -> y``, one array.
        backward: ``backward(grad_output, *arrays)`` -> a gradient for each floating array: a NamedTuple or a dict named
            like ``forward``'s parameters, a tuple, a list, or one array. ``None`` where there is none.
        arrays: the point, random and signed if you can: at zeros and ones mistakes hide. NumPy or CuPy. Integer arrays
            and ``None`` are passed on. float32 and float16 are checked in float64 at the same point, and then
            compared with that. ``object`` arrays of Fractions are checked exactly.
        rng: a seed or a generator, for cotangents and directions.
        executor: any ``concurrent.futures.Executor``; the functions must pickle if it uses processes. Same bits.
        method: ``"complex"`` steps; ``"differences"``, with a step of 1 where the output is affine; ``"exact"``, by
            dual numbers over the rationals; ``"auto"``: differences where affine, else complex steps where forward
            takes them, else differences.
        directions: so many random directions instead of every coordinate.
        every: arguments with at most so many elements are checked at each of them, larger ones along 32 directions.
        batch: ``"auto"`` finds out whether samples can be stacked along the first axis, ``"never"`` does not.
        affine: names of arguments in which the output is affine; others are tested for it.
        names: what to call the arguments; else as ``forward``'s parameters.
        aliasing: whether results may share memory with each other and with the inputs.

    Returns
    -------
        A report: true if the gradients are right; ``print`` shows it; ``rows`` has it as data.

    Raises
    ------
        ValueError: an option, or a point, that makes no sense. What ``forward`` or ``backward`` raise comes through.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((3, 4))
    >>> bool(gradcheck(np.tanh, lambda grad_output, x: grad_output * (1 - np.tanh(x) ** 2), x))
    True
    >>> bool(gradcheck(np.tanh, lambda grad_output, x: grad_output * (1 - np.tanh(x)), x))
    False
    """
    if method not in METHODS:
        raise ValueError(f"gradcheck: method ({method!r}) must be one of {', '.join(map(repr, METHODS))}")
    if batch not in ("auto", "never"):
        raise ValueError(f"gradcheck: batch ({batch!r}) must be 'auto' or 'never'")
    if directions is not None and directions < 1:
        raise ValueError(f"gradcheck: directions ({directions}) must be at least 1")
    generator = np.random.default_rng(rng)
    labels = tuple(names) if names is not None else argument_names(forward, len(arrays))
    if len(labels) != len(arrays):
        raise ValueError(f"gradcheck: names has {len(labels)} entries for {len(arrays)} arrays")
    if any(map(is_on_device, arrays)):
        forward, backward, arrays = OnDevice(forward), OnDevice(backward), fetched(arrays)
    copies = tuple(np.array(a) if isinstance(a, np.ndarray | np.generic) else a for a in arrays)
    subject = Subject(forward, backward, copies, labels)
    _check_point(subject)
    seed = int(generator.integers(1 << 31))
    options = Options(seed, method, directions, every, batch, tuple(affine), executor)
    with quiet():
        return Report(tuple(_rows(subject, options, generator, aliasing)))


def _check_point(subject: Subject) -> None:
    for position in subject.varied:
        array = subject.arrays[position]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"gradcheck: {subject.names[position]} holds NaN or infinity, where there is no derivative"
            )
    if not subject.varied:
        raise ValueError("gradcheck: none of the arguments is an array of floating dtype")


def _rows(subject: Subject, options: Options, rng: np.random.Generator, aliasing: bool) -> Iterator[Row]:
    exact = options.method == "exact" or any(subject.arrays[k].dtype == object for k in subject.varied)
    y = subject.y()
    v = rational(rng, y.shape) if y.dtype == object else np.asarray(signed(rng, y.shape).astype(y.dtype))
    behaviour = list(conduct(subject, v, aliasing=aliasing))
    yield from behaviour
    if not all(row.holds for row in behaviour):
        return  # values of functions that misbehave mean little
    if exact:
        yield from check_exactly(subject, options.seed, options.directions, options.every, options.executor)
        return
    point = settle(subject.cast(np.float64), v.astype(np.float64), options)
    yield from same_elsewhere(point)
    yield linear(point, rng)
    for position in point.gradients:
        yield from check_argument(point, position)
    if any(subject.arrays[k].dtype != np.float64 for k in point.gradients):
        yield narrow(point, subject)
