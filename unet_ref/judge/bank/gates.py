"""Mistakes of the gated linear unit: which half is which, and what the gate does."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.axis import stretch
from ...ops.elementwise import each
from ...ops.sigmoid import sigma, sigma_slope
from ..mistake import Arguments, Base, Results, mistake
from .tools import regraded, reread

GLU = "glu"


def _axis(arguments: Arguments) -> tuple[int, int]:
    """The axis from the front, and half its size."""
    x = arguments.arrays["x"]
    axis = arguments.options.get("axis", -1) % x.ndim
    return axis, x.shape[axis] // 2


def _halves(arguments: Arguments, x: Any) -> tuple[Any, Any]:
    axis, K = _axis(arguments)
    return x[stretch(axis, 0, K)], x[stretch(axis, K, 2 * K)]


@mistake(GLU, mend="The first half is the value, the second the gate.")
def halves_swapped(arguments: Arguments, base: Base) -> Results:
    """The first half gates the second instead of the reverse."""
    axis, K = _axis(arguments)

    def swap(x: Any) -> Any:
        return np.roll(x, K, axis=axis)

    return reread(arguments, base, "x", swap, swap)


@mistake(GLU, mend="The halves are the first K elements and the last K, not every other one.")
def halves_interleaved(arguments: Arguments, base: Base) -> Results | None:
    """Even elements are values and odd ones gates."""
    axis, K = _axis(arguments)
    if K < 2:
        return None
    order = [*range(0, 2 * K, 2), *range(1, 2 * K, 2)]
    back = np.argsort(order)
    return reread(
        arguments, base, "x", lambda x: np.take(x, order, axis=axis), lambda g: np.take(g, back, axis=axis)
    )  # fmt: skip


def _gated(arguments: Arguments, gate: Any, slope: Any) -> Results:
    """Another function of the gate, with its slope."""
    value, gates = _halves(arguments, arguments.arrays["x"])
    dy, axis = arguments.grad_output, _axis(arguments)[0]
    output = each(lambda a, b: a * gate(b), value, gates)
    if dy is None:
        return Results(output, {})
    first = each(lambda dy, b: dy * gate(b), dy, gates)
    second = each(lambda dy, a, b: dy * a * slope(b), dy, value, gates)
    return Results(output, {"x": np.concatenate([first, second], axis=axis)})


@mistake(GLU, mend="The gate is the sigmoid of the second half.")
def gate_without_sigmoid(arguments: Arguments, base: Base) -> Results:
    """The halves are multiplied as they are (the bilinear unit): the sigmoid is forgotten."""
    return _gated(arguments, lambda b: b, lambda b: b * 0 + 1)


@mistake(GLU, mend="The gate is the sigmoid of the second half, not its tanh.")
def tanh_in_place_of_the_sigmoid(arguments: Arguments, base: Base) -> Results:
    """The gate is the tanh of the second half."""
    return _gated(arguments, lambda b: 2 * sigma(2 * b) - 1, lambda b: 4 * sigma_slope(2 * b))


@mistake(GLU, mend="The gate is sigmoid(b), not b * sigmoid(b).")
def swish_in_place_of_the_sigmoid(arguments: Arguments, base: Base) -> Results:
    """The gate is b * sigmoid(b), as in SwiGLU."""
    return _gated(arguments, lambda b: b * sigma(b), lambda b: sigma(b) + b * sigma_slope(b))


def _second(arguments: Arguments, base: Base, slope: Any) -> Results:
    """The right results but for the gradient of the gate."""
    value, gates = _halves(arguments, arguments.arrays["x"])
    axis, K = _axis(arguments)
    second = each(slope, arguments.grad_output, value, gates)

    def change(gradient: Any) -> Any:
        return np.concatenate([gradient[stretch(axis, 0, K)], second], axis=axis)

    return regraded(base(arguments), x=change)


@mistake(GLU, mend="The gradient of the gate is dy * value * s (1 - s).", affects=("x",))
def gradient_of_the_gate_without_the_slope(arguments: Arguments, base: Base) -> Results:
    """The gradient of the second half is dy * value: the slope of the sigmoid is forgotten."""
    return _second(arguments, base, lambda dy, a, b: dy * a + b * 0)


@mistake(GLU, mend="The gradient of the gate is dy * value * s (1 - s).", affects=("x",))
def gradient_of_the_gate_without_the_value(arguments: Arguments, base: Base) -> Results:
    """The gradient of the second half is dy * s (1 - s): the first half is forgotten."""
    return _second(arguments, base, lambda dy, a, b: dy * sigma_slope(b) + a * 0)


@mistake(GLU, mend="Both halves get a gradient.", affects=("x",))
def gate_gets_no_gradient(arguments: Arguments, base: Base) -> Results:
    """The second half gets no gradient: the gate is taken for a constant."""
    return _second(arguments, base, lambda dy, a, b: dy * 0 + a * 0 + b * 0)
