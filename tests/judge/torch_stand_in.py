"""As much of PyTorch as ``compare_torch`` touches, over NumPy: tensors with hooks, and modules that are our networks.

What it is honest about: a hook is called when its value passes, gradients arrive at tensors in a backward pass, buffers
change in place, and an operation in place is one only while ``inplace`` is on.
"""

import contextlib
from types import SimpleNamespace

import numpy as np

FLOATS = {"torch.float64": "float64", "torch.float32": "float32", "torch.float16": "float16", "torch.int64": "int64",
          "torch.bfloat16": "float32"}  # fmt: skip


class Tensor:
    def __init__(self, array, dtype=None, *, requires_grad=False):
        self.array, self.requires_grad, self.hooks = np.asarray(array), requires_grad, []
        self.dtype = dtype or f"torch.{self.array.dtype}"

    shape = property(lambda self: self.array.shape)
    device = "cpu"

    def detach(self):
        return Tensor(self.array, self.dtype)

    def clone(self):
        return Tensor(self.array.copy(), self.dtype)

    def cpu(self):
        return self

    def to(self, device, dtype=None, copy=False):
        assert device == "cpu"
        return Tensor(np.array(self.array, FLOATS[str(dtype or self.dtype)]), dtype or self.dtype)

    def float(self):
        return Tensor(self.array.astype("float32"))

    def numpy(self):
        assert self.dtype != "torch.bfloat16", "NumPy has no bfloat16"
        return self.array

    def requires_grad_(self):
        self.requires_grad = True
        return self

    def register_hook(self, hook):
        assert self.requires_grad
        self.hooks.append(hook)

    def copy_(self, other):
        self.array[...] = other.array


class Sequential:
    """A container: it has hooks, and no step of its own."""


class Part:
    def __init__(self, *, inplace=None):
        self.hooks = []
        if inplace is not None:
            self.inplace = inplace

    def register_forward_hook(self, hook):
        self.hooks.append(hook)
        return SimpleNamespace(remove=lambda: self.hooks.remove(hook))


class Container(Part, Sequential):
    pass


class Module(Part):
    """One of our networks as a module: its layers are submodules, its other steps are functions.

    ``after(name, array)`` may change what a step gives; ``backwards(name, grad)`` what arrives at its output.
    """

    def __init__(self, model, state, *, dtype="torch.float32", training=True, frozen=(), after=None, backwards=None):
        super().__init__()
        self.model, self.training, self.dtype, self.frozen = model, training, dtype, frozen
        self.after, self.backwards = after or (lambda _, y: y), backwards or (lambda _, grad: grad)
        self.state = {n: Tensor(a, dtype if a.dtype.kind == "f" else None, requires_grad=n not in frozen)
                      for n, a in state.items()}  # fmt: skip
        self.counted = set(model.buffer_names())
        self.parts = {name: Part() for name in model.layers} | {"inc": Container(), "relu": Part(inplace=True)}

    def parameters(self):
        return (parameter for _, parameter in self.named_parameters())

    def named_parameters(self):
        return [(n, t) for n, t in self.state.items() if n not in self.counted]

    def named_buffers(self):
        return [(n, t) for n, t in self.state.items() if n in self.counted]

    def state_dict(self):
        return self.state

    def named_modules(self):
        return [("", self), *self.parts.items()]

    def modules(self):
        return [part for _, part in self.named_modules()]

    def __call__(self, *inputs):
        assert not self.parts["relu"].inplace, "an operation in place would change what the hooks hold"
        arrays = [None if t is None else t.array for t in inputs]
        state = {n: t.array for n, t in self.state.items()}
        self.trace = self.model.trace(state, *arrays, training=self.training, record="all")
        self.passed = dict(zip(self.model.inputs, inputs, strict=True))
        for name, step in self.trace.steps.items():
            made = self.passed[name] = Tensor(self.after(name, self.trace[name]).copy(), self.dtype, requires_grad=True)
            for hook in self.parts[name].hooks if name in self.parts else ():
                hook(self.parts[name], tuple(self.passed[n] for n in step.inputs), made)
            if step.op == "relu":  # a function, and in place: what a hook got before must have been kept apart
                self.passed[step.inputs[0]].array[...] = made.array
        for name, buffer in self.named_buffers() if self.training else ():
            buffer.array[...] = self.trace.buffers[name]
        return made

    def slopes(self, wanted, upstream):
        state = {n: t.array for n, t in self.state.items()}
        grads = self.model.backward(state, self.trace, upstream, record=True)
        for name, tensor in self.passed.items():
            for hook in tensor.hooks if tensor is not None else ():
                hook(Tensor(self.backwards(name, grads.activations[name]), self.dtype))
        named = {**grads.params, **grads.inputs}
        known = {id(t): named.get(n) for n, t in [*self.state.items(), *self.passed.items()]}
        return tuple(None if known[id(t)] is None else Tensor(known[id(t)], self.dtype) for t in wanted)


def torch(module):
    """The package, whose autograd knows this one module."""

    def grad(output, wanted, upstream, *, allow_unused):
        assert output.shape == upstream.shape
        assert allow_unused
        return module.slopes(wanted, upstream.array)

    return SimpleNamespace(
        Tensor=Tensor, as_tensor=lambda a: a if isinstance(a, Tensor) else Tensor(a), autograd=SimpleNamespace(grad=grad),
        nn=SimpleNamespace(Sequential=Sequential), no_grad=contextlib.nullcontext, enable_grad=contextlib.nullcontext,
    )  # fmt: skip
