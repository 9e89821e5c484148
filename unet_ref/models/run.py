"""The two readers of a network: ``Forward`` runs its steps and records them, ``Backward`` runs them in reverse.

Both have one method for each kind of step, with the same name: where forward reads ``x = run.relu(name, x)``, backward
reads ``grad = run.relu(name, grad)``. There is no tape: the order of the backward pass is written by hand in each
network; a step is found again by its name.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from ..arithmetic import constant
from ..backend import namespace
from ..errors import ShapeError
from .layers import BatchNorm2d, Layer
from .trace import Activation, Step, Trace

# Backward passes that read only the shapes of their arguments: a hollow array is kept instead of the values.
SHAPE_ONLY = {"concat", "upsample_nearest2d", "avg_pool2d", "adaptive_avg_pool2d", "center_crop2d"}

VIEWS = {"reshape", "chunk"}  # of another step's memory

INPUT_FORGOTTEN = {"max_pool2d", "gelu"}  # what these remember stands for their input


class Forward:
    """Runs steps on ``ops`` (arrays) or ``abstract`` (shapes alone) and records them in a trace."""

    def __init__(
        self, ops: Any, layers: dict[str, Layer], state: dict[str, Any], *,
        training: bool, record: str, readers: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.ops, self.layers, self.state, self.training, self.record = ops, layers, state, training, record
        self.readers = readers or {}  # how many steps read each activation, where that is known
        self.trace = Trace(training=training, forgets=record == "nothing")

    def layer(self, name: str, x: Activation) -> Activation:
        """A convolution, linear layer or norm of the network's table of layers."""
        layer = self.layers[name]
        weight, bias = (self.state.get(f"{name}.{tensor}") for tensor in ("weight", "bias"))
        if isinstance(layer, BatchNorm2d):
            return self._batch_norm(name, x, weight, bias)
        return self._step(name, layer.op, (x, weight, bias), layer.options)

    def _batch_norm(self, name: str, x: Activation, weight: Any, bias: Any) -> Activation:
        mean, var, count = (f"{name}.{buffer}" for buffer in ("running_mean", "running_var", "num_batches_tracked"))
        running = self.state[mean], self.state[var]
        options = {"training": self.training}
        remembered = self._remember("batch_norm", (x.value, weight, bias, *running), options)
        if self.training:
            stats = (
                remembered.buffers if remembered else self._call(name, "batch_norm_running_stats", x.value, *running)
            )
            self.trace.buffers[mean], self.trace.buffers[var] = stats
            # NumPy makes scalars of sums of 0-d arrays; a state has arrays
            self.trace.buffers[count] = (self.state[count].reshape(1) + 1).reshape(())
        return self._step(name, "batch_norm", (x, weight, bias, *running), options, remembered)

    def relu(self, name: str, x: Activation) -> Activation:
        """max(x, 0). Its output tells where its input was positive, so the output is what is kept."""
        in_place = self._in_place("relu", x)
        y = Activation(name, (in_place or self.ops.relu)(x.value))
        self._record(name, "relu", (y.value,), {}, (x,), y.shape)
        self.trace.keep(y)
        return y

    def gelu(self, name: str, x: Activation) -> Activation:
        """Gaussian error linear unit."""
        return self._step(name, "gelu", (x,), {}, self._remember("gelu", (x.value,), {}))

    def max_pool2d(self, name: str, x: Activation, **options: Any) -> Activation:
        """Maximum of each window."""
        return self._step(name, "max_pool2d", (x,), options, self._remember("max_pool2d", (x.value,), options))

    def avg_pool2d(self, name: str, x: Activation, **options: Any) -> Activation:
        """Mean of each window."""
        return self._step(name, "avg_pool2d", (x,), options)

    def adaptive_avg_pool2d(self, name: str, x: Activation, **options: Any) -> Activation:
        """Mean of each of a fixed number of windows."""
        return self._step(name, "adaptive_avg_pool2d", (x,), options)

    def upsample_nearest2d(self, name: str, x: Activation, **options: Any) -> Activation:
        """Every pixel repeated."""
        return self._step(name, "upsample_nearest2d", (x,), options)

    def center_crop2d(self, name: str, x: Activation, **options: Any) -> Activation:
        """The middle of an image."""
        return self._step(name, "center_crop2d", (x,), options)

    def concat(self, name: str, first: Activation, second: Activation, *, level: int, skip: int) -> Activation:
        """Channels of the first, then of the second; argument number ``skip`` is the skip connection of ``level``."""
        kept, up = (first, second) if skip == 0 else (second, first)
        for axis, size in ((2, "high"), (3, "wide")):
            if kept.shape[axis] != up.shape[axis]:
                raise ShapeError(
                    f"{name}: skip of level {level} is {kept.shape[axis]} {size}, upsampled {up.shape[axis]}"
                )
        return self._step(name, "concat", ((first, second),), {"axis": 1})

    def film(self, name: str, x: Activation, gamma: Activation, beta: Activation, *, offset: int) -> Activation:
        """(offset + gamma) * x + beta, channel by channel."""
        return self._step(name, "film", (x, gamma, beta), {"offset": offset})

    def zeros(self, name: str, like: Activation, *shape: int) -> Activation:
        """Zeros where an input was left out."""
        value = like.value
        made = value.like(shape) if hasattr(value, "like") else namespace(value).zeros(shape, dtype=value.dtype)
        return Activation(name, made)

    def chunk(self, name: str, x: Activation) -> tuple[Activation, Activation]:
        """The two halves of the channels of ``(N, 2C)``."""
        half = x.shape[1] // 2
        self._record(name, "chunk", (), {}, (x,), x.shape)
        self.trace.keep(Activation(name, x.value))  # both halves go by this name: it stands for the whole
        return Activation(name, x.value[:, :half]), Activation(name, x.value[:, half:])

    def reshape(self, name: str, x: Activation, *shape: int) -> Activation:
        """The same numbers in another shape."""
        return self._done(name, "reshape", (x.shape,), {}, (x,), x.value.reshape(shape))

    def add(self, name: str, a: Activation, b: Activation, *, divisor: float | None = None) -> Activation:
        """``a + b``, or ``(a + b) / divisor``."""
        into, other = (b, a) if self._in_place("add", b) is not None else (a, b)
        add: Any = self._in_place("add", into) or getattr(self.ops, "add", operator.add)
        total = add(into.value, other.value)
        if divisor is not None:
            total = total / constant(divisor, total)
        return self._done(name, "add", (), {"divisor": divisor}, (a, b), total)

    def _in_place(self, op: str, x: Activation) -> Any:
        """The operation that overwrites ``x``, if a step made ``x`` and nobody else reads it, nor the backward pass."""
        made = self.trace.steps.get(x.name)
        ours = made is not None and made.op not in VIEWS and self.readers.get(x.name) == 1
        free = ours and x.name not in self.trace.activations and self.record != "all"
        return getattr(self.ops, f"{op}_in_place", None) if free else None

    def _remember(self, op: str, values: tuple[Any, ...], options: dict[str, Any]) -> Any:
        remember = None if self.trace.forgets else getattr(self.ops, f"remember_{op}", None)
        return remember and remember(*values, **options)

    def _call(self, name: str, op: str, *values: Any, **options: Any) -> Any:
        """An operation; what it says of its arguments begins with where it stands."""
        try:
            return getattr(self.ops, op)(*values, **options)
        except ShapeError as error:
            raise ShapeError(f"{name}: {error}") from None

    def _step(
        self, name: str, op: str, arguments: tuple[Any, ...], options: dict[str, Any], remembered: Any = None
    ) -> Activation:
        inputs = tuple(a for a in _flat(arguments) if isinstance(a, Activation))
        values = _values(arguments)
        y = remembered.y if remembered else self._call(name, op, *values, **options)
        if op in SHAPE_ONLY or (remembered and op in INPUT_FORGOTTEN):
            values = _hollow(values)
        else:
            for activation in inputs:
                self.trace.keep(activation)
        activation = self._done(name, op, values, options, inputs, y)
        if remembered:
            self.trace.steps[name] = self.trace.steps[name]._replace(backward=remembered.backward)
        return activation

    def _done(
        self,
        name: str,
        op: str,
        values: tuple[Any, ...],
        options: dict[str, Any],
        inputs: tuple[Activation, ...],
        y: Any,
    ) -> Activation:
        self._record(name, op, values, options, inputs, tuple(y.shape))
        activation = Activation(name, y)
        if self.record == "all":
            self.trace.keep(activation)
        return activation

    def _record(
        self, name: str, op: str, values: tuple[Any, ...], options: dict[str, Any], inputs: tuple[Activation, ...],
        shape: tuple[int, ...],
    ) -> None:  # fmt: skip
        values = () if self.trace.forgets else values
        self.trace.steps[name] = Step(name, op, values, options, tuple(a.name for a in inputs), shape)


class Backward:
    """Runs the backward pass of single steps, found by name, and gathers the gradients of their parameters."""

    def __init__(self, ops: Any, trace: Trace, *, record: bool, release: bool) -> None:
        self.ops, self.trace, self.record, self.release = ops, trace, record, release
        self.fresh: Any = None  # the last layer's gradient, which this pass made and has handed to one reader
        self.params: dict[str, Any] = {}
        self.activations: dict[str, Any] = {}

    def layer(self, name: str, grad: Any) -> Any:
        """A layer with parameters: their gradients are kept, the gradient of its input is returned."""
        grads = self._step(name, grad)
        for tensor in ("weight", "bias"):
            if getattr(grads, tensor) is not None:
                self.params[f"{name}.{tensor}"] = getattr(grads, tensor)
        self.fresh = grads.x
        return grads.x

    def relu(self, name: str, grad: Any) -> Any:
        """Zero where the output is; a gradient that nobody else reads is overwritten."""
        in_place = getattr(self.ops, "relu_backward_in_place", None) if grad is self.fresh and not self.record else None
        step = self._take(name, grad)
        return (in_place or self.ops.relu_backward)(grad, *step.arguments).x

    def _single(self, name: str, grad: Any) -> Any:
        grads = self._step(name, grad)
        return grads.x

    gelu = max_pool2d = avg_pool2d = adaptive_avg_pool2d = upsample_nearest2d = center_crop2d = _single

    def concat(self, name: str, grad: Any) -> tuple[Any, Any]:
        """The gradients of the two parts."""
        first, second = self._step(name, grad)
        return first, second

    def film(self, name: str, grad: Any) -> tuple[Any, Any, Any]:
        """The gradients of x, gamma and beta."""
        x, gamma, beta = self._step(name, grad)
        return x, gamma, beta

    def chunk(self, name: str, first: Any, second: Any) -> Any:
        """The two halves side by side again."""
        grad = self.ops.concat((first, second), axis=1)
        self._take(name, grad)
        return grad

    def reshape(self, name: str, grad: Any) -> Any:
        """Back to the shape before."""
        (shape,) = self._take(name, grad).arguments
        return grad.reshape(shape)

    def add(self, name: str, grad: Any) -> Any:
        """The gradient that both terms get."""
        divisor = self._take(name, grad).options["divisor"]
        return grad if divisor is None else grad / constant(divisor, grad)

    def join(self, grad: Any, other: Any) -> Any:
        """The gradients that reach one activation on two ways, added up; one that nobody else reads is overwritten."""
        add: Any = getattr(self.ops, "add", operator.add)
        if grad is self.fresh:
            add = getattr(self.ops, "add_in_place", add)
        self.fresh = add(grad, other)
        return self.fresh

    def _step(self, name: str, grad: Any) -> Any:
        step = self._take(name, grad)
        if step.backward is not None:
            return step.backward(grad)
        return getattr(self.ops, f"{step.op}_backward")(grad, *step.arguments, **step.options)

    def _take(self, name: str, grad: Any) -> Step:
        self.fresh = None  # whoever reads it now is its one reader, and it is not kept alive here
        if self.record:
            self.activations[name] = grad
        step = self.trace.steps[name]
        if self.release:
            self.trace.steps[name] = step._replace(arguments=(), backward=None)
            self.trace.activations.pop(name, None)
        return step


def _flat(arguments: tuple[Any, ...]) -> list[Any]:
    return [item for a in arguments for item in (a if isinstance(a, tuple) and not isinstance(a, Activation) else (a,))]


def _values(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        a.value if isinstance(a, Activation) else tuple(i.value for i in a) if isinstance(a, tuple) else a
        for a in arguments
    )


def _hollow(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays of the same shapes and dtypes that take no memory."""

    def hollow(v: Any) -> Any:
        if hasattr(v, "hollow"):
            return v.hollow()
        return namespace(v).broadcast_to(namespace(v).zeros((), dtype=v.dtype), v.shape)

    return tuple(_hollow(v) if isinstance(v, tuple) else hollow(v) for v in values)
