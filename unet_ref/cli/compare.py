"""``unet-ref compare REF OTHER``: another implementation's tensors against an export, and the first guilty layer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DTypeError
from .console import BAD_FILE, FAILED, HOLDS, CommandError, human, paint, show, table
from .judge import known_profile

if TYPE_CHECKING:
    from ..judge.network_report import NetworkReport


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("reference", type=Path, metavar="REF", help="a file of `unet-ref export`")
    parser.add_argument(
        "other", type=Path, metavar="OTHER", help="name.safetensors, name.npz or a folder of .npy files"
    )
    parser.add_argument(
        "--whole", action="store_true", help="without teacher forcing: what differs, not who is to blame"
    )
    parser.add_argument("--profile", help="the arithmetic to allow, such as tf32 (default: by the export's dtype)")
    parser.add_argument("--all", action="store_true", help="list every tensor, not only those that fail")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Read both, compare, print."""
    from ..judge.files import read as read_other  # noqa: PLC0415
    from ..judge.networks import compare  # noqa: PLC0415 - the parser must not wait for it
    from ..models.export import read  # noqa: PLC0415

    if arguments.profile is not None:
        known_profile(arguments.profile)
    try:
        reference, metadata = read(arguments.reference)
        other = read_other(arguments.other)
        report = compare(reference, metadata, other, forced=not arguments.whole, profile=arguments.profile)
    except (OSError, ValueError, DTypeError) as error:
        raise CommandError(str(error).removeprefix("compare: "), BAD_FILE) from None
    except KeyError as error:
        raise CommandError(f"{arguments.reference} lacks {error}", BAD_FILE) from None
    show(json.dumps(report.to_json(), indent=2) if arguments.json else _in_words(report, arguments))
    return HOLDS if report else FAILED


def _in_words(report: NetworkReport, arguments: argparse.Namespace) -> str:
    """The rows that fail, or all, and the conclusion."""
    rows = [
        [_short(row.tensor), row.op, human(row.elements), f"{row.error:.1e}", f"{row.bound:.1e}",
         paint("holds", "green") if row.ok else paint("FAILS", "red")]
        for row in report.rows if arguments.all or not row.ok
    ]  # fmt: skip
    parts = []
    if rows:
        parts.append(table(("tensor", "operation", "count", "error", "bound", ""), rows, right=(2, 3, 4)) + "\n")
    if report.missing:
        parts.append(f"{len(report.missing)} tensors of the reference are not in {arguments.other.name}.")
    return "\n".join([*parts, report.verdict()])


def _short(name: str, width: int = 36) -> str:
    return name if len(name) <= width else "..." + name[-width + 3 :]
