"""One network on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models import MODELS
from ..models.plan import plan
from .clock import Call, array_module
from .machine import product
from .sides import Sides
from .sizes import Job
from .torch_run import TorchNetwork


def network(job: Job, dtype: str, device: str, *, beside_torch: bool) -> Sides:
    """Forward is evaluation, where nothing is kept for a backward pass; both passes are a training step's.

    That is: the output, and the gradients of all parameters and inputs; no optimizer.
    """
    model, rng, xp = MODELS[job.name].create(**dict(job.options)), np.random.default_rng(0), array_module(device)
    host_state = model.init(rng, dtype)
    drawn = [rng.standard_normal(shape).astype(dtype) for shape in model.input_shapes(job.shape)]
    drawn_dy = rng.standard_normal(model.output_shape(*(array.shape for array in drawn))).astype(dtype)
    theirs: dict[str, Call] = {}
    if beside_torch:
        twin = TorchNetwork(model, host_state, device="cuda" if device == "gpu" else "cpu")
        plain, leaves = ([twin.tensor(array, leaf=leaf) for array in drawn] for leaf in (False, True))
        torch_dy = twin.tensor(drawn_dy)
        theirs = {"forward": lambda: twin.forward(plain), "both": lambda: twin.both(leaves, torch_dy)}
    state = {name: xp.asarray(array) for name, array in host_state.items()}
    inputs, dy = [xp.asarray(array) for array in drawn], xp.asarray(drawn_dy)

    def both() -> Any:
        trace = model.trace(state, *inputs, training=True)
        return trace.output, model.backward(state, trace, dy, release=True)

    work = 2.0 * plan(model, job.shape, dtype=dtype).multiply_adds
    ours: dict[str, Call] = {"forward": lambda: model.forward(state, *inputs), "both": both}
    return Sides(ours, theirs, {"forward": work, "both": 3 * work}, product(dtype, device))
