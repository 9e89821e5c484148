"""``unet-ref judge``: somebody's results, functions, or a library, held against all designed cases."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..check import OPERATIONS
from .console import BAD_FILE, FAILED, HOLDS, USAGE, CommandError, paint, progress, say, show, table, theirs
from .gradcheck import function

if TYPE_CHECKING:
    from ..judge import Report
    from ..judge.files import Stored

ENGINES = ("torch", "jax", "onnxruntime", "onnx.reference", "cupy")

USES = """three uses:
  unet-ref judge CASES RESULTS [NAME ...]
      files: CASES from `unet-ref cases`, RESULTS from any language; NAME limits
      it to an operation (conv2d) or to one case (conv2d/000-plain)
  unet-ref judge conv2d module:forward module:backward
      functions on NumPy arrays; backward may be left out
  unet-ref judge torch [OPERATION ...]
      a library: torch, jax, onnxruntime, onnx.reference or cupy"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.epilog = f"{USES}\n\n{parser.epilog or ''}".rstrip()
    parser.add_argument("target", metavar="WHAT", help="a folder of cases, an operation, or a library")
    parser.add_argument("rest", nargs="*", metavar="MORE", help="a folder of results, functions, or operations")
    parser.add_argument("--profile", help="the arithmetic that is asked for, such as tf32 (default: that of the cases)")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report for CI systems too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="and a page with pictures of the errors")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Judge, print, write."""
    for path in filter(None, (arguments.junit, arguments.html)):  # known before the work, not after it
        if path.is_dir() or not path.parent.is_dir():
            raise CommandError(f"{path} cannot be written: it must be a file in a folder that exists", BAD_FILE)
    if arguments.target in ENGINES:
        from .judge_engine import run_engine  # noqa: PLC0415 - the parser must not wait for it

        if arguments.profile is not None:
            raise CommandError(
                "--profile is for results and for functions: a library is asked in all its dtypes", USAGE
            )
        known(arguments.rest)
        arguments.engine, arguments.operations = arguments.target, arguments.rest
        return run_engine(arguments, lambda reports: _write(reports, arguments))
    reports = _of_functions(arguments) if arguments.target in OPERATIONS else _of_files(arguments)
    if arguments.json:
        show(json.dumps({"ok": all(reports), "reports": [report.to_json() for report in reports]}, indent=2))
    else:
        show(summary(reports))
    _write(reports, arguments)
    return HOLDS if all(reports) else FAILED


def known(names: Sequence[str]) -> None:
    """Raises where one of them is no operation."""
    for name in names:
        if name not in OPERATIONS:
            raise CommandError(f"{name!r} is no operation; they are {', '.join(OPERATIONS)}", USAGE)


def _of_functions(arguments: argparse.Namespace) -> list[Report]:
    from ..judge import judge_implementation  # noqa: PLC0415

    if len(arguments.rest) not in (1, 2):
        raise CommandError(f"judge {arguments.target} needs module:forward, and may have module:backward", USAGE)
    profile = known_profile(arguments.profile or "float32")

    def bar(cases: Iterable[Any], total: int) -> Iterable[Any]:
        return progress(cases, total, arguments.target)

    forward, *backward = map(function, arguments.rest)
    with theirs(f"calling {' or '.join(arguments.rest)}", FAILED):
        return [judge_implementation(arguments.target, forward, *backward, profile=profile, progress=bar)]


def _of_files(arguments: argparse.Namespace) -> list[Report]:
    from ..judge.files import read_cases  # noqa: PLC0415

    folder = Path(arguments.target)
    if not folder.is_dir():
        raise CommandError(f"{arguments.target!r} is no folder of cases, no operation, and none of {', '.join(ENGINES)}",
                           BAD_FILE)  # fmt: skip
    if not arguments.rest:
        raise CommandError(f"judge {folder} needs a folder of results", USAGE)
    results = Path(arguments.rest[0])
    if not results.is_dir():
        raise CommandError(f"{results} is no folder of results", BAD_FILE)
    asked = None if arguments.profile is None else known_profile(arguments.profile)
    try:
        named, stored = read_cases(folder, arguments.rest[1:])
        return list(_reports(folder, results, stored, asked or named))
    except (OSError, ValueError) as error:
        raise CommandError(str(error), BAD_FILE) from None


def _reports(folder: Path, results: Path, stored: Sequence[Stored], profile: str) -> Iterator[Report]:
    from ..judge import judge_results  # noqa: PLC0415
    from ..judge.files import lacking, read_results  # noqa: PLC0415
    from ..judge.rerun import rerun_by  # noqa: PLC0415

    read = [(each, read_results(results, each)) for each in progress(stored, len(stored), "judge")]
    gaps = [gap for each, found in read if found is not None and (gap := lacking(each, found))]
    if gaps:
        names = ", ".join(dict.fromkeys(name for gap in gaps for name in gap))
        say(f"{len(gaps)} results lack tensors, which are not judged: {names}")
    stems = {(each.case.name, each.case.label): each.stem for each in stored}
    how = f"unet-ref judge {shlex.quote(str(folder))} {shlex.quote(str(results))}"
    for name in dict.fromkeys(each.case.name for each in stored):
        report = judge_results([(each.case, found) for each, found in read if each.case.name == name], name, profile)
        yield rerun_by(report, lambda result: f"{how} {stems[result.case.name, result.case.label]}")


def known_profile(name: str) -> str:
    """The name; raises where it is no arithmetic."""
    from ..check.bounds import PROFILES  # noqa: PLC0415

    if name not in PROFILES:
        raise CommandError(f"--profile {name!r} must be one of {', '.join(PROFILES)}", USAGE)
    return name


def _write(reports: Sequence[Report], arguments: argparse.Namespace) -> None:
    from ..judge.html import html  # noqa: PLC0415
    from ..judge.junit import junit  # noqa: PLC0415
    from ..models.state import write_beside  # noqa: PLC0415

    try:
        if arguments.junit is not None:
            write_beside(arguments.junit, junit(reports).encode())
        if arguments.html is not None:
            write_beside(arguments.html, html(reports, f"unet-ref judge {arguments.target}").encode("utf-8", "replace"))
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
