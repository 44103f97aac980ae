"""Contest programs rewritten as functions: MBPP and BigCodeBench ask for functions."""

from codefit.curate.convert.rows import STDIN_CONTRACT, convert_rows

__all__ = ["STDIN_CONTRACT", "convert_rows"]
