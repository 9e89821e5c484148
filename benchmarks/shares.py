"""Where the time of a network's step goes, and how fast it could be if only its matrix products took time.

    python benchmarks/shares.py [NAME ...] [--dtype float32]

Forward and backward in training mode at the seeds' widths, beside PyTorch in the same run, alternating. Every step of a
network and every matrix product is timed; a product by the thread that it runs on, so that their sum, over the number of
threads, is what they take if the threads share them perfectly. The rest of a convolution are copies, additions after the
product, the sum for the bias, and threads that wait. The whole step on one thread, over the number of threads, is what it
would take if all of it were shared perfectly.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
import time
from collections import Counter
from unittest import mock

import numpy as np
import torch
from arguments import names_and_dtype

import unet_ref
from unet_ref.bench.clock import alternating, host
from unet_ref.bench.networks import network
from unet_ref.bench.report import duration, markdown
from unet_ref.bench.sizes import NETWORKS
from unet_ref.models import MODELS
from unet_ref.models.remembering import Remembering
from unet_ref.models.run import Backward, Forward

KINDS = {
    "conv2d": "convolutions", "conv_transpose2d": "convolutions", "linear": "convolutions",
    "batch_norm": "norms", "group_norm": "norms",
    "relu": "elements", "gelu": "elements", "add": "elements", "join": "elements", "film": "elements",
}  # fmt: skip
PARTS = ("products", "convolutions", "norms", "elements", "other steps", "outside")
STEPS = {cls: [n for n, f in vars(cls).items() if callable(f) and not n.startswith("_")] for cls in (Forward, Backward)}


def main():
    options = names_and_dtype(__doc__)
    print(table([measure(name, options.dtype) for name in options.names or MODELS]))


def measure(name, dtype, rounds=5):
    """Medians of seconds: of the parts of our step, of it all, of PyTorch's, and of its products at the machine's rate."""
    job = NETWORKS[name][0]
    torch.set_num_threads(unet_ref.get_num_threads())
    sides = network(job, dtype, "cpu", beside_torch=True)
    found = []

    def by_parts(call, times):
        spent = [parts(call) for _ in range(times)]
        found.append({part: statistics.mean(row[part] for row in spent) for part in spent[0]})
        return found[-1]["ours"]

    calls = [
        (sides.ours["both"], by_parts), (sides.theirs["both"], host), (sides.limit.call, host), (sides.ours["both"], alone),
    ]  # fmt: skip
    ours, theirs, rate, one = alternating(calls, rounds)
    medians = {part: statistics.median(row[part] for row in found[-len(ours) :]) for part in found[-1]}
    full_rate = statistics.median(rate) * sides.work["both"] / sides.limit.work
    shared = statistics.median(one) / unet_ref.get_num_threads()
    return {"name": name, "size": str(job), "dtype": dtype, **medians, "PyTorch": statistics.median(theirs),
            "shared": shared, "at the rate": full_rate}  # fmt: skip


def alone(call, times):
    """Seconds of a call on one thread."""
    threads = unet_ref.get_num_threads()
    unet_ref.set_num_threads(1)
    try:
        return host(call, times)
    finally:
        unet_ref.set_num_threads(threads)


def parts(call):
    """Seconds of a step by what they went to."""
    steps, products = Counter(), []
    with contextlib.ExitStack() as stack:
        for cls, names in STEPS.items():
            for name in names:
                stack.enter_context(mock.patch.object(cls, name, step_timed(getattr(cls, name), name, steps)))
        stack.enter_context(mock.patch.object(np, "matmul", product_timed(np.matmul, products)))
        whole = host(call, 1)
    shared = sum(products) / unet_ref.get_num_threads()
    spent = {**dict.fromkeys(PARTS, 0.0), **steps, "products": shared, "outside": whole - steps.total(), "ours": whole}
    spent["convolutions"] -= shared
    return spent


def step_timed(method, name, steps):
    """A step of real arrays adds its time to its kind's."""

    @functools.wraps(method)
    def run(self, *args, **kwargs):
        if not isinstance(self.ops, Remembering):
            return method(self, *args, **kwargs)
        op = name
        if name == "layer":
            op = (self.layers if isinstance(self, Forward) else self.trace.steps)[args[0]].op
        start = time.perf_counter()
        try:
            return method(self, *args, **kwargs)
        finally:
            steps[KINDS.get(op, "other steps")] += time.perf_counter() - start

    return run


def product_timed(matmul, products):
    """NumPy's product, which notes its time; on whichever thread."""

    @functools.wraps(matmul)
    def run(*args, **kwargs):
        start = time.perf_counter()
        result = matmul(*args, **kwargs)
        products.append(time.perf_counter() - start)
        return result

    return run


def table(rows):
    """Shares in percent; and how many times as fast as PyTorch: now, shared perfectly, the products alone, at the full rate."""
    body, ratios = [], []
    for row in rows:
        shares = [f"{100 * row[part] / row['ours']:.0f}" for part in PARTS]
        ratios.append([row["PyTorch"] / row[key] for key in ("ours", "shared", "products", "at the rate")])
        body.append([row["name"], duration(row["ours"]), *shares, *(f"{ratio:.2f}" for ratio in ratios[-1])])
    means = [f"{statistics.geometric_mean(column):.2f}" for column in zip(*ratios, strict=True)]
    body.append(["geometric mean", *[""] * (1 + len(PARTS)), *means])
    header = (
        *("network", "both", "prod.", "conv.", "norms", "elem.", "other", "outside"),
        *("x", "shared", "prod. alone", "at the rate"),
    )
    return "\n".join(markdown(header, body, range(1, len(header))))


if __name__ == "__main__":
    main()
