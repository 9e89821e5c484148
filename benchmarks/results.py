"""Takes every figure of RESULTS.md, and writes it.

    pip install -e '.[test]' torch==2.13.0
    python benchmarks/results.py                               # about an hour and 8 GB on two cores
    python benchmarks/results.py --only networks growth        # some sections
    python benchmarks/results.py --page                        # only write the page again

What is measured goes to ``results.json`` at once, round by round: stopped, it goes on where it was. ``--budget 80`` stops
after about 80 seconds by itself (exit code 1 as long as there is more to do), for a machine that is free only now and
then. To measure anew, delete the file, or a section of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import bits
import convolution
import lock
import memory
import page
import shares
import twins

from unet_ref.bench import draw, growth, jobs, measure, read
from unet_ref.bench.sides import PASSES
from unet_ref.check import OPERATIONS
from unet_ref.cli.bench import OVERRIDES, machine
from unet_ref.models import MODELS
from unet_ref.models.state import write_beside

HERE = Path(__file__).parent
DATA = HERE / "results.json"
DTYPES = "float32", "float64"
ROUNDS, LONG_ROUNDS, LONG = 5, 3, 10.0  # rounds; of those that take longer than so many seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS")
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    refuse_overrides()
    data = stored()
    start, left = time.monotonic(), 0
    pieces = [] if options.page else [piece for section in options.only for piece in SECTIONS[section](data)]
    for piece in pieces:
        while (seconds := piece.remaining()) is not None:
            spent = time.monotonic() - start
            if spent > 0.1 * options.budget and spent + seconds > options.budget:
                left += 1
                break
            piece.run()
            data = store(piece)
    write_beside(HERE / "RESULTS.md", page.page(data).encode())
    pictures(data)
    if left:
        print(f"{left} figures are still to be taken", file=sys.stderr)
    return int(left > 0)


def stored():
    return json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}


def store(piece):
    """One figure more in the file, which somebody else may write to as well."""
    data = stored() | {"machine": machine("cpu")}
    data.setdefault(piece.section, {})[piece.key] = piece.found[piece.key]
    write_beside(DATA, compact(data).encode())
    return data


def refuse_overrides():
    for name in OVERRIDES:
        if name in os.environ:
            sys.exit(f"unset {name} first: it can halve the speed of NumPy's matrix product")


class Timed:
    """A pass of an operation or a network, until it has its rounds."""

    def __init__(self, data, job, dtype, passes):
        self.section, self.found, self.job, self.dtype, self.passes = "rows", data.get("rows", {}), job, dtype, passes
        self.key = f"{job.name} {job} {dtype} {passes}"

    def remaining(self):
        """Seconds that another go will take, 0 where nobody knows; ``None``: there is nothing left to do."""
        if self.key not in self.found:
            return 0
        row = self.found[self.key]
        a_round = sum(statistics.median(row[side]) for side in ("ours", "theirs", "reference"))
        return a_round if len(row["ours"]) < (LONG_ROUNDS if a_round > LONG else ROUNDS) else None

    def run(self):
        done = len(self.found[self.key]["ours"]) if self.key in self.found else 0
        rounds = ROUNDS - done if done or self.job.name in OPERATIONS else 1
        if done and self.remaining() > LONG / 2:
            rounds = 1
        for row in measure(self.job, self.dtype, rounds=rounds, passes=(self.passes,)):
            if done:
                known = read(self.found[self.key])
                known.merge(row)
                row = known  # noqa: PLW2901
            self.found[self.key] = row.document()
        print(self.key, file=sys.stderr, flush=True)


class Once:
    """A figure that is taken in one go."""

    def __init__(self, data, section, key, take, seconds=0.0):
        self.section, self.found, self.key = section, data.get(section, {}), key
        self.take, self.seconds = take, seconds

    def remaining(self):
        return None if self.key in self.found else self.seconds

    def run(self):
        self.found[self.key] = self.take()
        print(self.key, file=sys.stderr, flush=True)


def timed(data, found):
    return [Timed(data, job, dtype, passes) for job in found for dtype in DTYPES for passes in PASSES
            if passes == "forward" or job.name != "batch_norm_running_stats"]  # fmt: skip


def networks(data):
    every = [jobs(name) for name in MODELS]
    return timed(data, [sizes[0] for sizes in every]) + timed(data, [job for sizes in every for job in sizes[1:]])


def operations(data):
    return timed(data, [job for name in OPERATIONS for job in jobs(name)])


def growing(data):
    found = dict.fromkeys(job for part in growth(page.GROWTH).values() for job in part)
    return [Timed(data, job, "float32", "both") for job in found]


def convolutions(data):
    return [
        Once(
            data,
            "convolutions",
            f"{shape} {part} {dtype}",
            lambda s=shape, p=part, d=dtype: convolution.measure(s, p, d),
            3,
        )
        for dtype in DTYPES
        for shape in convolution.SHAPES
        for part in convolution.PASSES
    ]


def large(data):
    options = argparse.Namespace(eval=False, full_width=True, plain_malloc=False)
    return [
        Once(data, "memory", name, lambda n=name: memory.spread(n, "ours", options), 45) for name in memory.FULL_WIDTH
    ]


def workspaces(data):
    return [
        Once(data, "workspace", f"{shape} {dtype}", lambda s=shape, d=dtype: convolution.workspace(s, d), 2)
        for dtype in DTYPES
        for shape in convolution.SHAPES
    ]


def same_bits(data):
    return [Once(data, "bits", name, lambda n=name: list(bits.measure([n])), 10) for name in bits.KNOWN]


def beside_modules(data):
    return [Once(data, "twins", name, lambda n=name: twins.measure(n), 30) for name in MODELS]


def time_shares(data):
    return [Once(data, "shares", f"{name} {dtype}", lambda n=name, d=dtype: shares.measure(n, d), 30)
            for dtype in DTYPES for name in MODELS]  # fmt: skip


def beside_processes(data):
    return [Once(data, "lock", f"{name} {dtype}", lambda n=name, d=dtype: lock.measure(n, d), 40)
            for dtype in DTYPES for name in lock.NAMES]  # fmt: skip


SECTIONS = {"networks": networks, "shares": time_shares, "lock": beside_processes, "convolutions": convolutions, "growth": growing, "operations": operations,
            "memory": large, "workspace": workspaces, "bits": same_bits, "twins": beside_modules}  # fmt: skip


def pictures(data):
    """The plot, of what was measured of it."""
    rows = [read(row) for row in page.merged(data).get("rows", {}).values()]
    found = {row.size: row for row in rows if (row.name, row.dtype, row.passes) == (page.GROWTH, "float32", "both")}
    series = {
        axis: [found[str(job)] for job in part if str(job) in found] for axis, part in growth(page.GROWTH).items()
    }
    if all(len(part) > 1 for part in series.values()):
        title = f"{page.GROWTH}: forward and backward, float32, {data['machine']['processor']}"
        write_beside(HERE / f"{page.GROWTH}.svg", draw(series, title).encode())


def compact(data):
    """One line for each figure, four digits each."""
    lines = []
    for section, found in data.items():
        entries = [f"{json.dumps(key)}: {json.dumps(rounded(value))}" for key, value in found.items()]
        lines.append(f"{json.dumps(section)}: {{\n" + ",\n".join(entries) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) and value < 1e9 else value


if __name__ == "__main__":
    sys.exit(main())
