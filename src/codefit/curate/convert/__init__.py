"""Contest programs rewritten as functions: MBPP and BigCodeBench ask for functions."""

from codefit.curate.convert.rows import convert_rows

__all__ = ["convert_rows"]
