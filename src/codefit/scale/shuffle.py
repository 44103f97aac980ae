"""The shuffle: a map writes one record batch per partition of the keys, a reduce reads its own of every file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from codefit.core.files import atomic_path

Keys = npt.NDArray[np.uint64]
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def partition_of(keys: Keys, partitions: int) -> npt.NDArray[np.int64]:
    """Return which partition each key belongs to: equal ranges of the key times an odd constant.

    Neither the keys' high bits nor their low ones are alike within a partition.
    """
    width = np.uint64(min((1 << 64) // partitions + 1, (1 << 64) - 1))
    ranges: Keys = np.minimum(keys * _SPREAD // width, np.uint64(partitions - 1))
    return ranges.astype(np.int64)


def write_partitions(path: Path, table: pa.Table, of_row: npt.NDArray[np.int64], partitions: int) -> None:
    """Write a table as an Arrow file of one record batch per partition, rows in their order, atomically."""
    order = np.argsort(of_row, kind="stable")
    ends = np.searchsorted(of_row[order], np.arange(partitions), side="right")
    sorted_table = table.take(pa.array(order)).combine_chunks()
    begin = 0
    with atomic_path(path) as temp, pa.ipc.new_file(str(temp), table.schema, options=_OPTIONS) as writer:
        for end in ends.tolist():
            part = sorted_table.slice(begin, end - begin)
            batches = part.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
            writer.write_batch(batches[0])
            begin = end


def read_partition(paths: Sequence[Path], partition: int) -> Iterator[tuple[int, pa.Table]]:
    """Yield (index of the file, its rows of one partition) of the files that have any."""
    for index, path in enumerate(paths):
        with pa.OSFile(str(path)) as file:
            batch = pa.ipc.open_file(file).get_batch(partition)
            if batch.num_rows:
                yield index, pa.Table.from_batches([batch])
