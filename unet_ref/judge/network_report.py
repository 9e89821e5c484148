"""What the comparison of a network's tensors found, in network order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .words import finite, wrapped


class Compared(NamedTuple):
    """One tensor: the element that went furthest beyond its bound, or came closest to it."""

    tensor: str
    op: str
    ok: bool
    elements: int
    error: float
    bound: float
    ratio: float
    where: tuple[int, ...]
    detail: str = ""

    @classmethod
    def of(cls, tensor: str, op: str, got: Any, expected: Any, bound: Any) -> Compared:
        """``got`` beside ``expected``, element by element."""
        got, expected = np.asarray(got), np.asarray(expected)
        if got.shape != expected.shape:
            detail = f"shape {got.shape}, expected {expected.shape}"
            return cls(tensor, op, False, got.size, np.inf, 0.0, np.inf, (), detail)
        if got.size == 0:
            return cls(tensor, op, True, 0, 0.0, 0.0, 0.0, ())
        same = (got == expected) | ((got != got) & (expected != expected))  # noqa: PLR0124 - NaN where NaN is due
        with np.errstate(all="ignore"):
            error = np.where(same, 0.0, abs(got.astype(np.longdouble) - expected).astype(np.float64))
            error = np.where(np.isnan(error), np.inf, error)
            allowed = np.broadcast_to(np.asarray(bound, np.float64), error.shape)
            ratio = np.where(error == 0, 0.0, error / np.where(allowed > 0, allowed, np.finfo(np.float64).tiny))
        worst = np.unravel_index(int(np.argmax(ratio)), error.shape)
        index = tuple(int(i) for i in worst)
        ok = bool((error <= allowed).all())
        detail = "" if ok else f"at {index}: got {got[worst]:.9g}, expected {expected[worst]:.9g}"
        return cls(
            tensor, op, ok, got.size, float(error[worst]), float(allowed[worst]), float(ratio[worst]), index, detail
        )


@dataclass(frozen=True)
class NetworkReport:
    """All tensors in order; ``bool(report)``: all of them are within their bounds."""

    rows: tuple[Compared, ...]
    forced: bool
    missing: tuple[str, ...] = ()  # tensors that the candidate does not have
    unjudged: tuple[str, ...] = ()  # tensors of the candidate's that come from what it does not have

    def __bool__(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)

    def first(self, *, backward: bool = False) -> Compared | None:
        """The first guilty tensor of the forward or the backward pass."""
        return next((row for row in self.rows if not row.ok and row.tensor.startswith("grad.") == backward), None)

    def verdict(self) -> str:
        """The conclusion, in a sentence or two."""
        more = "what went into it is not there" if len(self.unjudged) == 1 else "what went into them is not there"
        rest = f"\n{len(self.unjudged)} of the candidate's tensors cannot be judged: {more}." if self.unjudged else ""
        if not self.rows:
            return "Nothing to compare: no tensor has the name of one in the reference." if not rest else rest.strip()
        forward, backward = self.first(), self.first(backward=True)
        if forward is None and backward is None:
            within = "their layers' bounds" if self.forced else "rounding of their own size"
            return f"All {len(self.rows)} tensors are within {within}.{rest}"
        blame = "guilty" if self.forced else "different"
        found = []
        for label, row in (("forward", forward), ("backward", backward)):
            if row is not None:
                op = f" ({row.op})" if row.op else ""
                far = f"{row.ratio:.3g} times its bound, " if row.bound > 0 and row.error < np.inf else ""
                found.append(f"First {blame} in the {label} pass: {row.tensor}{op}")
                found += wrapped(f"{far}{row.detail}.", 2)
        return "\n".join(found) + rest

    def to_json(self) -> dict[str, Any]:
        """The report as data."""
        rows = [
            {key: finite(v) if isinstance(v, float) else v for key, v in row._asdict().items()} for row in self.rows
        ]
        return {"holds": bool(self), "forced": self.forced, "missing": list(self.missing),
                "unjudged": list(self.unjudged), "verdict": self.verdict(), "tensors": rows}  # fmt: skip
