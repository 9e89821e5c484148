"""The page: well formed, complete, self-contained; text from elsewhere stays text; and a browser agrees."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from judge import chromium

from unet_ref import ops
from unet_ref.judge import Report, judge_implementation, judge_results
from unet_ref.judge.cases import DesignedCase, designed_cases
from unet_ref.judge.heat import FEW, PLANES, SIDE, heat_map
from unet_ref.judge.html import SHOWN, html
from unet_ref.judge.mistake import Arguments
from unet_ref.judge.rerun import rerun_by

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'too' </details>\u2028<img src=http://example.org/x onerror=alert(2)>"
VOID = {"meta", "br", "img", "link"}


class Page(HTMLParser):
    """Tags must close in order; what there is of them is kept."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def flipped(x, weight, bias=None, **options):
    return ops.conv2d(x, np.ascontiguousarray(weight[..., ::-1, ::-1]), bias, **options)


def half(x, **options):
    return ops.sigmoid(x.astype("float16"), **options).astype("float32")


def refuses(*arguments, **options):
    raise NotImplementedError(HOSTILE)


def raises(*arguments, **options):
    raise ValueError(HOSTILE)


@pytest.fixture(scope="module")
def reports():
    """Of every outcome some."""
    return [
        judge_implementation("conv2d", flipped, ops.conv2d_backward, cases=designed_cases("conv2d")[: SHOWN + 10]),
        judge_implementation("sigmoid", half),
        judge_implementation("glu", ops.glu, raises, cases=designed_cases("glu")[:3]),
        judge_implementation("relu", ops.relu, ops.relu_backward, cases=designed_cases("relu")[:4]),
        judge_implementation("gelu", refuses, cases=designed_cases("gelu")[:2]),
    ]


@pytest.fixture(scope="module")
def page(reports):
    return Page(html(reports, f"Heading {HOSTILE}"))


def test_it_is_complete(page, reports):
    assert "Looks like: kernel flipped" in page.text
    wrong = [report for report in reports if report.failures]
    assert len(page.named("section")) == len(wrong) == 3
    told = sum(min(SHOWN, len(report.failures)) for report in wrong)
    assert len(page.named("pre")) == told  # a reproducer for each failure that is told
    assert len(page.named("details")) == told + len(reports)
    assert "glu, float32" in page.text
    assert "right in 0 of 3 cases; something besides the numbers in 3." in page.text
    for report in reports:
        assert report.name in page.text
        assert all(result.case.label in page.text for result in report.results)
    assert len(reports[0].failures) > SHOWN
    assert f"{len(reports[0].failures) - SHOWN} more are in the list" in page.text
    assert "judge.designed_case('conv2d', " in page.text
    assert [title for title in ("The output", "the output") if title in page.text]


def test_a_link_leads_to_each_operation_that_is_wrong(page):
    targets = {attributes["id"] for attributes in page.named("section")}
    assert {attributes["href"].removeprefix("#") for attributes in page.named("a")} == targets


def test_every_failing_tensor_has_a_picture(page, reports):
    told = [result for report in reports for result in report.failures[:SHOWN]]
    tensors = [t for result in told if result.verdict is not None for t in result.verdict.tensors]
    wrong = [t for t in tensors if t.finding is not None and t.ratio is not None]
    assert len(page.named("figure")) == len(wrong) > 30


def test_it_needs_nothing_else(page):
    text = html([])
    for attributes in (attributes for _, attributes in page.tags):
        assert not {"src", "srcset", "data", "action", "xlink:href"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    assert not {"script", "link", "iframe", "object", "img", "base"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import|https?:", text)


def test_hostile_text_stays_text(page, reports):
    assert page.text.count(HOSTILE) >= 3  # the heading, an error's message, a refusal
    hostile = designed_cases("relu")[0]
    case = DesignedCase(HOSTILE, hostile.arguments, hostile.exact, HOSTILE)
    report = judge_implementation("relu", lambda x: -x, cases=[case])
    found = Page(html([rerun_by(report, lambda _: HOSTILE, name=HOSTILE)], HOSTILE))
    assert found.text.count(HOSTILE) >= 6
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in page.tags}


def test_the_lead_says_how_it_stands(reports):
    def lead(*chosen):
        return re.search(r"<p class='(\w+) lead'>(.*?)</p>", html(chosen)).groups()

    assert lead(reports[3]) == ("good", f"{len(reports[3].judged)} of {len(reports[3].judged)} cases are right.")
    assert lead(reports[0])[0] == "bad"
    assert lead(reports[4]) == lead() == ("bad", "No case was judged.")
    assert lead(Report("relu", "float32", ())) == ("bad", "No case was judged.")


def test_only_outcomes_that_there_are_have_a_column(reports):
    heads = re.findall(r"<th scope='col'>(.*?)</th>", html(reports[3:4]))
    assert heads == ["operation", "arithmetic", "cases", "exact"]
    heads = re.findall(r"<th scope='col'>(.*?)</th>", html(reports))
    assert heads[3:] == ["bug", "conduct", "looser arithmetic", "exact", "skipped"]


def test_arguments_are_described():
    shapes = {"arrays": (np.zeros((2, 3), "float32"), np.zeros((2, 5), "float32"))}
    case = DesignedCase("two", Arguments("concat", shapes, {"axis": 1}), frozenset(), "strided")
    report = judge_implementation("concat", lambda arrays, axis=1: arrays[0], cases=[case])
    assert "arrays 2×3 and 2×5, axis=1, memory: strided" in html([report])
    case = DesignedCase("number", Arguments("relu", {"x": np.float32(3)[()]}, {}), frozenset(), "contiguous")
    assert "x ()" in html(
        [judge_results([(case, None)], "relu"), judge_implementation("relu", lambda x: -x, cases=[case])]
    )


# --- pictures -------------------------------------------------------------------------------------------------------


def kinds(text):
    """For each picture its size and the class of each element."""
    found = []
    for box, body in re.findall(r"viewBox='0 0 (\d+ \d+)'>(.*?)</svg>", text):
        columns, rows = map(int, box.split())
        grid = np.full((rows, columns), -1)
        for kind, x, y, width in re.findall(r"class='h(\d)' x='(\d+)' y='(\d+)' width='(\d+)'", body):
            grid[int(y), int(x) : int(x) + int(width)] = int(kind)
        found.append(grid)
    return found


def test_each_element_has_the_colour_of_its_error():
    ratio = np.array([[0, 0.01, 0.02, 0.1, 0.5], [1, 1.5, 10, 11, 1e3], [1e4, 1e6, 1e7, np.inf, np.nan]])
    (grid,) = kinds(heat_map(ratio, ["row", "column"]))
    assert grid.tolist() == [[0, 0, 1, 1, 2], [2, 3, 3, 4, 4], [5, 5, 6, 6, 6]]


@pytest.mark.parametrize(("shape", "pictures"), [((), 1), ((4,), 1), ((3, 5), 1), ((2, 3, 5), 2), ((2, 2, 3, 5), 4)])
def test_a_picture_for_each_pair_of_leading_indices(shape, pictures, rng):
    ratio = np.exp(rng.uniform(-5, 5, shape))
    text = heat_map(ratio, ["sample", "channel", "row", "column"])
    found = kinds(text)
    assert len(found) == pictures
    assert [grid.shape for grid in found] == [(*(1, 1), *shape)[-2:]] * pictures
    assert ("sample 1, channel 1" in text) == (len(shape) == 4)
    worst = np.max(ratio.reshape(pictures, -1), axis=1)
    assert [f"up to {value:.3g} times" in text for value in worst] == [True] * pictures


def test_of_many_planes_those_that_are_wrong():
    ratio = np.zeros((3, FEW, 2, 4))
    ratio[1, 2, 0, 3], ratio[2, 5, 1, 1] = 7, 3
    text = heat_map(ratio, ["sample", "channel"])
    assert re.findall(r"<small>(.*?)</small>", text) == ["sample 1, channel 2", "sample 2, channel 5"]
    assert f"{3 * FEW - 2} more, all within the bound" in text
    assert len(kinds(heat_map(ratio[2], ["channel"]))) == FEW  # few are shown whole


def test_of_many_wrong_planes_the_worst(rng):
    ratio = rng.permutation(np.arange(2.0, PLANES + 7)).reshape(-1, 1, 1) * np.ones((1, 2, 3))
    text = heat_map(ratio, ["channel"])
    shown = [int(n) for n in re.findall(r"<small>channel (\d+)</small>", text)]
    assert shown == sorted(np.argsort(-ratio[:, 0, 0])[:PLANES])
    assert "5 more, none worse" in text


def test_an_exact_case_whose_errors_are_within_the_bound_has_pictures():
    assert len(kinds(heat_map(np.full((9, 2, 2), 0.5), ["channel"]))) == 9


def test_a_large_plane_is_drawn_by_its_worst_elements():
    ratio = np.zeros((3 * SIDE - 1, SIDE + 1))
    ratio[-1, -1], ratio[4, 3] = 20, 2000
    text = heat_map(ratio, ["row", "column"])
    (grid,) = kinds(text)
    assert grid.shape == (SIDE, SIDE // 2 + 1)
    assert (grid[-1, -1], grid[1, 1], (grid > 0).sum()) == (4, 5, 2)
    assert "a square is 3 × 2 elements" in text


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def browser():
    if chromium.PROGRAM is None:
        pytest.skip("there is no chromium on the PATH")
    with chromium.Page() as opened:
        yield opened


def test_chromium_shows_it_by_day_and_by_night(browser, reports, tmp_path):
    (tmp_path / "report.html").write_text(html(reports, HOSTILE), "utf-8")
    browser.open((tmp_path / "report.html").as_uri())
    rows = browser.value("[...document.querySelectorAll('thead + tbody > tr > th')].map(e => e.innerText).join()")
    assert rows == ",".join(report.name for report in reports)
    papers = {}
    for scheme in ("light", "dark"):
        for width in (1280, 400):
            browser.look(width, scheme)
            wide = browser.value("document.documentElement.scrollWidth")
            assert wide <= width, "the page scrolls sideways"
        colour = browser.value("getComputedStyle(document.body).backgroundColor")
        papers[scheme] = sum(map(int, re.findall(r"\d+", colour)))
    assert papers["light"] > 600
    assert papers["dark"] < 150
    square = browser.value("document.querySelector('.heat rect').getBoundingClientRect().height")
    assert square > 5
    requests = [event["request"]["url"] for event in browser.said("Network.requestWillBeSent")]
    assert requests == [(tmp_path / "report.html").as_uri()]
    assert browser.said("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled") == []
    assert not browser.said("Page.javascriptDialogOpening")
