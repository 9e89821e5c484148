"""As much of PyTorch as the judge's engine calls, in PyTorch's signatures, over this package's forward passes."""

import contextlib
import types

import numpy as np

from unet_ref import ops
from unet_ref.judge.rounding import rounded

from .values import Value, slopes

FLOATS = {"float64": "float64", "float32": "float32", "float16": "float16", "bfloat16": "float32"}
LAST = "channels_last"


class Tensor(Value):
    """Its dtype is a name; bfloat16 numbers are float32 ones of eight bits."""

    def __init__(self, array, function=None, parents=(), *, dtype=None):
        super().__init__(array, function, parents)
        self.dtype, self.requires_grad = dtype or str(self.array.dtype), False
        if self.dtype in FLOATS:
            digits = rounded(self.array, 8) if self.dtype == "bfloat16" else self.array
            self.array = np.asarray(digits, FLOATS[self.dtype], order="K")

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)

    def is_floating_point(self):
        return self.dtype in FLOATS

    def to(self, dtype):
        return Tensor(self.array, dtype=dtype)

    def float(self):
        return Tensor(self.array, dtype="float32")

    def long(self):
        return Tensor(self.array.astype("int64"))

    def contiguous(self, *, memory_format):
        assert memory_format == LAST
        assert self.ndim == 4
        last = np.ascontiguousarray(self.array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return Tensor(last, dtype=self.dtype)

    def detach(self):
        return Tensor(self.array, dtype=self.dtype)

    def clone(self):
        return Tensor(self.array.copy(), dtype=self.dtype)

    def requires_grad_(self):
        self.requires_grad = True
        return self

    def numpy(self):
        assert self.dtype != "bfloat16", "Got unsupported ScalarType BFloat16"
        return self.array

    def sigmoid(self):
        return made(ops.sigmoid, self)

    def reshape(self, *shape):
        return made(lambda a: a.reshape(shape), self)

    def __getitem__(self, index):
        return made(lambda a: a[index], self)

    def __add__(self, other):
        return made(lambda a, b: a + b, self, other)

    __radd__ = __add__

    def __mul__(self, other):
        return made(lambda a, b: a * b, self, other)


def made(function, *parents):
    """A tensor from others: lists are as good as tuples."""
    parents = tuple(tuple(parent) if isinstance(parent, list) else parent for parent in parents)
    first = parents[0][0] if isinstance(parents[0], tuple) else parents[0]

    def plain(parent):
        if isinstance(parent, tuple):
            return tuple(map(plain, parent))
        return parent.array if isinstance(parent, Tensor) else parent

    return Tensor(function(*map(plain, parents)), function, parents, dtype=first.dtype)


def of(operation, *arrays, **options):
    function = getattr(ops, operation)
    return made(lambda *arrays: function(*arrays, **options), *arrays)


class F:
    """``torch.nn.functional``."""

    @staticmethod
    def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return of("conv2d", input, weight, bias, **options)

    @staticmethod
    def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return of("conv_transpose2d", input, weight, bias, output_padding=output_padding, **options)

    @staticmethod
    def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        return of("max_pool2d", input, kernel_size=kernel_size, **options)

    @staticmethod
    def avg_pool2d(
        input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "divisor_override": divisor_override}
        return of("avg_pool2d", input, kernel_size=kernel_size, count_include_pad=count_include_pad, **options)

    @staticmethod
    def adaptive_avg_pool2d(input, output_size):
        return of("adaptive_avg_pool2d", input, output_size=output_size)

    @staticmethod
    def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        if not training:
            return of("batch_norm", input, weight, bias, running_mean, running_var, training=False, eps=eps)
        if running_mean is not None:
            old = running_mean.array, running_var.array
            new = ops.batch_norm_running_stats(input.array, *old, momentum=momentum)
            for before, after in zip(old, new, strict=True):
                before[...] = after
        return of("batch_norm", input, weight, bias, training=True, eps=eps)

    @staticmethod
    def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
        return of("group_norm", input, weight, bias, num_groups=num_groups, eps=eps)

    @staticmethod
    def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
        assert input.ndim == 4, "Input Error: Only 4D input Tensors supported for these modes"
        assert align_corners is (None if mode == "nearest" else False)
        return of(f"upsample_{mode}2d", input, size=size, scale_factor=scale_factor)

    @staticmethod
    def pad(input, pad, mode="constant", value=None):
        left, right, top, bottom = pad
        fill = {} if value is None else {"value": value}
        return of("pad2d", input, padding=((top, bottom), (left, right)), mode=mode, **fill)

    @staticmethod
    def cross_entropy(input, target):
        assert target.dtype == "int64", "expected scalar type Long"
        return of("cross_entropy", input, target)

    @staticmethod
    def gelu(input, approximate="none"):
        return of("gelu", input, approximate=approximate)

    @staticmethod
    def glu(input, dim=-1):
        return of("glu", input, axis=dim)

    linear = staticmethod(lambda input, weight, bias=None: of("linear", input, weight, bias))
    relu = staticmethod(lambda input: of("relu", input))
    mse_loss = staticmethod(lambda input, target: of("mse_loss", input, target))
    binary_cross_entropy_with_logits = staticmethod(
        lambda input, target: of("binary_cross_entropy_with_logits", input, target)
    )


def grad(outputs, inputs, grad_outputs, allow_unused=False):
    """``torch.autograd.grad``."""

    def one(leaf):
        assert leaf.requires_grad
        if not outputs.comes_from(leaf):
            assert allow_unused, "One of the differentiated Tensors appears to not have been used in the graph"
            return None
        found = slopes(lambda array: outputs.again(leaf, array), leaf.array, grad_outputs.array)
        return Tensor(found, dtype=leaf.dtype)

    return tuple(map(one, inputs))


def install(monkeypatch):
    """In PyTorch's place; what it returns may be changed."""
    torch = types.ModuleType("torch")
    torch.__version__ = "0.0 (stand-in)"
    torch.from_numpy = lambda array: Tensor(array.copy(order="K"))
    torch.no_grad = contextlib.nullcontext
    torch.cat = lambda tensors, dim=0: made(lambda *arrays: ops.concat(arrays, axis=dim), *tensors)
    torch.autograd = types.SimpleNamespace(grad=grad)
    torch.nn = types.SimpleNamespace(functional=type("functional", (F,), {}))
    torch.channels_last = LAST
    for name in FLOATS:
        setattr(torch, name, name)
    monkeypatch.setitem(__import__("sys").modules, "torch", torch)
    return torch
