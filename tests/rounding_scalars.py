"""Scalars that the definitions of ``unet_ref.spec`` can be run over, to see what rounding does.

``Traced`` knows the derivative of its value by every single rounding before it. The sum of their absolute values,
times u, is what rounding can do at worst, to first order: a bound has to reach it, and should not be far above.

``Emulated`` is rounded to a narrow format after every operation. Sums are put off until their value is needed: then
they are added up in one order or another, products with or without FMA.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

FUNCTION = 8.0  # exp, log, tanh and erf are right to 4 ulp, up to 8u


class Tape:
    """Counts roundings; ``size`` is how many there will be, 0 while that is being found out."""

    def __init__(self, size=0):
        self.size, self.count = size, 0

    def rounded(self, value, slopes, units=1.0):
        """The value after a rounding of its own."""
        if self.size and value:
            slopes = slopes.copy()
            slopes[self.count] += units * value
        self.count += 1
        return Traced(self, value, slopes)

    def exact(self, value):
        return Traced(self, float(value), np.zeros(self.size))

    def array(self, values):
        """An array of exact inputs."""
        return scalars(self.exact, values)


class Traced:
    """A number, and its slope by each of the roundings on a tape."""

    def __init__(self, tape, value, slopes):
        self.tape, self.value, self.slopes, self.known = tape, value, slopes, {}

    def _of(self, other):
        return other if isinstance(other, Traced) else self.tape.exact(other)

    def __add__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        if float(other) == 0:  # exact: where taps see padding
            return self
        other = self._of(other)
        if self.value == 0:
            return other
        return self.tape.rounded(self.value + other.value, self.slopes + other.slopes)

    def __mul__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        if not isinstance(other, Traced) and abs(other) in (0.5, 1, 2):  # exact
            return Traced(self.tape, self.value * other, self.slopes * other)
        other = self._of(other)
        return self.tape.rounded(self.value * other.value, self.slopes * other.value + self.value * other.slopes)

    def __truediv__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = self._of(other)
        value = self.value / other.value
        return self.tape.rounded(value, (self.slopes - value * other.slopes) / other.value)

    def __neg__(self):
        return Traced(self.tape, -self.value, -self.slopes)

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return (-self) + other

    def __rtruediv__(self, other):
        return self._of(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __float__(self):
        return self.value

    def __lt__(self, other):
        return self.value < float(other)

    def __le__(self, other):
        return self.value <= float(other)

    def __gt__(self, other):
        return self.value > float(other)

    def __ge__(self, other):
        return self.value >= float(other)

    def __eq__(self, other):
        return self.value == float(other)

    __hash__ = None

    def _function(self, name, value, slope, units=FUNCTION):
        """A function makes the same error whenever it is called."""
        if name not in self.known:
            self.known[name] = self.tape.rounded(value, self.slopes * slope, units)
        return self.known[name]

    def sqrt(self):
        root = math.sqrt(self.value)
        return self._function("sqrt", root, 0.5 / root, 1.0)

    def exp(self):
        power = math.exp(self.value)
        return self._function("exp", power, power)

    def log(self):
        return self._function("log", math.log(self.value), 1 / self.value)

    def tanh(self):
        t = math.tanh(self.value)
        return self._function("tanh", t, 1 - t * t)

    def erf(self):
        slope = 2 / math.sqrt(math.pi) * math.exp(-self.value * self.value)
        return self._function("erf", math.erf(self.value), slope)

    def pi(self):
        return self.constant(math.pi)

    def constant(self, value):
        """Rounded, where float16 does not hold it."""
        number = self.tape.exact(value)
        return number if float(np.float16(float(value))) == value else self.tape.rounded(number.value, number.slopes)


def scalars(function, values):
    """An array of scalars made from floats."""
    result = np.empty(np.shape(values), dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = function(values[index])
    return result


def worst(results, u):
    """``u`` times the sums of absolute slopes: what rounding can do to each element."""
    return each(lambda v: u * float(np.abs(v.slopes).sum()) if isinstance(v, Traced) else 0.0, results)


def each(function, values):
    """An array of floats: a function of every scalar."""
    values = np.asarray(values, dtype=object)
    return np.array([function(value) for value in values.flat], dtype=np.float64).reshape(values.shape)


ORDERS = ("sequential", "reversed", "shuffled", "pairwise", "blocked")


class Machine:
    """An arithmetic: how numbers are rounded, in which order sums are added up, whether products and sums are fused."""

    def __init__(self, rng, dtype, order, *, fma):
        self.rng, self.dtype, self.order, self.fma, self.known = rng, np.dtype(dtype), order, fma, {}
        self.u = float(np.finfo(self.dtype).eps) / 2

    def round(self, value):
        """To the nearest number of the format; an exact Fraction, or a float64, whose own rounding is far smaller."""
        return float(self.dtype.type(float(value)))

    def product(self, term):
        return self.round(term[0] * term[1]) if len(term) == 2 else term[0]

    def add(self, total, term):
        """``total + term``, with one rounding or with two."""
        if self.fma and len(term) == 2:
            exact = Fraction(total) + Fraction(term[0]) * Fraction(term[1]) if self.finite(total, *term) else math.nan
            return self.round(exact)
        return self.round(total + self.product(term))

    @staticmethod
    def finite(*values):
        return all(map(math.isfinite, values))

    def in_a_row(self, terms):
        total = self.product(terms[0])
        for term in terms[1:]:
            total = self.add(total, term)
        return total

    def sum(self, terms):
        """Of numbers and of products, in the machine's order."""
        terms = list(terms)
        if self.order == "reversed":
            terms.reverse()
        if self.order in ("shuffled", "blocked"):
            self.rng.shuffle(terms)
        if self.order == "pairwise":
            while len(terms) > 2:
                terms = [(self.in_a_row(terms[k : k + 2]),) for k in range(0, len(terms), 2)]
        if self.order == "blocked":
            size = int(self.rng.integers(1, 5))
            terms = [(self.in_a_row(terms[k : k + size]),) for k in range(0, len(terms), size)]
        return self.in_a_row(terms)

    def function(self, name, x, value):
        """A library's function value, wrong by almost as much as it may be; the same whenever it is asked for."""
        if (name, x) not in self.known:
            self.known[name, x] = self.round(value * (1 + self.rng.uniform(-1, 1) * (FUNCTION - 1) * self.u))
        return self.known[name, x]

    def array(self, values):
        return scalars(lambda value: Emulated(self, [(float(value),)]), values)


class Emulated:
    """A sum that is not added up yet."""

    def __init__(self, machine, terms):
        self.machine, self.terms = machine, terms

    @property
    def value(self):
        if len(self.terms) > 1 or len(self.terms[0]) > 1:
            self.terms = [(self.machine.sum(self.terms),)]
        return self.terms[0][0]

    def _of(self, other):
        return other if isinstance(other, Emulated) else Emulated(self.machine, [(float(other),)])

    def __add__(self, other):
        if not isinstance(other, Emulated) and other == 0:
            return self
        return Emulated(self.machine, [*self.terms, *self._of(other).terms])

    def __neg__(self):
        return Emulated(self.machine, [(-first, *rest) for first, *rest in self.terms])

    def __sub__(self, other):
        return self + (-self._of(other))

    def __rsub__(self, other):
        return (-self) + other

    def __mul__(self, other):
        return Emulated(self.machine, [(self.value, self._of(other).value)])

    def __truediv__(self, other):
        if isinstance(other, int) and self.machine.rng.integers(2):
            return self * self.machine.round(1 / other)
        return Emulated(self.machine, [(self.machine.round(self.value / self._of(other).value),)])

    def __rtruediv__(self, other):
        return self._of(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __float__(self):
        return self.value

    def __lt__(self, other):
        return self.value < float(other)

    def __le__(self, other):
        return self.value <= float(other)

    def __gt__(self, other):
        return self.value > float(other)

    def __ge__(self, other):
        return self.value >= float(other)

    def __eq__(self, other):
        return self.value == float(other)

    __hash__ = None

    def _function(self, name, value):
        return Emulated(self.machine, [(self.machine.function(name, self.value, value),)])

    def sqrt(self):
        return Emulated(self.machine, [(self.machine.round(math.sqrt(self.value)),)])

    def exp(self):
        return self._function("exp", math.exp(self.value))

    def log(self):
        return self._function("log", math.log(self.value))

    def tanh(self):
        return self._function("tanh", math.tanh(self.value))

    def erf(self):
        return self._function("erf", math.erf(self.value))

    def pi(self):
        return self.constant(math.pi)

    def constant(self, value):
        return Emulated(self.machine, [(self.machine.round(value),)])


def floats(results):
    """The values of an array of either kind of scalars."""
    return each(float, results)
