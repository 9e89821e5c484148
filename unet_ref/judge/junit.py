"""Reports as JUnit XML, which every CI system shows: a suite for each operation, a test for each case."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from .report import CaseResult, Report

ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 has no place for


def junit(reports: Sequence[Report]) -> str:
    """The document."""
    root = ET.Element("testsuites", {"name": "unet-ref judge"} | _counts([r for each in reports for r in each.results]))
    for report in reports:
        name = _legal(f"{report.name} {report.profile}")
        suite = ET.SubElement(root, "testsuite", {"name": name} | _counts(report.results))
        for result in report.results:
            _case(suite, report, result)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(results: Sequence[CaseResult]) -> dict[str, str]:
    skipped = sum(bool(result.skipped) for result in results)
    return {"tests": str(len(results)), "failures": str(sum(not r.ok for r in results)), "skipped": str(skipped)}


def _case(suite: ET.Element, report: Report, result: CaseResult) -> None:
    classname = _legal(f"unet_ref.{report.name}")
    case = ET.SubElement(suite, "testcase", classname=classname, name=_legal(result.case.label))
    if result.skipped:
        ET.SubElement(case, "skipped", message=_legal(result.skipped))
    elif not result.ok:
        failure = ET.SubElement(case, "failure", type=result.outcome, message=_legal(str(result).splitlines()[0]))
        failure.text = _legal(f"\n{result}\n\n{result.reproducer}\n")


def _legal(text: str) -> str:
    return ILLEGAL.sub("?", text)
