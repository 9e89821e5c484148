"""Rows of the table of operations: activation."""

from ..operation import Operation

ACTIVATION: tuple[Operation, ...] = ()
