"""The bank of named mistakes: wrong operations that people really write, a file or more for each family."""

from __future__ import annotations

from types import ModuleType

from ..mistake import Mistake
from . import (
    activation,
    averaging,
    borders,
    convolution,
    fitted,
    gates,
    gradients,
    groups,
    joining,
    loops,
    loss,
    normalization,
    overlap,
    pooling,
    resampling,
    shapes,
    sliding,
    statistics,
    strides,
    transposed,
)

FAMILIES: dict[str, tuple[ModuleType, ...]] = {
    "Windows": (sliding,),
    "Shapes": (shapes,),
    "Convolution: weight": (convolution,),
    "Convolution: bias and groups": (groups,),
    "Convolution: sums and overlaps": (overlap,),
    "Transposed convolution": (transposed,),
    "Max pooling": (pooling,),
    "Average pooling": (averaging,),
    "Normalization": (normalization,),
    "Normalization: backward, running statistics": (statistics,),
    "Activations": (activation,),
    "Gated linear unit": (gates,),
    "Resampling": (resampling,),
    "Crop and padding": (borders,),
    "Joining paths: concat, FiLM": (joining,),
    "Losses": (loss,),
    "Any operation": (loops, fitted, gradients, strides),
}


def _of(module: ModuleType) -> tuple[Mistake, ...]:
    """The mistakes that a module defines, in its order, those in tuples too."""
    found: list[Mistake] = []
    for value in vars(module).values():
        if isinstance(value, Mistake):
            found.append(value)
        elif isinstance(value, tuple) and value and all(isinstance(each, Mistake) for each in value):
            found += value
    return tuple(found)


BY_FAMILY: dict[str, tuple[Mistake, ...]] = {
    title: tuple(each for module in modules for each in _of(module)) for title, modules in FAMILIES.items()
}
BANK: tuple[Mistake, ...] = tuple(each for mistakes in BY_FAMILY.values() for each in mistakes)


def applying(operation: str) -> tuple[Mistake, ...]:
    """The mistakes that one operation may have."""
    return tuple(each for each in BANK if operation in each.operations)
