"""The drawings: every step and skip is in them, and nothing lies over anything else."""

import itertools
import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

import pytest
from models.twin_cases import CASES, build

from unet_ref.cli.network import INPUTS
from unet_ref.models import MODELS, UNet, UNet2, UNet2Config, UNetFiLM
from unet_ref.models.drawing import draw
from unet_ref.models.plan import PlannedStep, plan
from unet_ref.models.sketch import sketch

SVG = "{http://www.w3.org/2000/svg}"
EPS = 0.11  # coordinates have one decimal


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other):
        return (
            min(self.right, other.right) - max(self.left, other.left) > EPS
            and min(self.bottom, other.bottom) - max(self.top, other.top) > EPS
        )

    def holds(self, other):
        return (
            self.left <= other.left and other.right <= self.right
            and self.top <= other.top and other.bottom <= self.bottom
        )  # fmt: skip


class Picture:
    """What is on the paper: texts, bars (by what hovers over them), frames and arrows, with their places."""

    def __init__(self, text):
        self.root = root = ET.fromstring(text)
        self.paper = Rect(0, 0, *map(float, root.get("viewBox").split()[2:]))
        self.texts = [(e.text, text_box(e)) for e in root.iter(f"{SVG}text")]
        self.frames = [rect_box(e) for e in root.iter(f"{SVG}rect") if e.get("class") == "frame"]
        self.bars = []  # hover, the parts' rectangles with their classes, the labels
        for group in root.iter(f"{SVG}g"):
            parts = [(rect_box(e), e.get("class")) for e in group.iter(f"{SVG}rect")]
            self.bars.append((group.find(f"{SVG}title").text, parts, [e.text for e in group.iter(f"{SVG}text")]))
        self.arrows = []  # hover, corners
        for path in root.findall(f"{SVG}path") + [p for g in root.iter(f"{SVG}g") for p in g.iter(f"{SVG}path")]:
            hover = path.find(f"{SVG}title")
            corners = [tuple(map(float, pair.split())) for pair in re.split("[ML]", path.get("d"))[1:]]
            self.arrows.append((None if hover is None else hover.text, corners))

    def bar_of(self, name):
        """The bar that a step is in."""
        (found,) = [bar for bar in self.bars if any(line.startswith(f"{name}: ") for line in bar[0].split("\n"))]
        return found


def rect_box(element):
    x, y, width, height = (float(element.get(key)) for key in ("x", "y", "width", "height"))
    return Rect(x, y, x + width, y + height)


def text_box(element):
    """Where a text is: Helvetica's digits are 0.556 of its size wide, its other letters 0.5 on average."""
    kind = element.get("class") or ""
    size = 10 if "small" in kind else 14 if "head" in kind else 11
    width = size * sum(0.556 if c.isdigit() else 0.55 for c in element.text)
    x, y = float(element.get("x")), float(element.get("y"))
    left = x - width / 2 if "middle" in kind else x
    return Rect(left, y - 0.75 * size, left + width, y + 0.2 * size)


def crosses(corners, box):
    """Whether a line of horizontal and vertical pieces goes through a box."""
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        assert abs(x0 - x1) < 1.1 or abs(y0 - y1) < EPS, corners
        piece = Rect(min(x0, x1) - 0.5, min(y0, y1) - 0.5, max(x0, x1) + 0.5, max(y0, y1) + 0.5)
        if piece.overlaps(box):
            return True
    return False


def drawn(model, *shapes):
    shapes = shapes if len(shapes) == len(model.inputs) else model.input_shapes(*shapes)
    planned = plan(model, *shapes)
    return planned, Picture(draw(planned, type(model).__name__, dict(zip(model.inputs, shapes, strict=True))))


def whole(case):
    """The shapes of a case with a batch axis, and with every input."""
    x = case.shapes[0]
    model = build(case)
    return model, *model.input_shapes(x if len(x) == 4 else (1, *x))


SUBJECTS = [
    *(pytest.param(lambda n=name: (MODELS[n](), INPUTS[n]), id=name) for name in MODELS),
    *(pytest.param(lambda c=case: whole(c), id=str(case)) for case in CASES),
    pytest.param(lambda: (UNet(padding=0, in_channels=1), (1, 1, 572, 572)), id="the paper's"),
    pytest.param(lambda: (UNet(depth=6, base_channels=8), (1, 3, 1024, 1536)), id="six levels, not square"),
    pytest.param(lambda: (UNet(depth=1, base_channels=1, in_channels=1, num_classes=1), (1, 1, 2, 2)), id="smallest"),
    pytest.param(lambda: (UNetFiLM(weather_channels=120, film_hidden=4000), (2, 17, 16, 16)), id="wide vectors"),
    pytest.param(lambda: (UNet2(4096, 4096, UNet2Config(base_channels=4096)), (1, 4096, 8, 8)), id="many channels"),
]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_nothing_lies_over_anything_else(subject):
    _, picture = drawn(*subject())
    bars = [box for _, parts, _ in picture.bars for box, _ in parts]
    for (a, box_a), (b, box_b) in itertools.combinations(picture.texts, 2):
        assert not box_a.overlaps(box_b), (a, b)
    for text, box in picture.texts:
        assert picture.paper.holds(box), text
        assert not any(box.overlaps(bar) for bar in bars), text
        assert all(frame.holds(box) or not box.overlaps(frame) for frame in picture.frames), text
        assert not any(crosses(corners, box) for _, corners in picture.arrows), text
    for a, b in itertools.combinations([*bars, *picture.frames], 2):
        assert not a.overlaps(b)
    for box in [*bars, *picture.frames]:
        assert picture.paper.holds(box)
        for hover, corners in picture.arrows:  # a skip may cross the first part on its way to the second
            assert (hover or "").startswith("copy") or not crosses(corners, box), hover


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_step_is_in_it_once(subject):
    model, *shapes = subject()
    planned, picture = drawn(model, *shapes)
    shapes = shapes if len(shapes) > 1 else model.input_shapes(*shapes)
    lines = [line for hover, _, _ in picture.bars for line in hover.split("\n")]
    times = "×".join
    expected = [f"{s.name}: {s.op} {times(map(str, s.shape))}" for s in planned.steps if not is_vector(s.name)]
    assert sorted(lines) == sorted([*expected, f"x: input {times(map(str, shapes[0]))}"])
    texts = [text for text, _ in picture.texts]
    assert any(times(map(str, planned.output_shape)) in text for text in texts)
    for name, shape in zip(model.inputs, shapes, strict=True):
        assert any(f"{name} {times(map(str, shape))}" in text for text in texts)


def is_vector(name):
    """Whether a step works beside the image, in an embedding or a FiLM generator."""
    return name.startswith(("film.", "timeembed", "contextembed"))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_bars_are_labelled_with_channels_and_with_every_new_size(subject):
    model, *shapes = subject()
    planned, picture = drawn(model, *shapes)
    of = {step.name: step.shape for step in planned.steps} | {"x": shapes[0]}
    last = None
    for hover, parts, labels in picture.bars:
        channels, *size = of[hover.split("\n")[-1].split(":")[0]][1:]
        row, told = parts[0][0].top, [f"{size[0]}²" if size[0] == size[1] else f"{size[0]}×{size[1]}"] if size else []
        assert labels == [str(channels), *(told if last != (row, told) else [])]
        last = row, told


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_skip_leads_from_its_source_to_the_half_that_it_fills(subject):
    planned, picture = drawn(*subject())
    steps = {step.name: step for step in planned.steps}
    order = {name: k for k, name in enumerate(steps)}
    concats = [step for step in planned.steps if step.op == "concat"]
    skips = [corners for hover, corners in picture.arrows if hover and hover.startswith("copy")]
    assert len(skips) == len(concats)
    for concat in concats:
        of = [steps[n].inputs[0] if steps[n].op == "center_crop2d" else n for n in concat.inputs]
        source, k = min(of, key=order.__getitem__), of.index(min(of, key=order.__getitem__))
        start, end = picture.bar_of(source), picture.bar_of(concat.name)
        half, kind = end[1][k]
        assert half.top == start[1][0][0].top
        assert kind == "copy"
        assert end[1][1 - k][1] == "map"
        right = start[1][-1][0].right
        assert any(
            abs(corners[0][0] - right) < 2.5 and start[1][0][0].top < corners[0][1] < start[1][0][0].bottom
            and abs(corners[-1][0] - half.left) < 1.5 and half.top < corners[-1][1] < half.bottom
            for corners in skips
        )  # fmt: skip


@pytest.mark.parametrize("name", list(MODELS))
def test_a_row_is_a_size(name):
    """In the seeds' networks all bars of a row have one height and width of image, and lower rows smaller ones."""
    planned, picture = drawn(MODELS[name](), INPUTS[name])
    shapes = {step.name: step.shape for step in planned.steps} | {"x": INPUTS[name]}
    rows = {}
    for hover, parts, _ in picture.bars:
        shape = shapes[hover.split("\n")[-1].split(":")[0]]
        rows.setdefault(parts[0][0].top, set()).add(shape[2] if len(shape) == 4 else 1)
    heights = [sizes.pop() for _, sizes in sorted(rows.items()) if len(sizes) == 1]
    assert len(heights) == len(rows)
    assert heights == sorted(set(heights), reverse=True)
    assert len(heights) == {"unet2": 2, "context_unet": 4, "resnet50": 7}.get(name, 5)


def test_the_paper_u():
    """The U-Net paper's figure 1: sizes, channels, crops, and what the arrows mean."""
    _, picture = drawn(UNet(padding=0, in_channels=1), (1, 1, 572, 572))
    labels = [label for _, _, labels in picture.bars for label in labels]
    for size in (572, 570, 568, 284, 282, 280, 140, 138, 136, 68, 66, 64, 32, 30, 28, 56, 54, 52, 104, 102, 100, 200,
                 198, 196, 392, 390, 388):  # fmt: skip
        assert labels.count(f"{size}²") == 1, size
    down = [1, 64, 64, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512, 1024, 1024]
    up = [1024, 512, 512, 512, 256, 256, 256, 128, 128, 128, 64, 64, 2]
    assert [int(label) for label in labels if "²" not in label] == down + up
    legend = [text for text, _ in picture.texts][-5:]
    assert legend == ["conv 3×3, ReLU", "max pool 2×2", "up-conv 2×2", "conv 1×1", "copy, crop and concatenate"]


def test_embeddings_are_told_in_a_frame():
    _, picture = drawn(MODELS["context_unet"](), INPUTS["context_unet"])
    told = [text for text, box in picture.texts if any(frame.holds(box) for frame in picture.frames)]
    assert told == [
        "γ: c 10 → 512, GELU → 512", "β: t 1 → 512, GELU → 512", "γ: c 10 → 256, GELU → 256", "β: t 1 → 256, GELU → 256",
    ]  # fmt: skip
    _, picture = drawn(MODELS["unet_film"](), INPUTS["unet_film"])
    told = [text for text, box in picture.texts if any(frame.holds(box) for frame in picture.frames)]
    assert told == ["γ, β: weather 6 → 64, ReLU → 2048 = 2 × 1024"]


def test_arrows_of_one_meaning_have_one_colour_and_the_legend_explains_each():
    planned, picture = drawn(MODELS["resnet_unet"](), INPUTS["resnet_unet"])
    colours = {}
    for path in picture.root.iter(f"{SVG}path"):
        hover = path.find(f"{SVG}title")
        if hover is not None:
            colours.setdefault(hover.text, set()).add(path.get("style"))
    assert all(len(styles) == 1 for styles in colours.values())
    assert len(set().union(*colours.values())) == len(colours) == 9
    texts = {text for text, _ in picture.texts}
    assert colours.keys() <= texts
    assert "conv 1×1, 3×3, 1×1 (batch norm, ReLU) + projected input" in texts
    assert "nearest neighbours ×2, conv 3×3, batch norm, ReLU" in texts
    assert sum(step.op == "add" for step in planned.steps) == sum("+ " in (hover or "") for hover, _ in picture.arrows)


def test_a_value_that_is_used_twice_is_a_bar_of_its_own():
    """An activation finishes the map before it only where nobody else takes that map."""
    image = ("x", (1, 2, 8, 8))
    steps = [
        PlannedStep("conv", "conv2d", ("x",), (1, 4, 8, 8), 0, 0, 0, 3, 1),
        PlannedStep("relu", "relu", ("conv",), (1, 4, 8, 8), 0, 0, 0),
        PlannedStep("both", "concat", ("conv", "relu"), (1, 8, 8, 8), 0, 0, 0),
        PlannedStep("last", "sigmoid", ("both",), (1, 8, 8, 8), 0, 0, 0),
    ]
    found = sketch(steps, dict([image]))
    assert [[step.name for step in here.steps] for here in found.maps] == [["x"], ["conv"], ["relu", "both"], ["last"]]
    assert [(way.kind, way.text) for way in found.ways] == [("conv", "conv 3×3"), ("other", "ReLU"), ("other", "")]
    assert [(way.source.name, way.target.name, way.part) for way in found.skips] == [("conv", "both", 0)]


def test_labels_are_escaped():
    planned = plan(UNet(depth=1, base_channels=2), (1, 3, 8, 8))
    assert "a &lt; b &amp; c" in draw(planned, "a < b & c", {"x": (1, 3, 8, 8)})
