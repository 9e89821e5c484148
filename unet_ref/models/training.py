"""Training as proof: the gradients of this package make a loss fall, along the very curve that PyTorch's make it fall.

An optimiser is a pure function: ``parameters, memory = optimiser(parameters, gradients, memory)``, with the parameters
as in a state and the memory ``None`` at the start. The formulas are PyTorch's, in its order of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from .. import ops
from ..backend import namespace
from .data import Batch
from .model import Model
from .state import State

Arrays: TypeAlias = Mapping[str, Any]
Optimiser: TypeAlias = Callable[[Arrays, Arrays, Any], tuple[State, Any]]


class Moments(NamedTuple):
    """What Adam remembers: how many steps, and the running means of the gradients and of their squares."""

    steps: int
    first: State
    second: State


def sgd(parameters: Arrays, gradients: Arrays, memory: None = None, *, lr: float = 0.01) -> tuple[State, None]:
    """Plain gradient descent: ``p - lr * g``.

    >>> import numpy as np
    >>> sgd({"w": np.array([1.0])}, {"w": np.array([0.5])}, lr=0.1)[0]["w"]
    array([0.95])
    """
    return {name: p - lr * gradients[name] for name, p in parameters.items()}, memory


def adam(
    parameters: Arrays, gradients: Arrays, memory: Moments | None = None, *,
    lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
) -> tuple[State, Moments]:  # fmt: skip
    """Adam: ``p - lr * m' / (sqrt(v') + eps)`` with ``m' = m / (1 - beta1^k)``, ``v' = v / (1 - beta2^k)`` in step k.

    ``m`` and ``v`` are the running means of the gradient and of its square, with the weights ``1 - beta``.

    Source: Kingma and Ba, *Adam: a method for stochastic optimization* (2015), algorithm 1.

    >>> import numpy as np
    >>> adam({"w": np.array([1.0])}, {"w": np.array([0.5])}, lr=0.1)[0]["w"].round(6)
    array([0.9])
    """
    zero = {name: namespace(g).zeros_like(g) for name, g in gradients.items()} if memory is None else {}
    k, first, second = memory or Moments(0, zero, zero)
    k += 1
    beta1, beta2 = betas
    first = {name: m + (gradients[name] - m) * (1 - beta1) for name, m in first.items()}
    second = {name: v * beta2 + gradients[name] ** 2 * (1 - beta2) for name, v in second.items()}
    size, correction = lr / (1 - beta1**k), (1 - beta2**k) ** 0.5
    moved = {
        name: p - size * first[name] / (namespace(p).sqrt(second[name]) / correction + eps)
        for name, p in parameters.items()
    }
    return moved, Moments(k, first, second)


OPTIMISERS: dict[str, Callable[..., tuple[State, Any]]] = {"sgd": sgd, "adam": adam}


def start(model: Model, rng: Any, dtype: Any) -> State:
    """A state to train from: PyTorch's default, but every bottleneck's last norm has weight 0, so that it adds nothing yet.

    Without that, the gradients of a deep stack of bottlenecks explode, and PyTorch's own loss curve is not to be had
    twice: parameters that are nudged by 1e-15 change it in the first digit within twenty steps.

    Source: Goyal et al., *Accurate, large minibatch SGD* (2017), section 5.1.
    """
    state = model.init(rng, dtype)
    return {name: a * 0 if name.endswith(".bn3.weight") else a for name, a in state.items()}


def step(
    model: Model, state: State, batch: Batch, memory: Any, *, loss: str, optimiser: Optimiser
) -> tuple[float, State, Any]:
    """The loss on one batch, and the state and the memory after one step against its gradient."""
    inputs, target = batch
    trace = model.trace(state, *inputs, training=True)
    value = getattr(ops, loss)(trace.output, target)
    one = namespace(trace.output).ones((), dtype=trace.output.dtype)
    grad = getattr(ops, f"{loss}_backward")(one, trace.output, target).x
    gradients = model.backward(state, trace, grad, release=True).params
    moved, memory = optimiser({name: state[name] for name in gradients}, gradients, memory)
    return float(value), {name: moved.get(name, trace.buffers.get(name)) for name in state}, memory


def train(
    model: Model, state: State, batches: Iterable[Batch], *, loss: str, optimiser: Optimiser
) -> Iterator[tuple[float, State]]:
    """The loss before each step, and the state after it."""
    memory = None
    for batch in batches:
        value, state, memory = step(model, state, batch, memory, loss=loss, optimiser=optimiser)
        yield value, state
