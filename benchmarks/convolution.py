"""Convolutions against PyTorch and against the machine's own matrix product.

    python benchmarks/convolution.py [--dtype float32 float64] [--rounds 9] [--only 3x3] [--threads 2] [--busy]

On a machine that is busy with other things too, ``--busy`` measures processor time on one thread.

Every round times the operation, PyTorch's and a large matrix product one after another, so that what else the machine
does meets all three alike. Printed are medians over the rounds: arithmetic rates in GFlop/s (2 * products, zeros of the
padding counted like all others), the median of the rounds' ratios to PyTorch, and the share of the matrix product's rate.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import threadpoolctl
import torch

import unet_ref
from unet_ref import ops
from unet_ref.ops.conv2d import _window
from unet_ref.ops.correlation import correlate, correlate_adjoint, correlate_weight

# name, (N, C, H, W), output channels, kernel, stride, padding; a transposed convolution is its adjoint
SHAPES = [
    ("3x3", (1, 64, 256, 256), 64, 3, 1, 1),
    ("3x3", (1, 128, 128, 128), 128, 3, 1, 1),
    ("3x3", (1, 256, 64, 64), 256, 3, 1, 1),
    ("3x3", (1, 512, 32, 32), 512, 3, 1, 1),
    ("3x3", (4, 512, 16, 16), 512, 3, 1, 1),
    ("3x3, decoder", (1, 128, 256, 256), 64, 3, 1, 1),
    ("3x3, bottleneck", (1, 1024, 16, 16), 1024, 3, 1, 1),
    ("3x3, first of unet_film", (2, 17, 256, 256), 64, 3, 1, 1),
    ("3x3, stride 2", (2, 128, 56, 56), 128, 3, 2, 1),
    ("7x7, stride 2", (2, 3, 224, 224), 64, 7, 2, 3),
    ("3x3, small", (8, 64, 16, 16), 64, 3, 1, 1),
    ("3x3, 7 pixels", (2, 512, 7, 7), 512, 3, 1, 1),
    ("1x1", (2, 64, 56, 56), 256, 1, 1, 0),
    ("1x1", (2, 1024, 14, 14), 256, 1, 1, 0),
    ("1x1, stride 2", (2, 256, 56, 56), 512, 1, 2, 0),
    ("1x1, head", (1, 64, 256, 256), 2, 1, 1, 0),
    ("2x2, transposed", (1, 128, 128, 128), 64, 2, 2, 0),
    ("2x2, transposed", (1, 1024, 16, 16), 512, 2, 2, 0),
]
MATRIX = 2048  # side of the matrix product that stands for the machine


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", nargs="+", default=["float32", "float64"], choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    parser.add_argument("--threads", type=int, default=unet_ref.get_num_threads())
    parser.add_argument("--busy", action="store_true", help="processor time on one thread in place of time on all")
    options = parser.parse_args(arguments)
    if options.busy:
        options.threads = 1
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if name in os.environ:
            sys.exit(f"unset {name} first: it can halve the speed of NumPy's matrix product")
    unet_ref.set_num_threads(options.threads)
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.busy else time.perf_counter
    print(
        f"NumPy {np.__version__}, PyTorch {torch.__version__}, {options.threads} threads, {options.rounds} rounds, ",
        end="",
    )
    print("processor time\n" if options.busy else "time\n")
    with threadpoolctl.threadpool_limits(options.threads):
        for dtype in options.dtype:
            table(dtype, options.rounds, options.only, clock)


def table(dtype: str, rounds: int, only: str, clock: Callable[[], float]) -> None:
    print(f"| {dtype} | x | outputs | pass | GFlop/s | PyTorch | ratio | of the matrix product |")
    print("|---|---|---|---|---|---|---|---|")
    ratios, shares = [], []
    for name, x_shape, outputs, kernel, stride, padding in SHAPES:
        if only not in name:
            continue
        for part, (flops, ours, theirs) in cases(dtype, name, x_shape, outputs, kernel, stride, padding).items():
            seconds = alternating([ours, theirs, product(dtype)], rounds, clock)
            own, torchs, machine = (statistics.median(column) for column in seconds)
            ratio = statistics.median(b / a for a, b in zip(seconds[0], seconds[1], strict=True))
            share = flops / own / (2 * MATRIX**3 / machine)
            ratios.append(ratio)
            shares.append(share)
            shape = " x ".join(map(str, x_shape))
            print(f"| {name} | {shape} | {outputs} | {part} | {flops / own / 1e9:.0f} | ", end="")
            print(f"{flops / torchs / 1e9:.0f} | {ratio:.2f} | {100 * share:.0f} % |", flush=True)
    print(f"| geometric mean | | | | | | {statistics.geometric_mean(ratios):.2f} | ", end="")
    print(f"{100 * statistics.geometric_mean(shares):.0f} % |\n")


def cases(
    dtype: str, name: str, x_shape: tuple[int, ...], outputs: int, kernel: int, stride: int, padding: int
) -> dict[str, tuple[int, Callable[[], object], Callable[[], object]]]:
    """For each pass its operations, and how to run it here and in PyTorch."""
    rng, transposed = np.random.default_rng(0), "transposed" in name
    weight_shape = (x_shape[1], outputs, kernel, kernel) if transposed else (outputs, x_shape[1], kernel, kernel)
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, weight_shape))
    forward = ops.conv_transpose2d if transposed else ops.conv2d
    y = forward(x, weight, stride=stride, padding=padding)
    dy = rng.standard_normal(y.shape).astype(dtype)
    big, small = (y, x) if transposed else (x, y)  # of the convolution that a transposed one is the adjoint of
    window = _window("conv2d", big.shape, weight.shape, None, stride, padding, 1, 1)
    flops = 2 * small.size * weight.size // len(weight)

    if transposed:
        ours = {
            "forward": lambda: correlate_adjoint(x, weight, window, 1),
            "dx": lambda: correlate(dy, weight, window, 1),
            "dweight": lambda: correlate_weight(x, dy, window, 1),
        }
    else:
        ours = {
            "forward": lambda: correlate(x, weight, window, 1),
            "dx": lambda: correlate_adjoint(dy, weight, window, 1),
            "dweight": lambda: correlate_weight(dy, x, window, 1),
        }
    torch_x, torch_weight, torch_dy = (torch.from_numpy(array) for array in (x, weight, dy))
    geometry = (stride, stride), (padding, padding), (1, 1), transposed, (0, 0), 1

    def backward(*wanted: bool) -> object:
        return torch.ops.aten.convolution_backward(torch_dy, torch_x, torch_weight, None, *geometry, [*wanted, False])

    theirs = {
        "forward": lambda: torch.ops.aten.convolution(torch_x, torch_weight, None, *geometry),
        "dx": lambda: backward(True, False),
        "dweight": lambda: backward(False, True),
    }
    return {part: (flops, ours[part], theirs[part]) for part in ours}


def product(dtype: str) -> Callable[[], object]:
    matrix = np.random.default_rng(0).standard_normal((MATRIX, MATRIX)).astype(dtype)
    result = np.empty_like(matrix)
    return lambda: np.matmul(matrix, matrix, out=result)


def alternating(functions: list[Callable[[], object]], rounds: int, clock: Callable[[], float]) -> list[list[float]]:
    """Seconds of each function in each round; a first round warms up."""
    seconds: list[list[float]] = [[] for _ in functions]
    for number in range(rounds + 1):
        for function, column in zip(functions, seconds, strict=True):
            start = clock()
            function()
            if number:
                column.append(clock() - start)
    return seconds


if __name__ == "__main__":
    main(sys.argv[1:])
