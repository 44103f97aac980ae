"""Curation over shards: for corpora that do not fit in memory, on local processes or on Ray."""

from codefit.curate.sharded.funnel import IN_MEMORY_ROWS, SHARD_ROWS, curate_sharded
from codefit.curate.sharded.shards import Input

__all__ = ["IN_MEMORY_ROWS", "SHARD_ROWS", "Input", "curate_sharded"]
