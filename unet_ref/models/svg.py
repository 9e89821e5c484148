"""The few marks of SVG that a drawing needs, and how wide a text will be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

TEXT, SMALL = 11, 10  # font sizes: of labels, and of the sizes below them
STYLE = f"""
text {{ font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: {TEXT}px; fill: #6e7781; }}
.small {{ font-size: {SMALL}px; }} .head {{ font-size: 14px; font-weight: bold; }} .middle {{ text-anchor: middle; }}
.map {{ fill: #79b0e3; stroke: #2f6fa8; }} .copy {{ fill: #d0d7de; stroke: #6e7781; }}
.frame {{ fill: none; }} path {{ fill: none; stroke-width: 2; stroke-linejoin: round; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #adbac7; }} .copy {{ fill: #768390; stroke: #adbac7; }} }}
"""


def page(title: str, marks: Iterable[str], colours: Iterable[str], width: int, height: int) -> str:
    """The whole document; ``colours`` are those that arrows have."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        "<defs>",
        *map(_marker, dict.fromkeys(colours)),
        "</defs>",
        *marks,
        "</svg>",
        "",
    ])  # fmt: skip


def wide(text: str, size: int = TEXT) -> float:
    """The width to allow for a text: 0.6 of its height, letter by letter."""
    return 0.6 * size * len(text)


def text(x: float, y: float, content: str, kind: str = "") -> str:
    """A line of text on the base line ``y``; ``kind``: ``small``, ``head``, ``middle`` (x is its middle)."""
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attribute}>{escape(content)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str, more: str = "") -> str:
    """A rectangle from its upper left corner; ``kind``: ``map``, ``copy``, ``frame``."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{more}/>'


def arrow(points: Sequence[tuple[float, float]], colour: str, hover: str = "") -> str:
    """Straight lines from point to point, with a head at the last."""
    places = [f"{x:.1f} {y:.1f}" for x, y in points]
    places = [place for k, place in enumerate(places) if not k or place != places[k - 1]]
    title = f"<title>{escape(hover)}</title>" if hover else ""
    return f'<path d="M{" L".join(places)}" style="stroke:{colour}" marker-end="url(#{_head(colour)})">{title}</path>'


def group(marks: Iterable[str], hover: str) -> str:
    """Marks that belong together, and what a hovering mouse is told."""
    return f"<g><title>{escape(hover)}</title>{''.join(marks)}</g>"


def _marker(colour: str) -> str:
    """The head of arrows of one colour."""
    return (
        f'<marker id="{_head(colour)}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" style="fill:{colour};stroke:none"/>'
        f"</marker>"
    )


def _head(colour: str) -> str:
    return f"head-{colour[1:]}"
