"""Link 5: whole networks, by complex step against the hand-written backward pass.

``Im f(p + i h u) / h`` is the derivative along u with no step to choose (h is 1e-30, and nothing is subtracted). ReLU
and max pool select by the real part, so a network can be stepped as a whole, and at a kink both sides speak of the same
branch. A bound of ``GROWTH`` rounding errors of the sum that is compared separates rounding from a mistake; right
networks stay far below it, and a gradient 0.05 % off is a hundred million times above.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import namespace
from ..models import (
    ContextUnet,
    Model,
    ResNet50,
    ResNetUNet,
    State,
    UNet,
    UNet2,
    UNet2Config,
    UNetFiLM,
)
from ..models import state as states
from .exact_model import INSTANCES, exact_rows
from .report import FAILS, HOLDS, Row
from .stacked import Stacked

STEP = 1e-30
GROWTH = 2.0**10  # rounding errors that a whole network may add up; measured: right ones use under a tenth
COPIES = 1 << 21  # elements of perturbed state held at once


def instance(name: str) -> tuple[Model, tuple[tuple[int, ...], ...]]:
    """A small, uneven network of each kind, and the shapes of its inputs."""
    model: Model
    shape: tuple[int, ...]
    if name == "unet2":
        model, shape = UNet2(2, 3, UNet2Config(base_channels=2)), (2, 2, 6, 8)
    elif name == "unet_film":
        model, shape = UNetFiLM(2, 3, weather_channels=4, base_channels=1, film_hidden=3), (2, 2, 16, 32)
    elif name == "resnet50":
        model, shape = ResNet50(2, 3, base_channels=1), (2, 2, 32, 64)
    elif name == "resnet_unet":
        model, shape = ResNetUNet(2, 3, base_channels=1), (2, 2, 16, 32)
    elif name == "context_unet":
        model, shape = ContextUnet(2, n_feat=8, n_cfeat=3, height=16), (2, 2, 16, 16)
    else:
        model, shape = UNet(2, 3, base_channels=2, depth=2), (2, 2, 8, 12)
    return model, model.input_shapes(shape)


class Point:
    """A network at one state and input, with a random cotangent and the gradients to be checked."""

    def __init__(
        self, model: Model, state: State, inputs: list[Any], rng: np.random.Generator, *, training: bool
    ) -> None:
        self.model, self.state, self.inputs, self.training = model, state, inputs, training
        xp = namespace(inputs[0])
        trace = model.trace(state, *inputs, training=training)
        self.v = xp.asarray(rng.standard_normal(trace.output.shape))
        grads = model.backward(state, trace, self.v)
        self.parameters = list(grads.params)
        self.slots: dict[str, Any] = {name: state[name] for name in self.parameters}
        self.grads: dict[str, Any] = dict(grads.params)
        for name, array in zip(model.inputs, inputs, strict=True):
            if array is not None:
                self.slots[f"input {name}"], self.grads[f"input {name}"] = array, grads.inputs[name]

    def of_one_sample(self, rng: np.random.Generator) -> Point:
        """The same network and state with the first sample alone."""
        inputs = [None if array is None else array[:1] for array in self.inputs]
        return Point(self.model, self.state, inputs, rng, training=self.training)

    def derivatives(self, moved: dict[str, Any], copies: int) -> tuple[Any, Any]:
        """``<v, J u>`` and the sum of its terms' sizes for each of ``copies`` directions u.

        ``moved[name]`` holds the directions of that parameter or input, ``(copies, *shape)``; all else stays.
        """
        xp = namespace(self.v)

        def stack(name: str, value: Any, *, spread: bool = False) -> Any:
            if name in moved:
                return value[None] + 1j * STEP * moved[name]
            alike = value[None].astype(np.complex128)
            return xp.broadcast_to(alike, (copies, *value.shape)) if spread else alike

        state = {name: stack(name, self.state[name]) for name in states.tensors(self.model.layers)}
        spread = any(name.startswith("input ") for name in moved)
        inputs = [
            None if a is None else stack(f"input {name}", a, spread=spread).reshape(-1, *a.shape[1:])
            for name, a in zip(self.model.inputs, self.inputs, strict=True)
        ]
        stacked = Stacked(copies, self.inputs[0].shape[0])
        trace = self.model._run(stacked, state, inputs, training=self.training, record="nothing")
        terms = trace.output.imag.reshape(copies, -1) / STEP * self.v.reshape(1, -1)
        return terms.sum(axis=1), abs(terms).sum(axis=1)


def directions(point: Point, rng: np.random.Generator) -> Iterator[tuple[str, float, float, float]]:
    """For each parameter tensor and input ``(name, <v, J u>, <u, J' v>, size of the terms)`` along a random u."""
    names = list(point.slots)
    weight = sum(a.size for a in point.slots.values())
    chunk = max(1, COPIES // max(1, weight))
    xp = namespace(point.v)
    for start in range(0, len(names), chunk):
        part = names[start : start + chunk]
        moved = {}
        for k, name in enumerate(part):
            u = xp.zeros((len(part), *point.slots[name].shape))
            u[k] = xp.asarray(rng.standard_normal(point.slots[name].shape))
            moved[name] = u
        forward, size = point.derivatives(moved, len(part))
        for k, name in enumerate(part):
            terms = moved[name][k] * point.grads[name]
            yield name, float(forward[k]), float(terms.sum()), float(max(size[k], abs(terms).sum()))


def coordinates(point: Point, name: str) -> tuple[Any, Any]:
    """The derivative of ``<v, f>`` along every single coordinate of a parameter or input, and the terms' sizes."""
    xp, array = namespace(point.v), point.slots[name]
    chunk = max(1, min(array.size, COPIES // max(1, sum(a.size for a in point.slots.values()))))
    values, sizes = xp.zeros(array.size), xp.zeros(array.size)
    for start in range(0, array.size, chunk):
        count = min(chunk, array.size - start)
        u = xp.zeros((count, array.size))
        u[xp.arange(count), xp.arange(start, start + count)] = 1
        part = slice(start, start + count)
        values[part], sizes[part] = point.derivatives({name: u.reshape(count, *array.shape)}, count)
    return values.reshape(array.shape), sizes.reshape(array.shape)


def random_point(name: str, rng: np.random.Generator, *, training: bool, xp: Any = np) -> Point:
    """A small instance at a random point where every weight matters: behind a ReLU that never opens any gradient is right."""
    while True:
        point = _any_point(name, rng, training=training, xp=xp)
        if all(point.grads[slot].any() for slot, value in point.slots.items() if value.ndim > 1):
            return point


def _any_point(name: str, rng: np.random.Generator, *, training: bool, xp: Any) -> Point:
    model, shapes = instance(name)
    state = model.init(rng, "float64", "he")
    for layer_name, layer in model.layers.items():
        if layer.incoming():
            continue
        state[f"{layer_name}.weight"] *= rng.uniform(0.5, 1.5, state[f"{layer_name}.weight"].shape)
        state[f"{layer_name}.bias"] += rng.uniform(-0.3, 0.5, state[f"{layer_name}.bias"].shape)
        if layer.buffers():
            state[f"{layer_name}.running_mean"] += rng.uniform(-0.3, 0.3, state[f"{layer_name}.bias"].shape)
            state[f"{layer_name}.running_var"] *= rng.uniform(0.5, 2.0, state[f"{layer_name}.bias"].shape)
    inputs = [xp.asarray(rng.standard_normal(shape)) for shape in shapes]
    return Point(model, {n: xp.asarray(a) for n, a in state.items()}, inputs, rng, training=training)


def verify_point(name: str, point: Point, rng: np.random.Generator, *, every: bool) -> list[Row]:
    """The rows for one network at one point: directions, and with ``every`` all coordinates too."""
    mode = "training" if point.training else "eval"
    worst = Worst()
    for slot, forward, backward, size in directions(point, rng):
        worst.add(slot, abs(forward - backward), size)
    rows = [worst.row(name, f"complex step, {mode}, directions", len(point.slots))]
    if every:  # of one sample: that gradients add up over a batch, the directions have shown
        point, worst = point.of_one_sample(rng), Worst()
        for slot in point.slots:
            values, sizes = coordinates(point, slot)
            worst.add(slot, abs(values - point.grads[slot]), sizes)
        elements = sum(array.size for array in point.slots.values())
        rows.append(worst.row(name, f"complex step, {mode}, coordinates", elements))
    return rows


class Worst:
    """The comparison that came closest to its bound, over all parameters and inputs."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Any, Any]] = []

    def add(self, slot: str, error: Any, size: Any) -> None:
        """The errors in one slot, and the sizes of the sums that they are errors of."""
        self.found.append((slot, np.atleast_1d(_host(error)), np.atleast_1d(_host(size))))

    def row(self, name: str, method: str, elements: int) -> Row:
        """Errors are measured against the largest sum of the network: where batch norm makes a gradient vanish, what
        is left is the rounding of sums of that size.
        """
        scale = max(float(size.max(initial=0)) for _, _, size in self.found)
        slot, error, _ = max(self.found, key=lambda entry: _largest(entry[1]))
        largest, bound = _largest(error), GROWTH * np.finfo(np.float64).eps * scale
        holds = largest <= bound
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))
        detail = "" if holds else f"gradient of {slot} at {index}: off by {largest:.2e}, allowed {bound:.2e}"
        return Row(slot, method, elements, largest / scale, bound / scale, HOLDS if holds else FAILS, detail, name, 5)


def _largest(error: Any) -> float:
    """The largest error; NaN counts as infinite."""
    return float(np.nan_to_num(error, nan=np.inf).max(initial=0))


def _host(value: Any) -> Any:
    return value.get() if hasattr(value, "get") else value


def verify_model(name: str, seed: int = 0, *, every: bool = True, xp: Any = np) -> list[Row]:
    """All rows of a network: both batch-norm modes, every parameter tensor, and every coordinate."""
    rng = np.random.default_rng(seed)
    rows = exact_rows(name, rng) if name in INSTANCES and xp is np else []
    for training in (False, True):
        point = random_point(name, rng, training=training, xp=xp)
        rows += verify_point(name, point, rng, every=every and training)
    return rows
