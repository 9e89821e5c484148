"""As much of JAX as the judge's engine calls, in JAX's signatures, over NumPy and this package's forward passes."""

import enum
import math
import sys
import types

import numpy as np

from unet_ref import ops

from .values import slopes

HIGHEST = ("highest", "HIGHEST")


class Precision(enum.Enum):
    HIGHEST = "HIGHEST"


def highest(precision):
    assert getattr(precision, "value", precision) in HIGHEST, "float32 may be TF32 on a device"


def conv_general_dilated(
    lhs, rhs, window_strides, padding, *, rhs_dilation, dimension_numbers, feature_group_count=1, precision
):
    highest(precision)
    assert dimension_numbers == ("NCHW", "OIHW", "NCHW")
    pads = padding.lower() if isinstance(padding, str) else tuple(map(tuple, padding))
    return ops.conv2d(lhs, rhs, stride=window_strides, padding=pads, dilation=rhs_dilation, groups=feature_group_count)


def conv_transpose(lhs, rhs, strides, padding, *, rhs_dilation, dimension_numbers, transpose_kernel, precision):
    """The padding is that of the convolution of the stretched input with the flipped kernel."""
    highest(precision)
    assert dimension_numbers == ("NCHW", "OIHW", "NCHW")
    assert transpose_kernel
    (s, t), (N, C, H, W) = strides, lhs.shape
    stretched = np.zeros((N, C, (H - 1) * s + 1, (W - 1) * t + 1), lhs.dtype)
    stretched[:, :, ::s, ::t] = lhs
    padded = ops.pad2d(stretched, padding=tuple(map(tuple, padding)))
    return ops.conv2d(padded, np.ascontiguousarray(rhs.swapaxes(0, 1)[:, :, ::-1, ::-1]), dilation=rhs_dilation)


def largest(a, b):
    """``lax.max``."""


def total(a, b):
    """``lax.add``."""


def reduce_window(operand, init_value, computation, window_dimensions, window_strides, padding, *, window_dilation):
    lead = operand.ndim - 2
    assert window_dimensions[:lead] == window_strides[:lead] == window_dilation[:lead] == (1,) * lead
    assert padding[:lead] == ((0, 0),) * lead
    assert init_value == {largest: -math.inf, total: 0}[computation]
    options = {"kernel_size": window_dimensions[lead:], "stride": window_strides[lead:], "padding": padding[lead:]}
    if computation is largest:
        return ops.max_pool2d(operand, dilation=window_dilation[lead:], **options)
    assert window_dilation[lead:] == (1, 1)
    return ops.avg_pool2d(operand, divisor_override=1, **options)


def standardize(x, axis=-1, mean=None, variance=None, epsilon=1e-5):
    mean = x.mean(axis=axis, keepdims=True) if mean is None else mean
    variance = ((x - mean) ** 2).mean(axis=axis, keepdims=True) if variance is None else variance
    return (x - mean) / np.sqrt(variance + epsilon)


def log_softmax(x, axis=-1):
    z = x - x.real.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def glu(x, axis=-1):
    value, gate = np.split(x, 2, axis=axis)
    return value * ops.sigmoid(np.ascontiguousarray(gate))


def log_sigmoid(x):
    return np.where(x.real < 0, x, 0) - np.log1p(np.exp(np.where(x.real < 0, x, -x)))


def resize(image, shape, method, antialias=True, precision=Precision.HIGHEST):
    assert not antialias
    assert shape[:-2] == image.shape[:-2]
    assert method == "linear" or all(m % n == 0 for n, m in zip(image.shape[-2:], shape[-2:], strict=True))
    highest(precision)
    return getattr(ops, {"linear": "upsample_bilinear2d", "nearest": "upsample_nearest2d"}[method])(
        image, size=shape[-2:]
    )


def matmul(a, b, *, precision):
    highest(precision)
    return np.matmul(a, b)


def vjp(function, leaves):
    """By complex steps."""

    def pull(upstream):
        def one(key, leaf):
            if isinstance(leaf, tuple):
                return tuple(one((key, k), part) for k, part in enumerate(leaf))
            return slopes(lambda array: function(complexes(leaves, key, array)), leaf, upstream).astype(leaf.dtype)

        return ({key: one(key, leaf) for key, leaf in leaves.items()},)

    return function(leaves), pull


def complexes(value, key, instead, at=None):
    """All leaves as complex numbers, one of them replaced: that of this key, ``(key, k)`` for the k-th of a tuple."""
    if isinstance(value, dict):
        return {name: complexes(leaf, key, instead, name) for name, leaf in value.items()}
    if isinstance(value, tuple):
        return tuple(complexes(leaf, key, instead, (at, k)) for k, leaf in enumerate(value))
    return instead if at == key else value.astype(complex)


def install(monkeypatch):
    """In JAX's place; what it returns may be changed."""
    jax, settings = types.ModuleType("jax"), {}
    jax.__version__ = "0.0 (stand-in)"
    jax.config = types.SimpleNamespace(update=settings.__setitem__)
    jax.jit = lambda function: function

    def array(value, dtype):
        assert settings["jax_enable_x64"]
        return np.array(value, dtype=dtype)

    names = (
        "issubdtype",
        "floating",
        "ones_like",
        "pad",
        "concatenate",
        "mean",
        "square",
        "take_along_axis",
        "expand_dims",
    )
    jax.numpy = types.SimpleNamespace(array=array, matmul=matmul, **{name: getattr(np, name) for name in names})
    jax.lax = types.SimpleNamespace(conv_general_dilated=conv_general_dilated, conv_transpose=conv_transpose,
                                    reduce_window=reduce_window, max=largest, add=total, Precision=Precision)  # fmt: skip
    gelu = lambda x, approximate=True: ops.gelu(x, approximate="tanh" if approximate else "none")
    jax.nn = types.SimpleNamespace(standardize=standardize, log_softmax=log_softmax, log_sigmoid=log_sigmoid, glu=glu,
                                   relu=ops.relu, sigmoid=ops.sigmoid, gelu=gelu)  # fmt: skip
    jax.image = types.SimpleNamespace(resize=resize)
    jax.vjp = vjp
    monkeypatch.setitem(sys.modules, "jax", jax)
    return jax
