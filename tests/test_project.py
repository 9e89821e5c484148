"""What is promised of the project as a whole: imports, layout, packaging, the README's commands."""

import ast
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import unet_ref
from unet_ref.check.table import OPERATIONS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "unet_ref"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Imports go one way: a room may use any to its left. What ops stand on are single modules, backend to passes.
SHARED = ["backend", "operation", "arithmetic", "masks", "passes"]
ROOMS = ["errors", "spec", *SHARED, "ops", "models", "check", "judge", "bench", "cli"]


def run(code):
    """What a fresh Python prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def test_import_loads_none_of_the_heavy_packages():
    loaded = run("import sys, unet_ref; print(*sys.modules)").split()
    assert "unet_ref" in loaded
    assert not {"scipy", "cupy", "cupyx", "matplotlib", "torch", "dask", "mpmath", "safetensors"} & set(loaded)


def test_import_takes_little_longer_than_numpys():
    """Processor time, medians, alternating: what else the machine does is in both."""
    seconds = {"numpy": [], "unet_ref": []}
    for _ in range(11):
        for name, measured in seconds.items():
            code = f"from time import process_time as now; start = now(); import {name}; print(now() - start)"
            measured.append(float(run(code)))
    medians = {name: statistics.median(measured) for name, measured in seconds.items()}
    assert medians["unet_ref"] < 1.6 * medians["numpy"], medians


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if room in ROOMS:  # the package's own __init__ and __main__ open all of them
        allowed = {"spec"} if room == "spec" else set(ROOMS[: ROOMS.index(room) + 1])
        assert imported_rooms(path) <= allowed


def imported_rooms(path):
    """The rooms of the package that a module imports, anywhere in it."""
    package = ".".join(["unet_ref", *path.relative_to(PACKAGE).parts[:-1]])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("unet_ref.")} & set(ROOMS)


def test_an_import_the_wrong_way_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "ops").mkdir()
    wrong = tmp_path / "ops" / "conv2d.py"
    wrong.write_text("def f():\n    from ..check import dual\n", encoding="utf-8")
    assert imported_rooms(wrong) == {"check"}
    with pytest.raises(AssertionError):
        test_imports_go_one_way(wrong)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_one_name_four_places(name):
    for place in (
        f"unet_ref/spec/{name}.py",
        f"unet_ref/ops/{name}.py",
        f"tests/ops/test_{name}.py",
        f"docs/ops/{name}.md",
    ):
        assert (ROOT / place).is_file(), place


def test_packaging():
    project = PROJECT["project"]
    assert project["version"] == unet_ref.__version__
    assert (PACKAGE / "py.typed").is_file()
    assert [name(requirement) for requirement in project["dependencies"]] == ["numpy", "scipy", "threadpoolctl"]
    extras = {extra: [name(item) for item in items] for extra, items in project["optional-dependencies"].items()}
    assert extras["cuda12"] == ["cupy-cuda12x"]
    assert extras["cuda13"] == ["cupy-cuda13x"]
    assert not any(item.startswith(("torch", "cupy")) for item in extras["test"])
    assert PROJECT["dependency-groups"]["test"] == project["optional-dependencies"]["test"]


def name(requirement):
    return re.match(r"[\w-]+", requirement)[0]


@pytest.mark.parametrize("ending", ["--cov", "unet-ref verify"])
def test_the_readme_has_one_command_that_sets_everything_up(ending):
    commands = [line for line in README.splitlines() if line.startswith("python3.11 -m venv .venv && ")]
    assert len(commands) == 2
    assert [command.endswith(ending) for command in commands].count(True) == 1


def test_ci_runs_the_readmes_command():
    assert "grep -m1 '^python3.11 -m venv .venv && .*pytest' README.md" in (ROOT / ".ci" / "run").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_links_within_the_project_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
