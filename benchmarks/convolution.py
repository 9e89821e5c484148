"""Convolutions beside PyTorch, beside whole-image im2col, and beside the machine's own matrix product.

    python benchmarks/convolution.py [--dtype float32 float64] [--rounds 5] [--only 3x3] [--busy]
    python benchmarks/convolution.py --workspace        # memory in place of time

On a machine that is busy with other things too, ``--busy`` measures processor time on one thread.

Every round times the operation, PyTorch's, the textbook's, Chainer's (``im2col.py``) and a large matrix product one after
another, so that what else the machine does meets all alike. Printed are medians over the rounds: arithmetic rates in
GFlop/s (2 * products, zeros of the padding counted like all others), the share of the matrix product's rate, and how
many times as fast as the other three.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tracemalloc
from typing import NamedTuple

import im2col
import numpy as np
import threadpoolctl

import unet_ref
from unet_ref import ops
from unet_ref.bench.clock import alternating, host
from unet_ref.bench.machine import product
from unet_ref.bench.report import markdown
from unet_ref.ops import scratch
from unet_ref.ops.conv2d import _window
from unet_ref.ops.correlate_weight import correlate_weight
from unet_ref.ops.correlation import correlate, correlate_adjoint


class Shape(NamedTuple):
    """``x`` is (N, C, H, W); a transposed convolution is the adjoint of the one from its output to its input."""

    name: str
    x: tuple[int, int, int, int]
    outputs: int
    kernel: int
    stride: int
    padding: int


SHAPES = [
    Shape("3x3", (1, 64, 256, 256), 64, 3, 1, 1),
    Shape("3x3", (1, 128, 128, 128), 128, 3, 1, 1),
    Shape("3x3", (1, 256, 64, 64), 256, 3, 1, 1),
    Shape("3x3", (1, 512, 32, 32), 512, 3, 1, 1),
    Shape("3x3", (4, 512, 16, 16), 512, 3, 1, 1),
    Shape("3x3, decoder", (1, 128, 256, 256), 64, 3, 1, 1),
    Shape("3x3, bottleneck", (1, 1024, 16, 16), 1024, 3, 1, 1),
    Shape("3x3, first", (2, 17, 256, 256), 64, 3, 1, 1),
    Shape("3x3, stride 2", (2, 128, 56, 56), 128, 3, 2, 1),
    Shape("7x7, stride 2", (2, 3, 224, 224), 64, 7, 2, 3),
    Shape("3x3, small", (8, 64, 16, 16), 64, 3, 1, 1),
    Shape("3x3, 7 pixels", (2, 512, 7, 7), 512, 3, 1, 1),
    Shape("1x1", (2, 64, 56, 56), 256, 1, 1, 0),
    Shape("1x1", (2, 1024, 14, 14), 256, 1, 1, 0),
    Shape("1x1, stride 2", (2, 256, 56, 56), 512, 1, 2, 0),
    Shape("1x1, head", (1, 64, 256, 256), 2, 1, 1, 0),
    Shape("2x2, transposed", (1, 128, 128, 128), 64, 2, 2, 0),
    Shape("2x2, transposed", (1, 1024, 16, 16), 512, 2, 2, 0),
]
PASSES = "forward", "dx", "dweight"
OTHERS = "PyTorch", "textbook", "Chainer"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", nargs="+", default=["float32", "float64"], choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    parser.add_argument("--workspace", action="store_true", help="the memory that a pass takes beside its result")
    parser.add_argument("--busy", action="store_true", help="processor time on one thread in place of time on all")
    options = parser.parse_args()
    if options.busy:
        unet_ref.set_num_threads(1)
    clock = processor if options.busy else host
    for dtype in options.dtype:
        shapes = [shape for shape in SHAPES if options.only in shape.name]
        if options.workspace:
            print(f"\n{dtype}\n\n{workspace_table([workspace(shape, dtype) for shape in shapes])}")
            continue
        rows = [measure(shape, part, dtype, options.rounds, clock) for shape in shapes for part in PASSES]
        print(f"\n{dtype}\n\n{table(rows)}")


def workspace(shape, dtype):
    """Bytes that each pass takes at most beside arguments and result, and what the columns of the whole image would."""
    found = {}
    for part in PASSES:
        ours = sides(shape, part, dtype)[1]["ours"]
        ours()
        scratch.clear()
        tracemalloc.start()
        result = ours()
        found[part] = tracemalloc.get_traced_memory()[1] - result.nbytes
        tracemalloc.stop()
    (N, C, H, W), stride = shape.x, shape.stride
    pixels = H * W if "transposed" in shape.name else -(-H // stride) * -(-W // stride)
    channels = shape.outputs if "transposed" in shape.name else C
    columns = N * channels * shape.kernel**2 * pixels * np.dtype(dtype).itemsize
    return {"name": shape.name, "shape": list(shape), "dtype": dtype, "bytes": found, "columns": columns}


def workspace_table(rows):
    """In megabytes."""
    body = [
        [row["name"], "x".join(map(str, row["shape"][1])) + f" to {row['shape'][2]}",
         *(f"{row['bytes'][part] / 1e6:.1f}" for part in PASSES), f"{row['columns'] / 1e6:.0f}"]
        for row in rows
    ]  # fmt: skip
    return "\n".join(markdown(("kernel", "x to outputs", *PASSES, "all columns"), body, right=(2, 3, 4, 5)))


def processor(call, times):
    """Processor seconds of one call."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def measure(shape, part, dtype, rounds=5, clock=host):
    """Seconds of every side, round by round."""
    import torch  # noqa: PLC0415

    count = unet_ref.get_num_threads()
    torch.set_num_threads(count)
    flops, calls = sides(shape, part, dtype)
    limit = product(dtype, "cpu")
    calls["product"] = limit.call
    with threadpoolctl.threadpool_limits(count, user_api="blas"):
        seconds = alternating([(call, clock) for call in calls.values()], rounds)
    return {"name": shape.name, "shape": list(shape), "pass": part, "dtype": dtype, "flops": flops,
            "product flops": limit.work, "seconds": dict(zip(calls, seconds, strict=True))}  # fmt: skip


def sides(shape, part, dtype):
    """The operations of one pass, and how to run it in each way."""
    import torch  # noqa: PLC0415

    name, x_shape, outputs, kernel, stride, padding = shape
    rng, transposed = np.random.default_rng(0), "transposed" in name
    weight_shape = (x_shape[1], outputs, kernel, kernel) if transposed else (outputs, x_shape[1], kernel, kernel)
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, weight_shape))
    forward = ops.conv_transpose2d if transposed else ops.conv2d
    y = forward(x, weight, stride=stride, padding=padding)
    dy = rng.standard_normal(y.shape).astype(dtype)
    big, small = (y, x) if transposed else (x, y)  # of the convolution that a transposed one is the adjoint of
    window = _window("conv2d", big.shape, weight.shape, None, stride, padding, 1, 1)
    geometry = stride, padding

    def ours():
        if part == "dweight":
            return correlate_weight(x if transposed else dy, dy if transposed else x, window, 1)
        way = correlate if (part == "dx") == transposed else correlate_adjoint
        return way(x if part == "forward" else dy, weight, window, 1)

    torch_x, torch_weight, torch_dy = (torch.from_numpy(array) for array in (x, weight, dy))
    aten = (stride, stride), (padding, padding), (1, 1), transposed, (0, 0), 1

    def torchs():
        if part == "forward":
            return torch.ops.aten.convolution(torch_x, torch_weight, None, *aten)
        wanted = [part == "dx", part == "dweight", False]
        return torch.ops.aten.convolution_backward(torch_dy, torch_x, torch_weight, None, *aten, wanted)[not wanted[0]]

    def other(way):
        if transposed:  # the adjoint's forward pass is the convolution's dx, and so on
            return {"forward": lambda: way.dx(x, y, weight, *geometry), "dx": lambda: way.forward(dy, weight, *geometry),
                    "dweight": lambda: way.dweight(x, dy, weight, *geometry)}[part]  # fmt: skip
        return {"forward": lambda: way.forward(x, weight, *geometry), "dx": lambda: way.dx(dy, x, weight, *geometry),
                "dweight": lambda: way.dweight(dy, x, weight, *geometry)}[part]  # fmt: skip

    calls = {"ours": ours, "PyTorch": torchs, "textbook": other(im2col.Textbook), "Chainer": other(im2col.Chainer)}
    results = [np.asarray(call()) for call in calls.values()]
    for label, result in zip(calls, results, strict=True):  # nobody may be fast and wrong
        np.testing.assert_allclose(result, results[0], rtol=1e-3, atol=1e-3 * np.abs(results[0]).max(), err_msg=label)
    return 2 * small.size * weight.size // len(weight), calls


def rates(row):
    """GFlop/s of ours, share of the matrix product's rate, and how many times as fast as the others."""
    ours, machine = row["seconds"]["ours"], row["seconds"]["product"]
    share = statistics.median(row["flops"] / a / (row["product flops"] / b) for a, b in zip(ours, machine, strict=True))
    times = [statistics.median(b / a for a, b in zip(ours, row["seconds"][other], strict=True)) for other in OTHERS]
    return row["flops"] / statistics.median(ours) / 1e9, share, *times


def table(rows):
    """Markdown: a line for each row, and geometric means."""
    body, every = [], [rates(row) for row in rows]
    for row, (speed, share, *times) in zip(rows, every, strict=True):
        size = "x".join(map(str, row["shape"][1])) + f" to {row['shape'][2]}"
        body.append(
            [row["name"], size, row["pass"], f"{speed:.0f}", f"{100 * share:.0f}%", *(f"{t:.2f}" for t in times)]
        )
    means = [statistics.geometric_mean(column) for column in zip(*every, strict=True)]
    body.append(
        ["geometric mean", "", "", f"{means[0]:.0f}", f"{100 * means[1]:.0f}%", *(f"{t:.2f}" for t in means[2:])]
    )
    header = ("kernel", "x to outputs", "pass", "GFlop/s", "limit", *OTHERS)
    return "\n".join(markdown(header, body, right=(3, 4, 5, 6, 7)))


if __name__ == "__main__":
    sys.exit(main())
