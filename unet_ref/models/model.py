"""What every network has: a table of layers, a forward pass, and a hand-written backward pass."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from .. import ops
from ..errors import DTypeError, ShapeError
from . import state as states
from .abstract import Abstract, Meter, Shapes
from .layers import Layer
from .remembering import Remembering
from .run import Backward, Forward
from .state import State
from .trace import Activation, Grads, Trace


class Model:
    """A network of the U-Net family.

    A subclass has ``layers`` (name -> layer, in PyTorch's order), ``inputs`` (the argument names), and the pair
    ``_forward(run, x, ...)`` and ``_backward(run, grad)``, written one below the other.
    """

    inputs: ClassVar[tuple[str, ...]] = ("x",)
    optional: ClassVar[tuple[str, ...]] = ()
    multiple: int | None = None  # what the image's sides must be a multiple of, where there is such a number
    layers: dict[str, Layer]

    def _forward(self, run: Forward, *inputs: Any) -> Activation:
        raise NotImplementedError

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        raise NotImplementedError

    def input_shapes(self, x: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """The shapes of all inputs that go with an image of shape ``x`` (``(N, C, H, W)``)."""
        return (tuple(x),)

    @classmethod
    def create(cls, **options: int) -> Self:
        """The network from numbers alone, as a command line or an export's recipe has them."""
        return cls(**options)

    # --- states ---------------------------------------------------------------------------------------------------

    def init(self, rng: Any = None, dtype: Any = "float32", scheme: str = "torch") -> State:
        """A fresh state: PyTorch's default initialisation, or ``scheme="he"`` as in the U-Net paper."""
        return states.init(self.layers, rng, dtype, scheme)

    def check_state(self, state: State) -> list[str]:
        """Names in the state that this network knows but does not use; an error for all that does not fit."""
        return states.check(type(self).__name__, self.layers, state, self._unused)

    def _unused(self, name: str) -> bool:  # noqa: ARG002
        return False

    def save(self, path: str | os.PathLike[str], state: State) -> None:
        """Write the state to a ``.safetensors`` or ``.npz`` file."""
        self.check_state(state)
        states.save(path, state, {"model": type(self).__name__})

    def load(self, path: str | os.PathLike[str]) -> State:
        """Read a state that fits this network; names that it knows but does not use are left out."""
        state, _ = states.load(path)
        unused = self.check_state(state)
        return {name: array for name, array in state.items() if name not in unused}

    # --- shapes ---------------------------------------------------------------------------------------------------

    def output_shape(self, *shapes: Sequence[int]) -> tuple[int, ...]:
        """The output's shape for inputs of these shapes; ``ShapeError`` names the level where they cannot fit."""
        return tuple(self.shape_trace(*shapes).output.shape)

    def shape_trace(
        self, *shapes: Sequence[int] | None, dtype: Any = "float32", training: bool = False, meter: Meter | None = None,
        record: str = "backward",
    ) -> Trace:  # fmt: skip
        """The trace of a forward pass without values: every step with its shapes."""
        if len(shapes) == 1 and shapes[0] is not None:
            lead = () if len(shapes[0]) == 4 else (1,)
            whole = self.input_shapes((*lead, *shapes[0]))
            shapes = tuple(shape[len(lead) :] for shape in whole)
        arrays = [None if s is None else Abstract(s, dtype, meter) for s in shapes]
        state = {name: Abstract(s, dtype) for name, s in states.tensors(self.layers).items()}
        try:
            return self._run(Shapes(), state, arrays, training=training, record=record)
        except ShapeError as error:
            rule = f": the input height and width must be multiples of {self.multiple}" if self.multiple else ""
            raise ShapeError(f"{type(self).__name__}: {error}{rule}{self._nearest(shapes[0])}") from None

    def shape_backward(self, trace: Trace, grad: Abstract) -> Grads:
        """The backward pass without values: what a gradient's memory is planned by."""
        return self._run_backward(Shapes(), trace, grad, record=False, release=True)

    def _nearest(self, shape: Any) -> str:
        """The nearest heights and widths that fit, found by trying."""
        *lead, H, W = shape
        fits = {}
        for label, sizes in (("height", [(h, W) for h in _around(H)]), ("width", [(H, w) for w in _around(W)])):
            fits[label] = [size for size in sizes if self._fits((*lead, *size))][:2]
        if not any(fits.values()):
            both = [(h, w) for h, w in zip(_around(H), _around(W), strict=False) if self._fits((*lead, h, w))]
            both = both or [(s, s) for s in _around(max(H, W)) if self._fits((*lead, s, s))]
            return f"; nearest that fits: {both[0][0]} x {both[0][1]}" if both else ""
        found = sorted({size for sizes in fits.values() for size in sizes})
        return "; nearest that fit: " + ", ".join(f"{h} x {w}" for h, w in found)

    def _fits(self, shape: Sequence[int]) -> bool:
        lead = () if len(shape) == 4 else (1,)
        arrays = [Abstract(s[len(lead) :], "float32") for s in self.input_shapes((*lead, *shape))]
        state = {name: Abstract(s, "float32") for name, s in states.tensors(self.layers).items()}
        try:
            self._run(Shapes(), state, arrays, training=False, record="backward")
        except ShapeError:
            return False
        return True

    # --- passes ---------------------------------------------------------------------------------------------------

    def forward(self, state: State, *inputs: Any, training: bool = False, **named: Any) -> Any:
        """The output. ``training`` makes batch norm use the batch's own statistics."""
        return self.trace(state, *inputs, training=training, record="nothing", **named).output

    def trace(
        self, state: State, *inputs: Any, training: bool = False, record: str = "backward", **named: Any
    ) -> Trace:
        """The forward pass with all that the backward pass reads; ``record="all"`` keeps every activation."""
        if record not in ("backward", "all", "nothing"):
            raise ValueError(f"trace: record ({record!r}) must be 'backward', 'all' or 'nothing'")
        arrays = self._bind(inputs, named)
        self.check_state(state)
        self.shape_trace(*(None if a is None else a.shape for a in arrays))
        return self._run(Remembering(), state, arrays, training=training, record=record)

    def backward(
        self, state: State, trace: Trace, grad_output: Any, *, record: bool = False, release: bool = False
    ) -> Grads:
        """The gradients of every parameter and input, from the trace of a forward pass.

        ``record=True`` returns the gradient at every activation too; ``release=True`` frees the trace as it goes.
        """
        del state  # the trace holds the parameters that were used
        if tuple(grad_output.shape) != tuple(trace.output.shape):
            raise ShapeError(
                f"{type(self).__name__}.backward: grad_output.shape {tuple(grad_output.shape)} must be the output's "
                f"shape {tuple(trace.output.shape)}"
            )
        return self._run_backward(ops, trace, grad_output, record=record, release=release)

    def _run(self, module: Any, state: State, arrays: list[Any], *, training: bool, record: str) -> Trace:
        run = Forward(module, self.layers, state, training=training, record=record)
        run.trace.buffers.update({name: state[name] for name in self.buffer_names()})
        batched = run.trace.batched = arrays[0].ndim == 4
        run.trace.absent = {name for name, a in zip(self.inputs, arrays, strict=True) if a is None}
        lifted = [None if a is None else a if batched else a[None] for a in arrays]
        inputs = [None if a is None else Activation(name, a) for name, a in zip(self.inputs, lifted, strict=True)]
        y = self._forward(run, *inputs).value
        run.trace.output = y if batched else y[0]
        return run.trace

    def _run_backward(self, module: Any, trace: Trace, grad: Any, *, record: bool, release: bool) -> Grads:
        run = Backward(module, trace, record=record, release=release)
        inputs = self._backward(run, grad if trace.batched else grad[None])
        inputs = {n: None if n in trace.absent else g if trace.batched else g[0] for n, g in inputs.items()}
        order = states.tensors(self.layers, buffers=False)
        return Grads({name: run.params[name] for name in order}, inputs, run.activations)

    def buffer_names(self) -> list[str]:
        """The tensors of the state that no gradient reaches."""
        parameters = states.tensors(self.layers, buffers=False)
        return [name for name in states.tensors(self.layers) if name not in parameters]

    def _bind(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        who = type(self).__name__
        given = dict(zip(self.inputs, inputs, strict=False)) | named
        if len(inputs) > len(self.inputs) or set(given) - set(self.inputs):
            raise TypeError(f"{who} takes the inputs {', '.join(self.inputs)}, got {len(inputs)} and {sorted(named)}")
        absent = [name for name in self.inputs if given.get(name) is None and name not in self.optional]
        if absent:
            raise TypeError(f"{who} needs the inputs {', '.join(self.inputs)}: {', '.join(absent)} is absent")
        for name, array in given.items():
            if array is not None and not hasattr(array, "dtype"):
                raise DTypeError(f"{who}: {name} must be a NumPy or CuPy array, got {type(array).__name__}")
        if given["x"].ndim not in (3, 4):
            raise ShapeError(f"{who}: x must be (N, C, H, W) or (C, H, W), got shape {tuple(given['x'].shape)}")
        return [given.get(name) for name in self.inputs]


def _around(size: int, reach: int = 64) -> list[int]:
    """Sizes near ``size``, the nearest first."""
    return [s for d in range(reach) for s in dict.fromkeys((size - d, size + d)) if s > 0]


def gather(*parts: Any) -> dict[str, Layer]:
    """One table of layers from blocks (with ``.layers``) and dictionaries, in order."""
    layers: dict[str, Layer] = {}
    for part in parts:
        layers |= part if isinstance(part, dict) else part.layers
    return layers
