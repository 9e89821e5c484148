"""JUnit XML that a parser reads: counts that add up, reproducers, and no letter that XML has no place for."""

from xml.etree import ElementTree as ET

import pytest

from unet_ref import ops
from unet_ref.judge import judge_implementation
from unet_ref.judge.cases import DesignedCase, designed_cases
from unet_ref.judge.junit import junit
from unet_ref.judge.rerun import rerun_by


def no_groups(x, weight, bias=None, *, groups=1, **options):
    if groups > 1:
        raise NotImplementedError("no groups \0 ]]> <b>")
    return -ops.conv2d(x, weight, bias, **options) if options.get("stride") else ops.conv2d(x, weight, bias, **options)


@pytest.fixture(scope="module")
def reports():
    return [judge_implementation("conv2d", no_groups), judge_implementation("relu", ops.relu, ops.relu_backward)]


def test_counts_and_cases(reports):
    root = ET.fromstring(junit(reports))
    assert [suite.get("name") for suite in root] == ["conv2d float32", "relu float32"]
    for suite, report in zip(root, reports, strict=True):
        assert [case.get("name") for case in suite] == [result.case.label for result in report.results]
        assert {case.get("classname") for case in suite} == {f"unet_ref.{report.name}"}
        found = {kind: len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "skipped")}
        assert found == {"failure": len(report.failures), "skipped": len(report.skipped)}
        assert (suite.get("failures"), suite.get("skipped")) == tuple(str(n) for n in found.values())
    for count in ("tests", "failures", "skipped"):
        assert int(root.get(count)) == sum(int(suite.get(count)) for suite in root)
    assert int(root.get("failures")) > 0 < int(root.get("skipped"))


def test_a_failure_explains_itself(reports):
    failure = ET.fromstring(junit(reports)).find("testsuite/testcase/failure")
    result = next(result for result in reports[0].results if not result.ok)
    assert failure.get("type") == "bug"
    assert failure.get("message") == str(result).splitlines()[0]
    assert str(result) in failure.text
    assert result.reproducer in failure.text


def test_skipped_says_why(reports):
    assert ET.fromstring(junit(reports)).find("testsuite/testcase/skipped").get("message") == "no groups ? ]]> <b>"


def test_letters_that_xml_does_not_have(rng):
    def raises(x):
        raise ValueError("\x1b[31m \ud800 \uffff fine: \t é 😀")

    plain = designed_cases("relu")[0]
    case = DesignedCase("\x07 <&> \ud800", plain.arguments, plain.exact, plain.layout)
    report = rerun_by(judge_implementation("relu", raises, cases=[case]), lambda _: "\x08", name="\x00relu")
    root = ET.fromstring(junit([report]).encode())
    assert root.find("testsuite").get("name") == "?relu float32"
    assert root.find("testsuite/testcase").get("name") == "? <&> ?"
    assert "ValueError: ?[31m ? ? fine:" in " ".join(root.find("testsuite/testcase/failure").text.split())
    assert "é 😀" in root.find("testsuite/testcase/failure").text


def test_nothing():
    assert ET.fromstring(junit([])).attrib == {"name": "unet-ref judge", "tests": "0", "failures": "0", "skipped": "0"}
