"""Reports as one page that needs nothing else: the table, pictures of the errors, the mistakes' names, reproducers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from .heat import heat_map
from .pattern import axis_names
from .report import CONDUCT, CaseResult, Report
from .style import STYLE
from .verdict import BUG, EXACT, LOOSER, ROUNDING, VACUOUS, TensorVerdict
from .words import title

SKIPPED = "skipped"  # an outcome that speaks against nobody
SHOWN = 30  # failures of an operation that are told in full
COLUMNS = (BUG, CONDUCT, LOOSER, VACUOUS, EXACT, ROUNDING, SKIPPED)
LEGEND = (
    ("h1", "within the bound"),
    ("h3", "up to 10 times"),
    ("h4", "up to 1,000"),
    ("h5", "up to 10⁶"),
    ("h6", "more"),
)


def html(reports: Sequence[Report], heading: str = "unet-ref judge") -> str:
    """The document."""
    judged = sum(len(report.judged) for report in reports)
    failed = sum(len(report.failures) for report in reports)
    summary = f"{judged - failed:,} of {judged:,} cases are right" if judged else "No case was judged"
    kind = "good" if judged and not failed else "bad"
    numbered = list(enumerate(reports))
    body = [
        f"<header><h1>{escape(heading)}</h1><p class='{kind} lead'>{summary}.</p></header>",
        _table(numbered),
        *(part for k, report in numbered if report.failures for part in _operation(k, report)),
        "<h2>All cases</h2>",
        *(_every_case(report) for report in reports),
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(heading)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def _table(numbered: Sequence[tuple[int, Report]]) -> str:
    """A row for each operation, and a column for each outcome that there is."""
    counts = [Counter(result.outcome for result in report.results) for _, report in numbered]
    columns = [outcome for outcome in COLUMNS if any(count[outcome] for count in counts)]
    rows = []
    for (k, report), count in zip(numbered, counts, strict=True):
        name = escape(report.name)
        name = f"<a href='#r{k}'>{name}</a>" if report.failures else name
        cells = "".join(_count(outcome, count[outcome]) for outcome in columns)
        rows.append(
            f"<tr><th scope='row'>{name}</th><td>{report.profile}</td><td>{len(report.results)}</td>{cells}</tr>"
        )
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("operation", "arithmetic", "cases", *columns))
    return f"<div class='scroll'><table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _count(outcome: str, count: int) -> str:
    kind = "" if outcome in (EXACT, ROUNDING, SKIPPED) or not count else " class='bad'"
    return f"<td{kind}>{count or '·'}</td>"


def _operation(k: int, report: Report) -> Iterator[str]:
    """What is wrong with one operation."""
    name = f"{report.name}, {report.profile}"
    headline = report.headline.removeprefix(f"{name}: ")
    yield f"<section id='r{k}'><h2>{escape(name)}</h2><p class='headline'>{escape(headline)}</p>"
    if report.diagnosis is not None:
        lines = (escape(line.strip()) for line in str(report.diagnosis).splitlines())
        named = (f"<strong>{line}</strong>" if line.startswith("Looks like") else line for line in lines)
        yield f"<div class='diagnosis'>{''.join(f'<p>{line}</p>' for line in named)}</div>"
    if any(t.finding is not None and t.ratio is not None for r in report.failures for t in _tensors(r)):
        keys = "".join(f"<span><i class='{kind}'></i>{text}</span>" for kind, text in LEGEND)
        yield f"<p class='legend'>Error over what rounding explains: {keys}</p>"
    for number, result in enumerate(report.failures[:SHOWN]):
        yield from _failure(result, is_open=number == 0)
    more = len(report.failures) - SHOWN
    yield (f"<p>{more} more are in the list of all cases below.</p>" if more > 0 else "") + "</section>"


def _failure(result: CaseResult, *, is_open: bool) -> Iterator[str]:
    yield f"<details{' open' if is_open else ''}><summary><b class='bad'>{escape(result.outcome)}</b> " \
          f"{escape(result.case.label)}</summary>"  # fmt: skip
    yield f"<p class='options'>{escape(_call(result))}</p>"
    yield from (f"<p>{escape(problem)}</p>" for problem in result.problems)
    for t in _tensors(result):
        yield from _tensor(result, t)
    yield f"<pre>{escape(result.reproducer)}</pre></details>"


def _tensor(result: CaseResult, t: TensorVerdict) -> Iterator[str]:
    """A tensor that is right in a line, one that is not with all that is known of it."""
    if t.finding is None:
        yield f"<p class='fine'>{escape(title(t.tensor))}: {escape(t.verdict)}</p>"
        return
    kind = f": {escape(t.verdict)}" + (f", {escape(t.arithmetic)}" if t.arithmetic else "")
    yield f"<h3>{escape(title(t.tensor))}{kind}</h3>"
    yield from (f"<p>{escape(text)}</p>" for text in [*t.finding.lines(), t.note] if text)
    if t.ratio is not None and t.ratio.size:
        names = axis_names(t.tensor, t.ratio.ndim, result.case.arguments)
        yield heat_map(t.ratio, names)


def _every_case(report: Report) -> str:
    """The list of all cases, folded up."""
    rows = "".join(
        f"<tr><td>{escape(r.case.label)}</td><td{'' if r.ok else ' class=bad'}>{escape(r.outcome)}</td>"
        f"<td>{escape('; '.join([r.skipped] if r.skipped else r.problems))}</td></tr>"
        for r in report.results
    )
    return (
        f"<details><summary>{escape(report.name)}, {report.profile}: {len(report.results)}</summary>"
        f"<div class='scroll'><table class='cases'><tbody>{rows}</tbody></table></div></details>"
    )


def _call(result: CaseResult) -> str:
    """The shapes and options."""
    arguments = result.case.arguments
    shapes = [f"{name} {_shape(value)}" for name, value in arguments.arrays.items() if value is not None]
    options = [f"{key}={value}" for key, value in arguments.options.items()]
    layout = [] if result.case.layout == "contiguous" else [f"memory: {result.case.layout}"]
    return ", ".join([*shapes, *options, *layout])


def _shape(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(_shape(item) for item in value)
    return "×".join(map(str, value.shape)) or "()"


def _tensors(result: CaseResult) -> tuple[TensorVerdict, ...]:
    return () if result.verdict is None else result.verdict.tensors
