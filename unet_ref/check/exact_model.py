"""Networks of additions, products and comparisons alone, without rounding: ``unet2`` and ``unet`` over the rationals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops, spec
from ..models import Model, UNet, UNet2, UNet2Config
from ..models import state as states
from .dual import Dual
from .exact import rational
from .report import FAILS, HOLDS, Row

INSTANCES: dict[str, tuple[Model, tuple[int, ...]]] = {
    "unet2": (UNet2(2, 1, UNet2Config(base_channels=2)), (2, 4, 6)),
    "unet": (UNet(1, 2, base_channels=1, depth=2), (1, 1, 4, 8)),
}


def exact_rows(name: str, rng: np.random.Generator) -> list[Row]:
    """The network's arrays beside its definitions, and its gradient beside dual numbers, with ``==``."""
    model, shape = INSTANCES[name]
    state = {n: rational(rng, s) for n, s in states.tensors(model.layers).items()}
    x = rational(rng, shape)
    trace = model.trace(state, x)
    v = rational(rng, trace.output.shape)
    grads = model.backward(state, trace, v)

    defined = model._run(spec, state, [x], training=False, record="backward")
    grads_defined = model._run_backward(spec, defined, v, record=False, release=False)
    pairs = {"output": (trace.output, defined.output), "input x": (grads.inputs["x"], grads_defined.inputs["x"])}
    pairs |= {n: (grads.params[n], grads_defined.params[n]) for n in grads.params}
    rows = [_row(name, 3, "definition", {n: bool((a == b).all()) for n, (a, b) in pairs.items()},
                 sum(a.size for a, _ in pairs.values()))]  # fmt: skip

    u, u_x = {n: rational(rng, a.shape) for n, a in state.items()}, rational(rng, shape)
    moved = {n: _dual(a, u[n]) for n, a in state.items()}
    y = model._run(ops, moved, [_dual(x, u_x)], training=False, record="nothing").output
    forward = sum(part.derivative * weight for part, weight in zip(y.flat, v.flat, strict=True))
    backward = (u_x * grads.inputs["x"]).sum() + sum((u[n] * grads.params[n]).sum() for n in grads.params)
    count = x.size + sum(a.size for a in state.values())
    return [_row(name, 2, "dual numbers", {"all": bool(forward == backward)}, count), *rows]


def _dual(value: Any, derivative: Any) -> Any:
    return np.frompyfunc(Dual, 2, 1)(value, derivative)


def _row(name: str, link: int, method: str, same: dict[str, bool], elements: int) -> Row:
    wrong = [tensor for tensor, equal in same.items() if not equal]
    detail = f"not equal: {', '.join(wrong)}" if wrong else ""
    error = None if wrong else 0.0
    return Row(
        wrong[0] if wrong else "all",
        method,
        elements,
        error,
        0.0,
        FAILS if wrong else HOLDS,
        detail,
        name,
        link,
        exact=True,
    )
