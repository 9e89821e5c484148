"""Tests of the tests: wrong operations on purpose, of which every one must be rejected, for the right reason."""

import numpy as np
import pytest
from check.planted import MISTAKES
from check.planted.behaviour import MISBEHAVING
from every_operation import each_differentiable

from unet_ref import gradcheck, ops
from unet_ref.check import verify_operation
from unet_ref.check.calls import subject_of
from unet_ref.check.table import OPERATIONS

each_mistake = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.name}: {m.what}".replace(" ", "_"))
BACKWARD = [m for m in MISTAKES if m.wrong_forward is None]
DRAWS = 8


def test_there_are_enough_of_them_and_on_every_operation():
    assert len(MISTAKES) + len(MISBEHAVING) >= 40
    assert {mistake.name for mistake in MISTAKES} == set(OPERATIONS)


@each_mistake
def test_verify_rejects_it_and_names_the_argument(mistake):
    """A case or two at a time, until the drawn options bring the mistake out."""
    for seed in range(6):
        rows = verify_operation(mistake, seed, cases=1)
        failed = [row for row in rows if not row.holds and not row.detail.startswith("raised")]
        if mistake.shows in {row.argument.partition("[")[0] for row in failed}:
            return
    pytest.fail(f"passes: {rows}")


@pytest.mark.parametrize("mistake", BACKWARD, ids=lambda m: f"{m.name}: {m.what}".replace(" ", "_"))
def test_gradcheck_rejects_it_wherever_the_gradient_is_wrong(mistake):
    """At every drawn case whose wrong gradient is not by chance the right one; ties, which it cannot judge, aside."""
    seen = 0
    for seed in range(DRAWS):
        case = mistake.draw(np.random.default_rng(seed))
        wrong, good = subject_of(mistake, case), subject_of(OPERATIONS[mistake.name], case)
        v = np.asarray(np.random.default_rng(1).standard_normal(good.y().shape))
        theirs, ours = wrong.gradients(v), good.gradients(v)
        bad = [k for k in ours if ours[k] is not None and np.max(np.abs(ours[k] - theirs[k]), initial=0) > 1e-6]
        if bad:
            report = gradcheck(wrong.forward, wrong.backward, *wrong.arrays, names=wrong.names, rng=seed)
            # "all": some are not even linear in grad_output
            assert {row.argument for row in report.failures} - {"all"} == {wrong.names[k] for k in bad}, report
            seen += 1
    assert seen or "tie" in mistake.what or "at 0" in mistake.what


@pytest.mark.parametrize("what", MISBEHAVING)
def test_gradcheck_rejects_what_misbehaves(what, rng):
    backward, method = MISBEHAVING[what]
    x, weight, bias = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((4, 3, 2, 3)), rng.standard_normal(4)
    report = gradcheck(ops.conv2d, backward, x, weight, bias)
    assert method in {row.method for row in report.failures}, report


@pytest.mark.parametrize("method", ["auto", "differences"])
@each_differentiable
def test_one_coordinate_off_by_5e_4_is_seen_in_every_gradient_of_every_operation(operation, method):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        good = subject_of(operation, operation.draw(rng))
        for position, gradient in good.gradients(rng.standard_normal(good.y().shape)).items():
            if gradient is None or not gradient.any():
                continue
            name, index = good.names[position], int(rng.choice(np.flatnonzero(gradient)))

            def wrong(grad_output, *arrays, name=name, index=index, good=good):
                found = good.backward(grad_output, *arrays)
                found[name] = np.array(found[name])
                found[name].flat[index] *= 1 + 5e-4
                return found

            report = gradcheck(good.forward, wrong, *good.arrays, names=good.names, rng=seed, method=method)
            assert [row.argument for row in report.failures] == [name], report
            where = list(map(int, np.unravel_index(index, gradient.shape)))
            assert report.failures[0].detail.startswith(f"{name}{where or ''}: gradient ")
