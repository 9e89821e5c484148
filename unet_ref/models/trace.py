"""What passes from forward to backward, and what people export as reference activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Activation(NamedTuple):
    """A value on its way through the network, with the name of the step that made it."""

    name: str
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return tuple(self.value.shape)


class Step(NamedTuple):
    """One operation as it ran: enough to run its backward pass."""

    name: str
    op: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...]
    backward: Any = None  # where the forward pass already found what the backward pass needs


@dataclass
class Trace(Mapping[str, Any]):
    """Name -> activation, in the order of the forward pass.

    Holds what the backward pass reads, or with ``record="all"`` everything; an image alone runs as a batch of one, whose
    axis its activations have. ``output`` is the network's output, ``buffers`` the running statistics after this pass
    (unchanged in eval mode).
    """

    activations: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    buffers: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    output_name: str = ""  # of the step that made it
    training: bool = False
    batched: bool = True
    absent: set[str] = field(default_factory=set)  # inputs that were left out: they have no gradient
    released: bool = False  # a backward pass has freed it
    forgets: bool = False  # a pass that no backward pass will follow: nothing is kept

    def __getitem__(self, name: str) -> Any:
        if name not in self.steps:  # the inputs are kept too, but no step made them
            raise KeyError(name)
        return self.activations[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.steps if name in self.activations)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def keep(self, activation: Activation) -> None:
        """An activation that the backward pass will read."""
        if not self.forgets:
            self.activations.setdefault(activation.name, activation.value)

    def readers(self) -> Counter[str]:
        """How many steps read each activation; who is handed the output reads it, too."""
        return Counter([self.output_name, *(name for step in self.steps.values() for name in step.inputs)])

    def __repr__(self) -> str:
        return f"<Trace of {len(self.steps)} steps, {len(self)} activations held>"


class Grads(NamedTuple):
    """Gradients of a network: ``params`` like the state without its buffers, ``inputs`` by argument name.

    ``activations`` holds the gradient at every step's output where it was asked for.
    """

    params: dict[str, Any]
    inputs: dict[str, Any]
    activations: dict[str, Any]
