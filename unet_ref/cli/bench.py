"""``unet-ref bench [NAME ...]``: how fast everything is, beside PyTorch and beside what the machine can do at all."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..bench import Job, Row, draw, growth, jobs, measure, report
from ..models.state import write_beside
from ..threads import get_num_threads
from .console import BAD_FILE, HOLDS, USAGE, CommandError, need_device, progress, say
from .doctor import examine
from .names import KNOWN, check_names

OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
DTYPES = ("float32", "float64")


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations and networks (default: all, half an hour)")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="default: both; once for each")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of which the medians are (default 5)")
    parser.add_argument("--quick", action="store_true", help="the first size of each alone")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="gpu: CuPy beside PyTorch's CUDA")
    parser.add_argument("--svg", type=Path, metavar="FILE",
                        help="one NAME: cost against pixels and batch, measured and drawn")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, draw."""
    _check(arguments)
    names, dtypes = list(dict.fromkeys(arguments.names or KNOWN)), arguments.dtype or DTYPES
    if arguments.svg:
        series = growth(names[0])
        sizes, dtypes = [job for part in series.values() for job in part], dtypes[:1]
    else:
        sizes = [job for name in names for job in jobs(name)[: 1 if arguments.quick else None]]
    found = machine(arguments.device)
    rows = list(_measured([(job, dtype) for job in dict.fromkeys(sizes) for dtype in dtypes], arguments))
    if arguments.svg:
        picture = draw({axis: _slowest(part, rows) for axis, part in series.items()}, _title(rows[-1], found))
        try:
            write_beside(arguments.svg, picture.encode())
        except OSError as error:
            raise CommandError(str(error), BAD_FILE) from None
    if arguments.json:
        print(json.dumps({"machine": found, "rows": [row.document() for row in rows]}, indent=2))
    else:
        print("\n".join(textwrap.fill(f"{name}: {value}", 80) for name, value in found.items()))
        print(f"\n{report(rows)}")
    return HOLDS


def _check(arguments: argparse.Namespace) -> None:
    check_names(arguments.names)
    if arguments.rounds < 1:
        raise CommandError(f"--rounds ({arguments.rounds}) must be at least 1", USAGE)
    if arguments.svg and len(arguments.names) != 1:
        raise CommandError("--svg draws one operation or network: name it", USAGE)
    for name in OVERRIDES:
        if name in os.environ:
            raise CommandError(f"unset {name} first: it can halve the speed of NumPy's matrix product", USAGE)
    if arguments.device == "gpu":
        need_device()


def _measured(work: Sequence[tuple[Job, str]], arguments: argparse.Namespace) -> Iterator[Row]:
    beside_torch = _torch_is_there(arguments.device)
    for job, dtype in progress(work, len(work), "bench"):
        yield from measure(job, dtype, rounds=arguments.rounds, device=arguments.device, beside_torch=beside_torch)


def _torch_is_there(device: str) -> bool:
    """Whether there is a PyTorch to compare with; on a device with TF32 off, as CuPy has it."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        say("PyTorch is not installed (pip install torch): measured alone")
        return False
    if device == "cpu":
        return True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if not torch.cuda.is_available():
        say("PyTorch sees no device: measured alone")
        return False
    return True


def _slowest(part: Sequence[Job], rows: Sequence[Row]) -> list[Row]:
    """The rows of these jobs in their order, both passes where there are both."""
    found = {row.size: row for row in rows}  # both passes come last
    return [found[str(job)] for job in part]


def _title(row: Row, found: dict[str, Any]) -> str:
    passes = "forward and backward" if row.passes == "both" else "forward"
    return f"{row.name}: {passes}, {row.dtype}, {found['processor']}"


def machine(device: str) -> dict[str, Any]:
    """What a figure depends on."""
    about = examine()
    torch = [entry for entry in about["optional"] if entry.startswith("torch ")]
    return {
        "processor": _processor(), "threads": get_num_threads(), "python": about["python"], "numpy": about["numpy"],
        "blas kernel": about["blas kernel"], "unet_ref": about["unet_ref"], "torch": torch[0] if torch else "none",
        **({"gpu": about["gpu"]} if device == "gpu" else {}),
    }  # fmt: skip


def _processor() -> str:
    """The processor's name, where Linux or Python knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
