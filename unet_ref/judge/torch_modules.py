"""A PyTorch module against the network that it means to be, layer by layer, without files.

Hooks on the submodules read what an export would hold: a submodule's output is the activation of the step of its name,
its input that of the step before it; tensor hooks read the gradients there. ``networks.compare`` does the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..models import MODELS, Model
from ..models.export import record
from ..models.trace import Step
from .network_report import NetworkReport
from .networks import compare


def compare_torch(
    module: Any, model_id: str, inputs: Mapping[str, Any], *, options: Mapping[str, Any] | None = None,
    grad_output: Any = None, profile: str | None = None,
) -> NetworkReport:  # fmt: skip
    """Run ``module`` forward and backward once and judge each of its layers by itself, on its own inputs.

    Arguments:
        module: a ``torch.nn.Module`` in its mode (``train()`` or ``eval()``) and dtype, on any device, with the state
            names of ``models.MODELS[model_id]``. Its parameters, buffers, ``.grad`` and hooks are as before afterwards.
        inputs: the network's inputs by name, arrays or tensors (a shape such as ``{"x": (2, 3, 32, 48)}`` draws numbers).
        options: how the network is built, such as ``{"base_channels": 8}``; by default as ``MODELS[model_id]()``.
        grad_output: the upstream gradient, by default random numbers.
        profile: the arithmetic to allow, by default that of the module's dtype: say ``"tf32"`` where it is on.

    Raises
    ------
        ShapeError: where the state or the inputs do not fit the network of these options.
        DTypeError: where the module is in no floating dtype that has bounds.
    """
    import torch  # noqa: PLC0415 - only here

    model = _model(model_id, dict(options or {}))
    dtype = next(iter(module.parameters())).dtype
    kind = str(dtype).removeprefix("torch.")
    if kind not in ("float64", "float32", "float16", "bfloat16"):
        raise DTypeError(f"compare_torch: module's dtype ({kind}) must be float64, float32, float16 or bfloat16")
    tensors = {name: _tensor(torch, inputs.get(name), dtype, seed) for seed, name in enumerate(model.inputs)}
    state = {name: _numpy(value) for name, value in module.state_dict().items()}
    arrays: dict[str, Any] = {name: None if tensor is None else _numpy(tensor) for name, tensor in tensors.items()}
    if arrays["x"] is None:
        raise ShapeError(f"compare_torch: inputs ({', '.join(inputs)}) must have the image x")
    shape = arrays["x"].shape
    steps = model.shape_trace(
        *(None if a is None else a.shape for a in arrays.values()), training=module.training
    ).steps
    upstream = _tensor(torch, next(reversed(steps.values())).output_shape if grad_output is None else grad_output,
                       dtype, len(tensors))  # fmt: skip
    reference, _ = record(model, state, arrays, _numpy(upstream), training=module.training)
    other = Recording(torch, module, steps).run(tensors, upstream)
    recipe = {"model": model_id, "options": dict(options or {}), "input": shape, "training": module.training,
              "dtype": str(reference["output"].dtype)}  # fmt: skip
    return compare(reference, {"recipe": recipe}, other, profile=profile or kind)


class Recording:
    """One run of a module, with what passed through its submodules."""

    def __init__(self, torch: Any, module: Any, steps: Mapping[str, Step]) -> None:
        self.torch, self.module, self.steps = torch, module, steps
        self.made: dict[str, Held] = {}  # by the step: its own output
        self.taken: dict[str, Held] = {}  # by the step: what the next submodule got of it

    def run(self, inputs: Mapping[str, Any], upstream: Any) -> dict[str, Any]:
        """The tensors by an export's names."""
        module = self.module
        device = next(iter(module.parameters())).device
        leaves = {n: t.to(device).requires_grad_() for n, t in inputs.items() if t is not None}
        with undone(self.torch, module), self.torch.enable_grad(), self._hooked():
            output = module(*(leaves.get(name) for name in inputs))
            weights = {n: p for n, p in module.named_parameters() if p.requires_grad}
            found: dict[str, Any] = {"output": output}
            if output.shape == upstream.shape and output.requires_grad:
                slopes = iter(self.torch.autograd.grad(output, [*leaves.values(), *weights.values()],
                                                       upstream.to(device), allow_unused=True))  # fmt: skip
                found |= {f"grad.input.{name}": next(slopes) for name in leaves}
                found |= {f"grad.param.{name}": next(slopes) for name in weights}
            if module.training:
                found |= {f"buffer.{name}": buffer.clone() for name, buffer in module.named_buffers()}
        for name, held in {**self.taken, **self.made}.items():
            found[f"activation.{name}"], found[f"grad.activation.{name}"] = held.value, held.grad
        return {name: _numpy(value) for name, value in found.items() if value is not None}

    @contextlib.contextmanager
    def _hooked(self) -> Iterator[None]:
        handles = [part.register_forward_hook(self._hook(self.steps[name])) for name, part in self.module.named_modules()
                   if name in self.steps and not isinstance(part, self.torch.nn.Sequential)]  # fmt: skip
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, step: Step) -> Callable[..., None]:
        """A submodule that runs more than once keeps its last run: so does the ReLU at the end of a ResNet's block."""

        def hook(_: Any, arguments: tuple[Any, ...], output: Any) -> None:
            for name, value in zip(step.inputs, arguments, strict=False):
                if name in self.steps and self._fits(value, name):
                    self.taken[name] = Held(value)
            if self._fits(output, step.name):
                self.made[step.name] = Held(output)
            elif isinstance(output, self.torch.Tensor):
                self.made[step.name] = Held(output, watched=False)  # a finding: another shape

        return hook

    def _fits(self, value: Any, name: str) -> bool:
        return isinstance(value, self.torch.Tensor) and tuple(value.shape) == tuple(self.steps[name].output_shape)


class Held:
    """A tensor as it was when it passed, and later the gradient at it."""

    def __init__(self, tensor: Any, *, watched: bool = True) -> None:
        self.value, self.grad = tensor.detach().clone(), None  # a clone: an operation in place may follow
        if watched and tensor.requires_grad:
            tensor.register_hook(self._arrived)

    def _arrived(self, grad: Any) -> None:
        self.grad = grad.detach().clone()


@contextlib.contextmanager
def undone(torch: Any, module: Any) -> Iterator[None]:
    """Nothing in place meanwhile, and afterwards the switches and running statistics of before."""
    switched = [part for part in module.modules() if getattr(part, "inplace", False)]
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    for part in switched:
        part.inplace = False
    try:
        yield
    finally:
        for part in switched:
            part.inplace = True
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])


def _model(model_id: str, options: dict[str, Any]) -> Model:
    if model_id not in MODELS:
        raise ShapeError(f"compare_torch: model_id ({model_id!r}) must be one of {', '.join(MODELS)}")
    return MODELS[model_id].create(**options)


def _tensor(torch: Any, value: Any, dtype: Any, seed: int) -> Any:
    """A leaf of its own; a shape is filled with random numbers."""
    if value is None:
        return None
    if isinstance(value, tuple):
        value = np.random.default_rng(seed).standard_normal(value)
    return torch.as_tensor(value).detach().to("cpu", dtype, copy=True)


def _numpy(tensor: Any) -> Any:
    """The same numbers for NumPy, which has no bfloat16: float32 holds it."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
