"""Every coordinate of conv2d's gradient: ``unet_ref.gradcheck`` beside ``torch.autograd.gradcheck``, alternating.

    pip install -e . torch==2.13.0
    python benchmarks/gradcheck_speed.py [--rounds 3]

The layer: x (2, 8, 16, 16), weight (8, 8, 3, 3), bias (8,), padding 1, float64: 4,680 coordinates, 4,096 outputs.
PyTorch's slow mode compares the whole Jacobian; we compare its product with a random cotangent at every coordinate, in
which a wrong entry is seen with probability 1. PyTorch's fast mode compares one random number for each pair.
Prints a Markdown row; progress goes to stderr. Medians, on as many threads as each side takes by default.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

for override in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # would slow NumPy down, and must go before it loads
    os.environ.pop(override, None)

import numpy as np
import torch

from unet_ref import gradcheck, ops

SHAPES = (2, 8, 16, 16), (8, 8, 3, 3), (8,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of all sides in turn (default 3: several minutes)")
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in SHAPES]
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    layer = partial(torch.nn.functional.conv2d, padding=1)
    forward, backward = partial(ops.conv2d, padding=1), partial(ops.conv2d_backward, padding=1)

    sides: dict[str, Callable[[], object]] = {
        "unet_ref": lambda: gradcheck(forward, backward, *arrays),
        "unet_ref, complex step": lambda: gradcheck(forward, backward, *arrays, method="complex"),
        "torch, fast": lambda: torch.autograd.gradcheck(layer, tensors, fast_mode=True),
        "torch, slow": lambda: torch.autograd.gradcheck(layer, tensors, fast_mode=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    sides["unet_ref"]()  # imports and caches
    for number in range(rounds):
        for name, check in sides.items():
            start = time.perf_counter()
            if not check():
                raise SystemExit(f"{name} rejects a right gradient")
            seconds[name].append(time.perf_counter() - start)
            print(f"round {number + 1}, {name}: {seconds[name][-1]:.3f} s", file=sys.stderr)

    median = {name: statistics.median(times) for name, times in seconds.items()}
    print("| coordinates | " + " | ".join(f"{name}, ms" for name in sides) + " | torch slow / unet_ref |")
    print("|---" * (len(sides) + 2) + "|")
    cells = " | ".join(f"{1000 * median[name]:,.1f}" for name in sides)
    ratio = median["torch, slow"] / median["unet_ref"]
    print(f"| {sum(a.size for a in arrays):,} | {cells} | {ratio:,.0f} |")


if __name__ == "__main__":
    main()
