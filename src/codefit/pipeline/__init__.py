"""The stages of a run in order, each skipped when it is done."""

from codefit.pipeline.context import Sharding
from codefit.pipeline.run import STAGES, RunResult, run_recipe

__all__ = ["STAGES", "RunResult", "Sharding", "run_recipe"]
