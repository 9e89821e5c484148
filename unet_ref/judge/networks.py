"""Another implementation's run of a whole network, held against the reference layer by layer.

Never by a bound that is carried through the network: that grows past every mistake. Each layer is judged by itself
(*teacher forcing*): the reference runs it on the candidate's own input, so that nothing propagates, the layer's own
bound applies, and the first layer outside it is the guilty one. The backward pass likewise, with the candidate's own
upstream gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import ops
from ..check.error_bound import error_bound
from ..models import MODELS, Model
from ..models.trace import Step
from .mistake import by_name
from .network_report import Compared, NetworkReport

# Steps that round nothing: an activation that the candidate did not hand in is made again, to the bit, from its inputs.
EXACT = {"concat", "center_crop2d", "max_pool2d", "relu", "upsample_nearest2d", "reshape", "chunk"}


RESHAPING = {"reshape", "chunk"}


class AbsentError(LookupError):
    """A step cannot be judged: what went into it was not handed in."""


PROFILES = {"float64": "float64", "float32": "float32", "float16": "float16"}


def compare(
    reference: Mapping[str, Any], metadata: Mapping[str, Any], other: Mapping[str, Any], *,
    forced: bool = True, profile: str | None = None,
) -> NetworkReport:  # fmt: skip
    """Hold ``other``'s tensors (named as in an export) against an export, forward in network order, then backward.

    ``forced=False`` compares tensor by tensor with the reference's own run: what differs, not who is to blame.
    """
    recipe = metadata["recipe"]
    model = MODELS[recipe["model"]].create(**recipe["options"])
    run = Run(model, reference, other, tuple(recipe["input"]), training=recipe["training"],
              profile=profile or PROFILES[recipe["dtype"]])  # fmt: skip
    rows = [*run.forward(), *run.backward()] if forced else list(run.whole())
    return NetworkReport(tuple(rows), forced=forced, missing=tuple(run.missing))


class Run:
    """The candidate's tensors, and what the reference says of each step given the candidate's own values."""

    def __init__(
        self, model: Model, reference: Mapping[str, Any], other: Mapping[str, Any], shape: tuple[int, ...], *,
        training: bool, profile: str,
    ) -> None:  # fmt: skip
        self.model, self.reference, self.other, self.profile = model, reference, other, profile
        self.steps = model.shape_trace(shape, training=training).steps
        self.missing = [name for name in reference if name not in other and not name.startswith(("state.", "input."))]

    # --- forward ---------------------------------------------------------------------------------------------------

    def forward(self) -> Iterator[Compared]:
        """Every activation that the candidate has, from its own inputs."""
        for step in self.steps.values():
            got = self.other.get(f"activation.{step.name}")
            if got is None or step.op in ("chunk", "reshape"):
                continue
            try:
                expected, bound = self._expected(step)
            except AbsentError:
                continue
            yield Compared.of(f"activation.{step.name}", step.op, got, expected, bound)

    def _expected(self, step: Step) -> tuple[Any, Any]:
        arrays = self._arrays(step)
        if step.op == "add":
            return _sum(step, arrays)
        if step.op == "reshape":
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
        arriving: dict[str, list[tuple[Any, Any] | None]] = {}
        for step in reversed(self.steps.values()):
            yield from self._gradient_at(step, arriving)
            if step.op in RESHAPING and f"grad.activation.{step.name}" not in self.other:
                arriving.setdefault(step.inputs[0], []).append(self._passed(step, arriving))
                continue
            try:
                parts = list(self._local(step, self._upstream(step, arriving)))
            except AbsentError:
                for name in step.inputs:
                    arriving.setdefault(name, []).append(None)
                continue
            for name, gradient, bound in parts:
                if name in ("weight", "bias"):
                    parameter = f"grad.param.{step.name}.{name}"
                    if parameter in self.other:
                        yield Compared.of(parameter, step.op, self.other[parameter], gradient, bound)
                else:
                    arriving.setdefault(name, []).append((gradient, bound))
        for name in self.model.inputs:
            got = self.other.get(f"grad.input.{name}")
            if got is not None and self._whole_sum(name, arriving):
                total, bound = self._total(arriving[name])
                yield Compared.of(f"grad.input.{name}", "input", got, total.reshape(got.shape), bound)

    def _passed(self, step: Step, arriving: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """The gradient that goes through a step which only arranges numbers anew, and its bound with it."""
        if not self._whole_sum(step.name, arriving):
            return None
        total, bound = self._total(arriving[step.name])
        shape = step.arguments[0] if step.op == "reshape" else total.shape
        return total.reshape(shape), np.reshape(bound, shape)

    def _gradient_at(self, step: Step, arriving: Mapping[str, Any]) -> Iterator[Compared]:
        got = self.other.get(f"grad.activation.{step.name}")
        if got is not None and self._whole_sum(step.name, arriving) and step.op != "chunk":
            total, bound = self._total(arriving[step.name])
            yield Compared.of(f"grad.activation.{step.name}", step.op, got, total, bound)

    def _upstream(self, step: Step, arriving: Mapping[str, Any]) -> Any:
        got = self.other.get(f"grad.activation.{step.name}")
        if got is None and self._whole_sum(step.name, arriving):
            total, bound = self._total(arriving[step.name])
            got = None if np.any(bound) else total  # the candidate's own cannot be told from it
        if got is None and step.output_shape == tuple(self.reference["grad_output"].shape):
            got = self.reference["grad_output"]
        if got is None:
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

    @staticmethod
    def _whole_sum(name: str, arriving: Mapping[str, Any]) -> bool:
        """Whether every way by which a gradient arrives at ``name`` is known."""
        return name in arriving and None not in arriving[name]

    def _total(self, parts: list[Any]) -> tuple[Any, Any]:
        """A gradient that arrives by several ways is their sum; rounding it adds to the bounds."""
        terms = [np.asarray(gradient, np.longdouble) for gradient, _ in parts]
        bound: Any = sum(np.broadcast_to(np.asarray(error, np.float64), terms[0].shape) for _, error in parts)
        if len(parts) > 1:
            bound = bound + len(parts) * np.finfo(self._dtype()).eps * sum(map(abs, terms))
        return sum(terms), bound

    # --- whole -----------------------------------------------------------------------------------------------------

    def whole(self) -> Iterator[Compared]:
        """Each tensor beside the reference's, in network order; the bound is that of its own rounding alone."""
        order = [f"activation.{name}" for name in self.steps]
        order += ["output", *(f"grad.activation.{name}" for name in reversed(self.steps))]
        order += [name for name in self.reference if name.startswith(("grad.param.", "grad.input.", "buffer."))]
        for name in order:
            if name in self.reference and name in self.other:
                expected = self.reference[name]
                scale = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64)))) if expected.size else 0.0
                eps = np.finfo(self._dtype()).eps
                yield Compared.of(name, "", self.other[name], expected, 64 * eps * (abs(expected) + scale))


def _sum(step: Step, arrays: Mapping[str, Any]) -> tuple[Any, Any]:
    a, b = (array.astype(np.longdouble) for array in arrays.values())
    divisor = step.options["divisor"] or 1.0
    size = (abs(a) + abs(b)) / divisor
    return (a + b) / divisor, 3 * np.finfo(next(iter(arrays.values())).dtype).eps * size
