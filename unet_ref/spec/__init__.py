"""Links 1 and 2: every operation and its derivative, index by index, over any scalar type."""

from .conv2d import Conv2dGrads, conv2d, conv2d_backward

__all__ = ["Conv2dGrads", "conv2d", "conv2d_backward"]
