"""The networks' pages: one for each, with drawings that are those of the code."""

import re
from pathlib import Path

import pytest

from unet_ref.cli import main
from unet_ref.models import MODELS

PAGES = Path(__file__).parents[2] / "docs" / "models"
PAPER = ["--set", "padding=0", "--set", "in_channels=1", "--input", "1,1,572,572"]
DRAWINGS = {name: [name] for name in MODELS} | {"unet_paper": ["unet", *PAPER]}


@pytest.mark.parametrize("drawing", sorted(DRAWINGS))
def test_drawings_are_current(drawing, tmp_path, capsys):
    file = tmp_path / "drawn.svg"
    assert main(["trace", *DRAWINGS[drawing], "--svg", str(file)]) == 0
    committed = (PAGES / f"{drawing}.svg").read_text(encoding="utf-8")
    command = f"unet-ref trace {' '.join(DRAWINGS[drawing])} --svg docs/models/{drawing}.svg"
    assert committed == file.read_text(encoding="utf-8"), f"draw it again: {command}"


def test_every_network_has_its_page_and_every_drawing_is_on_one():
    assert {page.stem for page in PAGES.glob("*.md")} == set(MODELS)
    assert {picture.stem for picture in PAGES.glob("*.svg")} == set(DRAWINGS)
    for name in MODELS:
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {name}\n")
        assert f"({name}.svg)" in page
        for heading in ("Where it comes from", "Shapes", "What was corrected"):
            assert f"\n## {heading}\n" in page
        assert f"unet_ref/models/{name}.py" in page


@pytest.mark.parametrize(
    "page", [*sorted(PAGES.glob("*.md")), PAGES.parent / "seed-corrections.md"], ids=lambda p: p.stem
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
