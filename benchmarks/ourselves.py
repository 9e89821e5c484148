"""The package's own operations, as an engine of the false alarms: in every dtype that they take.

float16, float32 and float64 are judged like anybody else's. The judge's reference for a longdouble would be the same
function, which proves nothing: it is held against the definition, read over mpmath's numbers in 40 digits, and the
bound of the arithmetic. Complex numbers on the real axis must have the real results, within the bound of their parts,
and nothing beside the axis.
"""

import sys
from pathlib import Path

import mpmath
import numpy as np

import unet_ref
from unet_ref import ops
from unet_ref.check.bounds.profiles import LONGDOUBLE
from unet_ref.check.error_bound import error_bound, ratio
from unet_ref.check.table import OPERATIONS
from unet_ref.judge.mistake import Results, by_name, each_array, right
from unet_ref.operation import cast

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from every_operation import mpf

PARTS = {"complex64": "float32", "complex128": "float64"}  # the arithmetic of their parts


class Ourselves:
    """An engine, as those in ``unet_ref.judge.engines``."""

    DTYPES = ("float16", "float32", "float64", "longdouble", *PARTS)

    @staticmethod
    def version():
        return f"unet_ref {unet_ref.__version__}"

    @staticmethod
    def pair(name, layout, dtype):  # noqa: ARG004  those of every engine
        pair = getattr(ops, name), getattr(ops, f"{name}_backward", None)
        return [function and on_the_axis(function, dtype) for function in pair] if dtype in PARTS else pair


def beside_definition(arguments):
    """A call in longdouble, against its definition in 40 digits."""
    name, arrays, options, upstream = arguments
    bounds = error_bound(name, arrays, options, upstream, LONGDOUBLE)
    limits = Results(bounds.output, {key: bound for key, bound in bounds.grads.items() if bound is not None}).tensors()
    got = right(arguments).tensors()
    with mpmath.workdps(40):
        expected = defined(arguments.map(mpf)).tensors()
        errors = {key: np.asarray(mpf(array) - expected[key], np.longdouble) for key, array in got.items()}
    shares = {key: float(ratio(error, np.longdouble(0), limits[key]).max(initial=0)) for key, error in errors.items()}
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


def on_the_axis(function, dtype):
    """The function in complex numbers whose imaginary parts are 0, for the judge of their real parts."""

    def real(array):
        assert array.dtype == dtype, f"{array.dtype} for {dtype}"
        assert not array.imag.any(), f"imaginary parts of up to {abs(array.imag).max()}"
        return array.real.copy()

    def called(*arrays, **options):
        return each_array(function(*cast(arrays, dtype), **options), real)

    return called
