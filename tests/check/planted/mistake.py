"""A planted mistake: an operation of the table with a forward or backward pass that is wrong, and where it shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unet_ref.check.operation import Operation
from unet_ref.check.table import OPERATIONS


@dataclass(frozen=True)
class Planted(Operation):
    """What is wrong, and which of ``y`` and the arguments show it."""

    what: str = ""
    shows: str = "x"
    wrong_forward: Callable[..., Any] | None = None
    wrong_backward: Callable[..., Any] | None = None

    @property
    def forward(self):
        return self.wrong_forward or super().forward

    @property
    def backward(self):
        return self.wrong_backward or super().backward


def plant(name, what, shows="x", *, forward=None, backward=None, **changes):
    """The table's row with another forward or backward pass. Both wrong: the pair is consistent, and still not it."""
    row = {key: getattr(OPERATIONS[name], key) for key in OPERATIONS[name].__dataclass_fields__} | changes
    return Planted(**row, what=what, shows=shows, wrong_forward=forward, wrong_backward=backward)


def after(name, change):
    """The right backward pass, and then ``change(gradients, grad_output, *arrays, **options)``."""
    right = OPERATIONS[name].backward

    def backward(grad_output, *arrays, **options):
        return change(right(grad_output, *arrays, **options), grad_output, *arrays, **options)

    return backward


def spoil(field, change):
    """One gradient of a NamedTuple changed, where there is one."""

    def spoiled(grads, grad_output, *arrays, **options):
        value = getattr(grads, field)
        return grads if value is None else grads._replace(**{field: change(value)})

    return spoiled


def with_options(name, **changes):
    """Forward or backward pass with options of its own: ``changes`` are functions of the options given."""

    def options_of(options):
        return options | {key: change(options) for key, change in changes.items()}

    right = OPERATIONS[name]
    return (
        lambda *arrays, **options: right.forward(*arrays, **options_of(options)),
        lambda grad_output, *arrays, **options: right.backward(grad_output, *arrays, **options_of(options)),
    )
