"""Executors by name."""

from __future__ import annotations

import os

from codefit.core.errors import InputError
from codefit.scale.executor import Executor, LocalExecutor

NAMES = ("local", "ray")


def open_executor(name: str, *, jobs: int | None = None, address: str | None = None) -> Executor:
    """Return the executor of a name: `local` or `ray`.

    `jobs` are the workers, by default one per core; `address` is a running Ray cluster's. Raises
    `MissingPrerequisite` where Ray is asked for and not installed.
    """
    if name == "local":
        return LocalExecutor(jobs or os.cpu_count() or 1)
    if name == "ray":
        from codefit.scale.ray_executor import RayExecutor

        return RayExecutor(jobs=jobs, address=address)
    raise InputError(f"no executor '{name}'", where="--executor", todo=f"known: {', '.join(NAMES)}")
