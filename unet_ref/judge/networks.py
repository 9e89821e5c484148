"""Another implementation's run of a whole network, held against the reference layer by layer.

Never by a bound that is carried through the network: that grows past every mistake. Each layer is judged by itself
(*teacher forcing*): the reference runs it on the candidate's own input, so that nothing propagates, the layer's own
bound applies, and the first layer outside it is the guilty one. The backward pass likewise, with the candidate's own
upstream gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..backend import quiet
from ..check.bounds import profile_of
from ..errors import DTypeError
from ..models import MODELS
from .forced import Forced
from .network_report import Compared, NetworkReport


def compare(
    reference: Mapping[str, Any], metadata: Mapping[str, Any], other: Mapping[str, Any], *,
    forced: bool = True, profile: str | None = None,
) -> NetworkReport:  # fmt: skip
    """Hold ``other``'s tensors (named as in an export) against an export, forward in network order, then backward.

    ``forced=False`` compares tensor by tensor with the reference's own run: what differs, not who is to blame.
    """
    for source, tensors in (("reference", reference), ("other", other)):
        for name in tensors.keys() & reference.keys():
            if (dtype := tensors[name].dtype).kind not in "fiub":
                raise DTypeError(f"compare: {source}[{name!r}] has dtype {dtype}, and must hold real numbers")
    recipe = metadata["recipe"]
    try:
        profile = profile_of(profile or recipe["dtype"]).name
        model = MODELS[recipe["model"]].create(**recipe["options"])
        steps = model.shape_trace(tuple(recipe["input"]), training=recipe["training"]).steps
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"compare: no network fits the reference's recipe: {error}") from None
    with quiet():
        run = Forced(model, steps, reference, other, training=recipe["training"], profile=profile)
        rows = [*run.given(), *run.forward(), *run.backward()] if forced else list(_whole(run))
    judged = {row.tensor for row in rows}
    unjudged = [name for name in run.other if name not in judged and not name.startswith(("state.", "input."))]
    return NetworkReport(
        tuple(rows), forced=forced, missing=tuple(run.missing), unjudged=tuple(unjudged) if forced else ()
    )


def _whole(run: Forced) -> Iterator[Compared]:
    """Each tensor beside the reference's, in network order; the bound is that of its own rounding alone."""
    ops = {f"activation.{name}": step.op for name, step in run.steps.items()} | {"output": "output"}
    ops |= {f"grad.activation.{name}": step.op for name, step in reversed(run.steps.items())}
    ops |= {
        name: name.split(".")[0] for name in run.reference if name.startswith(("grad.", "buffer.")) and name not in ops
    }
    for name, op in ops.items():
        yield from run.held(name, op, _own_rounding, run.reference[name], run.reference["output"].dtype)


def _own_rounding(expected: Any, dtype: Any) -> tuple[Any, Any]:
    scale = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64)))) if expected.size else 0.0
    return expected, 64 * np.finfo(dtype).eps * (abs(expected) + scale)
