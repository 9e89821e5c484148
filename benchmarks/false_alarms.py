"""False alarms: drawn cases (not the designed ones) on engines that are right, judged by computed bounds.

    python benchmarks/false_alarms.py [CASES] [ENGINE ...]     10000 cases on torch, onnxruntime and jax by default

Draws are those of the table of operations, their numbers times 1, 1/64 or 50, with random upstream gradients, rounded to
the dtype. ``CASES`` are judged ones: what an engine has no option for is drawn, refused and not counted. ``unet_ref`` is
an engine here too, in every dtype. Printed: for each engine and dtype the verdicts, then everything that is not "exact"
or "within rounding", by kind: a bug, or wrong conduct, in an engine that is right would be a false alarm.
"""

import sys
import zlib
from collections import Counter

import numpy as np

import unet_ref
from unet_ref import ops
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import engines
from unet_ref.judge.cases import DesignedCase
from unet_ref.judge.implementation import judge_case
from unet_ref.judge.mistake import Arguments

SHARE = {"torch": 0.5, "onnxruntime": 0.35, "jax": 0.15}  # JAX compiles every shape
SIZES = (1.0, 1 / 64, 50.0)
FATAL = {("jax", 915)}  # draws at which the compiler of JAX 0.10.2 ends the process: docs/engines.md


class Ourselves:
    """The package's own operations, as an engine."""

    DTYPES = ("float32", "float64", "float16")

    @staticmethod
    def version():
        return f"unet_ref {unet_ref.__version__}"

    @staticmethod
    def pair(name, layout, dtype):  # noqa: ARG004  those of every engine
        return getattr(ops, name), getattr(ops, f"{name}_backward", None)


def library_of(engine):
    """An engine's module, and the dtypes that its arithmetic must be right in."""
    if engine == "unet_ref":
        return Ourselves, Ourselves.DTYPES
    return engines.module(engine), ("float32", "float64")


def drawn(operation, dtype, seed):
    """A case of the table, as a case of the judge."""
    rng = np.random.default_rng([zlib.crc32(operation.name.encode()), seed])
    size = SIZES[rng.integers(len(SIZES))]
    cast = operation.draw(rng).map(lambda array: (size * array).astype(dtype))
    upstream = None
    if operation.backward is not None:
        shape = np.shape(operation.forward(**cast.arrays, **cast.options))
        upstream = np.asarray(rng.standard_normal(shape)).astype(dtype)
    label = f"draw {seed}, numbers times {size:.3g}"
    return DesignedCase(label, Arguments(operation.name, cast.arrays, cast.options, upstream))


def run(engine, count):
    """That many judged cases, in turn over operations and dtypes; how they came out, and what is not ok."""
    library, dtypes = library_of(engine)
    names = [name for name in OPERATIONS if library.pair(name, "contiguous", "float32")[0]]
    outcomes, others, judged, k = Counter(), [], 0, 0
    while judged < count:
        k += (engine, k) in FATAL
        name, dtype = names[k // len(dtypes) % len(names)], dtypes[k % len(dtypes)]
        result = judge_case(drawn(OPERATIONS[name], dtype, k), *library.pair(name, "contiguous", dtype), profile=dtype)
        outcomes[dtype, result.outcome] += 1
        judged, k = judged + (not result.skipped), k + 1
        if judged % 250 == 0:
            print(f"{engine}: {judged} judged, {k} drawn, {len(others)} not ok", file=sys.stderr, flush=True)
        if not result.ok:
            others.append((name, dtype, result))
    return outcomes, others


def main():
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    chosen = sys.argv[2:] or list(SHARE)
    for engine in chosen:
        count = round(total * (SHARE[engine] if len(chosen) > 1 else 1))
        outcomes, others = run(engine, count)
        print(f"{library_of(engine)[0].version()}: {count} cases judged")
        for (dtype, outcome), number in sorted(outcomes.items()):
            print(f"  {dtype:8} {outcome:18} {number}")
        kinds = Counter((name, dtype, result.outcome) for name, dtype, result in others)
        for (name, dtype, outcome), number in kinds.items():
            first = next(r for n, d, r in others if (n, d, r.outcome) == (name, dtype, outcome))
            print(f"  {number} x {outcome}: {name}, {dtype}; the first:\n{first}", flush=True)


if __name__ == "__main__":
    main()
