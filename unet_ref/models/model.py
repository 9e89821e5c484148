"""What every network has: a table of layers, a forward pass, and a hand-written backward pass."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from ..backend import check_arrays
from ..errors import ShapeError
from . import state as states
from .abstract import Abstract, Meter, Shapes
from .fitting import hint
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

    def output_shape(self, *shapes: Sequence[int] | None) -> tuple[int, ...]:
        """The output's shape for inputs of these shapes; ``ShapeError`` names the level where they cannot fit."""
        return tuple(self.shape_trace(*shapes).output.shape)

    def shape_trace(
        self, *shapes: Sequence[int] | None, dtype: Any = "float32", training: bool = False, meter: Meter | None = None,
        record: str = "backward",
    ) -> Trace:  # fmt: skip
        """The trace of a forward pass without values: every step with its shapes."""
        whole = self.all_shapes(shapes)
        readers = None
        if meter is not None:  # what will be overwritten takes no memory
            readers = self.shape_trace(*shapes, training=training).readers()
        arrays = [None if s is None else Abstract(s, dtype, meter) for s in whole]
        state = {name: Abstract(s, dtype) for name, s in states.tensors(self.layers).items()}
        try:
            return self._run(Shapes(), state, arrays, training=training, record=record, readers=readers)
        except ShapeError as error:
            x = whole[0] or ()
            sizes = hint(x, self.multiple, lambda height, width: self._fits((*x[:-3], self._channels(), height, width)))
            raise ShapeError(f"{type(self).__name__}: {error}{sizes}") from None

    def all_shapes(self, shapes: Sequence[Sequence[int] | None]) -> list[tuple[int, ...] | None]:
        """One shape for each input, absent ones ``None``; an image's shape alone says what goes with it."""
        who, given = type(self).__name__, [None if s is None else tuple(map(operator.index, s)) for s in shapes]
        given += [None] * (len(self.inputs) - len(given)) if len(given) != 1 else []
        x = given[0] if given else None
        if x is not None and len(x) not in (3, 4):
            raise ShapeError(f"{who}: x must be (N, C, H, W) or (C, H, W), got shape {x}")
        if x is not None and len(given) == 1:
            lead = () if len(x) == 4 else (1,)
            given = [shape[len(lead) :] for shape in self.input_shapes((*lead, *x))]
        self._check_present(dict(zip(self.inputs, given, strict=False)), len(given))
        return given

    def _channels(self) -> int:
        return next(iter(self.layers.values())).parameters()["weight"][1]

    def shape_backward(self, trace: Trace, grad: Abstract) -> Grads:
        """The backward pass without values: what a gradient's memory is planned by."""
        return self._run_backward(Shapes(), trace, grad, record=False, release=True)

    def _fits(self, shape: Sequence[int]) -> bool:
        arrays = [None if s is None else Abstract(s, "float32") for s in self.all_shapes([shape])]
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
        planned = self._check(state, arrays, training=training)
        return self._run(Remembering(), state, arrays, training=training, record=record, readers=planned.readers())

    def backward(
        self, state: State, trace: Trace, grad_output: Any, *, record: bool = False, release: bool = False
    ) -> Grads:
        """The gradients of every parameter and input, from the trace of a forward pass.

        ``record=True`` returns the gradient at every activation too; ``release=True`` frees the trace as it goes.
        """
        del state  # the trace holds the parameters that were used
        who = f"{type(self).__name__}.backward"
        if trace.forgets or trace.released:
            why = "was made with record='nothing'" if trace.forgets else "was released by an earlier backward pass"
            raise ValueError(f"{who}: the trace {why}: it holds nothing to go back through")
        if not self.layers.keys() <= trace.steps.keys():
            raise ValueError(f"{who}: the trace is another network's")
        check_arrays(who, [("grad_output", grad_output), ("trace.output", trace.output)])
        if tuple(grad_output.shape) != tuple(trace.output.shape):
            raise ShapeError(
                f"{who}: grad_output.shape {tuple(grad_output.shape)} must be the output's shape "
                f"{tuple(trace.output.shape)}"
            )
        trace.released = release
        return self._run_backward(Remembering(), trace, grad_output, record=record, release=release)

    def _run(
        self, module: Any, state: State, arrays: list[Any], *,
        training: bool, record: str, readers: Mapping[str, int] | None = None,
    ) -> Trace:  # fmt: skip
        run = Forward(module, self.layers, state, training=training, record=record, readers=readers)
        run.trace.buffers.update({name: state[name] for name in self.buffer_names()})
        batched = run.trace.batched = arrays[0].ndim == 4
        run.trace.absent = {name for name, a in zip(self.inputs, arrays, strict=True) if a is None}
        lifted = [None if a is None else a if batched else a[None] for a in arrays]
        inputs = [None if a is None else Activation(name, a) for name, a in zip(self.inputs, lifted, strict=True)]
        y = self._forward(run, *inputs)
        run.trace.output, run.trace.output_name = y.value if batched else y.value[0], y.name
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
        """The inputs in their order; ``None`` for an optional one that was left out."""
        given = dict(zip(self.inputs, inputs, strict=False))
        if len(inputs) > len(self.inputs) or named.keys() - set(self.inputs) or named.keys() & given.keys():
            names = f" and {', '.join(named)}" if named else ""
            raise TypeError(
                f"{type(self).__name__} takes the inputs {', '.join(self.inputs)}, got {len(inputs)}{names}"
            )
        self._check_present(given | named)
        return [(given | named).get(name) for name in self.inputs]

    def _check_present(self, given: dict[str, Any], count: int = 0) -> None:
        who, names = type(self).__name__, ", ".join(self.inputs)
        if count > len(self.inputs):
            raise TypeError(f"{who} takes the inputs {names}, got {count} shapes")
        absent = [name for name in self.inputs if given.get(name) is None and name not in self.optional]
        if absent:
            raise TypeError(f"{who} needs the inputs {names}: {', '.join(absent)} is absent")

    def _check(self, state: State, arrays: list[Any], *, training: bool) -> Trace:
        """Everything that can be wrong with a state and inputs, before any work; and the steps that there will be."""
        self.check_state(state)
        present = [(name, a) for name, a in zip(self.inputs, arrays, strict=True) if a is not None]
        check_arrays(type(self).__name__, [*present, ("state", state[next(iter(states.tensors(self.layers)))])])
        return self.shape_trace(*(None if a is None else a.shape for a in arrays), training=training)


def check_naturals(who: str, **sizes: Any) -> None:
    """Widths and counts are natural numbers, and not 0."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ShapeError(f"{who}: {name} ({value!r}) must be a natural number other than 0")


def gather(*parts: Any) -> dict[str, Layer]:
    """One table of layers from blocks (with ``.layers``) and dictionaries, in order."""
    layers: dict[str, Layer] = {}
    for part in parts:
        layers |= part if isinstance(part, dict) else part.layers
    return layers
