"""Rows of the table of operations: resampling."""

from ..operation import Operation

RESAMPLING: tuple[Operation, ...] = ()
