"""Rows of the table of operations: loss."""

from ..operation import Operation

LOSS: tuple[Operation, ...] = ()
