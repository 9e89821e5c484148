"""JAX, with ``jax.vjp``'s backward: ``lax``, ``jax.nn`` and ``jax.image``, under ``jax.jit``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, ItemsView
from typing import Any

import numpy as np

from .arguments import named, pads, refuse
from .arguments import pair as both

DTYPES = ("float32", "float64")  # each shape is compiled: the half types would take as long again
LAYOUTS = ("contiguous",)


def version() -> str:
    """Of the library."""
    return f"JAX {_jax().__version__}"


def pair(name: str, layout: str, dtype: str) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:  # noqa: ARG001
    """Forward and backward."""
    if name not in OPERATIONS:
        return None, None
    return functools.partial(_forward, name, dtype), functools.partial(_backward, name, dtype)


def _jax() -> Any:
    import jax  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    return jax


def _forward(name: str, dtype: str, *arrays: Any, **options: Any) -> Any:
    forward, _ = _compiled(name, *_hashable(options.items()))
    return _numpy(forward(named(name, tuple(_array(array, dtype) for array in arrays))))


def _backward(name: str, dtype: str, grad_output: Any, *arrays: Any, **options: Any) -> dict[str, Any]:
    given = named(name, tuple(_array(array, dtype) for array in arrays))
    varied = {key: value for key, value in given.items() if _floats(value)}
    try:
        _, backward = _compiled(name, *_hashable(options.items()))
        grads = backward(varied, given, _array(grad_output, dtype))
    except NotImplementedError:
        raise
    except (TypeError, ValueError) as error:
        if "not implemented" in str(error).lower():
            raise NotImplementedError(str(error)) from None
        raise
    return {key: _numpy(value) for key, value in grads.items()}


@functools.lru_cache(maxsize=1)
def _compiled(name: str, *options: tuple[str, Any]) -> tuple[Any, Any]:
    """Forward and backward for these options, compiled once for each shape: a second call is a call, not a compilation."""
    jax = _jax()
    function = functools.partial(OPERATIONS[name], **dict(options))

    def backward(varied: dict[str, Any], given: dict[str, Any], upstream: Any) -> Any:
        _, pull = jax.vjp(lambda leaves: function(**(given | leaves)), varied)
        (grads,) = pull(upstream)
        return grads

    return jax.jit(lambda given: function(**given)), jax.jit(backward)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple | ItemsView) else value


def _floats(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_floats, value))
    return value is not None and _jax().numpy.issubdtype(value.dtype, _jax().numpy.floating)


def _array(value: Any, dtype: str) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_array(item, dtype) for item in value)
    if value is None:
        return None
    jnp = _jax().numpy
    value = np.asarray(value)
    return jnp.array(value, dtype=dtype if value.dtype.kind == "f" else value.dtype)


def _numpy(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_numpy(item) for item in value)
    return np.array(value)


def _images(x: Any) -> tuple[Any, bool]:
    return (x, False) if x.ndim == 4 else (x[None], True)


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Any:  # fmt: skip
    """``lax.conv_general_dilated``."""
    x, lone = _images(x)
    native = padding.upper() if isinstance(padding, str) else pads(padding)
    y = _jax().lax.conv_general_dilated(
        x, weight, both(stride), native, rhs_dilation=both(dilation), dimension_numbers=("NCHW", "OIHW", "NCHW"),
        feature_group_count=groups, precision="highest")  # fmt: skip
    y = y if bias is None else y + bias[:, None, None]
    return y[0] if lone else y


def conv_transpose2d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                     groups: int = 1, dilation: Any = 1) -> Any:  # fmt: skip
    """``lax.conv_transpose``, whose padding is that of the convolution with the stretched input; it has no groups."""
    refuse(groups=groups - 1)
    x, lone = _images(x)
    rows = zip(pads(padding), weight.shape[2:], both(dilation), both(output_padding), strict=True)
    native = [(d * (k - 1) - p, d * (k - 1) - q + more) for (p, q), k, d, more in rows]
    y = _jax().lax.conv_transpose(
        x, weight, both(stride), native, rhs_dilation=both(dilation), dimension_numbers=("NCHW", "OIHW", "NCHW"),
        transpose_kernel=True, precision="highest")  # fmt: skip
    y = y if bias is None else y + bias[:, None, None]
    return y[0] if lone else y


def _windows(x: Any, start: float, function: Any, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Any:
    lead = (1,) * (x.ndim - 2)
    step = kernel if stride is None else stride
    return _jax().lax.reduce_window(
        x, np.asarray(start, x.dtype), function, (*lead, *both(kernel)), (*lead, *both(step)),
        (*((0, 0),) * len(lead), *pads(padding)), window_dilation=(*lead, *both(dilation)))  # fmt: skip


def max_pool2d(x: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False) -> Any:  # fmt: skip
    """``lax.reduce_window``."""
    refuse(ceil_mode=ceil_mode)
    return _windows(x, -math.inf, _jax().lax.max, kernel_size, stride, padding, dilation)


def avg_pool2d(x: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Any:  # fmt: skip
    """``lax.reduce_window`` over x and, where the padding does not count, over ones."""
    refuse(ceil_mode=ceil_mode)
    jax = _jax()
    total = _windows(x, 0.0, jax.lax.add, kernel_size, stride, padding)
    if divisor_override is not None:
        return total / divisor_override
    if count_include_pad:
        return total / math.prod(both(kernel_size))
    return total / _windows(jax.numpy.ones_like(x), 0.0, jax.lax.add, kernel_size, stride, padding)


def batch_norm(x: Any, weight: Any = None, bias: Any = None, running_mean: Any = None, running_var: Any = None, *,
               training: bool, eps: float = 1e-5) -> Any:  # fmt: skip
    """``jax.nn.standardize``."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    axes = tuple(a for a in range(x.ndim) if a != 1)
    known = {} if training else {"mean": running_mean.reshape(shape), "variance": running_var.reshape(shape)}
    y = _jax().nn.standardize(x, axis=axes, epsilon=eps, **known)
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def group_norm(x: Any, weight: Any = None, bias: Any = None, *, num_groups: int, eps: float = 1e-5) -> Any:
    """``jax.nn.standardize`` of each group."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    y = _jax().nn.standardize(x.reshape(x.shape[0], num_groups, -1), axis=-1, epsilon=eps).reshape(x.shape)
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def resize(x: Any, method: str, *, size: Any = None, scale_factor: Any = None) -> Any:
    """``jax.image.resize``: pixel centres and sizes, never a scale at its word; nearest agrees for whole factors only."""
    old = x.shape[-2:]
    new = (
        both(size)
        if size is not None
        else tuple(math.floor(n * s) for n, s in zip(old, both(scale_factor), strict=True))
    )
    if scale_factor is not None and tuple(n * s for n, s in zip(old, both(scale_factor), strict=True)) != new:
        raise NotImplementedError("a scale that does not give a whole size")
    if method == "nearest" and any(m % n for n, m in zip(old, new, strict=True)):
        raise NotImplementedError("nearest by corners: jax.image.resize goes by centres")
    return _jax().image.resize(
        x, (*x.shape[:-2], *new), method, antialias=False, precision=_jax().lax.Precision.HIGHEST
    )


def pad2d(x: Any, *, padding: Any, mode: str = "constant", value: float = 0) -> Any:
    """``jnp.pad``."""
    if min(p for side in pads(padding) for p in side) < 0:
        raise NotImplementedError("negative padding")
    widths = [(0, 0)] * (x.ndim - 2) + list(pads(padding))
    fill = {"constant_values": value} if mode == "constant" else {}
    return _jax().numpy.pad(x, widths, mode={"replicate": "edge"}.get(mode, mode), **fill)


def film(x: Any, gamma: Any, beta: Any, *, offset: float = 1) -> Any:
    """Broadcasting."""
    after = (1,) * (x.ndim - gamma.ndim)
    return (offset + gamma).reshape(*gamma.shape, *after) * x + beta.reshape(*beta.shape, *after)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """``jnp.matmul``."""
    y = _jax().numpy.matmul(x, weight.T, precision="highest")
    return y if bias is None else y + bias


def cross_entropy(x: Any, target: Any) -> Any:
    """``jax.nn.log_softmax``, and the entries of the classes."""
    axis = min(x.ndim - 1, 1)
    jnp = _jax().numpy
    logs = _jax().nn.log_softmax(x, axis=axis)
    return -jnp.mean(jnp.take_along_axis(logs, jnp.expand_dims(target, axis).astype("int32"), axis))


def bce(x: Any, target: Any) -> Any:
    """``jax.nn.log_sigmoid`` of both signs."""
    logs = _jax().nn.log_sigmoid
    return -_jax().numpy.mean(target * logs(x) + (1 - target) * logs(-x))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
    "film": film,
    "concat": lambda arrays, *, axis=1: _jax().numpy.concatenate(arrays, axis),
    "linear": linear,
    "relu": lambda x: _jax().nn.relu(x),  # noqa: PLW0108  JAX is not there yet
    "sigmoid": lambda x: _jax().nn.sigmoid(x),  # noqa: PLW0108
    "gelu": lambda x, *, approximate="none": _jax().nn.gelu(x, approximate=approximate == "tanh"),
    "glu": lambda x, *, axis=-1: _jax().nn.glu(x, axis),
    "upsample_nearest2d": lambda x, **options: resize(x, "nearest", **options),
    "upsample_bilinear2d": lambda x, **options: resize(x, "linear", **options),
    "pad2d": pad2d,
    "mse_loss": lambda x, target: _jax().numpy.mean(_jax().numpy.square(x - target)),
    "binary_cross_entropy_with_logits": bce,
    "cross_entropy": cross_entropy,
}
