"""The bank of named mistakes as a whole: each is a mistake, of what it says it affects, in every operation it names."""

import functools
import re
import runpy
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from unet_ref import gradcheck
from unet_ref.check.exact import decimal_case, like, rational_case
from unet_ref.check.layouts import read_only
from unet_ref.check.table import OPERATIONS
from unet_ref.judge.bank import BANK, BY_FAMILY, applying, shapes
from unet_ref.judge.bank.page import page
from unet_ref.judge.mistake import Arguments, Results, by_name, mistake, right
from unet_ref.judge.plant import plant
from unet_ref.judge.trial import error, guarded, largest

ROOT = Path(__file__).parents[2]
each_mistake = pytest.mark.parametrize("entry", BANK, ids=[entry.name for entry in BANK])
NAMES = {entry.name for entry in BANK}
OTHER_SHAPE = {entry.name for entry in BANK if entry.run.__module__ == shapes.__name__} | {
    "groups and dilation exchanged"
}

# What the table does not draw, and which mistakes wait for it.
NEEDS = {
    "more than four channels": {"channels after the last four left out"},
    "one dilation for both axes, groups and no bias": {"groups and dilation exchanged"},
    "ties and zeros": {
        "last of ties gets the gradient", "ties share the gradient", "every tie gets the gradient",
        "gradient passes at zero",
    },
    "NaN and infinity": {
        "nan lost", "no gradient where the largest is nan", "no gradient where all are minus infinity",
        "nan becomes zero", "nan far from zero",
    },
    "rounding and overflow": {
        "variance in one pass", "infinite at far logits", "overflow without the largest logit", "probability clipped",
    },
    "arrays that are not contiguous": {
        "input read as contiguous", "weight read as contiguous", "grad output read as contiguous",
    },
}  # fmt: skip


@functools.cache
def planted(name, operation):
    entry = next(entry for entry in BANK if entry.name == name)
    found = plant(entry, operation, np.random.default_rng(len(name)))
    assert found is not None, f"{name} does not show in {operation}"
    return found


def test_there_are_many_and_each_has_its_own_name():
    assert len(BANK) == len(NAMES) >= 250
    assert sum(map(len, BY_FAMILY.values())) == len(BANK)
    assert set().union(*NEEDS.values()) <= NAMES


@each_mistake
def test_what_is_said_of_it(entry):
    assert re.fullmatch(r"[a-z][a-z0-9 ]+", entry.name)
    for text in (entry.explanation, entry.mend):
        assert text.endswith(".")
        assert len(text) > 10
    assert entry.operations
    assert len(set(entry.operations)) == len(entry.operations)
    assert set(entry.operations) <= set(OPERATIONS)
    arguments = set().union(*(OPERATIONS[name].gradients for name in entry.operations))
    assert entry.affects <= arguments | {"output", "grads"}


def test_every_operation_has_mistakes_of_its_own():
    for name in OPERATIONS:
        assert sum(len(entry.operations) <= 4 for entry in applying(name)) >= 4, name


@each_mistake
def test_it_shows_and_affects_what_it_says(entry):
    for operation in entry.operations:
        arguments, got, _ = planted(entry.name, operation)
        expected, wrong = right(arguments).tensors(), got.tensors()
        assert set(wrong) <= set(expected)
        for tensor, array in wrong.items():
            if entry.name not in OTHER_SHAPE:
                assert array.shape == expected[tensor].shape
            if error(np.asarray(array), np.asarray(expected[tensor])) > 1e-6 * largest(np.asarray(expected[tensor])):
                kind = re.split(r"[.[]", tensor)[0]
                assert entry.affects & ({kind} if kind == "output" else {kind, "grads"}), (operation, tensor)


@each_mistake
def test_nothing_is_written_to(entry):
    arguments, got, _ = planted(entry.name, entry.operations[0])
    again = entry(arguments.map(lambda a: a if not a.flags.c_contiguous else read_only(a)))
    for tensor, array in again.tensors().items():
        assert error(np.asarray(array), np.asarray(got.tensors()[tensor])) == 0


@each_mistake
def test_without_an_upstream_gradient(entry):
    arguments, got, _ = planted(entry.name, entry.operations[-1])
    forward = entry(arguments._replace(grad_output=None))
    if "output" in entry.affects:
        assert forward.grads == {}
        one, other = (Results(r.output, {}).tensors() for r in (forward, got))
        assert all(error(np.asarray(one[tensor]), np.asarray(other[tensor])) == 0 for tensor in one)
    else:
        assert forward is None


@each_mistake
def test_only_for_its_operations(entry):
    others = [name for name in OPERATIONS if name not in entry.operations]
    for name in others[:1]:
        arguments = Arguments(name, {"x": np.ones((2, 3))}, {}, np.ones((2, 3)))
        assert entry(arguments) is None
        assert entry.fitted(arguments, Results(None, {})) is None


def contracted(gradient, direction):
    if isinstance(gradient, tuple):
        return sum(contracted(*both) for both in zip(gradient, direction, strict=True))
    return np.sum(gradient * direction)


def moved(array, direction, step):
    if isinstance(array, tuple):
        return tuple(moved(*both, step) for both in zip(array, direction, strict=True))
    return np.asarray(array + step * direction)


CARRIED = [entry for entry in BANK if entry.affects == {"output", "grads"} and not entry.narrow]


@pytest.mark.parametrize("entry", CARRIED, ids=[entry.name for entry in CARRIED])
def test_the_gradients_are_those_of_the_wrong_output(entry):
    """``<J u, dy> == <u, J' dy>`` with the mistake in both, by central differences in longdouble."""
    for operation in entry.operations:
        arguments, got, _ = planted(entry.name, operation)
        wide, rng = arguments.map(lambda array: array.astype("longdouble")), np.random.default_rng(5)
        for name, gradient in got.grads.items():
            array = wide.arrays[name]
            if not all(np.isfinite(item).all() for item in (array if isinstance(array, tuple) else (array,))):
                continue
            u = tuple(rng.standard_normal(a.shape) for a in array) if isinstance(array, tuple) else \
                rng.standard_normal(array.shape)  # fmt: skip
            there = [wide.with_arrays(**{name: moved(array, u, h)}) for h in (1e-6, -1e-6)]
            up, down = (entry(each._replace(grad_output=None)) for each in there)
            if up is None or down is None or not np.isfinite(got.output).all():
                continue  # the mistake's case ends there; a maximum of nothing
            slope = np.sum((up.output - down.output) / np.longdouble(2e-6) * arguments.grad_output)
            size = contracted(gradient, u)
            assert abs(slope - size) <= 1e-6 * (abs(slope) + abs(size)) + 1e-9 * _size(gradient), (operation, name)


def _size(gradient):
    return sum(map(_size, gradient)) if isinstance(gradient, tuple) else 1 + np.abs(gradient).sum()


BACKWARD = [entry for entry in BANK if "output" not in entry.affects]


@pytest.mark.parametrize("entry", BACKWARD, ids=[entry.name for entry in BACKWARD])
def test_gradcheck_rejects_every_wrong_gradient(entry):
    """The right forward pass with the mistaken backward pass, at points where there are slopes."""
    if entry.name in NEEDS["NaN and infinity"] | NEEDS["ties and zeros"]:
        pytest.skip("where there is NaN, infinity or a tie there is no slope to compare with")
    arguments, _, _ = planted(entry.name, entry.operations[0])
    name, arrays, options, dy = arguments
    names = [key for key, array in arrays.items() if array is not None and key != "arrays"]
    if not names:
        names, arrays = [f"a{k}" for k in range(len(arrays["arrays"]))], dict(enumerate(arrays["arrays"]))

    def call(values):
        if "a0" in names:
            return Arguments(name, {"arrays": tuple(values)}, options)
        return Arguments(name, arrays | dict(zip(names, values, strict=True)), options)

    def forward(*values):
        return right(call(values)).output

    def backward(grad_output, *values):
        made = call(values)._replace(grad_output=grad_output)
        found = entry(made) or right(made)
        if "a0" in names:
            return found.grads["arrays"]
        return {key: gradient for key, gradient in found.grads.items() if key in names}

    del dy
    values = [value for value in arrays.values() if value is not None]
    assert not gradcheck(forward, backward, *values, names=names)


@pytest.mark.parametrize("name", OPERATIONS)
def test_exact_comparison_on_the_tables_draws_rejects_every_entry(name):
    """Without rounding: a mistake is seen on one of a few dozen draws, unless it needs what is not drawn there."""
    row = OPERATIONS[name]
    waiting = {entry for entry in applying(name) if entry.name not in set().union(*NEEDS.values())}
    for seed in range(250):
        if not waiting:
            break
        rng = np.random.default_rng(seed)
        case = rational_case(row, rng) if row.draw_exact is None else row.draw(rng).map(_in_thirds)
        if row.arithmetic != "rational" or row.backward is None:  # of the running statistics a mistake takes a root
            case = decimal_case(case)
        y = row.forward(**case.arrays, **case.options)
        dy = None if row.backward is None else np.asarray(like(y, rng), dtype=object)
        arguments = Arguments(name, case.arrays, case.options, dy)
        expected = right(arguments).tensors()
        for entry in list(waiting):
            found = guarded(lambda entry=entry, arguments=arguments: entry(arguments))
            if found is not None and any(_differ(array, expected[t]) for t, array in found.tensors().items()):
                waiting.remove(entry)
    assert not waiting, {entry.name for entry in waiting}


def _in_thirds(array):
    return np.asarray(np.frompyfunc(lambda v: Fraction(round(48 * v), 3), 1, 1)(array), dtype=object)


def _differ(one, other):
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return True
    if one.size and isinstance(other.flat[0], Fraction | int):
        return bool((one != other).any())
    return error(one.astype(float), other.astype(float)) > 1e-9 * largest(other.astype(float))


def test_what_the_table_does_not_draw():
    """The list of those that need something special is no longer than it must be."""
    for name in (
        "channels after the last four left out",
        "nan lost",
        "gradient passes at zero",
        "ties share the gradient",
    ):
        entry = next(entry for entry in BANK if entry.name == name)
        row = OPERATIONS[entry.operations[0]]
        for seed in range(20):
            rng = np.random.default_rng(seed)
            case = row.draw(rng)
            y = row.forward(**case.arrays, **case.options)
            arguments = Arguments(row.name, case.arrays, case.options, np.asarray(rng.standard_normal(y.shape)))
            found = entry(arguments)
            assert found is None or all(
                error(np.asarray(a), np.asarray(right(arguments).tensors()[t])) < 1e-9
                for t, a in found.tensors().items()
            )


DTYPES = {"float16": 0.05, "float32": 1e-3, "longdouble": 1e-9, "complex128": 1e-9}
STEEP = {"eps missing", "eps missing in the backward", "root forgotten", "one group for each channel",
         "running variance taken for the deviation"}  # small denominators: other dtypes round them elsewhere  # fmt: skip


@each_mistake
def test_any_dtype(entry):
    for operation in entry.operations[:2]:
        arguments, _, _ = planted(entry.name, operation)
        for dtype, share in DTYPES.items():
            if entry.narrow or (dtype == "complex128" and entry.name in NEEDS["NaN and infinity"]):
                continue
            there = arguments.map(lambda array, dtype=dtype: array.astype(dtype, order="K"))
            back = there.map(lambda array: array.real.astype("float64", order="K"))
            found, expected = entry(there), entry(back)
            if found is None or expected is None:  # float16 rounds away what it needs, in both
                assert found is expected
                continue
            for tensor, array in found.tensors().items():
                wanted = np.asarray(expected.tensors()[tensor])
                assert np.asarray(array).dtype == dtype, (operation, dtype, tensor)
                if entry.name not in STEEP and largest(wanted) < 1e4:
                    assert error(np.asarray(array).astype(wanted.dtype if dtype != "complex128" else complex), wanted) <= \
                        share * (0.1 + largest(wanted)), (operation, dtype, tensor)  # fmt: skip


def test_what_is_rounding_does_not_show_in_exact_arithmetic():
    x = np.array([[Fraction(100), Fraction(-100)]], dtype=object)
    call = Arguments("binary_cross_entropy_with_logits", {"x": x, "target": x * 0}, {}, np.array(Fraction(1)))
    (entry,) = (entry for entry in BANK if entry.name == "infinite at far logits")
    assert entry(call) is None
    far = call.map(lambda array: array.astype("float32"))
    assert not np.isfinite(entry(far).output)


# --- real bugs -----------------------------------------------------------------------------------------------------

SHIPPED = """\
pytorch#50042 pytorch#51430 mlx#3800 mlx#2495 composable_kernel#2478 burn#1891 jax#567 jax#563 tensorflow#18454
tensorflow#9870 pytorch#96225 pytorch#59515 pytorch#163539 cTensor#3 coursera#34 mlx#1826 mlx#1449 mxnet#11203 tvm#19524
tvm#5758 pytorch#14272 onnxruntime#9370 onnxruntime#4086 onnxruntime#4698 onnxruntime#11927 onnxruntime#2518
pytorch/xla#2333 pytorch#5112 bayesian-torch#34 executorch#21686 executorch#21878 pytorch#45357 pytorch#1465
tinygrad#12296 tensorflow#22025 tensorflow#33403 tensorflow#24067 cunn#68 cunn#199 tensorflow#118673 pytorch#175189
pytorch/xla#913 pytorch#586 mxnet#9580 chainer#2214 chainer#4505 chainer#7506 MIOpen#1109 mxnet#21111 keras#8982
tt-metal#55438 tt-metal#45968 dlib#3113 openvino#36587 tensorflow#25115 pytorch#54293 tt-metal#56202 oneDNN#3543
pytorch#140913 mlx#3908 FlagGems#5216 pytorch#65200 pytorch#117011 pytorch#141831 tensorflow#47724 pytorch#186278
executorch#22323 tfjs-core#1267 swift-apis#23649 pytorch#1213 mlx#4444"""


def test_every_bug_that_shipped_in_an_operation_of_the_contract_has_an_entry():
    seen = {reference for entry in BANK for reference in entry.seen}
    shipped = set(SHIPPED.split())
    assert shipped <= seen, shipped - seen


def test_the_page_is_current():
    """``python -m unet_ref.judge.bank.page > docs/mistakes.md``"""
    assert (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8") == page()
    assert all(f"\n### {name}\n" in page() for name in NAMES)


def test_the_page_is_printed(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "unet_ref.judge.bank.page")
    runpy.run_module("unet_ref.judge.bank.page", run_name="__main__")
    assert capsys.readouterr().out == page()


# --- what mistakes are made of -------------------------------------------------------------------------------------


def test_gradients_by_name_in_any_form():
    arrays = {"x": 1, "weight": 2, "bias": None}
    assert by_name({"x": 3, "bias": None}, arrays) == {"x": 3}
    assert by_name((3, 4), arrays) == {"x": 3, "weight": 4}
    assert by_name([3, None, 5], arrays) == {"x": 3, "bias": 5}
    assert by_name(3, arrays) == {"x": 3}
    assert by_name((3, 4), {"arrays": (1, 2)}) == {"arrays": (3, 4)}


def test_a_mistake_from_a_function():
    @mistake("relu", mend="Do not.", name="another name", seen=("somewhere#1",))
    def negated(arguments, base):
        """The sign
        is wrong.
        """
        return base(arguments)._replace(output=-base(arguments).output)

    assert (negated.name, negated.explanation, negated.seen) == ("another name", "The sign is wrong.", ("somewhere#1",))
    assert negated(Arguments("relu", {"x": np.array([3.0])}, {})).output == -3
