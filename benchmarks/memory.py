"""Peak memory of one forward and one backward pass, ours beside PyTorch's: same network, state and input, float32.

    pip install -e '.[test]' torch==2.13.0
    python benchmarks/memory.py                    # all six: some minutes, 3 GiB
    python benchmarks/memory.py unet_film unet2    # some
    python benchmarks/memory.py --full-width       # 512 x 512 at the seeds' widths, ours alone: within 8 GB in all?

Ours is ``trace`` and ``backward(release=True)``; PyTorch's is ``output = twin(x); output.backward(v)`` with
``x.requires_grad``, since ours returns the input's gradient too. The twins are those of ``tests/models``, ReLUs in place
where the seeds have them so.

How it is measured: each run has a process of its own, which first imports, builds, makes state and input, and runs a
tiny image through the network, so that libraries, threads and their workspace are there. Then the kernel's high-water
mark of resident memory is set back (``/proc/self/clear_refs``), both passes run once, and the mark (``VmHWM``) is read
again. What is reported is the mark less what was resident before: activations, gradients of everything, workspace, and
whatever the allocator keeps. Both sides run with glibc told to give freed blocks of a MiB and more straight back
(``MALLOC_MMAP_THRESHOLD_``), so that the figure is what the passes hold and not malloc's habits; ``--plain-malloc``
leaves that out. The median of three processes. Linux only. Prints a Markdown table; exit code 1 where ours takes more
than 1.2 times PyTorch's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

BOUND = 1.2
FULL_BOUND = 8e9  # bytes, of the whole process
MIB = 2**20
RUNS = 3

# options and image, where activations outweigh parameters
CASES = {
    "unet2": ({}, (2, 1, 256, 256)),
    "unet_film": ({"base_channels": 32}, (4, 17, 256, 256)),
    "resnet50": ({}, (8, 3, 224, 224)),
    "resnet_unet": ({"base_channels": 32}, (1, 1, 512, 512)),
    "context_unet": ({"n_feat": 64}, (64, 3, 28, 28)),
    "unet": ({"base_channels": 32}, (2, 3, 256, 256)),
}

FULL_WIDTH = {
    "unet2": ({}, (1, 1, 512, 512)),
    "unet_film": ({}, (1, 17, 512, 512)),
    "resnet50": ({}, (1, 3, 512, 512)),
    "resnet_unet": ({}, (1, 1, 512, 512)),
    "unet": ({}, (1, 3, 512, 512)),
}


def main() -> int:
    """Measure both sides, print, and say whether all of it is within the bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: all six")
    parser.add_argument("--eval", action="store_true", help="batch norm by running statistics")
    parser.add_argument("--plain-malloc", action="store_true", help="leave glibc's malloc as it is")
    parser.add_argument("--full-width", action="store_true", help="512 x 512, everything that the process holds")
    parser.add_argument("--side", choices=("ours", "torch"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(*measure(arguments.side, arguments.networks[0], arguments.full_width, training=not arguments.eval))
        return 0
    if arguments.full_width:
        return full_width(arguments)
    print("| network | input | parameters, MiB | ours, MiB | PyTorch, MiB | ours / PyTorch |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    ratios = []
    for name in arguments.networks or CASES:
        parameters, ours, _ = spread(name, "ours", arguments)
        _, theirs, _ = spread(name, "torch", arguments)
        ratios.append(ours / theirs)
        options, shape = CASES[name]
        label = f"`{name}`" + "".join(f" ({key}={value})" for key, value in options.items())
        row = (
            label,
            str(shape),
            f"{parameters / MIB:.0f}",
            f"{ours / MIB:.0f}",
            f"{theirs / MIB:.0f}",
            f"{ratios[-1]:.2f}",
        )
        print(f"| {' | '.join(row)} |", flush=True)
    return int(max(ratios) > BOUND)


def full_width(arguments: argparse.Namespace) -> int:
    """The same for large images, and what the process holds at most in all."""
    print("| network | input | parameters, MB | passes, MB | whole process, MB |\n|---|---|---:|---:|---:|", flush=True)
    most = 0.0
    for name in arguments.networks or FULL_WIDTH:
        found = spread(name, "ours", arguments)
        most = max(most, found[2])
        cells = f"`{name}`", str(FULL_WIDTH[name][1]), *(f"{nbytes / 1e6:.0f}" for nbytes in found)
        print(f"| {' | '.join(cells)} |", flush=True)
    return int(most > FULL_BOUND)


def spread(name: str, side: str, arguments: argparse.Namespace) -> list[float]:
    """Medians over several processes: bytes of the parameters, of the passes' peak, of the whole process's peak."""
    environment = dict(os.environ)
    if not arguments.plain_malloc:
        environment["MALLOC_MMAP_THRESHOLD_"] = environment["MALLOC_TRIM_THRESHOLD_"] = str(MIB)
    flags = ["--eval"] * arguments.eval + ["--full-width"] * arguments.full_width
    found = []
    for _ in range(RUNS):
        command = [sys.executable, __file__, name, "--side", side, *flags]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append([int(word) for word in done.stdout.split()])
    print(f"{name} {side}: {', '.join(f'{peak / MIB:.0f}' for _, peak, _ in found)} MiB", file=sys.stderr, flush=True)
    return [statistics.median(column) for column in zip(*found, strict=True)]


def measure(side: str, name: str, wide: bool, *, training: bool) -> tuple[int, int, int]:
    """Bytes of the parameters, of the peak above what was resident before, and of the peak in all."""
    import numpy as np  # noqa: PLC0415

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from models.twin_cases import Case, build, random_inputs, random_state  # noqa: PLC0415

    options, shape = (FULL_WIDTH if wide else CASES)[name]
    model = build(Case(name, options, ()))
    rng = np.random.default_rng(2026)
    state = random_state(model, rng, "float32")
    small = (2, *shape[1:]) if name == "context_unet" else (1, shape[1], 64, 64)
    passes = ours(model, state, training) if side == "ours" else torchs(name, options, state, training)
    given = []
    for image in (small, shape):
        shapes = model.input_shapes(image)
        inputs = random_inputs(model, Case(name, options, shapes), rng, "float32")
        given.append((list(inputs.values()), rng.standard_normal(model.output_shape(*shapes)).astype("float32")))
    passes(*given[0])
    del shapes, inputs
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the mark starts again from here
    passes(*given[1])
    peak = resident("VmHWM")
    return sum(state[key].nbytes for key in state if "running" not in key), peak - before, peak


def ours(model, state, training):
    """Both passes of this package."""

    def passes(inputs, grad_output):
        trace = model.trace(state, *inputs, training=training)
        return model.backward(state, trace, grad_output, release=True)

    return passes


def torchs(name, options, state, training):
    """Both passes of PyTorch."""
    import torch  # noqa: PLC0415
    from models import torch_twins  # noqa: PLC0415

    twin = torch_twins.build(name, options)
    torch_twins.load(twin, state)
    twin.train(training)

    def passes(inputs, grad_output):
        tensors = [torch.from_numpy(array).requires_grad_() for array in inputs]
        output = twin(*tensors)
        output.backward(torch.from_numpy(grad_output))
        grads = [tensor.grad for tensor in (*twin.parameters(), *tensors)]
        twin.zero_grad(set_to_none=True)  # nothing of the tiny image's stays resident
        return grads

    return passes


def resident(field: str) -> int:
    """A line of ``/proc/self/status`` in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


if __name__ == "__main__":
    sys.exit(main())
