"""The logistic sigmoid."""

from __future__ import annotations

from ..arithmetic import exp, real
from ..backend import Array, namespace
from ..masks import or_one, select
from ..operation import operation
from ..spec.sigmoid import SigmoidGrads
from .elementwise import each
from .window import check_grad_output


@operation()
def sigmoid(x: Array) -> Array:
    """The logistic sigmoid: ``y = 1 / (1 + exp(-x))``.

    Shape law: any shape; y has the shape of x.

    Arguments:
        x: any shape.

    Raises
    ------
        DTypeError: an array of integers, anything that is no array.

    Conventions: none that libraries disagree on. Nothing overflows: far to the left y is ``exp(x)``, and becomes zero
    only where that does.

    Source: Verhulst, *Recherches mathématiques sur la loi d'accroissement de la population* (1845).

    >>> import numpy as np
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return each(sigma, x)


@operation()
def sigmoid_backward(grad_output: Array, x: Array) -> SigmoidGrads:
    """The gradient of ``sigmoid``: ``dx = dy * s * (1 - s)`` with ``s = sigmoid(x)``.

    ``1 - s`` is computed as ``sigmoid(-x)``, which loses no digits where s is near 1.

    >>> import numpy as np
    >>> sigmoid_backward(np.array([8.0]), np.array([0.0])).x
    array([2.])
    """
    check_grad_output("sigmoid_backward", grad_output, x.shape)
    return SigmoidGrads(each(lambda dy, x: dy * sigma_slope(x), grad_output, x))


def sigma(x: Array) -> Array:
    """``1 / (1 + e)``, left of 0 ``e / (1 + e)``, with ``e = exp(-|x|)``, of one row of elements: no exponent is above 0."""
    e = decay(x)
    return or_one(real(x) > 0, e) / (1 + e)


def sigma_slope(x: Array) -> Array:
    """``s (1 - s) = e / (1 + e)^2`` with ``e = exp(-|x|)``."""
    e = decay(x)
    total = 1 + e
    return e / (total * total)


def decay(x: Array) -> Array:
    """``exp(-|x|)``; the sign of a complex number is that of its real part."""
    return exp(-namespace(x).abs(x) if x.dtype.kind == "f" else select(real(x) <= 0, x, -x))
