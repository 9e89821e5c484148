"""The judge of one result: exact data first, then computed bounds, then statistics."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..check.bounds import Profile
from ..check.table import OPERATIONS
from .causes import cause
from .looser import flushed
from .mistake import Arguments, Results, by_name
from .tiers import Bench
from .verdict import BUG, EXACT, LOOSER, ROUNDING, TensorVerdict, Verdict


def judge(
    name: str,
    arrays: Mapping[str, Any] | Sequence[Any],
    options: Mapping[str, Any] | None,
    output: Any,
    grad_output: Any = None,
    grads: Any = None,
    profile: str | Profile = "float32",
    *,
    input_error: Any = None,
) -> Verdict:
    """Is this result right, up to rounding? And if not, which mistake is it?

    Arguments:
        name: the operation.
        arrays: its array arguments, by name or in the signature's order (``None`` for absent ones): what the candidate
            got, in the dtype that it got.
        options: its keyword options.
        output: what the candidate returned; ``None`` if only gradients are to be judged.
        grad_output, grads: the upstream gradient, and the gradients that came back: a named tuple, a dict by argument, or
            a sequence in the signature's order; ``None`` and missing ones are not judged.
        profile: the arithmetic that the candidate is said to use; looser ones are recognised and named.
        input_error: for ``max_pool2d`` and ``relu``, how far off the candidate's own ``x`` may be (a number or an array):
            which pixel is the largest, or which is above 0, then has a set of right answers.

    >>> import numpy as np
    >>> x, weight = np.arange(12.0, dtype="float32").reshape(1, 3, 4), np.ones((1, 1, 1, 2), "float32")
    >>> print(judge("conv2d", [x, weight], {}, output=x[..., :-1] + x[..., 1:]))
    conv2d, float32: exact.
      the output: exact, all 9 elements
    """
    arguments = call(name, arrays, options or {}, grad_output)
    if grads is not None and grad_output is None:
        raise ValueError(f"judge: {name}: gradients can only be judged with the grad_output that they were made with")
    got = Results(output, {} if grads is None else by_name(grads, arguments.arrays))
    return verdict_on(arguments, got, profile, input_error)


def assert_agrees(*args: Any, **kwargs: Any) -> None:
    """For tests: the same arguments as ``judge``; an ``AssertionError`` with the verdict as its message if it is not ok."""
    verdict = judge(*args, **kwargs)
    if not verdict.ok:
        raise AssertionError(str(verdict))


def verdict_on(
    arguments: Arguments, got: Results, profile: str | Profile = "float32", input_error: Any = None, *,
    diagnosed: bool = True,
) -> Verdict:  # fmt: skip
    """The verdict on the results of a call. ``diagnosed=False`` leaves out the search for the mistake's name."""
    bench = Bench(arguments, profile, input_error)
    host = {name: on_host(value) for name, value in aligned(got, bench.ladder.names()).items()}
    tensors = tuple(bench.weigh(name, value) for name, value in host.items() if name in bench.ladder.names())
    tensors = _flushed(bench, host, tensors)
    verdict = Verdict(arguments, bench.ladder.base.name, tensors, got=host, ladder=bench.ladder)
    if verdict.verdict != BUG or not diagnosed:
        return verdict
    return replace(verdict, diagnosis=cause(arguments, host, bench.ladder))


def _flushed(bench: Bench, host: dict[str, Array], tensors: tuple[TensorVerdict, ...]) -> tuple[TensorVerdict, ...]:
    """The verdicts, where subnormal numbers alone are the reason for what is wrong: much hardware takes them as zero."""
    base, wrong = bench.ladder.base, any(found.verdict == BUG for found in tensors)
    arguments = flushed(bench.arguments, base) if wrong else None
    if arguments is None:
        return tensors
    zeros, arithmetic = Bench(arguments, base, bench.input_error), f"{base.title}, subnormal numbers taken as zero"

    def again(found: TensorVerdict) -> TensorVerdict:
        if found.verdict != BUG or zeros.weigh(found.tensor, host[found.tensor]).verdict not in (EXACT, ROUNDING):
            return found
        return replace(found, verdict=LOOSER, note="", arithmetic=arithmetic)

    return tuple(map(again, tensors))


def call(
    name: str, arrays: Mapping[str, Any] | Sequence[Any], options: Mapping[str, Any], grad_output: Any
) -> Arguments:
    """The call with its arrays by name, on the host."""
    if name not in OPERATIONS:
        close = difflib.get_close_matches(name, OPERATIONS, 1)
        raise ValueError(f"judge: {name!r} is no operation{f'; did you mean {close[0]}?' if close else ''}")
    parameters = inspect.signature(getattr(ops, name)).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if isinstance(arrays, Mapping):
        unknown = [key for key in arrays if key not in names]
        given = dict(arrays)
    else:
        unknown = ["more"] if len(arrays) > len(names) else []
        given = dict(zip(names, arrays, strict=False))
    if unknown:
        raise ValueError(f"judge: the arrays of {name} are {', '.join(names)}; got {', '.join(unknown)}")
    ordered = {key: host(given.get(key)) for key in names}
    return Arguments(name, ordered, dict(options), host(grad_output))


def host(value: Any) -> Any:
    """``on_host``, for lists and absent arguments too."""
    if isinstance(value, tuple | list):
        return tuple(host(item) for item in value)
    return None if value is None else on_host(value)


def on_host(value: Any) -> Array:
    """A NumPy array of what may be on a device (CuPy), part of a graph (PyTorch), or a number."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value.get() if hasattr(value, "get") and not isinstance(value, dict) else value)


def aligned(got: Results, names: Sequence[str]) -> dict[str, Any]:
    """The candidate's tensors by the reference's names: a plain tuple of outputs has no names of its own."""
    output = got.output
    outputs = [name for name in names if name.startswith("output")]
    if isinstance(output, tuple | list) and len(output) == len(outputs):
        named = dict(zip(outputs, output, strict=True))
    else:
        named = {} if output is None else {outputs[0]: output}
    return named | {name: value for name, value in Results(None, got.grads).tensors().items() if value is not None}
