"""``unet-ref judge``: somebody's results, functions, or a library, held against all designed cases."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..check import OPERATIONS
from .console import BAD_FILE, FAILED, HOLDS, USAGE, CommandError, paint, progress, table
from .gradcheck import function

if TYPE_CHECKING:
    from ..judge import Report

ENGINES = ("torch", "jax", "onnxruntime", "onnx.reference", "cupy")

USES = """three uses:
  unet-ref judge CASES RESULTS                       files: CASES from `unet-ref cases`, RESULTS from any language
  unet-ref judge conv2d module:forward module:backward    functions on NumPy arrays; backward may be left out
  unet-ref judge torch [OPERATION ...]               a library: torch, jax, onnxruntime, onnx.reference or cupy"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.epilog = f"{USES}\n\n{parser.epilog or ''}".rstrip()
    parser.add_argument("target", metavar="WHAT", help="a folder of cases, an operation, or a library")
    parser.add_argument("rest", nargs="*", metavar="MORE", help="a folder of results, functions, or operations")
    parser.add_argument("--profile", help="the arithmetic that is asked for, such as tf32 (default: that of the cases)")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report for CI systems too")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="and one to look at: a page with pictures of the errors"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Judge, print, write."""
    if arguments.target in ENGINES:
        from .judge_engine import run_engine  # noqa: PLC0415 - the parser must not wait for it

        _known(arguments.rest)
        if arguments.junit or arguments.html:
            raise CommandError("--junit and --html are for results and for functions", USAGE)
        arguments.engine, arguments.operations = arguments.target, arguments.rest
        return run_engine(arguments)
    reports = _of_functions(arguments) if arguments.target in OPERATIONS else _of_files(arguments)
    _write(reports, arguments)
    if arguments.json:
        print(json.dumps({"ok": all(reports), "reports": [report.to_json() for report in reports]}, indent=2))
    else:
        print(summary(reports))
    return HOLDS if reports and all(reports) else FAILED


def _known(names: Sequence[str]) -> None:
    for name in names:
        if name not in OPERATIONS:
            raise CommandError(f"{name!r} is no operation; they are {', '.join(OPERATIONS)}", USAGE)


def _of_functions(arguments: argparse.Namespace) -> list[Report]:
    from ..judge import judge_implementation  # noqa: PLC0415

    if len(arguments.rest) not in (1, 2):
        raise CommandError(f"judge {arguments.target} needs module:forward, and may have module:backward", USAGE)
    forward, *backward = map(function, arguments.rest)
    profile = _profile(arguments.profile or "float32")

    def bar(cases: Iterable[Any], total: int) -> Iterable[Any]:
        return progress(cases, total, arguments.target)

    return [judge_implementation(arguments.target, forward, *backward, profile=profile, progress=bar)]


def _of_files(arguments: argparse.Namespace) -> list[Report]:
    from ..judge.files import read_cases  # noqa: PLC0415

    folder = Path(arguments.target)
    if len(arguments.rest) != 1:
        raise CommandError(f"a folder of cases needs one folder of results, got {len(arguments.rest)}", USAGE)
    if not folder.exists():
        raise CommandError(f"{arguments.target!r} is neither a folder, nor an operation, nor one of {', '.join(ENGINES)}",
                           BAD_FILE)  # fmt: skip
    results = Path(arguments.rest[0])
    if not results.is_dir():
        raise CommandError(f"{results} is no folder of results", BAD_FILE)
    try:
        named, stored = read_cases(folder)
        return list(_reports(results, stored, _profile(arguments.profile or named)))
    except (OSError, ValueError, ImportError) as error:
        raise CommandError(str(error), BAD_FILE) from None


def _reports(results: Path, stored: Sequence[Any], profile: str) -> Iterator[Report]:
    from ..judge import judge_results  # noqa: PLC0415
    from ..judge.files import read_results  # noqa: PLC0415

    read = [(each.case, read_results(results, each)) for each in progress(stored, len(stored), "judge")]
    for name in dict.fromkeys(case.name for case, _ in read):
        yield judge_results([pair for pair in read if pair[0].name == name], name, profile)


def _profile(name: str) -> str:
    from ..check.bounds import PROFILES  # noqa: PLC0415

    if name not in PROFILES:
        raise CommandError(f"--profile {name!r} must be one of {', '.join(PROFILES)}", USAGE)
    return name


def _write(reports: Sequence[Report], arguments: argparse.Namespace) -> None:
    from ..judge.html import html  # noqa: PLC0415
    from ..judge.junit import junit  # noqa: PLC0415
    from ..models.state import write_beside  # noqa: PLC0415

    try:
        for path, document in ((arguments.junit, junit), (arguments.html, html)):
            if path is not None:
                write_beside(path, document(reports).encode())
    except OSError as error:
        raise CommandError(str(error), BAD_FILE) from None


def summary(reports: Sequence[Report]) -> str:
    """For a person: the whole report of one operation, of several a table and what is wrong."""
    if len(reports) == 1:
        return str(reports[0])
    rows = [
        [report.name, report.profile, str(len(report.judged)), str(len(report.skipped)), str(len(report.failures)),
         paint("right", "green") if report else paint("WRONG" if report.failures else "not judged", "red")]
        for report in reports
    ]  # fmt: skip
    text = table(("operation", "arithmetic", "judged", "skipped", "wrong", ""), rows, right=(2, 3, 4))
    return "\n\n".join([text, *(str(report) for report in reports if report.failures)])
