"""Sources: rows with licence, revision and origin id, from files or from the micro world."""

from codefit.sources.base import Source
from codefit.sources.registry import SourceSpec, open_source

__all__ = ["Source", "SourceSpec", "open_source"]
