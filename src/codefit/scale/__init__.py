"""Scale: the same function over shards, on local processes or on Ray, with a marker per finished piece."""

from codefit.scale.choose import NAMES, open_executor
from codefit.scale.executor import Executor, LocalExecutor
from codefit.scale.pieces import Done, Piece, Runner

__all__ = ["NAMES", "Done", "Executor", "LocalExecutor", "Piece", "Runner", "open_executor"]
