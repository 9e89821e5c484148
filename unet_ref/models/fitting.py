"""What to say where an image does not fit a network: the rule, and the nearest sizes that fit, found by trying."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

REACH = 96  # pixels to either side: 100 x 100 finds the 188 of the paper's network


def hint(shape: Sequence[int], multiple: int | None, fits: Callable[[int, int], bool]) -> str:
    """The end of an error's sentence; empty where the height and the width are not what is wrong.

    ``fits(height, width)`` tries the network on shapes alone. The axes of an image do not depend on each other, but a
    network may want a square: so each axis is looked for along the squares, and every pair is tried.
    """
    *_, H, W = shape
    if fits(H, W):
        return ""
    near = [
        list(itertools.islice((s for s in _around(size) if fits(s, s)), 1 if fits(size, size) else 2))
        for size in (H, W)
    ]
    found = [f"{h} x {w}" for h in sorted(near[0]) for w in sorted(near[1]) if fits(h, w)]
    rule = f": the input height and width must be multiples of {multiple}" if multiple else ""
    return rule + (f"; nearest that fit{'s' * (len(found) == 1)}: {', '.join(found)}" if found else "")


def _around(size: int) -> Iterator[int]:
    """Sizes near ``size``, the nearest first."""
    return (s for d in range(REACH) for s in dict.fromkeys((size - d, size + d)) if s > 0)
