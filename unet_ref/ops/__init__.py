"""Link 3: the operations on arrays, forward and backward, NumPy or CuPy from one source."""

from ..spec import Conv2dGrads
from .conv2d import conv2d, conv2d_backward, conv2d_shape

__all__ = ["Conv2dGrads", "conv2d", "conv2d_backward", "conv2d_shape"]
