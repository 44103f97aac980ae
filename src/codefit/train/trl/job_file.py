"""A training job as files that the processes of the second engine read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.files import atomic_path, read_json, write_json
from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.train.loop import Job

_SCHEMA = pa.schema(
    [("row_id", pa.string()), ("token_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))]
)


@dataclass(frozen=True, slots=True)
class Order:
    """A job, where it is done, for which arm; `key` is the job's own, which its checkpoints bear."""

    job: Job
    folder: Path
    arm: str
    key: str


def write_order(where: Path, order: Order) -> None:
    """Write an order as a folder: `job.json`, and the examples as Parquet."""
    job = order.job
    _write_examples(where / "examples.parquet", job.examples)
    _write_examples(where / "validation.parquet", job.validation)
    write_json(where / "job.json", {
        "folder": str(order.folder.resolve()), "arm": order.arm, "key": order.key,
        "model": str(job.model.resolve()), "settings": job.settings.model_dump(mode="json"),
        "capacity": job.capacity, "budget": job.budget, "seed": job.seed, "pad_id": job.pad_id,
        "memory": job.memory,
    })  # fmt: skip


def read_order(where: Path) -> Order:
    """Read what `write_order` wrote."""
    data = read_json(where / "job.json")
    job = Job(
        model=Path(data["model"]),
        examples=_read_examples(where / "examples.parquet"),
        validation=_read_examples(where / "validation.parquet"),
        # As the plan filled it in: a number of layers to recompute is all of them here.
        settings=TrainSettings.model_construct(**data["settings"]),
        capacity=data["capacity"],
        budget=data["budget"],
        seed=data["seed"],
        pad_id=data["pad_id"],
        memory=data["memory"],
    )
    return Order(job, Path(data["folder"]), data["arm"], data["key"])


def remove_order(where: Path) -> None:
    """Remove an order that is done."""
    shutil.rmtree(where, ignore_errors=True)


def _write_examples(path: Path, examples: Sequence[Example]) -> None:
    columns = [[e.row_id for e in examples], [e.token_ids for e in examples], [e.labels for e in examples]]
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)
    with atomic_path(path) as temp:
        pq.write_table(table, temp)


def _read_examples(path: Path) -> list[Example]:
    rows = pq.read_table(path).to_pylist()
    return [Example(tuple(r["token_ids"]), tuple(r["labels"]), r["row_id"]) for r in rows]
