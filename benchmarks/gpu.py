"""The networks on a CUDA device: CuPy beside PyTorch, float32 and float64, TF32 off on both sides.

    pip install -e '.[cuda13]' torch
    python benchmarks/gpu.py [NAME ...] [--rounds 20]

Absolute times by the device's own events, forward and forward plus backward, at the sizes of issue and seeds. Then, for
each network, how long the host was busy until it had asked for all of it, beside how long the device took: where the host
is done long before the device, no step waited for a result. The memory pool's share comes last. Prints Markdown; exit code
3 where there is no device.
"""

from __future__ import annotations

import argparse
import sys
import time

from unet_ref.bench import jobs, report
from unet_ref.bench.clock import cupy_events
from unet_ref.bench.networks import network
from unet_ref.bench.report import duration, markdown
from unet_ref.bench.rows import measure
from unet_ref.cli.bench import _torch_is_there, machine
from unet_ref.cli.console import CommandError
from unet_ref.cli.verify import _need_device
from unet_ref.models import MODELS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks (default: all)")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    try:
        _need_device()
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.code
    beside_torch, names = _torch_is_there("gpu"), options.names or list(MODELS)
    print("\n".join(f"* {name}: {value}" for name, value in machine("gpu").items()), end="\n\n")
    rows = [
        row
        for name in names
        for dtype in ("float32", "float64")
        for row in measure(jobs(name)[0], dtype, rounds=options.rounds, device="gpu", beside_torch=beside_torch)
    ]
    print(report(rows), end="\n\n")
    print("\n".join(markdown(("network", "host", "device", "pool"), map(waiting, names), right=(1, 2, 3))))
    return 0


def waiting(name):
    """Seconds until a step was asked for, seconds that it took, and what the pool holds then."""
    import cupy  # noqa: PLC0415

    both = network(jobs(name)[0], "float32", "gpu", beside_torch=False).ours["both"]
    both()
    cupy.cuda.Device().synchronize()
    start = time.perf_counter()
    both()
    asked = time.perf_counter() - start
    cupy.cuda.Device().synchronize()
    took = cupy_events(both, 5)
    return name, duration(asked), duration(took), f"{cupy.get_default_memory_pool().total_bytes() / 1e9:.2f} GB"


if __name__ == "__main__":
    sys.exit(main())
