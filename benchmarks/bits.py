"""Which results depend on the number of threads, or on the batch that a sample is in: ours, and PyTorch's.

    python benchmarks/bits.py [NAME ...]

Every operation at three sizes and every network at a quarter of its width and half its size, forward and backward, in float32 and float64:
with one thread and with two; then the first sample alone and in a batch of four (outputs and gradients that have samples;
batch norm in training mixes them and the losses sum over them: those are left out, and networks are in evaluation mode).
Elements whose bits differ are counted. Prints a Markdown table; exit code 1 where any of ours differs.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

import unet_ref
from unet_ref.bench.report import markdown
from unet_ref.bench.sizes import KNOWN, NETWORKS, Job, case
from unet_ref.bench.torch_run import TorchNetwork
from unet_ref.check.table import OPERATIONS
from unet_ref.judge.engines.torch import pair
from unet_ref.judge.mistake import Arguments, Results, right
from unet_ref.models import MODELS
from unet_ref.ops import BatchNormRunningStats

SHAPES = (4, 64, 128, 128), (4, 256, 32, 32), (4, 64, 16, 16)
MIXED = ("batch_norm", "batch_norm_running_stats", "mse_loss", "binary_cross_entropy_with_logits", "cross_entropy")
SAMPLED = ("x", "arrays", "gamma", "beta", "weather", "t", "c")  # arguments with an axis for the samples
SIDES = "ours", "PyTorch"


def main():
    rows = list(measure(sys.argv[1:] or KNOWN))
    print(f"{table(rows)}\n\n{verdict(rows)}")
    return int(any(row["ours"] for row in rows))


def measure(names):
    """For every tensor compared: how many of its elements differ, ours and PyTorch's."""
    for name in names:
        for dtype in ("float32", "float64"):
            jobs = [small(name)] if name in MODELS else [Job(name, shape) for shape in SHAPES]
            for job in jobs:
                run = network(job, dtype) if name in MODELS else operation(job, dtype)
                many, one = tensors(run, 2, alone=False), tensors(run, 1, alone=False)
                yield from differences(job, dtype, "threads", many, one)
                if name not in MIXED:
                    sampled = {
                        key: array[:1] for key, array in many.items() if key[1].split("[")[0] in (*SAMPLED, "output")
                    }
                    yield from differences(job, dtype, "batch", sampled, tensors(run, 2, alone=True))


def small(name):
    """Four images for a network, of half its size where that may vary."""
    _, C, H, W = NETWORKS[name][1].shape
    half = 1 if "context" in name else 2
    return NETWORKS[name][1]._replace(shape=(4, C, H // half, W // half))


def tensors(run, threads, *, alone):
    """Results of both sides: ``run(side, alone)`` with so many threads."""
    unet_ref.set_num_threads(threads)
    torch.set_num_threads(threads)
    return {(side, key): np.asarray(array) for side in SIDES for key, array in run(side, alone).items()}


def operation(job, dtype):
    """Its run."""
    drawn, row = case(job, dtype), OPERATIONS[job.name]
    dy = None
    if row.backward is not None:
        shape = row.forward(*drawn.arrays.values(), **drawn.options).shape
        dy = np.random.default_rng(1).standard_normal(shape).astype(dtype)

    def run(side, alone):
        arrays = {name: first(name, value) if alone else value for name, value in drawn.arrays.items()}
        given = Arguments(job.name, arrays, drawn.options, dy if dy is None or not alone else dy[:1])
        return (right(given) if side == "ours" else torchs(given, dtype)).tensors()

    return run


def torchs(given, dtype):
    """What PyTorch makes of it."""
    forward, backward = pair(given.name, "contiguous", dtype)
    arrays = given.arrays.values()
    y = forward(*arrays, **given.options)
    if given.grad_output is None:
        return Results(BatchNormRunningStats(*y), {})
    return Results(y, backward(given.grad_output, *arrays, **given.options))


def network(job, dtype):
    """Its run: the output, and the gradients of inputs and parameters."""
    model, rng = MODELS[job.name].create(**dict(job.options)), np.random.default_rng(0)
    state = model.init(rng, dtype)
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in model.input_shapes(job.shape)]
    dy = rng.standard_normal(model.output_shape(*(array.shape for array in inputs))).astype(dtype)

    def run(side, alone):
        given, v = ([array[:1] for array in inputs], dy[:1]) if alone else (inputs, dy)
        if side == "ours":
            trace = model.trace(state, *given)
            grads = model.backward(state, trace, v)
            return {"output": trace.output, **grads.inputs, **grads.params}
        twin = TorchNetwork(model, state)
        leaves = [twin.tensor(array, leaf=True) for array in given]
        y = twin.output(leaves, training=False)
        names = [*model.inputs, *(name for name in twin.state if name not in model.buffer_names())]
        found = torch.autograd.grad(y, [*leaves, *twin.parameters], twin.tensor(v))
        return {"output": y.detach().numpy(), **{name: grad.numpy() for name, grad in zip(names, found, strict=True)}}

    return run


def first(name, value):
    """The first sample, of arguments that have samples."""
    if name not in SAMPLED:
        return value
    return tuple(array[:1] for array in value) if isinstance(value, tuple) else value[:1]


def differences(job, dtype, what, many, other):
    """A row for each tensor; for all parameters of a network one."""
    found = {}
    for key in dict.fromkeys(key for side, key in many if (side, key) in other):
        inner = job.name in MODELS and key not in (*SAMPLED, "output")
        tensor = "parameters" if inner else key
        row = {"name": job.name, "size": str(job), "dtype": dtype, "changes": what, "tensor": tensor, "tensors": 0,
               "elements": 0, **dict.fromkeys(SIDES, 0)}  # fmt: skip
        row = found.setdefault(tensor, row)
        row["tensors"] += 1
        row["elements"] += many["ours", key].size
        for side in SIDES:
            row[side] += int((bits(many[side, key]) != bits(other[side, key])).any(axis=-1).sum())
    return list(found.values())


def bits(array):
    """The bytes of each element, so that NaN is itself and -0 is not 0."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(array.size, array.dtype.itemsize)


def table(rows):
    """Where the bits of either side differ: which share of the elements."""
    body = [
        [*(row[key] for key in ("name", "size", "dtype", "changes", "tensor")),
         *(f"{100 * row[side] / row['elements']:.3g}%" for side in SIDES)]
        for row in rows
        if any(row[side] for side in SIDES)
    ]  # fmt: skip
    return "\n".join(markdown(("name", "size", "dtype", "changes", "tensor", *SIDES), body, right=(5, 6)))


def verdict(rows):
    """In a sentence for each side."""
    said = []
    for side in SIDES:
        wrong = [row for row in rows if row[side]]
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(row["name"] for row in wrong)) or "none"
        said.append(f"{side}: {len(wrong)} of {len(rows)} comparisons show other bits, in {names}.")
    return "\n".join(said)


if __name__ == "__main__":
    sys.exit(main())
