"""Near-duplicates of a collection: sketches over processes, candidates, the check, the order of dropping."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from codefit.curate.near.check import plausible, verified_pairs
from codefit.curate.near.pairs import candidate_pairs, drop_order
from codefit.curate.near.rule import Rule
from codefit.curate.near.sketch import Floats, Sketch, empty_sketch, sketch_part
from codefit.curate.near.text import Ints, Texts

_TASK_BYTES = 8 << 20
_PROCESSES_FROM_BYTES = 100 << 20
"""With less text than this, one process is done before others have started."""


@dataclass(frozen=True)
class Found:
    """keeper_D: int64, the kept document that each one is dropped for, -1 where it is kept.

    similarity_D: float64, the Jaccard similarity to it, 0 where it is kept.
    """

    keeper_D: Ints
    similarity_D: Floats

    def as_lists(self) -> tuple[list[int], list[float]]:
        """Return both as plain values."""
        return self.keeper_D.tolist(), self.similarity_D.tolist()


def find(
    texts: Texts,
    rank_D: Ints,
    rule: Rule,
    workers: int = 1,
    different: Callable[[int, int], bool] = lambda better, worse: False,
) -> Found:
    """Return which documents are near-duplicates of a better ranked one that is kept.

    rank_D: int64, all different, lowest is best. The result depends on the texts and their ranks
    only: neither on the order of the documents nor on the number of workers.

    Not covered: a pair is looked for by chance (see docs/dedup.md), so a few are missed; what is dropped
    has been compared. Of documents with the same shingles only the best is compared with others.
    """
    made = sketch(texts, rule, workers)
    pairs = candidate_pairs(made.keys_DB, rank_D, partial(plausible, made, rule), workers)
    equal = made.keys_DB[pairs[:, 0], 0] == made.keys_DB[pairs[:, 1], 0]
    del made
    checked, similarity = verified_pairs(texts, pairs[~equal], rule, workers)
    pairs = np.concatenate([pairs[equal], checked])
    similarity = np.concatenate([np.ones(np.count_nonzero(equal)), similarity])
    keeper_D = drop_order(pairs, rank_D, different)
    similarity_D = np.zeros(len(texts))
    named = keeper_D[pairs[:, 1]] == pairs[:, 0]
    similarity_D[pairs[named, 1]] = similarity[named]
    return Found(keeper_D, similarity_D)


def sketch(texts: Texts, rule: Rule, workers: int = 1) -> Sketch:
    """Return the sketch of documents; of much text by several processes, which map the file of the text.

    A text that is not in a file is written to a temporary one first. Processes are started anew
    (`spawn`), so a script that calls this with several workers keeps its work under `__main__`.
    """
    if workers == 1 or len(texts.buffer) < _PROCESSES_FROM_BYTES:
        return sketch_part(texts, rule, 0, len(texts))
    made = empty_sketch(len(texts), rule)
    with _in_file(texts) as path:
        tasks = list(texts.blocks(0, len(texts), _TASK_BYTES))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context) as pool:
            cut = [texts.offsets[first : last + 1] for first, last in tasks]
            for (first, last), part in zip(tasks, pool.map(partial(_task, path, rule), cut), strict=True):
                made.keys_DB[first:last] = part.keys_DB
                made.minima_DP[first:last] = part.minima_DP
                made.shingles_D[first:last] = part.shingles_D
    return made


def _task(path: Path, rule: Rule, offsets: Ints) -> Sketch:
    return sketch_part(Texts.of_file(path, offsets), rule, 0, len(offsets) - 1)


@contextmanager
def _in_file(texts: Texts) -> Iterator[Path]:
    if texts.path is not None:
        yield texts.path
        return
    with tempfile.NamedTemporaryFile(prefix="codefit-") as f:
        texts.buffer.tofile(f)
        f.flush()
        yield Path(f.name)
