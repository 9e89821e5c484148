"""Every mistake is seen by a designed case, and every case sees mistakes; the pages that say so are current."""

import csv
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from unet_ref import ops
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import designed_cases, judge_case, judge_implementation
from unet_ref.judge.bank import BANK, applying
from unet_ref.judge.bank.conduct import HABITS
from unet_ref.judge.bank.page import page
from unet_ref.judge.bank.shipped import NOT_OURS, SHIPPED
from unet_ref.judge.kills import Kills, kills, seen
from unet_ref.judge.mistake import Mistake, Results, right
from unet_ref.judge.plant import candidate
from unet_ref.judge.report import CONDUCT

ROOT = Path(__file__).parents[2]
ENTRIES = {entry.name: entry for entry in BANK}


PLAIN = (  # tried on every case, besides those that no case before it saw
    "gradient off by a factor", "output off by a factor", "last channel of the output", "softmax missing in the gradient",
    "momentum reversed", "running statistics replaced",
)  # fmt: skip


ARITHMETICS = [("float32", name) for name in OPERATIONS]
ARITHMETICS += [(("float16", "float64")[k % 2], name) for k, name in enumerate(OPERATIONS)]


@pytest.mark.parametrize(("profile", "name"), ARITHMETICS)
def test_every_mistake_is_seen_and_every_case_sees_one(name, profile):
    """The whole table is on the page (``benchmarks/kill_table.py``); here a mistake is left alone once it is seen."""
    left = known = applying(name)
    plain = [each for each in known if each.name in PLAIN]
    cases = designed_cases(name, profile)
    for case in cases if profile == "float32" else cases[:: 1 if len(cases) < 20 else 5]:
        tried = [*left, *(each for each in plain if each not in left)]
        found = seen(case, tried, profile)
        assert any(found), f"{case.label} sees none of {len(tried)}"
        left = [each for each, there in zip(tried, found, strict=True) if not there and each in left]
    if profile == "float32":
        assert not left, [each.name for each in left]


def test_a_table_by_row_and_column():
    table = Kills("relu", ("one", "two", "three"), ("a", "b", "c"), np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], bool))
    assert (table.survivors, table.idle) == (("c",), ("three",))
    assert (table.by("a"), table.of("two"), table.alone("two"), table.alone("one")) == \
        (("one", "two"), ("a", "b"), ("b",), ())  # fmt: skip


def test_what_is_right_and_what_does_not_show_is_not_seen():
    def nothing(arguments, base):
        return base(arguments)

    def never(arguments, base):
        return None

    def half(arguments, base):
        """Three times the output in images without a batch; the gradient of x absent: it is not judged."""
        results = base(arguments)
        return Results(3 * results.output, {}) if arguments.arrays["x"].ndim == 3 else results

    chosen = [Mistake(run.__name__, ("relu",), "", "", run) for run in (nothing, never, half)]
    cases = designed_cases("relu")[:8]
    table = kills("relu", cases=cases, mistakes=chosen)
    assert table.survivors == ("nothing", "never")
    assert table.by("half") == ("image without a batch",)
    assert seen(cases[0], [right]) == [False]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_candidate_is_right_where_its_mistake_cannot_show(name):
    never = Mistake("never", (name,), "Shows nowhere.", "Nothing to mend.", lambda arguments, base: None)
    assert judge_implementation(name, *candidate(never, name), cases=designed_cases(name)[:3]).ok


@pytest.mark.parametrize("name", ["relu", "group_norm", "conv2d"])
def test_the_table_says_what_the_judge_says(name):
    """A sample of its cells, through the front door."""
    rng, cases = np.random.default_rng(len(name)), designed_cases(name)
    for mistake in rng.choice(np.array(applying(name), dtype=object), 4, replace=False):
        chosen = [cases[k] for k in rng.choice(len(cases), 3, replace=False)]
        table = kills(name, cases=chosen, mistakes=[mistake])
        said = [not judge_case(case, *candidate(mistake, name)).ok for case in chosen]
        assert table.killed[0].tolist() == said, mistake.name


SAMPLE = [(entry, entry.operations[k % len(entry.operations)]) for k, entry in enumerate(BANK)][5::31]


@pytest.mark.parametrize(("entry", "name"), SAMPLE, ids=[f"{entry.name} in {name}" for entry, name in SAMPLE])
def test_judge_implementation_catches_it(entry, name):
    seeing = (case for case in designed_cases(name) if seen(case, [entry])[0])
    report = judge_implementation(name, *candidate(entry, name), cases=itertools.islice(seeing, 2))
    assert not report.ok
    assert report.score == 0


# --- bugs that shipped ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", SHIPPED, ids=[f"{bug.issues} {bug.operation} {bug.mistake}" for bug in SHIPPED])
def test_a_bug_that_shipped_is_seen_where_it_showed(bug):
    cases = [case for case in designed_cases(bug.operation, bug.profile) if bug.where.holds(case.arguments)]
    assert any(seen(case, [bug], bug.profile)[0] for case in cases)
    elsewhere = [case for case in designed_cases(bug.operation) if not bug.where.holds(case.arguments)]
    assert all(bug(case.arguments) is None for case in elsewhere)
    mistake = ENTRIES[bug.mistake]
    assert bug.operation in mistake.operations
    if "#" in bug.issues:
        assert set(bug.issues.split()) <= set(mistake.seen)


def test_a_bug_spoils_the_tensors_that_it_names():
    (bug,) = (bug for bug in SHIPPED if bug.issues == "mlx#3800")
    (case,) = (case for case in designed_cases("conv2d") if case.label == "groups and stride")
    fine, got = right(case.arguments), bug(case.arguments)
    assert not np.array_equal(got.grads["x"], fine.grads["x"])
    for tensor in ("output", "weight", "bias"):
        np.testing.assert_array_equal(got.tensors()[tensor], fine.tensors()[tensor])
    (bug,) = (bug for bug in SHIPPED if bug.issues == "pytorch#5112")
    (case,) = (case for case in designed_cases("conv_transpose2d") if case.label.startswith("output padding with"))
    np.testing.assert_array_equal(bug(case.arguments).output, right(case.arguments).output)


def test_every_issue_that_the_bank_tells_of_is_planted_or_said_not_to_be_ours():
    told = {issue for entry in BANK for issue in entry.seen if "#" in issue}
    told |= {issue for habit in HABITS for issue in habit.seen}
    known = {issue for text in (*(bug.issues for bug in SHIPPED), *NOT_OURS) for issue in text.split() if "#" in issue}
    assert told <= known, told - known


# --- conduct --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("habit", HABITS, ids=[habit.name for habit in HABITS])
@pytest.mark.parametrize("name", OPERATIONS)
def test_misconduct_is_seen(habit, name):
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward", None)
    in_place = habit.name == "result in the arguments memory"
    for spoiled in ("forward", "backward") if backward is not None else ("forward",):
        cases = designed_cases(name)
        if in_place and spoiled == "forward":  # it needs an output of the input's shape
            cases = [c for c in cases if _first(c).shape == np.shape(right(c.arguments).tensors().get("output"))]
            cases = [c for c in cases if 0 not in _first(c).strides and _first(c).size]
        pairs = [  # each case another candidate: it keeps what it had
            (habit.given(forward), backward) if spoiled == "forward" else (forward, habit.given(backward))
            for _ in cases
        ]
        results = [judge_case(case, *pair) for case, pair in zip(cases[:2], pairs, strict=False)]
        assert not any(result.ok for result in results), spoiled
        if habit.name != "buffer not set to zero" and not in_place:
            assert {result.outcome for result in results} == {CONDUCT}


def test_a_result_of_another_shape_cannot_lie_in_the_arguments_memory():
    (habit,) = (habit for habit in HABITS if habit.name == "result in the arguments memory")
    x, weight = np.arange(12.0).reshape(1, 3, 4), np.ones((2, 1, 1, 2))
    np.testing.assert_array_equal(habit.given(ops.conv2d)(x, weight), ops.conv2d(x, weight))
    assert not np.shares_memory(habit.given(ops.conv2d)(x, weight), x)
    assert habit.given(ops.relu)(x) is x


def _first(case):
    first = next(iter(case.arguments.arrays.values()))
    return first[0] if isinstance(first, tuple) else first


# --- the pages ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("kill_table", ROOT / "benchmarks" / "kill_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_kills_is_current(writer):
    """``python benchmarks/kill_table.py``; a sample of the operations, and all that is quick."""
    text = (ROOT / "docs" / "kills.md").read_text(encoding="utf-8")
    rows = list(csv.reader((ROOT / "docs" / "kills.csv").read_text(encoding="utf-8").splitlines()))
    for name in OPERATIONS:
        block = rows[next(k for k, row in enumerate(rows) if row and row[0] == name) :][: len(applying(name)) + 1]
        assert block[0] == [name, *(case.label for case in designed_cases(name))]
        assert [row[0] for row in block[1:]] == [mistake.name for mistake in applying(name)]
        assert all("1" in column for column in zip(*(row[1:] for row in block[1:]), strict=True))
        assert all("1" in row[1:] for row in block[1:])
        if name in ("relu", "film", "batch_norm_running_stats"):
            assert block == [[str(cell) for cell in row] for row in writer.block(name)]
            assert "\n".join(writer.section(name)).strip() in text
    assert all(f"| {bug.mistake}" in text and bug.issues.split()[0] in text for bug in SHIPPED)


def test_what_others_see_is_measured_for_every_mistake(writer):
    """``python benchmarks/rivals.py``"""
    found, versions = writer.rivals()
    assert set(found) == {(name, mistake.name) for name in OPERATIONS for mistake in applying(name)}
    assert all(each[who] in ("", "0", "1") for each in found.values() for who in writer.RIVALS)
    assert versions.startswith("onnx ")


def test_conduct_is_on_the_page_of_mistakes():
    assert all(f"\n### {habit.name}\n\n{habit.explanation[:40]}" in page() for habit in HABITS)
