"""Two other ways to convolve in NumPy, for scale: the textbook's and Chainer's. Both make the columns of the whole image.

    forward(x, weight, stride, padding)    dx(dy, x, weight, ...)    dweight(dy, x, weight, ...)

Plain convolutions: no groups, no dilation. Columns are made anew in every pass, as functions without memory must.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def back(columns, x, stride, padding):
    """The adjoint of making columns (N, C, KH, KW, H', W'): every tap adds to the pixels that it came from."""
    KH, KW, H, W = columns.shape[2:]
    frame = np.zeros_like(padded(x, padding))
    for k in range(KH):
        for l in range(KW):
            frame[:, :, k : k + stride * H : stride, l : l + stride * W : stride] += columns[:, :, k, l]
    return frame[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


class Textbook:
    """One product: (O, C KH KW) @ (N, C KH KW, H' W'); columns from a strided view."""

    @staticmethod
    def columns(x, weight, stride, padding):
        windows = sliding_window_view(padded(x, padding), weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        size = windows.shape[2:4]
        return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), -1, math.prod(size)), size

    @classmethod
    def forward(cls, x, weight, stride, padding):
        columns, size = cls.columns(x, weight, stride, padding)
        return (weight.reshape(len(weight), -1) @ columns).reshape(len(x), len(weight), *size)

    @staticmethod
    def dx(dy, x, weight, stride, padding):
        columns = weight.reshape(len(weight), -1).T @ dy.reshape(*dy.shape[:2], -1)
        return back(columns.reshape(len(x), *weight.shape[1:], *dy.shape[2:]), x, stride, padding)

    @classmethod
    def dweight(cls, dy, x, weight, stride, padding):
        columns, _ = cls.columns(x, weight, stride, padding)
        return (dy.reshape(*dy.shape[:2], -1) @ columns.transpose(0, 2, 1)).sum(0).reshape(weight.shape)


class Chainer:
    """As ``chainer.functions.convolution_2d`` on NumPy: columns tap by tap, ``tensordot``, axes rolled into place."""

    @staticmethod
    def columns(x, weight, stride, padding):
        frame, (KH, KW) = padded(x, padding), weight.shape[2:]
        H, W = ((size - k) // stride + 1 for size, k in zip(frame.shape[2:], (KH, KW), strict=True))
        columns = np.empty((*x.shape[:2], KH, KW, H, W), x.dtype)
        for k in range(KH):
            for l in range(KW):
                columns[:, :, k, l] = frame[:, :, k : k + stride * H : stride, l : l + stride * W : stride]
        return columns

    @classmethod
    def forward(cls, x, weight, stride, padding):
        columns = cls.columns(x, weight, stride, padding)
        return np.rollaxis(np.tensordot(columns, weight, ((1, 2, 3), (1, 2, 3))), 3, 1)

    @staticmethod
    def dx(dy, x, weight, stride, padding):
        columns = np.rollaxis(np.tensordot(weight, dy, (0, 1)), 3)
        return back(columns, x, stride, padding)

    @classmethod
    def dweight(cls, dy, x, weight, stride, padding):
        return np.tensordot(dy, cls.columns(x, weight, stride, padding), ((0, 2, 3), (0, 4, 5)))
