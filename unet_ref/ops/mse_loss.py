"""The mean squared error."""

from __future__ import annotations

from collections.abc import Sequence

from ..backend import Array
from ..operation import operation
from ..spec.mse_loss import MseLossGrads
from .elementwise import each_of
from .loss import check_same_shape, mean_of, share
from .window import check_grad_output


def mse_loss_shape(x_shape: Sequence[int], target_shape: Sequence[int]) -> tuple[()]:
    """Shape law: equal shapes in, one number out.

    >>> mse_loss_shape((2, 3, 4), (2, 3, 4))
    ()
    """
    return check_same_shape("mse_loss", x_shape, target_shape)


@operation()
def mse_loss(x: Array, target: Array) -> Array:
    """Mean squared error: ``y = mean over i of (x[i] - target[i])^2``.

    Shape law: equal shapes in, ``()`` out.

    Arguments:
        x: any shape.
        target: the shape of x.

    Raises
    ------
        ShapeError: shapes that differ.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: the mean over all elements, not the sum and not over samples alone, and no factor 1/2. PyTorch broadcasts
    unequal shapes, with a warning; here they are an error. The mean of nothing is NaN.

    Source: Legendre, *Nouvelles méthodes pour la détermination des orbites des comètes* (1805), for the squares.

    >>> import numpy as np
    >>> mse_loss(np.array([1.0, 5.0]), np.array([2.0, 2.0]))
    array(5.)
    """
    check_same_shape("mse_loss", x.shape, target.shape)

    def factors(x: Array, t: Array) -> tuple[Array, Array]:
        d = x - t
        return d, d

    return mean_of(factors, x, target)


@operation()
def mse_loss_backward(grad_output: Array, x: Array, target: Array) -> MseLossGrads:
    """The gradients of ``mse_loss``: ``dx = dy * 2 (x - target) / M`` with M elements, ``dtarget = -dx``.

    >>> import numpy as np
    >>> mse_loss_backward(np.array(1.0), np.array([1.0, 5.0]), np.array([2.0, 2.0]))
    MseLossGrads(x=array([-1.,  3.]), target=array([ 1., -3.]))
    """
    check_grad_output("mse_loss_backward", grad_output, check_same_shape("mse_loss_backward", x.shape, target.shape))
    scale = 2 * share(grad_output, x.size)

    def both(x: Array, t: Array) -> tuple[Array, Array]:
        dx = (x - t) * scale
        return dx, -dx

    return MseLossGrads(*each_of(2, both, x, target))
