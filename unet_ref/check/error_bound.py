"""How far rounding alone can carry each element of a result: what is further out is a bug."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, quiet
from ..errors import DTypeError
from .bounds import FAMILIES, Choice, Given, Profile, profile_of
from .bounds.family import backward

SAFE = 1 + 2.0**-40  # what the rounding of the bound itself, a few operations in float64, may have taken off it


@dataclass(frozen=True)
class Bounds:
    """Elementwise bounds on |candidate - reference|, float64 arrays of the shapes of the results.

    Attributes
    ----------
        output: for the output (a named tuple for ``batch_norm_running_stats``).
        grads: for each gradient, by the argument's name (``None`` for an absent argument, a tuple for ``concat``'s
            ``arrays``); empty without a ``grad_output``.
        profile: the arithmetic that is allowed.
        reference: ``(output, grads)`` to compare with; its own error is part of the bounds.
        vacuous: for ``"output"`` and each gradient where the bound exceeds the tensor's size (its root mean square): a
            result within such a bound says nothing.
        choices: where more than one answer is right, by tensor: how far another right one may be off (beyond the
            bound), elementwise, and the rule by which the reference chose.
    """

    output: Any
    grads: dict[str, Any]
    profile: Profile
    reference: tuple[Any, dict[str, Any]]
    vacuous: dict[str, Any]
    choices: dict[str, Choice] = field(default_factory=dict)


def error_bound(
    name: str,
    arrays: Mapping[str, Any] | Sequence[Any],
    options: Mapping[str, Any] | None = None,
    grad_output: Any = None,
    profile: str | Profile = "float32",
) -> Bounds:
    """The bounds of operation ``name`` at these arguments, for any order of summation, with or without FMA.

    Arguments:
        arrays: the arguments by name, or in the signature's order: the values that the candidate got, already rounded
            to its dtype (in an array of that dtype or of a wider one).
        options: the keyword options.
        grad_output: the upstream gradient, likewise; without it there are no gradients.
        profile: the arithmetic: a name in ``PROFILES`` or a ``Profile``.

    Where the result is NaN or infinite because the arguments are, the bound is 0: the candidate's must be the same.
    Where finite arguments may overflow in the profile's arithmetic the bound is infinite.

    >>> import numpy as np
    >>> bounds = error_bound("conv2d", [np.ones((1, 4, 4)), np.ones((1, 1, 3, 3))])
    >>> f"{bounds.output.max():.2g}"  # nine products of size 1, nine roundings, 2^-24 each
    '4.8e-06'
    """
    kind = profile_of(profile)
    given = _given(name, arrays, options or {}, grad_output, kind)
    with quiet():
        errors = FAMILIES[name](given)
        both = (kind, kind.reference)  # the candidate's arithmetic, and the reference's own
        undefined = _undefined(given)
        output = _total(undefined, given.y, *(errors.output(p) for p in both))
        grads = {
            key: None if key not in errors.grads else _total(undefined, value, *(errors.grads[key](p) for p in both))
            for key, value in given.grads.items()
        }
        bounds = {"output": output, **grads}
        values = {"output": given.y, **given.grads}
        vacuous = {key: _map(_vacuous, bound, values[key]) for key, bound in bounds.items() if bound is not None}
    return Bounds(output, grads, kind, (given.y, given.grads), vacuous, errors.choices)


def reference(
    name: str,
    arrays: Mapping[str, Any] | Sequence[Any],
    options: Mapping[str, Any] | None = None,
    grad_output: Any = None,
    profile: str | Profile = "float32",
) -> tuple[Any, dict[str, Any]]:
    """``(output, gradients by name)`` to compare a candidate with.

    ``ops`` in float64, for the profile ``float64`` in longdouble. Its own rounding is part of the bounds of
    ``error_bound`` for the same profile.
    """
    given = _given(name, arrays, options or {}, grad_output, profile_of(profile))
    return given.y, given.grads


def ratio(found: Any, expected: Any, bound: Any) -> Array:
    """|found - expected| / bound, elementwise: above 1 it is not rounding.

    0 where both are the same, NaN and infinity too; infinite where one is NaN and the other not, or a bound of 0 is
    not met.
    """
    found, expected, bound = np.asarray(found), np.asarray(expected), np.asarray(bound)
    with quiet():
        wide = np.promote_types(np.float64, expected.dtype)
        error = np.abs(found.astype(wide) - expected.astype(wide))
        share = error / np.where(bound > 0, bound, 1)
        share = np.where((bound > 0) | (error == 0), share, np.inf)
        share = np.where(np.isnan(error), np.inf, share)
        same = (found == expected) | (np.isnan(found) & np.isnan(expected)) | np.isinf(bound)
        return np.where(same, 0.0, share).astype(np.float64)


def _given(name: str, arrays: Any, options: Mapping[str, Any], grad_output: Any, profile: Profile) -> Given:
    """The arguments in the reference's dtype, and its results."""
    if name not in FAMILIES:
        raise DTypeError(f"error_bound: name ({name!r}) must be an operation: one of {', '.join(FAMILIES)}")
    function = getattr(ops, name)
    names = list(inspect.signature(function).parameters)
    pairs = arrays if isinstance(arrays, Mapping) else dict(zip(names, arrays, strict=False))
    named = {key: _cast(value, profile.work) for key, value in pairs.items()}
    dy = _cast(grad_output, profile.work)
    y = function(**named, **options)
    return Given(name, named, dict(options), dy, y, backward(name, dy, named, dict(options)))


def _cast(value: Any, dtype: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_cast(item, dtype) for item in value)
    if value is None:
        return None
    value = np.asarray(value)
    return value if value.dtype.kind in "iu" else value.astype(dtype)


def _undefined(given: Given) -> float:
    """The bound where the reference is NaN or infinite.

    If all arguments are finite it is so by its own overflow, or by 0/0, which another way to compute may avoid; else,
    and where there are no arguments, every right result is the same.
    """
    arrays = [np.asarray(a) for a in _flat((given.grad_output, *given.arrays.values(), given.options.get("value")))]
    return np.inf if all(np.isfinite(array).all() and array.size for array in arrays) else 0.0


def _flat(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [array for item in value for array in _flat(item)]
    return [] if value is None else [value]


def _total(undefined: float, value: Any, *errors: Any) -> Any:
    return _map(lambda value, *errors: _elementwise(undefined, value, *errors), value, *errors)


def _elementwise(undefined: float, value: Array, *errors: Array) -> Array:
    """The sum of the errors, rounded up; infinite where nothing could be computed."""
    total = np.broadcast_to(sum(errors) * SAFE, np.shape(value)).astype(np.float64)
    total = np.where(np.isnan(total), np.inf, total)
    return np.where(np.isfinite(value), total, undefined)


def _vacuous(bound: Array, value: Array) -> Array:
    finite = np.where(np.isfinite(value), value, 0).astype(np.float64)
    size = np.sqrt(np.mean(finite**2)) if finite.size else 0.0
    return np.isinf(bound) | ((bound > size) & (size > 0))  # of an exact zero every bound would be


def _map(function: Any, first: Any, *others: Any) -> Any:
    """``function`` of arrays, or of those in tuples of one length."""
    if not isinstance(first, tuple):
        return function(first, *others)
    items = [_map(function, *parts) for parts in zip(first, *others, strict=True)]
    return type(first)(*items) if hasattr(first, "_fields") else tuple(items)
