"""The table and the picture that are made of rows."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from unet_ref.bench import Row, draw, report, summary
from unet_ref.bench.report import LEGEND, duration, markdown

SVG = "{http://www.w3.org/2000/svg}"


def row(name="unet2", seconds=2.0, ratio=1.5, dtype="float32", passes="both", shape=(1, 1, 256, 256), limit="product"):
    """Half of the limit's rate."""
    theirs = [] if ratio is None else [seconds * ratio]
    size = "x".join(map(str, shape))
    return Row(name, size, list(shape), dtype, passes, limit, 10.0, 10.0, [seconds], theirs, [seconds / 2])


class TestReport:
    def test_a_section_for_each_name_and_dtype(self):
        rows = [row("relu", dtype=dtype, passes=passes, seconds=s, shape=(n, 64, 128, 128), limit="copy")
                for dtype in ("float32", "float64") for n in (1, 4)
                for passes, s in (("forward", 0.5), ("both", 2.0))]  # fmt: skip
        text = report(rows)
        assert text.startswith(LEGEND)
        assert re.findall(r"^### (.*)$", text, re.MULTILINE) == ["relu, float32", "relu, float64"]
        assert text.count("| 1x64x128x128 |  500 ms | 1.50 |  50%c | 2.00 s | 1.50 |  50%c |") == 2
        assert text.count("| 4x64x128x128 |") == 2

    def test_80_columns_at_the_widest(self):
        wide = row("unet_film", seconds=0.9994, ratio=12.345, shape=(2, 17, 512, 512))
        wide.size += ", width 16"
        other = row("binary_cross_entropy_with_logits", seconds=9.994e-4, ratio=0.01, passes="forward", limit="copy")
        other.reference[0] *= 20  # 1000 % of the limit
        lines = report([wide, other]).splitlines()
        assert max(map(len, lines)) <= 80
        assert any("1000%c" in line for line in lines)

    def test_a_pass_that_was_not_measured(self):
        text = report([row(passes="forward")])
        assert "| 1x1x256x256 |  2.00 s | 1.50 |   50% |      |   |       |" in text

    def test_without_pytorch(self):
        text = report([row(ratio=None)])
        assert "| 1x1x256x256 |         |   |       | 2.00 s |   |   50% |" in text
        assert text.endswith("PyTorch is not installed: there is nothing to compare with.")

    def test_means_of_operations_and_networks_apart(self):
        rows = [row("relu", ratio=r, passes=p) for r, p in ((2.0, "forward"), (8.0, "forward"), (3.0, "both"))]
        rows += [row("unet2", ratio=0.25, dtype="float64"), row("unet", ratio=1.0, dtype="float64")]
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in summary(rows).splitlines()]
        assert lines[2:] == [
            ["operations", "float32", "4.00", "3.00", "2.00"],
            ["networks", "float64", "", "0.50", "0.25"],
        ]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(12.345, "12.3 s"), (123.4, "123 s"), (0.9996, "1.00 s"), (0.9994, "999 ms"), (1.2345e-3, "1.23 ms"),
         (9.4e-5, "94.0 us"), (4e-9, "0.00400 us")],
    )  # fmt: skip
    def test_seconds(self, seconds, text):
        assert duration(seconds) == text

    def test_columns_are_as_wide_as_they_need_to_be(self):
        assert markdown(("a", "bbb"), [["cccc", "d"]], right=[1]) == [
            "| a    | bbb |",
            "|------|----:|",
            "| cccc |   d |",
        ]


def series(cost=lambda pixels: 1e-6 * pixels, ratio=2.0):
    """Rows that cost what ``cost`` says."""

    def made(N, S):
        return row(seconds=cost(N * S * S), ratio=ratio, shape=(N, 1, S, S))

    return {"pixels": [made(1, S) for S in (64, 128, 1024)], "batch": [made(N, 128) for N in (1, 2, 4, 8)]}


def lines_of(picture):
    """Dashed lines, and the solid lines by colour: places."""
    found = {}
    for path in ET.fromstring(picture).iter(f"{SVG}path"):
        style = path.get("style")
        points = [tuple(map(float, place.split())) for place in path.get("d")[1:].split(" L")]
        if len(points) > 2:
            key = "dashed" if "dasharray" in style else re.search("stroke:(#.{6})", style)[1]
            found.setdefault(key, []).append(points)
    return found


class TestPicture:
    def test_what_grows_in_proportion_lies_on_the_dashed_line(self):
        found = lines_of(draw(series(), "linear"))
        ours, theirs, dashed = found["#2f6fa8"], found["#d9822b"], found["dashed"]
        assert [len(points) for points in ours] == [len(points) for points in dashed] == [3, 4]
        for one, other in zip(itertools.chain(*ours), itertools.chain(*dashed), strict=True):
            assert one == pytest.approx(other, abs=0.11)
        for (x, y), (x_theirs, y_theirs) in zip(itertools.chain(*ours), itertools.chain(*theirs), strict=True):
            assert x == x_theirs
            assert y_theirs < y  # half as fast: higher

    def test_what_grows_faster_starts_below_it(self):
        found = lines_of(draw(series(lambda pixels: 1e-9 * pixels**1.5), "steep"))
        for ours, dashed in zip(found["#2f6fa8"], found["dashed"], strict=True):
            assert ours[0][1] > dashed[0][1] + 10
            assert ours[-1] == pytest.approx(dashed[-1], abs=0.11)

    def test_axes_are_logarithmic(self):
        places = [x for x, _ in lines_of(draw(series(), ""))["#2f6fa8"][1]]
        steps = [b - a for a, b in itertools.pairwise(places)]
        assert steps == pytest.approx([steps[0]] * 3, abs=0.11)

    def test_it_says_what_it_shows(self):
        texts = [text.text for text in ET.fromstring(draw(series(), "a < title")).iter(f"{SVG}text")]
        for text in (
            "a < title",
            "against pixels",
            "1024 x 1024",
            "8",
            "images, 128 x 128",
            "PyTorch",
            "100 ms",
            "1 s",
        ):
            assert text in texts
        hovers = [title.text for title in ET.fromstring(draw(series(), "")).iter(f"{SVG}title")]
        assert "16.4 ms" in hovers

    def test_alone(self):
        picture = draw(series(ratio=None), "alone")
        assert "PyTorch" not in picture
        assert "#d9822b" not in lines_of(picture)

    def test_a_short_range_has_more_ticks(self):
        texts = [text.text for text in ET.fromstring(draw(series(lambda p: 0.3 + 1e-7 * p), "")).iter(f"{SVG}text")]
        assert {"500 ms", "1 s"} & set(texts)

    def test_everything_is_in_the_picture(self):
        root = ET.fromstring(draw(series(), ""))
        width, height = float(root.get("width")), float(root.get("height"))
        for point in itertools.chain(*itertools.chain(*lines_of(draw(series(), "")).values())):
            assert 0 < point[0] < width
            assert 0 < point[1] < height

    def test_all_alike(self):
        assert all(math.isfinite(x) for line in lines_of(draw(series(lambda _: 1.0), ""))["dashed"] for x, _ in line)
        flat = {"pixels": [row(), row()]}
        assert "nan" not in draw(flat, "")
