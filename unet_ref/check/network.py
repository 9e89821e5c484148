"""A small network of each kind at a random point, and its derivatives there: by complex step and by its backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import namespace
from ..models import ContextUnet, Grads, Model, ResNet50, ResNetUNet, State, UNet, UNet2, UNet2Config, UNetFiLM
from ..models import state as states
from .coarse import Coarse
from .stacked import Stacked

STEP = 1e-30
INPUT = "input "  # how the name of an input's slot begins


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
    """A network at one state and input, with a random cotangent and the gradients to be checked.

    ``slots`` are the parameters by name, and the inputs as ``input x``; ``grads`` has the gradient of each.
    """

    def __init__(
        self, model: Model, state: State, inputs: list[Any], rng: np.random.Generator, *, training: bool
    ) -> None:
        self.model, self.state, self.inputs, self.training = model, state, inputs, training
        shape = model.output_shape(*(None if a is None else a.shape for a in inputs))
        self.v = namespace(inputs[0]).asarray(rng.standard_normal(shape))
        self.grads = self.gradients()
        values = state | {INPUT + name: a for name, a in zip(model.inputs, inputs, strict=True)}
        self.slots: dict[str, Any] = {name: values[name] for name in self.grads}

    def gradients(self) -> dict[str, Any]:
        """The gradient of each slot, by the network's own backward pass."""
        trace = self.model.trace(self.state, *self.inputs, training=self.training)
        return self._by_slot(self.model.backward(self.state, trace, self.v))

    def _by_slot(self, grads: Grads) -> dict[str, Any]:
        present = [name for name, a in zip(self.model.inputs, self.inputs, strict=True) if a is not None]
        return grads.params | {INPUT + name: grads.inputs[name] for name in present}

    def of_one_sample(self, rng: np.random.Generator) -> Point:
        """The same network and state with the first sample alone."""
        inputs = [None if array is None else array[:1] for array in self.inputs]
        return Point(self.model, self.state, inputs, rng, training=self.training)

    def rounded(self, rng: np.random.Generator) -> dict[str, Any]:
        """The gradients, on the host, where every operation rounds at random as much as it may."""
        coarse, state = Coarse(rng), {name: on_host(a) for name, a in self.state.items()}
        inputs = [None if a is None else on_host(a) for a in self.inputs]
        trace = self.model._run(coarse, state, inputs, training=self.training, record="backward")
        grads = self.model._run_backward(coarse, trace, on_host(self.v), record=False, release=True)
        return self._by_slot(grads)

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
        spread = any(name.startswith(INPUT) for name in moved)
        inputs = [
            None if a is None else stack(INPUT + name, a, spread=spread).reshape(-1, *a.shape[1:])
            for name, a in zip(self.model.inputs, self.inputs, strict=True)
        ]
        stacked = Stacked(copies, self.inputs[0].shape[0])
        trace = self.model._run(stacked, state, inputs, training=self.training, record="nothing")
        terms = trace.output.imag.reshape(copies, -1) / STEP * self.v.reshape(1, -1)
        return terms.sum(axis=1), abs(terms).sum(axis=1)


def on_host(array: Any) -> Any:
    """The array itself, or a copy of CuPy's."""
    return array.get() if hasattr(array, "get") else array


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
