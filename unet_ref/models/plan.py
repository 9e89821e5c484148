"""What a network will do, before any number is touched: shapes, parameters, multiply-adds, bytes, peak memory."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .abstract import Abstract, Meter
from .model import Model
from .trace import Step


class PlannedStep(NamedTuple):
    """One step: ``parameters`` and ``multiply_adds`` are counts, ``nbytes`` the size of its output.

    ``kernel`` is the side of its window, ``stride`` how far that moves, or how many times larger it makes an image;
    both are 0 where there is no such thing.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    nbytes: int
    kernel: int = 0
    stride: int = 0


class Plan(NamedTuple):
    """All steps in order, and the most memory that activations and gradients take at once (parameters apart)."""

    steps: tuple[PlannedStep, ...]
    output_shape: tuple[int, ...]
    forward_peak: int
    backward_peak: int

    @property
    def parameters(self) -> int:
        """Trained numbers in all."""
        return sum(step.parameters for step in self.steps)

    @property
    def multiply_adds(self) -> int:
        """Of the forward pass; the backward pass takes twice as many."""
        return sum(step.multiply_adds for step in self.steps)

    @property
    def nbytes(self) -> int:
        """Of all activations."""
        return sum(step.nbytes for step in self.steps)


def plan(model: Model, *shapes: Any, dtype: Any = "float32", training: bool = True) -> Plan:
    """The plan of one forward and one backward pass for inputs of these shapes."""
    forward_meter, meter = Meter(), Meter()
    model.shape_trace(*shapes, dtype=dtype, training=training, meter=forward_meter, record="nothing")
    trace = model.shape_trace(*shapes, dtype=dtype, training=training, meter=meter)
    itemsize = np.dtype(dtype).itemsize
    steps = tuple(_planned(model, step, itemsize) for step in trace.steps.values())
    output = tuple(trace.output.shape)
    model.shape_backward(trace, Abstract(output, dtype, meter))
    return Plan(steps, output, forward_meter.peak, meter.peak)


def _planned(model: Model, step: Step, itemsize: int) -> PlannedStep:
    layer = model.layers.get(step.name)
    parameters = sum(math.prod(shape) for shape in layer.parameters().values()) if layer else 0
    products = 0
    if step.op in ("conv2d", "linear"):
        x, weight, _ = step.arguments
        products = math.prod(step.output_shape) * math.prod(weight.shape[1:])
    elif step.op == "conv_transpose2d":
        x, weight, _ = step.arguments
        products = math.prod(x.shape) * math.prod(weight.shape[1:])
    nbytes = math.prod(step.output_shape) * itemsize
    kernel, stride = _window(step)
    return PlannedStep(
        step.name, step.op, step.inputs, step.output_shape, parameters, products, nbytes, kernel, stride
    )  # fmt: skip


def _window(step: Step) -> tuple[int, int]:
    """The side of the step's window, and its stride or scale."""
    if step.op in ("conv2d", "conv_transpose2d"):
        return step.arguments[1].shape[-1], step.options["stride"]
    kernel = step.options.get("kernel_size", 0)
    return kernel, step.options.get("stride", step.options.get("scale_factor", kernel))
