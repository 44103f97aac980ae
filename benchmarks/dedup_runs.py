"""Runs one tool on one Parquet file of rows, in the tool's own environment; imports nothing else.

    PYTHON benchmarks/dedup_runs.py TOOL ROWS.parquet KEPT WORKERS

ROWS has the columns id (0, 1, ...) and text. KEPT gets one byte per row: 1 = kept. The last line printed
is JSON with the seconds after imports and reading. Every tool reads the same file and makes its
own tokens. Settings are those its documentation shows, except for what makes them comparable:

- a threshold and shingles with which it finds planted copies of 1-3 edits (word 3-grams at 0.5, the
  most used for text of this length; rensa's README uses single words: those at 0.7);
- short rows are not left out (text-dedup's min_length).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THRESHOLD, NGRAM, PERMUTATIONS = 0.5, 3, 128


class Clock:
    """Wall and CPU seconds from the end of imports and reading on; text-dedup and datatrove read themselves."""

    def start(self) -> None:
        """Begin to count."""
        self.wall, self.cpu = time.perf_counter(), sum(os.times()[:4])

    def read(self) -> dict[str, float]:
        """Return what has passed."""
        cpu_s = sum(os.times()[:4]) - self.cpu
        return {"work_s": round(time.perf_counter() - self.wall, 2), "work_cpu_s": round(cpu_s, 2)}


def texts_of(rows: Path) -> list[str]:
    """Return the texts as Python strings."""
    import pyarrow.parquet as pq

    return pq.read_table(rows, columns=["text"]).column("text").to_pylist()  # type: ignore[no-any-return]


def grams(text: str) -> set[str]:
    """Return the runs of three words of a text, case folded; a shorter text is one run."""
    words = text.lower().split()
    return {" ".join(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))}


def codefit(rows: Path, workers: int, clock: Clock) -> list[int] | bytes:
    """Codefit: the buffers of the Parquet file as they are, its default rule."""
    import numpy as np
    import pyarrow.parquet as pq

    from codefit.curate.near import Rule, Texts, find

    with tempfile.TemporaryDirectory() as folder:
        file = pq.ParquetFile(rows, pre_buffer=False)
        batches = (
            batch.column(0) for batch in file.iter_batches(10_000, columns=["text"], use_threads=False)
        )
        texts = Texts.spooled(batches, Path(folder) / "text")
        clock.start()
        found = find(texts, np.arange(len(texts)), Rule(), workers)
        return (found.keeper_D < 0).astype(np.uint8).tobytes()


def datasketch(rows: Path, workers: int, clock: Clock) -> list[int]:
    """Datasketch: MinHash.bulk and MinHashLSH, candidates checked by their estimated similarity."""
    from datasketch import MinHash, MinHashLSH

    texts = texts_of(rows)
    clock.start()
    lsh, minima, kept = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS), {}, []
    for begin in range(0, len(texts), 1_000):
        sets = [[g.encode() for g in grams(text)] for text in texts[begin : begin + 1_000]]
        for i, made in enumerate(MinHash.bulk(sets, num_perm=PERMUTATIONS), begin):
            near = any(made.jaccard(minima[j]) >= THRESHOLD for j in lsh.query(made))
            kept.append(int(not near))
            if not near:
                lsh.insert(i, made)
                minima[i] = made
    return kept


def rensa(rows: Path, workers: int, clock: Clock) -> list[int]:
    """Rensa as its README shows it: words, RMinHashDeduplicator with LSH."""
    return _rensa(rows, clock, 0.7, str.split)


def rensa_grams(rows: Path, workers: int, clock: Clock) -> list[int]:
    """Rensa with the word 3-grams and the threshold of the others."""
    return _rensa(rows, clock, THRESHOLD, lambda text: list(grams(text)))


def _rensa(rows: Path, clock: Clock, threshold: float, tokens: Any) -> list[int]:
    from rensa import RMinHashDeduplicator

    texts = texts_of(rows)
    clock.start()
    found = RMinHashDeduplicator(threshold=threshold, num_perm=PERMUTATIONS, use_lsh=True)
    kept = found.add_pairs((str(i), tokens(text)) for i, text in enumerate(texts))
    return [int(k) for k in kept]


def rensa_rho(rows: Path, workers: int, clock: Clock) -> list[int]:
    """Rensa's fast bulk pipeline: flags every row that shares a band with another one, unchecked."""
    from rensa import RMinHash, RMinHashLSH

    texts = texts_of(rows)
    clock.start()
    matrix = RMinHash.digest_matrix_from_token_sets_rho((t.split() for t in texts), PERMUTATIONS, 42)
    lsh = RMinHashLSH(threshold=0.7, num_perm=PERMUTATIONS, num_bands=16)
    return [int(not flag) for flag in lsh.query_duplicate_flags_matrix_one_shot(matrix)]


def text_dedup(rows: Path, workers: int, clock: Clock) -> list[int]:
    """Run text-dedup's minhash command."""
    import datasets
    from text_dedup.minhash import main

    clock.start()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        main(
            ["--path", "parquet", "--data_files", str(rows), "--split", "train", "--cache_dir", f"{folder}/cache",
             "--output", out, "--column", "text", "--ngram", str(NGRAM), "--threshold", str(THRESHOLD),
             "--num_perm", str(PERMUTATIONS), "--min_length", "1", "--num_proc", str(workers)],
            standalone_mode=False,
        )  # fmt: skip
        left = set(datasets.load_from_disk(out)["id"])
    import pyarrow.parquet as pq

    return [int(i in left) for i in range(pq.ParquetFile(rows).metadata.num_rows)]


def datatrove(rows: Path, workers: int, clock: Clock) -> list[int]:
    """Run the four stages of datatrove's MinHash on local processes: 20 buckets of 4 hashes (0.47)."""
    import pyarrow.parquet as pq
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    clock.start()
    with tempfile.TemporaryDirectory() as folder:
        # One file per task, as its guide has it: a task reads whole files.
        table = pq.read_table(rows)
        (Path(folder) / "in").mkdir()
        share = -(-len(table) // workers)
        for n in range(workers):
            pq.write_table(table.slice(n * share, share), f"{folder}/in/{n}.parquet")
        del table
        config = MinhashConfig(n_grams=NGRAM, num_buckets=20, hashes_per_bucket=4)
        sigs, buckets, removed, out = (f"{folder}/{name}" for name in ("sigs", "buckets", "removed", "out"))
        reader = ParquetReader(f"{folder}/in", id_key="id")
        stages = [
            ([reader, MinhashDedupSignature(output_folder=sigs, config=config)], workers),
            ([MinhashDedupBuckets(input_folder=sigs, output_folder=buckets, config=config)], 20),
            ([MinhashDedupCluster(input_folder=buckets, output_folder=removed, config=config)], 1),
            ([reader, MinhashDedupFilter(input_folder=removed), JsonlWriter(out, compression=None)], workers),
        ]
        for number, (steps, tasks) in enumerate(stages):
            LocalPipelineExecutor(
                steps, tasks=tasks, workers=min(workers, tasks), logging_dir=f"{folder}/logs{number}"
            ).run()
        left: set[int] = set()
        for path in Path(out).iterdir():
            with path.open(encoding="utf-8") as f:
                left.update(
                    int(json.loads(line).get("id", 0)) for line in f
                )  # its writer leaves out an id of 0
        shutil.rmtree(out)
    return [int(i in left) for i in range(pq.ParquetFile(rows).metadata.num_rows)]


TOOLS = {f.__name__: f for f in (codefit, datasketch, rensa, rensa_grams, rensa_rho, text_dedup, datatrove)}


def main() -> None:
    """Run the tool that the command line names."""
    tool, rows, kept, workers = sys.argv[1:]
    clock = Clock()
    flags = TOOLS[tool](Path(rows), int(workers), clock)
    used = clock.read()
    Path(kept).write_bytes(bytes(flags))
    print(json.dumps(used))


if __name__ == "__main__":
    main()
