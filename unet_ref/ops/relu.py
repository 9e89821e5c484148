"""The rectified linear unit: what is positive passes."""

from __future__ import annotations

from ..arithmetic import real
from ..backend import Array, namespace
from ..masks import keep
from ..operation import operation
from ..passes import flat, positive
from ..spec.relu import ReluGrads
from .elementwise import FEW_PASSES, in_pieces
from .window import check_grad_output


@operation()
def relu(x: Array) -> Array:
    """The rectified linear unit: ``y = x`` where ``x > 0``, else 0.

    Shape law: any shape; y has the shape of x.

    Arguments:
        x: any shape.

    Raises
    ------
        DTypeError: an array of integers, anything that is no array.

    Conventions: NaN passes, as in PyTorch (``fmax`` and some kernels drop it). Complex numbers go by their real part.

    Source: Nair and Hinton, *Rectified linear units improve restricted Boltzmann machines* (2010).

    >>> import numpy as np
    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    if x.dtype.kind == "f":
        y = namespace(x).empty(x.shape, dtype=x.dtype)
        in_pieces(lambda y, x: positive(flat(x), out=y.reshape(-1)), y, x, most=FEW_PASSES)
        return y
    return keep(_passes(x), x)


@operation()
def relu_backward(grad_output: Array, x: Array) -> ReluGrads:
    """The gradient of ``relu``: ``dx = dy`` where ``x > 0``, else 0.

    At the kink ``x = 0`` the slope is 0; at NaN the gradient passes, as x does. What does not pass is dropped, be it
    infinite: zero, not infinity times zero.

    ``x`` may be the input or the output: both are above 0 at the same elements, so that a network can let go of the
    input of every ReLU.

    >>> import numpy as np
    >>> x, dy = np.array([-2.0, 0.0, 3.0]), np.array([5.0, 6.0, 7.0])
    >>> relu_backward(dy, x).x, relu_backward(dy, relu(x)).x
    (array([0., 0., 7.]), array([0., 0., 7.]))
    """
    check_grad_output("relu_backward", grad_output, x.shape)
    dx = flat(grad_output)
    return ReluGrads(gate(dx, x, namespace(x).empty_like(dx)).reshape(x.shape))


def gate(dy: Array, x: Array, dx: Array) -> Array:
    """Fills ``dx``, which may be ``dy``: contiguous both, and as many as ``x``."""
    rows = dx.reshape(-1), dy.reshape(-1), flat(x)
    in_pieces(lambda dx, dy, x: keep(_passes(x), dy, out=dx), *rows, most=FEW_PASSES)
    return dx


def _passes(x: Array) -> Array:
    """Not ``x > 0``, which NaN is not, but not ``x <= 0``."""
    return ~(real(x) <= 0)
