"""Analysis of a run: why programs fail, what changed, which cases show it, how outputs drift."""

from codefit.analyse.findings import findings

__all__ = ["findings"]
