"""The package's own operations, as an engine of the false alarms: in every dtype that they take.

float16, float32 and float64 are judged like anybody else's. The judge's reference for a longdouble would be the same
function, which proves nothing: it is held against the definition, read over mpmath's numbers in 40 digits, and the
bound of the arithmetic. Complex numbers on the real axis must have the real results, within the bound of their parts,
and nothing beside the axis.
"""

import mpmath
import numpy as np

import unet_ref
from unet_ref import ops
from unet_ref.check.bounds.profiles import LONGDOUBLE
from unet_ref.check.error_bound import error_bound, ratio
from unet_ref.check.table import OPERATIONS
from unet_ref.judge.cases import DesignedCase
from unet_ref.judge.implementation import judge_case
from unet_ref.judge.mistake import Arguments, Results, by_name, right

DRAWN = {"longdouble": "longdouble", "complex64": "float32", "complex128": "float64"}  # in what their calls are drawn


class Ourselves:
    """``pair`` for the judge, ``outcome`` for the dtypes that it has no profile for."""

    DTYPES = ("float16", "float32", "float64", *DRAWN)

    @staticmethod
    def version():
        return f"unet_ref {unet_ref.__version__}"

    @staticmethod
    def pair(name, layout, dtype):  # noqa: ARG004  those of every engine
        return getattr(ops, name), getattr(ops, f"{name}_backward", None)

    @staticmethod
    def outcome(name, dtype, call):
        arguments = Arguments(name, *call)
        if dtype == "longdouble":
            return beside_definition(arguments)
        case = DesignedCase("drawn", arguments)
        result = judge_case(case, *on_the_axis(name, dtype), profile=DRAWN[dtype])
        return result.outcome, "" if result.ok else f"{result}\n{call}"


def beside_definition(arguments):
    """A call in longdouble, against its definition in 40 digits."""
    name, arrays, options, upstream = arguments
    bounds = error_bound(name, arrays, options, upstream, LONGDOUBLE)
    limits = Results(bounds.output, {key: bound for key, bound in bounds.grads.items() if bound is not None}).tensors()
    got = right(arguments).tensors()
    with mpmath.workdps(40):
        expected = defined(arguments.map(mpf)).tensors()
        shares = {
            key: float(
                np.max(
                    ratio(np.asarray(mpf(array) - expected[key], np.longdouble), np.longdouble(0), limits[key]),
                    initial=0,
                )
            )
            for key, array in got.items()
        }
    worst = max(shares.values())
    return ("within rounding", "") if worst <= 1 else ("bug", f"{name}: {shares} of the bound\n{arguments}")


def defined(arguments):
    """The results by the definitions, in the numbers of the arguments."""
    row, arrays = OPERATIONS[arguments.name], arguments.arrays
    output = row.definition(*arrays.values(), **arguments.options)
    if arguments.grad_output is None:
        return Results(output, {})
    grads = row.definition_backward(arguments.grad_output, *arrays.values(), **arguments.options)
    return Results(output, by_name(grads, arrays))


def mpf(array):
    """The same numbers in mpmath's arithmetic, exactly: of a longdouble both halves."""
    array = np.asarray(array)
    high = array.astype(np.float64)
    exact = np.frompyfunc(lambda value: mpmath.mpf(float(value)), 1, 1)
    return np.asarray(exact(high) + exact(array - high), dtype=object)


def on_the_axis(name, dtype):
    """Forward and backward in complex numbers whose imaginary parts are 0, for the judge of their real parts."""

    def through(function):
        def called(*arrays, **options):
            return real(function(*(complex_(array) for array in arrays), **options))

        return called

    def complex_(value):
        if isinstance(value, tuple):
            return tuple(complex_(item) for item in value)
        return value if value is None or value.dtype.kind != "f" else value.astype(dtype)

    def real(value):
        if hasattr(value, "_fields"):
            return type(value)(*(real(item) for item in value))
        if isinstance(value, tuple):
            return tuple(real(item) for item in value)
        if value is None:
            return None
        assert value.dtype == dtype, f"{name}: {value.dtype} for {dtype}"
        assert not value.imag.any(), f"{name}: imaginary parts of up to {abs(value.imag).max()}"
        return value.real.copy()

    backward = getattr(ops, f"{name}_backward", None)
    return through(getattr(ops, name)), None if backward is None else through(backward)
