"""Is PyTorch as fast in our benchmarks as a user would have it? Its side there beside plain modules, alternating.

    python benchmarks/twins.py [NAME ...]

The benchmarks run a network's own definition on tensors (``unet_ref.bench.torch_run``). The modules are the twins of
``tests/models``, written from the seeds. Forward plus backward in training mode, at the sizes of issue and seeds, float32.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np
import torch

import unet_ref
from unet_ref.bench.clock import alternating, host
from unet_ref.bench.report import duration, markdown
from unet_ref.bench.sizes import NETWORKS
from unet_ref.bench.torch_run import TorchNetwork
from unet_ref.models import MODELS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from models import torch_twins


def main():
    print(table(list(map(measure, sys.argv[1:] or NETWORKS))))


def measure(name, rounds=5):
    """Seconds of both, round by round."""
    torch.set_num_threads(unet_ref.get_num_threads())
    job, rng = NETWORKS[name][0], np.random.default_rng(0)
    options = dict(job.options)
    model = MODELS[name].create(**options)
    state = model.init(rng)
    ours, twin = TorchNetwork(model, state), torch_twins.build(name, options)
    torch_twins.load(twin, state)
    twin.train(True)
    inputs = [
        ours.tensor(rng.standard_normal(shape).astype("float32"), leaf=True) for shape in model.input_shapes(job.shape)
    ]
    dy = torch.randn(model.output_shape(*(tensor.shape for tensor in inputs)))
    leaves = [*twin.parameters(), *inputs]
    calls = [lambda: ours.both(inputs, dy), lambda: torch.autograd.grad(twin(*inputs), leaves, dy)]
    benchmark, modules = alternating([(call, host) for call in calls], rounds)
    return {"name": name, "size": str(job), "benchmark": benchmark, "modules": modules}


def table(rows):
    body = []
    for row in rows:
        pairs = list(zip(row["benchmark"], row["modules"], strict=True))
        medians = [duration(statistics.median(column)) for column in zip(*pairs, strict=True)]
        body.append([row["name"], row["size"], *medians, f"{statistics.median(b / a for a, b in pairs):.2f}"])
    return "\n".join(markdown(("network", "size", "in the benchmarks", "modules", "ratio"), body, right=(2, 3, 4)))


if __name__ == "__main__":
    main()
