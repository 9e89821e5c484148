"""PyTorch, with autograd's backward: contiguous and channels-last, in four dtypes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .arguments import named, pads, symmetric
from .arguments import pair as both

DTYPES = ("float32", "float64", "bfloat16", "float16")
LAYOUTS = ("contiguous", "channels last")


def version() -> str:
    """Of the library."""
    return f"PyTorch {_torch().__version__}"


def pair(name: str, layout: str, dtype: str) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
    """Forward and backward."""
    function = OPERATIONS.get(name)
    if function is None:
        return None, None
    backward = None if name == "batch_norm_running_stats" else functools.partial(_backward, name, layout, dtype)
    return functools.partial(_forward, name, layout, dtype), backward


def _torch() -> Any:
    import torch  # noqa: PLC0415

    return torch


def _forward(name: str, layout: str, dtype: str, *arrays: Any, **options: Any) -> Any:
    with _torch().no_grad():
        return _numpy(_call(name, [_tensor(array, layout, dtype) for array in arrays], options))


def _backward(name: str, layout: str, dtype: str, grad_output: Any, *arrays: Any, **options: Any) -> dict[str, Any]:
    tensors = [_tensor(array, layout, dtype, leaf=True) for array in arrays]
    flat = [t for value in tensors for t in (value if isinstance(value, tuple) else (value,))]
    leaves = [t for t in flat if t is not None and t.requires_grad]
    y = _call(name, tensors, options)
    try:
        slopes = _torch().autograd.grad(y, leaves, _tensor(grad_output, layout, dtype), allow_unused=True)
    except RuntimeError as error:
        raise _refusal(error) from None
    found = {id(leaf): None if slope is None else _numpy(slope) for leaf, slope in zip(leaves, slopes, strict=True)}
    grads: dict[str, Any] = {}
    for key, value in named(name, tuple(tensors)).items():
        if isinstance(value, tuple):
            grads[key] = tuple(found[id(t)] for t in value)
        elif id(value) in found and found[id(value)] is not None:
            grads[key] = found[id(value)]
    return grads


def _call(name: str, tensors: list[Any], options: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of slow paths
        try:
            return OPERATIONS[name](*tensors, **options)
        except RuntimeError as error:
            raise _refusal(error) from None


def _refusal(error: RuntimeError) -> Exception:
    return NotImplementedError(str(error)) if "not implemented for" in str(error) else error


def _tensor(value: Any, layout: str, dtype: str, *, leaf: bool = False) -> Any:
    torch = _torch()
    if isinstance(value, tuple | list):
        return tuple(_tensor(item, layout, dtype, leaf=leaf) for item in value)
    if value is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of read-only memory: nothing is written
        tensor = torch.from_numpy(np.asarray(value))
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(getattr(torch, dtype))
    if layout == "channels last" and tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor.detach().requires_grad_() if leaf else tensor


def _numpy(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_numpy(item) for item in value)
    value = value.detach()
    return (value.float() if value.dtype == _torch().bfloat16 else value).numpy().copy()


def _functional() -> Any:
    return _torch().nn.functional


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Any:  # fmt: skip
    """``F.conv2d``; its pads are the same on both sides."""
    native = padding if isinstance(padding, str) else symmetric(padding)
    return _functional().conv2d(x, weight, bias, stride, native, dilation, groups)


def conv_transpose2d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                     groups: int = 1, dilation: Any = 1) -> Any:  # fmt: skip
    """``F.conv_transpose2d``."""
    return _functional().conv_transpose2d(x, weight, bias, stride, symmetric(padding), output_padding, groups, dilation)


def max_pool2d(x: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False) -> Any:  # fmt: skip
    """``F.max_pool2d``."""
    return _functional().max_pool2d(x, kernel_size, stride, symmetric(padding), dilation, ceil_mode)


def avg_pool2d(x: Any, *, padding: Any = 0, **options: Any) -> Any:
    """``F.avg_pool2d``."""
    return _functional().avg_pool2d(x, padding=symmetric(padding), **options)


def batch_norm(x: Any, weight: Any = None, bias: Any = None, running_mean: Any = None, running_var: Any = None, *,
               training: bool, eps: float = 1e-5) -> Any:  # fmt: skip
    """``F.batch_norm``, which writes into the statistics that it gets."""
    mean, var = (None if s is None else s.detach().clone() for s in (running_mean, running_var))
    return _functional().batch_norm(x, mean, var, weight, bias, training, 0.0, eps)


def batch_norm_running_stats(x: Any, running_mean: Any, running_var: Any, *, momentum: float = 0.1) -> Any:
    """What ``F.batch_norm`` writes."""
    mean, var = running_mean.clone(), running_var.clone()
    _functional().batch_norm(x, mean, var, training=True, momentum=momentum)
    return mean, var


def group_norm(x: Any, weight: Any = None, bias: Any = None, *, num_groups: int, eps: float = 1e-5) -> Any:
    """``F.group_norm``."""
    return _functional().group_norm(x, num_groups, weight, bias, eps)


def upsample(x: Any, *, size: Any = None, scale_factor: Any = None, **mode: Any) -> Any:
    """``F.interpolate``, which wants a batch."""
    images = x if x.ndim == 4 else x[None]
    y = _functional().interpolate(images, size=size, scale_factor=scale_factor, **mode)
    return y if x.ndim == 4 else y[0]


def center_crop2d(x: Any, *, size: Any) -> Any:
    """Slices."""
    (H, W), (h, w) = x.shape[-2:], both(size)
    return x[..., (H - h) // 2 : (H - h) // 2 + h, (W - w) // 2 : (W - w) // 2 + w]


def pad2d(x: Any, *, padding: Any, mode: str = "constant", value: float = 0) -> Any:
    """``F.pad``."""
    (top, bottom), (left, right) = pads(padding)
    fill = {"value": float(value)} if mode == "constant" else {}
    return _functional().pad(x, (left, right, top, bottom), mode=mode, **fill)


def film(x: Any, gamma: Any, beta: Any, *, offset: float = 1) -> Any:
    """Broadcasting."""
    after = (1,) * (x.ndim - gamma.ndim)
    return (offset + gamma).reshape(*gamma.shape, *after) * x + beta.reshape(*beta.shape, *after)


def cross_entropy(x: Any, target: Any) -> Any:
    """``F.cross_entropy``, whose classes are int64 or bytes."""
    return _functional().cross_entropy(x, target.long())


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": lambda x, *, output_size: _functional().adaptive_avg_pool2d(x, output_size),
    "batch_norm": batch_norm,
    "batch_norm_running_stats": batch_norm_running_stats,
    "group_norm": group_norm,
    "film": film,
    "concat": lambda arrays, *, axis=1: _torch().cat(arrays, axis),
    "linear": lambda x, weight, bias=None: _functional().linear(x, weight, bias),
    "relu": lambda x: _functional().relu(x),
    "sigmoid": lambda x: x.sigmoid(),
    "gelu": lambda x, *, approximate="none": _functional().gelu(x, approximate=approximate),
    "glu": lambda x, *, axis=-1: _functional().glu(x, axis),
    "upsample_nearest2d": functools.partial(upsample, mode="nearest"),
    "upsample_bilinear2d": functools.partial(upsample, mode="bilinear", align_corners=False),
    "center_crop2d": center_crop2d,
    "pad2d": pad2d,
    "mse_loss": lambda x, target: _functional().mse_loss(x, target),
    "binary_cross_entropy_with_logits": lambda x, target: _functional().binary_cross_entropy_with_logits(x, target),
    "cross_entropy": cross_entropy,
}
