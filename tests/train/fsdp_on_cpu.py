"""A process of the second engine that shards over gloo: `torchrun -m tests.train.fsdp_on_cpu ORDER`.

accelerate takes FSDP for a GPU's matter and looks at the kind of device only; torch shards on a CPU as well.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from accelerate.state import DistributedType, PartialState

from codefit.models.load import quiet_libraries
from codefit.train.trl.job_file import read_order
from codefit.train.trl.worker import work

_start = PartialState.__init__


def pass_for_gpus(self: Any, *args: Any, **options: Any) -> None:
    """Start as accelerate does, and say that the processes have GPUs."""
    _start(self, *args, **options)
    shared = PartialState._shared_state
    if shared.get("distributed_type") == DistributedType.MULTI_CPU:
        shared["distributed_type"] = DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState.__init__ = pass_for_gpus  # type: ignore[method-assign]
    quiet_libraries()
    work(read_order(Path(sys.argv[1])))
