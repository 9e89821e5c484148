"""Every operation as PyTorch has it: one table, ``operation name -> callable on tensors``.

The recorder of ``tests/vectors`` and the comparisons of ``tests/live`` share it. What PyTorch takes natively is handed
over as it is. What it has no argument for (four different pads) is said with other functions of PyTorch, never with
ours.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


def torch_pass(name: str, arrays: dict[str, Any], options: dict[str, Any], grad_output: Any = None) -> Any:
    """``(y, gradients by argument name)`` of PyTorch; with a ``grad_output`` of None, ``(y, None)``."""
    with quiet():
        tensors = {key: _tensor(value) for key, value in arrays.items()}
        y = ADAPTERS[name](*tensors.values(), **options)
        if grad_output is None:
            return _numpy(y), None
        leaves = {key: value for key, value in tensors.items() if _differentiable(value)}
        flat = [leaf for value in leaves.values() for leaf in (value if isinstance(value, tuple) else (value,))]
        slopes = torch.autograd.grad(y, flat, torch.from_numpy(np.asarray(grad_output)), allow_unused=True)
        found = iter([_numpy(s) if s is not None else None for s in slopes])
        return _numpy(y), {
            k: tuple(next(found) for _ in v) if isinstance(v, tuple) else next(found) for k, v in leaves.items()
        }


@contextlib.contextmanager
def quiet():
    """PyTorch warns of slow paths (``same`` with an even kernel); here only the numbers matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tensor(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_tensor(item) for item in value)
    if value is None:
        return None
    tensor = torch.from_numpy(np.array(value))  # a copy: nothing that PyTorch does can reach our arrays
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _differentiable(value: Any) -> bool:
    return (
        all(_differentiable(item) for item in value)
        if isinstance(value, tuple)
        else getattr(value, "requires_grad", False)
    )


def _numpy(value: Any) -> Any:
    return tuple(_numpy(item) for item in value) if isinstance(value, tuple) else value.detach().numpy()


def _pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def _pads(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    vertical, horizontal = _pair(padding)
    return _pair(vertical), _pair(horizontal)


def _symmetric(padding: Any) -> tuple[int, int] | None:
    """``(h, w)`` where both sides are alike, as PyTorch wants it."""
    (top, bottom), (left, right) = _pads(padding)
    return (top, left) if top == bottom and left == right else None


def _pad(x: Any, padding: Any, value: float = 0.0) -> Any:
    (top, bottom), (left, right) = _pads(padding)
    return F.pad(x, (left, right, top, bottom), value=value)


def conv2d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1):
    if not isinstance(padding, str) and _symmetric(padding) is None:
        x, padding = _pad(x, padding), 0
    native = padding if isinstance(padding, str) else _symmetric(padding)
    return F.conv2d(x, weight, bias, stride, native, dilation, groups)


def conv_transpose2d(x, weight, bias=None, *, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    if (native := _symmetric(padding)) is not None:
        return F.conv_transpose2d(x, weight, bias, stride, native, output_padding, groups, dilation)
    full = F.conv_transpose2d(x, weight, bias, stride, 0, output_padding, groups, dilation)
    (top, bottom), (left, right) = _pads(padding)
    return F.pad(full, (-left, -right, -top, -bottom))  # a pad of the input of the convolution is a crop here


def max_pool2d(x, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if (native := _symmetric(padding)) is not None:
        return F.max_pool2d(x, kernel_size, stride, native, dilation, ceil_mode)
    stride = kernel_size if stride is None else stride
    padding, (h, w) = _room(x.shape[-2:], kernel_size, stride, padding, dilation, ceil_mode)
    return F.max_pool2d(_pad(x, padding, float("-inf")), kernel_size, stride, 0, dilation)[..., :h, :w]


def avg_pool2d(
    x, *, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    if (native := _symmetric(padding)) is not None:
        return F.avg_pool2d(x, kernel_size, stride, native, ceil_mode, count_include_pad, divisor_override)
    stride = kernel_size if stride is None else stride
    counted = _pad(torch.ones_like(x), padding, float(count_include_pad)).detach()
    (_, bottom), (_, right) = _pads(padding)
    room, (h, w) = _room(x.shape[-2:], kernel_size, stride, padding, 1, ceil_mode)
    beyond = (0, room[0][1] - bottom), (0, room[1][1] - right)
    total = F.avg_pool2d(_pad(x, room), kernel_size, stride, divisor_override=1)
    count = F.avg_pool2d(_pad(counted, beyond), kernel_size, stride, divisor_override=1)
    return (total / (count if divisor_override is None else divisor_override))[..., :h, :w]


def _room(size, kernel_size, stride, padding, dilation, ceil_mode):
    """Pads below and right with room for the windows that hang over in ceil mode, and how many windows there are."""
    pads, counts = [], []
    for n, k, s, (before, after), d in zip(
        size, _pair(kernel_size), _pair(stride), _pads(padding), _pair(dilation), strict=True
    ):
        span = d * (k - 1) + 1
        starts = [i for i in range(0, n + before + after, s) if i + span <= n + before + after]
        if ceil_mode:  # one more window where pixels are left over, if it starts in the image or before it
            last = starts[-1] + s if starts else 0
            if (starts[-1] + span if starts else 0) < n + before + after and last < n + before:
                starts.append(last)
        pads.append((before, max(after, starts[-1] + span - n - before)))
        counts.append(len(starts))
    return tuple(pads), counts


def adaptive_avg_pool2d(x, *, output_size):
    return F.adaptive_avg_pool2d(x, output_size)


def batch_norm(x, weight=None, bias=None, running_mean=None, running_var=None, *, training, eps=1e-5):
    mean, var = (None if s is None else s.detach().clone() for s in (running_mean, running_var))
    return F.batch_norm(x, mean, var, weight, bias, training, 0.0, eps)


def batch_norm_running_stats(x, running_mean, running_var, *, momentum=0.1):
    mean, var = running_mean.detach().clone(), running_var.detach().clone()
    F.batch_norm(x.detach(), mean, var, training=True, momentum=momentum)
    return mean, var


def group_norm(x, weight=None, bias=None, *, num_groups, eps=1e-5):
    if weight is None and bias is not None:  # PyTorch 2.13 fails in the backward: "tensor does not have a device"
        return F.group_norm(x, num_groups, None, None, eps) + bias.reshape(-1, *(1,) * (x.ndim - 2))
    return F.group_norm(x, num_groups, weight, bias, eps)


def film(x, gamma, beta, *, offset=1):
    after = (1,) * (x.ndim - gamma.ndim)
    return (offset + gamma).reshape(*gamma.shape, *after) * x + beta.reshape(*beta.shape, *after)


def concat(arrays, *, axis=1):
    return torch.cat(arrays, axis)


def linear(x, weight, bias=None):
    return F.linear(x, weight, bias)


def relu(x):
    return F.relu(x)


def sigmoid(x):
    return x.sigmoid()


def gelu(x, *, approximate="none"):
    return F.gelu(x, approximate=approximate)


def glu(x, *, axis=-1):
    return F.glu(x, axis)


def upsample_nearest2d(x, *, size=None, scale_factor=None):
    return _interpolate(x, size, scale_factor, mode="nearest")


def upsample_bilinear2d(x, *, size=None, scale_factor=None):
    return _interpolate(x, size, scale_factor, mode="bilinear", align_corners=False)


def _interpolate(x, size, scale_factor, **mode):
    images = x if x.ndim == 4 else x[None]
    y = F.interpolate(images, size=size, scale_factor=scale_factor, **mode)
    return y if x.ndim == 4 else y[0]


def center_crop2d(x, *, size):
    (H, W), (h, w) = x.shape[-2:], _pair(size)
    return x.narrow(-2, (H - h) // 2, h).narrow(-1, (W - w) // 2, w)


def pad2d(x, *, padding, mode="constant", value=0):
    (top, bottom), (left, right) = _pads(padding)
    fill = {"value": float(value)} if mode == "constant" else {}
    return F.pad(x, (left, right, top, bottom), mode=mode, **fill)


def mse_loss(x, target):
    return F.mse_loss(x, target)


def binary_cross_entropy_with_logits(x, target):
    return F.binary_cross_entropy_with_logits(x, target)


def cross_entropy(x, target):
    return F.cross_entropy(x, target)


ADAPTERS = {
    function.__name__: function
    for function in (
        conv2d, conv_transpose2d, max_pool2d, avg_pool2d, adaptive_avg_pool2d, batch_norm, batch_norm_running_stats,
        group_norm, film, concat, linear, relu, sigmoid, gelu, glu, upsample_nearest2d, upsample_bilinear2d,
        center_crop2d, pad2d, mse_loss, binary_cross_entropy_with_logits, cross_entropy,
    )
}  # fmt: skip
