"""What was measured: seconds, round by round, and what is said of them."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import threadpoolctl

from ..models import MODELS
from ..threads import get_num_threads
from .clock import alternating, clocks
from .networks import network
from .operations import operation
from .sides import PASSES
from .sizes import Job


@dataclass
class Row:
    """One pass of one job in one dtype; ``ours``, ``theirs`` and ``reference`` are seconds, one for each round.

    ``work`` and ``reference_work`` are additions and multiplications where ``limit`` is ``"product"``, bytes where it is
    ``"copy"``. ``theirs`` is empty where there is no PyTorch.
    """

    name: str
    size: str
    shape: list[int]
    dtype: str
    passes: str
    limit: str
    work: float
    reference_work: float
    ours: list[float]
    theirs: list[float]
    reference: list[float]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is a measurement of."""
        return self.name, self.size, self.dtype, self.passes

    @property
    def is_network(self) -> bool:
        """Or an operation."""
        return self.name in MODELS

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(self.ours)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as PyTorch: the median over the rounds."""
        return statistics.median(b / a for a, b in zip(self.ours, self.theirs, strict=True)) if self.theirs else None

    @property
    def share(self) -> float:
        """Of what the machine's matrix product (or copying) would have done in the time."""
        return statistics.median(
            (self.work / a) / (self.reference_work / b) for a, b in zip(self.ours, self.reference, strict=True)
        )

    def document(self) -> dict[str, Any]:
        """As data: the figures beside what they were made of."""
        return dataclasses.asdict(self) | {"seconds": self.seconds, "ratio": self.ratio, "share": self.share}

    def merge(self, other: Row) -> None:
        """The rounds of another run."""
        for column in ("ours", "theirs", "reference"):
            getattr(self, column).extend(getattr(other, column))


def read(document: dict[str, Any]) -> Row:
    """A row from ``Row.document``."""
    return Row(**{field.name: document[field.name] for field in dataclasses.fields(Row)})


def measure(
    job: Job, dtype: str, *, rounds: int = 5, device: str = "cpu", beside_torch: bool = True,
    passes: Iterable[str] = PASSES,
) -> Iterator[Row]:  # fmt: skip
    """A row for each pass: in every round ours, PyTorch's and the machine's limit, one after another."""
    made = (network if job.name in MODELS else operation)(job, dtype, device, beside_torch=beside_torch)
    own, torchs = clocks(device)
    for name in passes:
        if name not in made.ours:
            continue
        calls = [(made.ours[name], own), (made.limit.call, own)]
        if made.theirs:
            calls.insert(1, (made.theirs[name], torchs))
        with _threads(beside_torch=beside_torch):
            ours, *theirs, reference = alternating(calls, rounds)
        yield Row(job.name, str(job), list(job.shape), dtype, name, made.limit.kind, made.work[name], made.limit.work,
                  ours, theirs[0] if theirs else [], reference)  # fmt: skip


@contextlib.contextmanager
def _threads(*, beside_torch: bool) -> Iterator[None]:
    """The same number of threads for all."""
    count = get_num_threads()
    if not beside_torch:
        with threadpoolctl.threadpool_limits(count, user_api="blas"):
            yield
        return
    torch = importlib.import_module("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpoolctl.threadpool_limits(count, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
