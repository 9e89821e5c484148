"""Link 5: whole networks, by complex step against the hand-written backward pass.

``Im f(p + i h u) / h`` is the derivative along u with no step to choose (h is 1e-30, and nothing is subtracted). ReLU
and max pool select by the real part, so a network can be stepped as a whole, and at a kink both sides speak of the same
branch.

What the two may differ by is rounding, and how much of that a network adds up is measured where it is checked: batch
norm over two values, say, makes gradients of 1e-5 of numbers that were rounded at 1. The gradients are computed again
with every operation off by what rounding may do to it in any kernel (``coarse``); the most that a coordinate moves in a
few such runs, times ``SAFETY``, is its bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..backend import namespace, quiet
from .argument import FLOOR, NOTHING, RELATIVE
from .exact_model import INSTANCES, exact_rows
from .network import Point, on_host, random_point
from .report import BLIND, FAILS, HOLDS, Row
from .rounding import EPS, SAFETY

TINY = float(np.finfo(np.float64).tiny)
COPIES = 1 << 21  # elements of perturbed state held at once
POINTS = 4  # that are tried, one after another, if rounding hides a mistake: of resnet50's one in ten
RUNS = 4  # right networks use a hundredth of what one alone allows


class Compared(NamedTuple):
    """The gradient of one slot beside complex steps, on the host.

    ``bound`` is what rounding may do to ``error``, ``size`` how large the slope is, or would be but for chance.
    """

    slot: str
    slope: Any
    error: Any
    bound: Any
    size: Any

    @property
    def largest(self) -> float:
        """The size of the slot."""
        return float(self.size.max(initial=0))

    @property
    def vanishes(self) -> bool:
        """Whether all of it may be rounding, as of a bias before batch norm."""
        return not (self.size > self.bound).any()


def directions(point: Point, rng: np.random.Generator) -> Iterator[Compared]:
    """Each parameter tensor and input along one random direction u: ``<v, J u>`` beside ``<u, J' v>``."""
    xp, names = namespace(point.v), list(point.slots)
    along = {name: rng.standard_normal(point.slots[name].shape) for name in names}
    rounding = _rounding(point, rng, lambda name, gradient: (along[name] * gradient).sum())
    chunk = max(1, COPIES // max(1, sum(a.size for a in point.slots.values())))
    for start in range(0, len(names), chunk):
        part = names[start : start + chunk]
        moved = {name: xp.zeros((len(part), *along[name].shape)) for name in part}
        for k, name in enumerate(part):
            moved[name][k] = xp.asarray(along[name])
        slopes, sizes = point.derivatives(moved, len(part))
        for k, name in enumerate(part):
            gradient = on_host(point.grads[name])
            terms = along[name] * gradient
            own = max(terms.size, point.v.size) * EPS * max(float(sizes[k]), abs(terms).sum())
            typical = float(np.linalg.norm(gradient))  # of all directions: that of one can be small by chance
            yield _compared(name, slopes[k], terms.sum(), SAFETY * rounding[name] + own, typical)


def coordinates(point: Point, rng: np.random.Generator) -> Iterator[Compared]:
    """Every single coordinate of every parameter and input."""
    rounding = _rounding(point, rng, lambda _, gradient: gradient)
    for name in point.slots:
        slopes, sizes = slopes_of(point, name)
        own = point.v.size * EPS * on_host(sizes)
        yield _compared(name, slopes, on_host(point.grads[name]), SAFETY * rounding[name] + own)


def slopes_of(point: Point, name: str) -> tuple[Any, Any]:
    """The derivative of ``<v, f>`` along every single coordinate of a parameter or input, and the terms' sizes."""
    xp, array = namespace(point.v), point.slots[name]
    chunk = max(1, min(array.size, COPIES // max(1, sum(a.size for a in point.slots.values()))))
    values, sizes = xp.zeros(array.size), xp.zeros(array.size)
    for start in range(0, array.size, chunk):
        count = min(chunk, array.size - start)
        u = xp.zeros((count, array.size))
        u[xp.arange(count), xp.arange(start, start + count)] = 1
        part = slice(start, start + count)
        values[part], sizes[part] = point.derivatives({name: u.reshape(count, *array.shape)}, count)
    return values.reshape(array.shape), sizes.reshape(array.shape)


def _rounding(point: Point, rng: np.random.Generator, part: Callable[[str, Any], Any]) -> dict[str, Any]:
    """How far from its own right place ``part(slot, gradient)`` is moved, at most.

    That place is computed afresh: the gradient that is to be judged has no say in it.
    """
    place = {name: part(name, on_host(gradient)) for name, gradient in point.gradients().items()}
    most: dict[str, Any] = dict.fromkeys(place, 0.0)
    for _ in range(RUNS):
        moved = point.rounded(rng)
        most = {name: np.maximum(most[name], abs(part(name, moved[name]) - place[name])) for name in place}
    return most


def _compared(slot: str, slope: Any, gradient: Any, bound: Any, size: float = 0.0) -> Compared:
    slope, gradient, bound = map(np.atleast_1d, (on_host(slope), gradient, bound))
    error = np.nan_to_num(abs(slope - gradient), nan=np.inf, posinf=np.inf)
    return Compared(slot, slope, error, bound, np.fmax(abs(slope), size))


def verify_point(name: str, point: Point, rng: np.random.Generator, *, every: bool) -> list[Row]:
    """The rows for one network at one point: directions, and with ``every`` all coordinates too."""
    mode = "training" if point.training else "eval"
    with quiet():
        rows = [judged(name, f"complex step, {mode}, directions", list(directions(point, rng)))]
        if every:  # of one sample: that gradients add up over a batch, the directions have shown
            compared = list(coordinates(point.of_one_sample(rng), rng))
            rows.append(judged(name, f"complex step, {mode}, coordinates", compared))
    return rows


def judged(name: str, method: str, compared: list[Compared]) -> Row:
    """One row for all slots: what fails, or what rounding hides, or else what came nearest to its bound."""
    largest = max(c.largest for c in compared) or 1.0
    with quiet():
        nearness = [np.where(np.isfinite(c.error), c.error / np.maximum(c.bound, TINY), np.inf) for c in compared]
        blindness = [c.bound / np.maximum(visible(c, largest), TINY) for c in compared]
    verdict, ratios = HOLDS, nearness
    if not _most(nearness) <= 1:
        verdict = FAILS
    elif not _most(blindness) <= 1:
        verdict, ratios = BLIND, blindness
    k = int(np.argmax([_most([ratio]) for ratio in ratios]))
    found, at = compared[k], np.unravel_index(int(np.argmax(ratios[k])), ratios[k].shape)
    error, bound, scale = float(found.error[at]), float(found.bound[at]), largest if found.vanishes else found.largest
    detail = {
        HOLDS: "",
        FAILS: f"off by {error:.2e}, allowed {bound:.2e}",
        BLIND: f"rounding, of up to {bound:.2e} here, hides a mistake of 0.05 %",
    }[verdict]
    where = f"gradient of {found.slot} at {tuple(map(int, at))}: " * bool(detail)
    elements = sum(c.error.size for c in compared)
    return Row(found.slot, method, elements, error / scale, bound / scale, verdict, where + detail, name, 5)


def visible(c: Compared, largest: float) -> Any:
    """The largest bound that shows a mistake of 0.05 % of a slope, or of 1 % of the slot's largest.

    Less than a ten-millionth of the network's ``largest`` slope counts as that; a gradient that vanishes must be less.
    """
    if c.vanishes:
        return np.full(c.slope.shape, NOTHING * largest)
    return RELATIVE * np.maximum(abs(c.slope), FLOOR * max(c.largest, NOTHING * largest))


def _most(ratios: list[Any]) -> float:
    return float(max(np.max(ratio, initial=0) for ratio in ratios))


def verify_model(name: str, seed: int = 0, *, every: bool = True, xp: Any = np) -> list[Row]:
    """All rows of a network: both batch-norm modes, every parameter tensor, and every coordinate."""
    rng = np.random.default_rng(seed)
    rows = exact_rows(name, rng) if name in INSTANCES and xp is np else []
    for training in (False, True):
        for _ in range(POINTS):
            found = verify_point(name, random_point(name, rng, training=training, xp=xp), rng, every=every and training)
            if all(row.verdict != BLIND for row in found):
                break
        rows += found
    return rows
