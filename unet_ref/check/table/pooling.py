"""Rows of the table of operations: pooling."""

from ..operation import Operation

POOLING: tuple[Operation, ...] = ()
