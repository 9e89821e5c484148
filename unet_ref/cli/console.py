"""What the subcommands share: errors with an exit code, a progress bar for a person, tables, colours."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

COLOUR = re.compile(r"\033\[\d+m")
HOLDS, FAILED, USAGE, NO_BACKEND, BAD_FILE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class CommandError(Exception):
    """Ends the command with one sentence on stderr and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def theirs(doing: str, code: int) -> Iterator[None]:
    """Somebody else's code runs: whatever it raises is said in a line, and ``sys.exit(0)`` there is no verdict."""
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, it is theirs
        raise CommandError(f"{doing} raised {type(error).__name__}: {error}", code) from None


def need_device() -> None:
    """A sentence where ``--device gpu`` cannot be had."""
    try:
        cupy = importlib.import_module("cupy")
        cupy.cuda.runtime.getDeviceCount()
    except ImportError:
        raise CommandError("--device gpu needs CuPy (pip install 'unet-ref[cuda13]')", NO_BACKEND) from None
    except Exception as error:  # noqa: BLE001 - CuPy's own error types exist only where CuPy is
        raise CommandError(f"--device gpu: CuPy sees no device ({error})", NO_BACKEND) from None


def say(message: str) -> None:
    """A message to the person: results go to stdout, everything else to stderr."""
    print(message, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A result on stdout; letters that its encoding does not have come as escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """The items, with a bar on stderr while a person watches."""
    watched = sys.stderr.isatty()
    width = max(10, min(40, shutil.get_terminal_size().columns - len(label) - 16))
    for done, item in enumerate(items, start=1):
        yield item
        if watched:
            filled = width * done // max(1, total)
            end = "\n" if done == total else ""
            bar = f"\r{label} [{'#' * filled}{'.' * (width - filled)}] {done}/{total}"
            print(bar, end=end, file=sys.stderr, flush=True)


def paint(text: str, colour: str) -> str:
    """``text`` in green or red where a terminal shows it and ``NO_COLOR`` is not set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{ {'green': 32, 'red': 31, 'yellow': 33}[colour] }m{text}\033[0m"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns as wide as what is seen of them, which colours are not; the columns in ``right`` flush right."""
    widths = [max(len(COLOUR.sub("", row[k])) for row in (header, *rows)) for k in range(len(header))]

    def cell(k: int, text: str) -> str:
        space = " " * (widths[k] - len(COLOUR.sub("", text)))
        return space + text if k in right else text + space

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell(k, text) for k, text in enumerate(cells)).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def human(count: float) -> str:
    """A count in at most five characters: 950, 12.3k, 4.56M."""
    units = ["", "k", "M", "G", "T"]
    while abs(count) >= 999.5 and len(units) > 1:
        count /= 1000
        del units[0]
    unit = units[0]
    if not unit:
        return f"{count:.0f}"
    return f"{count:.{max(0, 2 - len(str(int(abs(count)))) + 1)}f}{unit}"
