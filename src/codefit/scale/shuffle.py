"""The shuffle: a map writes one record batch per range of keys, a reduce reads its range of every file.

Keys are hashes of 64 bits, so ranges of equal width hold about equally many rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from codefit.core.files import atomic_path

Keys = npt.NDArray[np.uint64]
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def partition_of(keys: Keys, partitions: int) -> npt.NDArray[np.int64]:
    """Return which of the equal ranges each key lies in."""
    width = np.uint64(min((1 << 64) // partitions + 1, (1 << 64) - 1))
    ranges: Keys = np.minimum(keys // width, np.uint64(partitions - 1))
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
