"""``unet-ref judge torch|jax|onnxruntime|onnx.reference|cupy``: all designed cases on a library that is installed."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .console import FAILED, HOLDS, NO_BACKEND, CommandError, paint, progress, show, table

if TYPE_CHECKING:
    from ..judge import CaseResult, Report

OUTCOMES = ("exact", "within rounding", "looser arithmetic", "vacuous", "bug", "conduct", "skipped")
HEADER = ("operation", "layout", "dtype", "exact", "round", "loose", "vague", "bug", "cond", "skip")


def run_engine(arguments: argparse.Namespace, write: Callable[[list[Report]], None] | None = None) -> int:
    """Run, print the table and one reproducer for each kind of failure; ``write`` gets a report for each part."""
    from ..judge import engines  # noqa: PLC0415 - the parser must not wait for it
    from ..judge.words import wrapped  # noqa: PLC0415

    name = arguments.engine
    try:
        version = engines.module(name).version()
    except ImportError as error:
        hint = "" if name == "cupy" else "; pip install 'unet-ref[engines]' brings the engines"
        raise CommandError(f"{error}{hint}", NO_BACKEND) from None
    parts = engines.parts_of(name, getattr(arguments, "operations", None) or ())

    def bar(items: Iterable[Any], total: int) -> Iterable[Any]:
        return progress(items, total, name)

    found = list(engines.run(parts, bar))
    wrong = [(part, report) for part, report in found if report.failures]
    if arguments.json:
        show(json.dumps(document(version, found), indent=2))
    else:
        print(f"{version}\n\n{as_table(found)}")
        for part, report in wrong:
            print("\n" + "\n".join(wrapped(f"{part.operation}, {part.layout}, {part.dtype}: {in_words(report)}", 0)))
            print(f"  {part.reproducer(report.failures[0].case.label)}")
        if wrong:
            print("\nReproducers: `from unet_ref.judge import engines`, and print what they return.")
    if write is not None:
        write([_alone(part, report) for part, report in found])
    return FAILED if wrong else HOLDS


def _alone(part: Any, report: Report) -> Report:
    """The report as one that says itself what it is about, and how its failures are seen again."""
    from ..judge.rerun import rerun_by  # noqa: PLC0415

    def how(result: CaseResult) -> str:
        return f"from unet_ref.judge import engines\nprint({part.reproducer(result.case.label)})"

    return rerun_by(report, how, f"{part.operation}, {part.layout}")


def as_table(found: Iterable[tuple[Any, Any]]) -> str:
    """One row for each operation, layout and dtype."""
    rows = []
    for part, report in found:
        counts = Counter(result.outcome for result in report.results)
        cells = [str(counts[outcome]) if counts[outcome] else "." for outcome in OUTCOMES]
        cells[4:6] = [paint(cell, "red") if cell != "." else cell for cell in cells[4:6]]
        layout, dtype = part.layout.replace("channels last", "chan. last"), part.dtype.replace("float", "f")
        rows.append([part.operation[:16], layout, dtype, *cells])
    return table(HEADER, rows, right=range(3, len(HEADER)))


def in_words(report: Any) -> str:
    """What is not right: ``2 bug; 3 looser arithmetic (float32, variance in one pass)``."""
    counts = Counter(result.outcome for result in report.failures)
    kinds = "; ".join(f"{count} {outcome}" for outcome, count in counts.items())
    known = arithmetics(report)
    return f"{kinds} ({', '.join(known)})" if known else kinds


def arithmetics(report: Any) -> list[str]:
    """The arithmetics that were recognised."""
    verdicts = [result.verdict for result in report.judged if result.verdict is not None]
    return sorted({t.arithmetic for verdict in verdicts for t in verdict.tensors if t.arithmetic})


def document(version: str, found: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Plain data."""
    return {
        "engine": version,
        "parts": [
            {**vars(part), "ok": report.ok, "cases": len(report.results), "arithmetic": arithmetics(report),
             "outcomes": dict(Counter(result.outcome for result in report.results)),
             "failures": [{"case": r.case.label, "outcome": r.outcome, "problems": list(r.problems),
                           "reproducer": part.reproducer(r.case.label)} for r in report.failures]}
            for part, report in found
        ],
    }  # fmt: skip
