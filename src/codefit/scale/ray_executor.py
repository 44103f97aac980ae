"""The executor on Ray: the same functions as tasks of a cluster, or of a Ray started here.

All machines must see the run folder under the same path, and have this version of codefit.

Not covered: a cluster of several machines has not been seen running.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from codefit.core.errors import MissingPrerequisite
from codefit.scale.executor import Item, Result, died, guarded, result_of

_WAITING = 2
_STORE_BYTES = 128 << 20
"""Only paths and counts pass through Ray's own memory; rows go through files."""


class RayExecutor:
    """Tasks on Ray; a task whose worker died is tried again by Ray itself."""

    def __init__(self, *, jobs: int | None = None, address: str | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as e:
            raise MissingPrerequisite(
                "Ray is not installed", where="--executor ray", todo="pip install 'codefit[ray]'"
            ) from e
        self._ray: Any = ray
        self._mine = not ray.is_initialized()
        quiet = {"include_dashboard": False, "logging_level": "error", "log_to_driver": False}
        if not self._mine:
            pass
        elif address:
            ray.init(address=address, **quiet)
        else:
            local = {"num_cpus": jobs or os.cpu_count() or 1, "object_store_memory": _STORE_BYTES}
            ray.init(address="local", _node_ip_address="127.0.0.1", **local, **quiet)
        self.jobs = jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))

    @property
    def description(self) -> str:
        """Return Ray's version and the number of tasks at a time."""
        return f"Ray {self._ray.__version__}, {self.jobs} tasks at a time"

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results as they come; few tasks wait at a time."""
        ray, source = self._ray, iter(items)
        task = ray.remote(num_cpus=1)(guarded)
        pending: list[Any] = []
        try:
            while True:
                for item in source:
                    pending.append(task.remote(function, item))
                    if len(pending) >= _WAITING * self.jobs:
                        break
                if not pending:
                    return
                done, pending = ray.wait(pending, num_returns=1)
                yield from (result_of(outcome) for outcome in ray.get(done))
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as e:
            raise died("a Ray worker") from e
        except ray.exceptions.RayTaskError as e:
            raise e.cause from e

    def close(self) -> None:
        """Leave the cluster, and end a Ray that was started here."""
        if self._mine:
            self._ray.shutdown()
