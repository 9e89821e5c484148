"""How far a mistake reaches: any operation, any with a gradient, those on images, the losses, those with parameters."""

from __future__ import annotations

from ...check.table import OPERATIONS

ALL = tuple(OPERATIONS)
DIFFERENTIABLE = tuple(name for name, row in OPERATIONS.items() if row.backward is not None)
LOSSES = ("mse_loss", "binary_cross_entropy_with_logits", "cross_entropy")
IMAGES = tuple(name for name in ALL if name not in (*LOSSES, "batch_norm_running_stats"))
MANY = tuple(name for name in ALL if name not in LOSSES)  # have more than one number in their output
PARAMETRIC = ("conv2d", "conv_transpose2d", "linear", "batch_norm", "group_norm")
