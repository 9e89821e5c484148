"""False alarms: calls that Hypothesis draws (not the designed ones), on engines that are right, judged by computed bounds.

    python benchmarks/false_alarms.py [CASES] [ENGINE ...]     10000 cases on torch, onnxruntime and jax by default

Calls are those of ``unet_ref.check.strategies``, with random upstream gradients. ``CASES`` are judged ones: what an engine
has no option for is drawn, refused and not counted. ``unet_ref`` is an engine here too, in every dtype. Each engine runs
in a process of its own, so that a compiler that ends the process is an answer like any other. Printed: for each engine
and dtype the verdicts, then everything that is not "exact" or "within rounding", by kind: a bug, or wrong conduct, in an
engine that is right would be a false alarm.
"""

import multiprocessing
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import hypothesis
import numpy as np
from ourselves import PARTS, Ourselves, beside_definition

from unet_ref.check.strategies import calls
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import engines
from unet_ref.judge.cases import DesignedCase
from unet_ref.judge.implementation import judge_case
from unet_ref.judge.mistake import Arguments

SHARE = {"torch": 0.5, "onnxruntime": 0.35, "jax": 0.15}  # JAX compiles every shape
STEADY = hypothesis.settings(
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.generate],  # a finding is counted, not shrunk
    suppress_health_check=list(hypothesis.HealthCheck),
)


def library_of(engine):
    """An engine's module, and the dtypes that its arithmetic must be right in."""
    if engine == "unet_ref":
        return Ourselves, Ourselves.DTYPES
    return engines.module(engine), ("float32", "float64")


def functions(engine, name, dtype):
    """Forward and backward; ``None`` for what the engine does not have."""
    return library_of(engine)[0].pair(name, "contiguous", dtype)


def outcome_of(engine, name, dtype, call):
    """The outcome of one call and, where something speaks against the engine, the whole story."""
    # contiguous: a reshaped array comes out of a pickle in another layout, which is for the designed cases
    arguments = Arguments(name, *call).map(partial(np.array, order="C"))
    if dtype == "longdouble":
        return beside_definition(arguments)
    result = judge_case(
        DesignedCase("drawn", arguments), *functions(engine, name, dtype), profile=PARTS.get(dtype, dtype)
    )
    return result.outcome, "" if result.ok else f"{result}\n{call}"


class Apart:
    """A process that may be ended by what it runs, and is then started anew."""

    def __init__(self):
        self.pool = self._new()

    def _new(self):
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def __call__(self, function, *arguments):
        try:
            return self.pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            self.pool = self._new()
            return "ends the process", f"{function.__name__} {arguments}"


def run(engine, count):
    """That many judged calls, shared out to operations and dtypes; how they came out, and what is not ok."""
    dtypes, apart = library_of(engine)[1], Apart()
    pairs = [(name, dtype) for name in OPERATIONS if functions(engine, name, "float32")[0] for dtype in dtypes]
    outcomes, others = Counter(), []
    for k, (name, dtype) in enumerate(pairs):
        quota = -(-(count - outcomes.total()) // (len(pairs) - k))  # with the share of those that an engine refused
        for outcome, story in drawn(quota, k, name, dtype, partial(apart, outcome_of, engine, name, dtype)):
            outcomes[dtype, outcome] += 1
            if story:
                others.append((name, dtype, outcome, story))
        print(
            f"{engine}: {name}, {dtype}: {outcomes.total()} judged, {len(others)} not ok", file=sys.stderr, flush=True
        )
    return outcomes, others


def drawn(quota, seed, name, dtype, judged):
    """``judged`` of ``quota`` calls that are not refused."""
    found = []
    strategy = calls(name, PARTS.get(dtype, dtype), tiny=True)
    while len(found) < quota:
        seed += 1000

        @hypothesis.seed(seed)
        @hypothesis.settings(STEADY, max_examples=quota - len(found))
        @hypothesis.given(strategy)
        def each(call):
            outcome, story = judged(call)
            hypothesis.assume(outcome != "skipped")
            found.append((outcome, story))

        try:
            each()
        except hypothesis.errors.Unsatisfiable:  # the engine refuses nearly all
            break
    return found[:quota]


def main():
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    chosen = sys.argv[2:] or list(SHARE)
    for engine in chosen:
        count = round(total * (SHARE[engine] if len(chosen) > 1 else 1))
        outcomes, others = run(engine, count)
        print(f"{library_of(engine)[0].version()}: {outcomes.total()} cases judged")
        for (dtype, outcome), number in sorted(outcomes.items()):
            print(f"  {dtype:10} {outcome:18} {number}")
        for kind, number in Counter(other[:3] for other in others).items():
            first = next(story for *other, story in others if tuple(other) == kind)
            print(f"  {number} x {kind[2]}: {kind[0]}, {kind[1]}; the first:\n{first}", flush=True)


if __name__ == "__main__":
    main()
