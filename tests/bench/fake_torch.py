"""A PyTorch of NumPy arrays and our own operations: what calls it can be tested where there is none.

Only what ``unet_ref.bench`` and the adapters call, with PyTorch's argument order. Its gradients are zeros.
"""

import contextlib
from types import SimpleNamespace

import numpy as np

from unet_ref import ops


class Tensor(np.ndarray):
    """An array with the methods of a tensor."""

    requires_grad = False

    def __array_finalize__(self, other):
        self.requires_grad = False

    def requires_grad_(self):
        self.requires_grad = True
        return self

    def to(self, device):
        assert device in ("cpu", "cuda")
        return self

    def relu_(self):
        return np.maximum(self, 0, out=self)

    def add_(self, other):
        self += other

    def chunk(self, count, axis):
        return np.split(self, count, axis)

    def new_zeros(self, shape):
        return tensor(np.zeros(shape, self.dtype))

    def long(self):
        return self


def tensor(array):
    return np.asarray(array).view(Tensor)


def _plain(value):
    return value.view(np.ndarray) if isinstance(value, Tensor) else value


def _same(name, *order):
    """Our operation, called with positional arguments in PyTorch's order."""

    def function(*arguments, **options):
        given = dict(zip(order, map(_plain, arguments), strict=False)) | {k: _plain(v) for k, v in options.items()}
        return tensor(getattr(ops, name)(**given))

    return function


def batch_norm(x, mean, var, weight, bias, training, momentum, eps):
    if training and mean is not None:
        mean[...], var[...] = ops.batch_norm_running_stats(*map(_plain, (x, mean, var)), momentum=momentum)
    return tensor(ops.batch_norm(*map(_plain, (x, weight, bias, mean, var)), training=training, eps=eps))


def interpolate(x, *, size, scale_factor, mode, align_corners=False):
    return tensor(getattr(ops, f"upsample_{mode}2d")(_plain(x), size=size, scale_factor=scale_factor))


def pad(x, sides, mode, value):
    left, right, top, bottom = sides
    return tensor(ops.pad2d(_plain(x), padding=((top, bottom), (left, right)), mode=mode, value=value))


class Event:
    """Times by the clock on the wall that the test winds."""

    now = 0.0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = Event.now

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return 1000 * (end.at - self.at)


def make():
    """The module; put it in ``sys.modules``."""
    functional = SimpleNamespace(
        conv2d=_same("conv2d", "x", "weight", "bias", "stride", "padding", "dilation", "groups"),
        conv_transpose2d=_same(
            "conv_transpose2d", "x", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"
        ),
        max_pool2d=_same("max_pool2d", "x", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
        avg_pool2d=_same("avg_pool2d", "x"),
        adaptive_avg_pool2d=_same("adaptive_avg_pool2d", "x", "output_size"),
        group_norm=lambda x, groups, weight, bias, eps: tensor(
            ops.group_norm(*map(_plain, (x, weight, bias)), num_groups=groups, eps=eps)
        ),
        linear=_same("linear", "x", "weight", "bias"),
        relu=_same("relu", "x"),
        gelu=_same("gelu", "x"),
        glu=_same("glu", "x", "axis"),
        mse_loss=_same("mse_loss", "x", "target"),
        binary_cross_entropy_with_logits=_same("binary_cross_entropy_with_logits", "x", "target"),
        cross_entropy=_same("cross_entropy", "x", "target"),
        batch_norm=batch_norm,
        interpolate=interpolate,
        pad=pad,
    )
    Tensor.sigmoid = _same("sigmoid", "x")
    threads = [3]
    return SimpleNamespace(
        nn=SimpleNamespace(functional=functional),
        cat=lambda arrays, axis: tensor(np.concatenate(arrays, axis)),
        from_numpy=tensor,
        no_grad=contextlib.nullcontext,
        autograd=SimpleNamespace(grad=lambda y, leaves, dy: [np.zeros_like(leaf) for leaf in leaves]),
        batch_norm_update_stats=lambda x, mean, var, momentum: ops.batch_norm_running_stats(
            *map(_plain, (x, mean, var)), momentum=momentum
        ),
        get_num_threads=lambda: threads[-1],
        set_num_threads=threads.append,
        threads=threads,
        backends=SimpleNamespace(
            cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True)), cudnn=SimpleNamespace(allow_tf32=True)
        ),
        cuda=SimpleNamespace(Event=Event, is_available=lambda: True),
    )
