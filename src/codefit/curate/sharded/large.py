"""The files of a funnel whose rows are too many to hold: written shard by shard, the same bytes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.files import atomic_path, digest, write_json, write_text
from codefit.core.rows import COLUMNS
from codefit.curate.funnel import funnel_record
from codefit.curate.rows_io import DROPPED_SCHEMA, SCHEMA, write_tables
from codefit.curate.sharded.card import counted_card
from codefit.curate.sharded.counts import Counts
from codefit.curate.sharded.shards import ROWS
from codefit.curate.step import Context
from codefit.scale.pieces import MARKER, Done
from codefit.scale.shuffle import Keys

Ledger = tuple[str, Sequence[Path]]


def write(
    data: Path,
    read: Sequence[Done],
    kept: Sequence[Path],
    dropped: Sequence[Ledger],
    hits: Sequence[Path],
    counts: list[Counts],
    ctx: Context,
    sources: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Write kept, raw, random and dropped rows, hits, card and, last, funnel.json; one shard at a time."""
    raw = [shard.file(ROWS) for shard in read]
    rows = sum(shard.summary["rows"] for shard in read)
    kept_rows = write_tables(data / "kept.parquet", SCHEMA, map(_rows, kept))
    tokens = sum(sum(_tokens(_rows(path), ctx)) for path in kept)
    raw_rows = write_tables(data / "raw.parquet", SCHEMA, (_renderable(path) for path in raw))
    drawn, drawn_tokens = _draw(raw, tokens, kept_rows, ctx)
    drawn_rows = write_tables(
        data / "random.parquet",
        SCHEMA,
        (
            _renderable(path).take(pa.array(places, pa.int64()))
            for path, places in zip(raw, drawn, strict=True)
        ),
    )
    write_tables(data / "dropped.parquet", DROPPED_SCHEMA, _dropped(dropped))
    with atomic_path(data / "hits.jsonl") as temp, temp.open("wb") as whole:
        for path in hits:
            whole.write(path.read_bytes())
    arms = {"raw_rows": raw_rows, "random_rows": drawn_rows, "random_tokens": drawn_tokens}
    funnel = funnel_record(rows, kept_rows, tokens, counts, arms, ctx, sources)
    write_json(data / "card.json", {"counts_only": True})
    write_text(data / "card.md", counted_card(funnel, _per_source(raw), _per_source(kept)))
    write_json(data / "funnel.json", funnel)
    return funnel


def _rows(path: Path) -> pa.Table:
    return pq.read_table(path, columns=list(COLUMNS))


def _renderable(path: Path) -> pa.Table:
    """Return the rows of a shard that have a request and an answer, as `raw_arm` does."""
    table = _rows(path)
    texts = zip(table["instruction"].to_pylist(), table["response"].to_pylist(), strict=True)
    return table.filter(pa.array([bool(a.strip() and b.strip()) for a, b in texts], pa.bool_()))


def _tokens(table: pa.Table, ctx: Context) -> Iterator[int]:
    for a, b in zip(table["instruction"].to_pylist(), table["response"].to_pylist(), strict=True):
        yield ctx.count_tokens(a) + ctx.count_tokens(b)


def _dropped(ledgers: Sequence[Ledger]) -> Iterator[pa.Table]:
    """Yield the drop ledgers by step, then in reading order."""
    for step, paths in ledgers:
        for path in paths:
            yield pq.read_table(path, filters=[("step", "=", step)])


def _draw(paths: Sequence[Path], tokens: int, guess: int, ctx: Context) -> tuple[list[list[int]], int]:
    """Return, per shard, the places of random renderable rows of `tokens` tokens or just above, and their tokens.

    The draw is that of `random_arm`: in order of a hash of the id. Tokens are counted for the first
    rows in that order only, twice as many as long as they do not suffice.
    """
    hashes = [_hashes(path, ctx.seed) for path in paths]
    of_shard = np.repeat(np.arange(len(hashes)), [len(part) for part in hashes])
    place = np.concatenate([np.arange(len(part)) for part in hashes])
    order = np.lexsort((place, of_shard, np.concatenate(hashes)))
    head = min(len(order), guess + guess // 4 + 1)
    while True:
        first = np.sort(order[:head])
        counted = np.zeros(len(order), np.int64)
        for shard, path in enumerate(paths):
            chosen = first[of_shard[first] == shard]
            counted[chosen] = list(_tokens(_renderable(path).take(pa.array(place[chosen])), ctx))
        before = np.cumsum(counted[order[:head]]) - counted[order[:head]]
        if head == len(order) or int(np.sum(counted)) >= tokens:
            break
        head = min(len(order), 2 * head)
    taken = order[:head][before < tokens]
    places = [np.sort(place[taken[of_shard[taken] == shard]]).tolist() for shard in range(len(paths))]
    return places, int(np.sum(counted[taken]))


def _hashes(path: Path, seed: int) -> Keys:
    ids = _renderable(path)["id"].to_pylist()
    return np.array([int(digest("random arm", str(seed), row_id), 16) for row_id in ids], np.uint64)


def _per_source(paths: Sequence[Path]) -> dict[str, tuple[int, str | None]]:
    """Return source -> (rows, licence of the last row)."""
    counts, licences = Counter[str](), dict[str, str | None]()
    for path in paths:
        table = pq.read_table(path, columns=["source", "licence"])
        names = table["source"].to_pylist()
        counts.update(names)
        licences |= zip(names, table["licence"].to_pylist(), strict=True)
    return {name: (counts[name], licences[name]) for name in sorted(counts)}


def remove(work: Path) -> None:
    """Remove the work in progress; what marks it complete goes first."""
    for marker in sorted(work.glob(f"*/{MARKER}")):
        marker.unlink()
    shutil.rmtree(work, ignore_errors=True)
