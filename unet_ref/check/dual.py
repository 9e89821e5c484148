"""Dual numbers ``a + b*e`` with ``e*e = 0``: run any function on them and ``b`` is its derivative, exactly.

Over ``Fraction`` nothing is rounded, over ``Decimal`` to the context's precision. This is how the hand-written
derivatives of ``unet_ref.spec`` are proven without trusting any other derivative code: only the rules below.
"""

from __future__ import annotations

from typing import Any

from ..spec import scalar


class Dual:
    """A value and its derivative along one direction."""

    __slots__ = ("derivative", "value")

    def __init__(self, value: Any, derivative: Any = 0) -> None:
        self.value, self.derivative = value, derivative

    def __repr__(self) -> str:
        return f"Dual({self.value}, {self.derivative})"

    def __add__(self, other: Any) -> Dual:
        other = _lift(other)
        return Dual(self.value + other.value, self.derivative + other.derivative)

    def __mul__(self, other: Any) -> Dual:
        other = _lift(other)
        return Dual(self.value * other.value, self.derivative * other.value + self.value * other.derivative)

    def __truediv__(self, other: Any) -> Dual:
        other = _lift(other)
        value = scalar.divide(self.value, other.value)
        return Dual(value, scalar.divide(self.derivative - value * other.derivative, other.value))

    def __pow__(self, exponent: int) -> Dual:
        if exponent < 0:
            return 1 / self**-exponent
        power = self.value ** max(exponent - 1, 0)
        value = power * self.value if exponent else power
        return Dual(value, exponent * power * self.derivative)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.derivative)

    def __sub__(self, other: Any) -> Dual:
        return self + (-_lift(other))

    def __rsub__(self, other: Any) -> Dual:
        return _lift(other) - self

    def __rtruediv__(self, other: Any) -> Dual:
        return _lift(other) / self

    __radd__, __rmul__ = __add__, __mul__

    # Comparisons, and so ReLU and max, go by the value.
    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _lift(other).value)

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _lift(other).value)

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _lift(other).value)

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _lift(other).value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _lift(other).value)

    __hash__ = None  # type: ignore[assignment]

    # The functions that spec/scalar.py asks for, each with its derivative.
    def sqrt(self) -> Dual:
        root = scalar.sqrt(self.value)
        return Dual(root, scalar.divide(self.derivative, 2 * root))

    def exp(self) -> Dual:
        power = scalar.exp(self.value)
        return Dual(power, self.derivative * power)

    def log(self) -> Dual:
        return Dual(scalar.log(self.value), scalar.divide(self.derivative, self.value))

    def tanh(self) -> Dual:
        t = scalar.tanh(self.value)
        return Dual(t, self.derivative * (1 - t * t))

    def erf(self) -> Dual:
        slope = 2 / scalar.sqrt(scalar.pi(self.value)) * scalar.exp(-self.value * self.value)
        return Dual(scalar.erf(self.value), self.derivative * slope)

    def pi(self) -> Any:
        return scalar.pi(self.value)

    def constant(self, value: Any) -> Any:
        return scalar.constant(value, self.value)

    def __bool__(self) -> bool:
        return bool(self.value)


def _lift(other: Any) -> Dual:
    return other if isinstance(other, Dual) else Dual(other)
