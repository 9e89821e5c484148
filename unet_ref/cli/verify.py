"""``unet-ref verify [NAME ...]``: every link of the chain of trust, one row for each operation and network."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ..check import Row, verify_state, verify_task
from ..models import MODELS
from .console import (
    BAD_FILE,
    FAILED,
    HOLDS,
    NO_BACKEND,
    USAGE,
    CommandError,
    human,
    need_device,
    paint,
    progress,
    say,
    table,
)
from .names import KNOWN, check_names
from .network import create

EXACT = ("dual numbers", "definition")  # the methods that compare with == where an operation's arithmetic allows it

LEGEND = """

link 2  the derivative, beside dual numbers over the rationals
link 3  the array form, beside the definition; then its gradient in float64, by
        complex step, differences and adjointness
link 4  float32 and float16 beside float64; link 5 networks, by complex step
exact   compared with ==; error and bound are of the comparison with the least
        room. --links shows every link and method"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations and networks (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default 0)")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="gpu: links 3 to 5 on CuPy")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes (default: the usable cores)")
    parser.add_argument("--dask", metavar="ADDRESS", help="hand the work to this dask scheduler")
    parser.add_argument("--state", type=Path, metavar="S.safetensors", help="check one network at this trained state")
    parser.add_argument("--input", type=Path, action="append", default=[], metavar="X.npy",
                        help="and this image; once for each of the network's inputs")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="ARGUMENT=NUMBER", dest="options",
                        help="an argument of the network's constructor, such as base_channels=8")  # fmt: skip
    parser.add_argument("--links", action="store_true", help="a row for each link and method, not only the summary")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and say by the exit code whether all holds."""
    names = arguments.names or list(KNOWN)
    check_names(names)
    if arguments.device == "gpu":
        need_device()
    rows = (_at_state if arguments.state or arguments.input else _everything)(arguments, names)
    print(json.dumps(document(rows), indent=2) if arguments.json else report(rows, links=arguments.links))
    return HOLDS if all(row.holds for row in rows) else FAILED


def _everything(arguments: argparse.Namespace, names: Sequence[str]) -> list[Row]:
    with executor(arguments) as pool:
        futures = {
            pool.submit(verify_task, name, arguments.seed, arguments.device): name for name in _longest_first(names)
        }
        done = {futures[future]: future.result() for future in progress(as_completed(futures), len(futures), "verify")}
    return [row for name in dict.fromkeys(names) for row in done[name]]


def _longest_first(names: Sequence[str]) -> list[str]:
    """Networks take longest: started first, they leave no core idle at the end."""
    return sorted(dict.fromkeys(names), key=lambda name: name not in MODELS)


@contextlib.contextmanager
def executor(arguments: argparse.Namespace) -> Iterator[Executor]:
    """Processes on this machine, or a dask scheduler's workers: both are ``concurrent.futures`` executors."""
    if arguments.dask:
        try:
            client = importlib.import_module("dask.distributed").Client(arguments.dask, timeout=10)
        except ImportError:
            raise CommandError(
                "--dask needs the package distributed (pip install 'dask[distributed]')", NO_BACKEND
            ) from None
        except (OSError, ValueError) as error:
            raise CommandError(f"no dask scheduler at {arguments.dask}: {error}", NO_BACKEND) from None
        with client:
            yield client.get_executor()
        return
    if arguments.workers is not None and arguments.workers < 1:
        raise CommandError(f"--workers ({arguments.workers}) must be at least 1", USAGE)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        yield pool


def _at_state(arguments: argparse.Namespace, names: Sequence[str]) -> list[Row]:
    if len(arguments.names) != 1 or names[0] not in MODELS:
        raise CommandError("--state and --input check one network: name it", USAGE)
    model, _ = create(names[0], arguments.options)
    try:
        return verify_state(names[0], model, arguments.state, arguments.input, arguments.seed)
    except (OSError, ValueError, KeyError) as error:
        say("a network is described by its id and, where its widths are not the default, by --set ARGUMENT=NUMBER")
        raise CommandError(str(error), BAD_FILE) from None


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """The same as data."""
    from dataclasses import asdict  # noqa: PLC0415

    return {"holds": all(row.holds for row in rows), "rows": [asdict(row) | {"holds": row.holds} for row in rows]}


def report(rows: Sequence[Row], *, links: bool) -> str:
    """The table for a person: at most 80 columns."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    if links:
        body = [
            [name, str(row.link), row.method, human(row.elements), *_figures([row]), _verdict(row.holds)]
            for name, part in by_name.items()
            for row in part
        ]
        text = table(("name", "link", "method", "elements", "error", "bound", "verdict"), body, right=(3, 4, 5))
    else:
        body = [summary(name, part) for name, part in by_name.items()]
        text = table(("operation", "link 2", "link 3", "count", "error", "bound", ""), body, right=(3, 4, 5)) + LEGEND
    failed = [row for row in rows if not row.holds]
    lines = [text, ""]
    lines += [paint(f"{row.name}: {row.argument}, {row.method}: {row.detail}", "red") for row in failed]
    holding = sum(all(row.holds for row in part) for part in by_name.values())
    lines.append(f"{holding} of {len(by_name)} hold" + ("." if not failed else f"; {len(failed)} checks failed."))
    return "\n".join(lines)


def summary(name: str, rows: Sequence[Row]) -> list[str]:
    """One row for all links: how links 2 and 3 were compared, then the comparison nearest to its bound."""

    def how(link: int) -> str:
        part = [row for row in rows if row.link == link]
        if not part:
            return "-"
        if not all(row.holds for row in part):
            return "FAILS"
        return "exact" if all(row.exact for row in part if row.method.startswith(EXACT)) else "bound"

    count = human(sum(row.elements for row in rows))
    figures = _figures([row for row in rows if not row.exact])
    return [name, how(2), how(3), count, *figures, _verdict(all(row.holds for row in rows))]


def _figures(rows: Sequence[Row]) -> tuple[str, str]:
    measured = [row for row in rows if row.error is not None and row.bound]
    if not measured:
        return ("exact", "exact") if all(row.exact for row in rows) else ("-", "-")
    worst = max(measured, key=lambda row: (row.error or 0) / (row.bound or 1))
    return f"{worst.error:.1e}", f"{worst.bound:.1e}"


def _verdict(holds: bool) -> str:
    return paint("holds", "green") if holds else paint("FAILS", "red")
