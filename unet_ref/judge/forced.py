"""Teacher forcing: each step of a network on the candidate's own inputs, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from .. import ops
from ..check.error_bound import error_bound
from ..errors import ShapeError
from ..models import Model
from ..models.trace import Step
from .mistake import by_name
from .network_report import Compared

# Steps that round nothing: an activation that the candidate did not hand in is made again, to the bit, from its inputs.
EXACT = {"concat", "center_crop2d", "max_pool2d", "relu", "upsample_nearest2d", "reshape", "chunk"}


Arriving: TypeAlias = dict[
    str, list[tuple[Any, Any] | None]
]  # by a step's name: gradients that arrive, and their bounds

RESHAPING = {"reshape", "chunk"}


class AbsentError(LookupError):
    """A step cannot be judged: what went into it was not handed in."""


class Forced:
    """The candidate's tensors, and what the reference says of each step given the candidate's own values."""

    def __init__(
        self, model: Model, steps: dict[str, Step], reference: Mapping[str, Any], other: Mapping[str, Any], *,
        training: bool, profile: str,
    ) -> None:  # fmt: skip
        self.model, self.steps, self.reference, self.profile = model, steps, reference, profile
        self.training = training
        self.missing = [
            name for name in reference if name not in other and not name.startswith(("state.", "input.", "grad_output"))
        ]
        known = {name: np.asarray(array) for name, array in other.items() if name in reference}
        self.other = {name: array for name, array in known.items() if array.shape == reference[name].shape}
        self.misfits = {name: array for name, array in known.items() if name not in self.other}
        for name in self.misfits:
            if name.startswith("input."):
                raise ShapeError(f"compare: {name} is {known[name].shape}, and the reference's {reference[name].shape}")

    def given(self) -> Iterator[Compared]:
        """The candidate's state and upstream gradient, where it has them: they must be the reference's."""
        for name, array in self.reference.items():
            if name.startswith("state.") or name == "grad_output":
                yield from self.held(name, "given", _known, array, 0.0)

    def held(self, name: str, op: str, due: Callable[..., tuple[Any, Any]], *arguments: Any) -> Iterator[Compared]:
        """A tensor that the candidate has, beside what is due there and its bound: what ``due(*arguments)`` says."""
        if name in self.misfits:
            yield Compared.of(name, op, self.misfits[name], self.reference[name], 0.0)
        elif name in self.other:
            try:
                expected, bound = due(*arguments)
            except AbsentError:
                return
            yield Compared.of(name, op, self.other[name], np.reshape(expected, self.other[name].shape), bound)

    # --- forward ---------------------------------------------------------------------------------------------------

    def forward(self) -> Iterator[Compared]:
        """Every activation that the candidate has, from its own inputs."""
        for step in self.steps.values():
            yield from self.held(f"activation.{step.name}", step.op, self._expected, step)
            if step.op == "batch_norm" and self.training:
                yield from self._statistics(step)
        yield from self.held("output", step.op, self._output, step)

    def _statistics(self, step: Step) -> Iterator[Compared]:
        """The running statistics after the step."""
        op, names = "batch_norm_running_stats", ("running_mean", "running_var")

        def due(k: int) -> tuple[Any, Any]:
            arrays = self._arrays(step)
            bounds = error_bound(op, [arrays[name] for name in ("x", *names)], profile=self.profile)
            return bounds.reference[0][k], bounds.output[k]

        for k, name in enumerate(names):
            yield from self.held(f"buffer.{step.name}.{name}", step.op, due, k)
        count = f"{step.name}.num_batches_tracked"
        yield from self.held(f"buffer.{count}", step.op, _known, self.reference[f"state.{count}"] + 1, 0.0)

    def _output(self, last: Step) -> tuple[Any, Any]:
        """What the network must return: its last activation as it is."""
        if f"activation.{last.name}" in self.other:
            return self.other[f"activation.{last.name}"], 0.0
        return self._expected(last)

    def _expected(self, step: Step) -> tuple[Any, Any]:
        arrays = self._arrays(step)
        if step.op == "add":
            return _sum(step, arrays)
        if step.op in RESHAPING:
            return arrays["x"].reshape(step.output_shape), 0.0
        bounds = error_bound(step.op, arrays, self._options(step), profile=self.profile)
        return bounds.reference[0], bounds.output + self._handed_on(step)

    def _handed_on(self, step: Step) -> Any:
        """The rounding in inputs that the candidate does not show, where the step copies it to its output."""
        if step.op not in ("concat", "center_crop2d") or all(f"activation.{n}" in self.other for n in step.inputs):
            return 0.0
        unknown = [np.broadcast_to(self._unseen(name), self.steps[name].output_shape) for name in step.inputs]
        return (
            ops.concat(unknown, **step.options) if step.op == "concat" else ops.center_crop2d(*unknown, **step.options)
        )

    def _copied(self, name: str) -> Any:
        """An input of a concatenation: where it is not shown, what is due there, since the concatenation shows it."""
        try:
            return self.value(name)
        except AbsentError:
            return self._expected(self.steps[name])[0].astype(self._dtype())

    def _unseen(self, name: str) -> Any:
        return np.zeros(()) if f"activation.{name}" in self.other else np.asarray(self._expected(self.steps[name])[1])

    def _options(self, step: Step) -> dict[str, Any]:
        return {key: value for key, value in step.options.items() if key != "divisor"}

    def value(self, name: str, half: int = 0) -> Any:
        """The candidate's activation or input; where it has none, what exact steps make of its others."""
        for source in (self.other, self.reference):
            if f"input.{name}" in source:
                return self._cast(source[f"input.{name}"])
        step, given = self.steps.get(name), self.other.get(f"activation.{name}")
        if step is not None and step.op == "chunk":  # the whole, of which one half is asked for
            whole = self.value(step.inputs[0]) if given is None else self._cast(given)
            return np.ascontiguousarray(np.split(whole, 2, axis=1)[half])
        if given is not None:
            return self._cast(given)
        if step is None:  # an input that was left out: zeros
            return None
        if step.op not in EXACT:
            raise AbsentError(name)
        return self._expected(step)[0].astype(self._dtype())

    def _dtype(self) -> Any:
        return self.reference["output"].dtype

    def _cast(self, array: Any) -> Any:
        return array.astype(self._dtype(), copy=False)

    def _arrays(self, step: Step, *, backward: bool = False) -> dict[str, Any]:
        """The arguments of a step by name: the candidate's activations, the state's parameters."""
        layer = self.model.layers.get(step.name)
        if step.op == "concat":
            return {"arrays": tuple(map(self._copied, step.inputs))}
        if step.op == "film":
            base, gamma, beta = step.inputs
            return {"x": self.value(base), "gamma": self.value(gamma, 0), "beta": self.value(beta, 1)}
        if step.op == "add":
            return {"a": self.value(step.inputs[0]), "b": self.value(step.inputs[1])}
        try:
            x = self.value(step.inputs[0])
        except AbsentError:
            if not backward or step.op != "relu" or f"activation.{step.name}" not in self.other:
                raise
            x = self._cast(self.other[f"activation.{step.name}"])  # above 0 where the input is
        if x is None:
            x = np.zeros(self.reference[f"activation.{step.name}"].shape, self._dtype())
        tensors = {**layer.parameters(), **layer.buffers()} if layer else {}
        names = [tensor for tensor in tensors if tensor != "num_batches_tracked"]
        return {"x": x} | {tensor: self.reference[f"state.{step.name}.{tensor}"] for tensor in names}

    # --- backward --------------------------------------------------------------------------------------------------

    def backward(self) -> Iterator[Compared]:
        """Every gradient that the candidate has, last layer first, from its own upstream gradients."""
        *_, last = self.steps.values()
        arriving: Arriving = {last.name: [(self.reference["grad_output"].reshape(last.output_shape), 0.0)]}
        for step in reversed(self.steps.values()):
            gradient = f"grad.activation.{step.name}"
            yield from self.held(gradient, step.op, self._arrived, step.name, arriving)
            if step.op in RESHAPING and gradient not in self.other:
                arriving.setdefault(step.inputs[0], []).append(self._passed(step, arriving))
                continue
            try:
                parts = list(self._local(step, self._upstream(step, arriving)))
            except AbsentError:
                for name in step.inputs:
                    arriving.setdefault(name, []).append(None)
                continue
            for name, *part in parts:
                if name in ("weight", "bias"):
                    yield from self.held(f"grad.param.{step.name}.{name}", step.op, _known, *part)
                else:
                    arriving.setdefault(name, []).append(tuple(part))
        for name in self.model.inputs:
            yield from self.held(f"grad.input.{name}", "input", self._arrived, name, arriving)

    def _passed(self, step: Step, arriving: Arriving) -> tuple[Any, Any] | None:
        """The gradient that goes through a step which only arranges numbers anew, and its bound with it."""
        try:
            total, bound = self._arrived(step.name, arriving)
        except AbsentError:
            return None
        shape = step.arguments[0] if step.op == "reshape" else total.shape
        return total.reshape(shape), np.reshape(bound, shape)

    def _upstream(self, step: Step, arriving: Arriving) -> Any:
        """The candidate's gradient at a step; where it has none, what arrives there without rounding."""
        got = self.other.get(f"grad.activation.{step.name}")
        if got is None:
            got, bound = self._arrived(step.name, arriving)
            if np.any(bound):  # the candidate's own cannot be told from it
                raise AbsentError(step.name)
        return self._cast(got)

    def _local(self, step: Step, upstream: Any) -> Iterator[tuple[str, Any, Any]]:
        """What one step makes of its upstream gradient: for each input (by its maker's name), weight and bias."""
        if step.op == "add":
            part = (
                upstream if step.options["divisor"] is None else upstream / upstream.dtype.type(step.options["divisor"])
            )
            for name in step.inputs:
                yield name, part, abs(part) * np.finfo(upstream.dtype).eps
        elif step.op == "reshape":
            yield step.inputs[0], upstream.reshape(step.arguments[0]), 0.0
        elif step.op == "chunk":
            yield step.inputs[0], upstream, 0.0
        else:
            arrays = self._arrays(step, backward=True)
            bounds = error_bound(step.op, arrays, self._options(step), upstream, profile=self.profile)
            grads, errors = by_name(bounds.reference[1], arrays), bounds.grads
            if step.op == "concat":
                for name, gradient, error in zip(step.inputs, grads["arrays"], errors["arrays"], strict=True):
                    yield name, gradient, error
            elif step.op == "film":
                yield step.inputs[0], grads["x"], errors["x"]
                if step.inputs[1] == step.inputs[2]:  # the two halves of one vector
                    whole, bound = (np.concatenate([d["gamma"], d["beta"]], axis=1) for d in (grads, errors))
                    yield step.inputs[1], whole, bound
                else:
                    yield step.inputs[1], grads["gamma"], errors["gamma"]
                    yield step.inputs[2], grads["beta"], errors["beta"]
            else:
                yield step.inputs[0], grads["x"], errors["x"]
                for tensor in ("weight", "bias"):
                    if grads.get(tensor) is not None:
                        yield tensor, grads[tensor], errors[tensor]

    def _arrived(self, name: str, arriving: Arriving) -> tuple[Any, Any]:
        """What arrives at ``name`` by all its ways, summed; rounding the sum adds to the bounds."""
        parts = [part for part in arriving.get(name, [None]) if part is not None]
        if len(parts) < len(arriving.get(name, [None])):
            raise AbsentError(name)
        terms = [np.asarray(gradient, np.longdouble) for gradient, _ in parts]
        bound: Any = sum(np.broadcast_to(np.asarray(error, np.float64), terms[0].shape) for _, error in parts)
        if len(parts) > 1:
            bound = bound + len(parts) * np.finfo(self._dtype()).eps * sum(map(abs, terms))
        return sum(terms), bound


def _sum(step: Step, arrays: Mapping[str, Any]) -> tuple[Any, Any]:
    a, b = (array.astype(np.longdouble) for array in arrays.values())
    divisor = step.options["divisor"] or 1.0
    size = (abs(a) + abs(b)) / divisor
    return (a + b) / divisor, 3 * np.finfo(next(iter(arrays.values())).dtype).eps * size


def _known(expected: Any, bound: Any) -> tuple[Any, Any]:
    return expected, bound
