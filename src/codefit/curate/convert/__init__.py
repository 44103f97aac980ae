"""Contest programs rewritten as functions: MBPP and BigCodeBench ask for functions."""

from codefit.curate.convert.rows import Functions, convert_rows, last_lot

__all__ = ["Functions", "convert_rows", "last_lot"]
