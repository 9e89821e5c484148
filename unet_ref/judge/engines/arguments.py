"""Options of the contract in the forms that libraries want them in."""

from __future__ import annotations

import inspect
from typing import Any

from ... import ops


def named(name: str, arrays: tuple[Any, ...]) -> dict[str, Any]:
    """The arrays by the names of the operation's arguments."""
    return dict(zip(inspect.signature(getattr(ops, name)).parameters, arrays, strict=False))


def pair(value: Any) -> tuple[Any, Any]:
    """``(h, w)`` of a number or a pair."""
    return (value[0], value[1]) if isinstance(value, tuple | list) else (value, value)


def pads(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """``((top, bottom), (left, right))`` of a number, a pair or that itself."""
    vertical, horizontal = pair(padding)
    return pair(vertical), pair(horizontal)


def symmetric(padding: Any) -> tuple[int, int]:
    """``(h, w)`` where both sides are alike."""
    (top, bottom), (left, right) = pads(padding)
    if (top, left) != (bottom, right):
        raise NotImplementedError(f"padding of different sides ({padding})")
    return top, left


def refuse(**options: Any) -> None:
    """Options that must have a false value."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"{name}={value!r}")
