"""RESULTS.md from what was measured (``results.py`` calls this)."""

from __future__ import annotations

import statistics

import bits
import convolution
import lock
import memory
import shares
import twins

from unet_ref.bench import growth, jobs, read
from unet_ref.bench.report import _figures, duration, markdown, report
from unet_ref.check import OPERATIONS
from unet_ref.models import MODELS

GROWTH = "unet_film"
NONE = "Not measured yet."


def page(data):
    """All of it."""
    earlier, found = data.get("earlier", {}), merged(data)
    old = sum(len(part.keys() - data.get(section, {})) for section, part in earlier.items())
    rows = {row.key: row for row in map(read, found.get("rows", {}).values())}
    parts = [
        head(data.get("machine", {}), old), networks(rows), where_time_goes(found.get("shares", {})),
        one_lock(found.get("lock", {})), convolutions(found.get("convolutions", {})), grows(rows),
        full_width(found.get("memory", {})), workspaces(found.get("workspace", {})), same_bits(found.get("bits", {})),
        modules(found.get("twins", {})), GPU, widths(rows), operations(rows),
    ]  # fmt: skip
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def merged(data):
    """What was measured in an earlier way stands in for what has not been measured yet."""
    earlier = data.get("earlier", {})
    return {section: earlier.get(section, {}) | data.get(section, {}) for section in (*earlier, *data)}


def head(machine, old):
    about = "\n".join(f"* {name}: {value}" for name, value in machine.items())
    if old:
        about += f"\n\n**Preliminary: {old} figures of times are of an earlier way to measure**, which let nobody run by itself\n"
        about += "before it was timed: what took less than a second looks too slow, and ours more so."
    return f"""
# Results

How fast and how large, on the machine below. Every figure is made by

    pip install -e '.[test]' torch==2.13.0
    python benchmarks/results.py

which goes on where it was stopped, writes what it measures to `results.json`, round by round, and this page. The single
parts can be run alone: `unet-ref bench unet_film --dtype float32` (networks and operations), `unet-ref bench unet_film
--svg unet_film.svg` (growth), and in this folder `convolution.py`, `shares.py`, `lock.py`,
`memory.py --full-width`, `bits.py`, `twins.py`.

{about}

## How it is measured

In every round our call, PyTorch's on the same numbers, and what the machine can do at most run one after another. What
takes less than 0.1 s is repeated for so long, and before that it runs for itself for as long: OpenBLAS's helpers spin on
for some 0.04 s after a product, on a core that the next one needs, and who sleeps wakes slowly. (Before what is long there
is a rest of 0.1 s.) First rounds warm up and do not count, unless they took more than 10 s. Ratios and shares are taken within a round, and their medians over the
rounds are printed: 5, or 3 of those that take more than 10 s. Both sides have as many threads as there are cores.

* **x**: how many times as fast as PyTorch, greater is better.
* **limit**: the share of what NumPy's matrix product of 2048 x 2048 matrices (all threads, the same dtype) would have done
  in the time, counting additions and multiplications of the convolutions and linear layers alone. With a **c** behind it:
  of copying with all threads into new memory, counting every number that has to be read or written once a pass.
* **forward** of a network is evaluation; **both** is a training step without its optimizer: forward in training mode, and
  the gradients of all parameters and inputs.
* PyTorch's side of a network is the same definition run on its tensors (`unet_ref/bench/torch_run.py`), with autograd, ReLU
  and residual sums in place; the section on modules says that this is as fast as plain modules.
"""


def networks(rows):
    """At the seeds' widths."""
    lines = ["## Networks at the seeds' widths", ""]
    for dtype, aim in (("float32", "1.0, none below 0.7"), ("float64", "2.5")):
        chosen = [(jobs(name)[0], [rows.get((name, str(jobs(name)[0]), dtype, p)) for p in ("forward", "both")])
                  for name in MODELS]  # fmt: skip
        body = [[job.name, str(job), *_figures(first), *_figures(second)] for job, (first, second) in chosen]
        means = ["geometric mean", ""]
        for k in (0, 1):
            ratios = [row.ratio for _, pair in chosen if (row := pair[k])]
            means += ["", f"{statistics.geometric_mean(ratios):.2f}" if len(ratios) == len(MODELS) else "", ""]
        header = ("network", "size", "forward", "x", "limit", "both", "x", "limit")
        lines += [
            f"{dtype} (aim for both: a geometric mean of {aim})",
            "",
            *markdown(header, [*body, means], range(2, 8)),
            "",
        ]
    return "\n".join(lines)


def where_time_goes(found):
    lines = ["## Where the time of a network goes, and what it could be", "",
             "Forward and backward, shares in percent (`shares.py`). `prod.`: NumPy's matrix products, as if the threads shared",
             "them perfectly; `conv.`: the rest of convolutions and linear layers, that is copies, additions, threads that wait;",
             "norms; element by element (ReLU, GELU, FiLM, sums); other steps; outside of steps. Then how many times as fast as",
             "PyTorch: now; if the threads shared all that one thread does in a step perfectly; if nothing but these products took",
             "time; and if they ran like one of 2048 x 2048 matrices.", ""]  # fmt: skip
    for dtype in ("float32", "float64"):
        part = [row for row in found.values() if row["dtype"] == dtype]
        lines += [dtype, "", shares.table(part), ""] if part else []
    return "\n".join(lines if found else [lines[0], "", NONE])


def one_lock(found):
    lines = ["## Threads and the interpreter's lock", "",
             "Half of a batch, forward and backward on one thread, and the other half at the same time on the other core, by a",
             "thread of the same process or by another process (`lock.py`): what two threads lose against two processes.", ""]  # fmt: skip
    return "\n".join([*lines, lock.table(list(found.values())) if found else NONE])


def convolutions(found):
    lines = ["## Convolutions", "", "The last three columns say how many times as fast as PyTorch, as the textbook's im2col of",
             "the whole image, and as Chainer's (both in `im2col.py`). `limit` is the share of the matrix product's rate.", ""]  # fmt: skip
    plain = [row for row in found.values() if row["name"] == "3x3" and row["dtype"] == "float32"]
    if plain:
        shares = [100 * convolution.rates(row)[1] for row in plain]
        reached = f"{statistics.geometric_mean(shares):.0f}% of it in the geometric mean, {min(shares):.0f}% at least"
        lines += [f"3x3 convolutions of 64 to 512 channels reach {reached} in float32 (aim: 75%).", ""]
    for dtype in ("float32", "float64"):
        part = [row for row in found.values() if row["dtype"] == dtype]
        lines += [dtype, "", convolution.table(part), ""] if part else []
    return "\n".join(lines if found else [lines[0], "", NONE])


def grows(rows):
    """Against pixels and batch."""
    lines = ["## How cost grows", "", f"`{GROWTH}` at full width, forward and backward, float32.", "",
             f"![Time against pixels to 1024 x 1024 and against the batch, both near the dashed line]({GROWTH}.svg)", ""]  # fmt: skip
    body = []
    for axis, part in growth(GROWTH).items():
        for job in part:
            if row := rows.get((GROWTH, str(job), "float32", "both")):
                N, _, H, W = job.shape
                cost = f"{1e9 * row.seconds / (N * H * W):.0f} ns"
                body.append(
                    [axis, str(job), duration(row.seconds), cost, "" if row.ratio is None else f"{row.ratio:.2f}"]
                )
    table = markdown(("grows", "size", "both", "a pixel", "x"), body, range(2, 5)) if body else [NONE]
    return "\n".join([*lines, *table])


def full_width(found):
    lines = ["## Memory of 512 x 512 at full width", "", "float32, forward and backward in training mode, each in processes of",
             "its own, medians of three (`memory.py --full-width`). Aim: 8 GB for the whole process.", ""]  # fmt: skip
    body = [[name, "x".join(map(str, memory.FULL_WIDTH[name][1])), *(f"{nbytes / 1e9:.2f} GB" for nbytes in sizes)]
            for name, sizes in found.items()]  # fmt: skip
    table = (
        markdown(("network", "size", "parameters", "the passes", "whole process"), body, (2, 3, 4)) if body else [NONE]
    )
    return "\n".join([*lines, *table])


def workspaces(found):
    lines = ["## Workspace of a convolution", "",
             "Megabytes that NumPy takes at most, beside arguments and result, on all threads (`convolution.py --workspace`);",
             "in the last column what the textbook's columns of the whole image take.", ""]  # fmt: skip
    for dtype in ("float32", "float64"):
        part = [row for row in found.values() if row["dtype"] == dtype]
        lines += [dtype, "", convolution.workspace_table(part), ""] if part else []
    return "\n".join(lines if found else [*lines[:2], NONE])


def same_bits(found):
    rows = [row for part in found.values() for row in part]
    said = "Elements whose bits change with the number of threads (1 and 2), or with the batch (a sample alone and in four).\n"
    if not rows:
        return f"## Bits\n\n{NONE}"
    return f"## Bits\n\n{said}What is not listed changes on neither side (`bits.py`).\n\n{bits.verdict(rows)}\n\n{bits.table(rows)}"


def modules(found):
    said = "PyTorch in these benchmarks beside plain modules, written from the seeds (`twins.py`): forward and backward, float32."
    return f"## PyTorch's side\n\n{said}\n\n" + (twins.table(list(found.values())) if found else NONE)


GPU = """
## On a GPU

No device was at hand. `python benchmarks/gpu.py` measures the networks on one, CuPy beside PyTorch's CUDA with TF32 off on
both sides, in one command; `unet-ref bench --device gpu` measures anything.
"""


def widths(rows):
    found = [row for row in rows.values() if row.is_network and "width 16" in row.size]
    return "## Networks at a quarter of the width: more images, more pixels\n\n" + (report(found) if found else NONE)


def operations(rows):
    found = [row for name in OPERATIONS for row in rows.values() if row.name == name]
    return "## Operations\n\n" + (report(found) if found else NONE)
