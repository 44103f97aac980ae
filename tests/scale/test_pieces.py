"""Pieces and markers: what is complete is not done again, what changed is; partitions hold every row."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.scale import LocalExecutor, Piece, Runner
from codefit.scale.pieces import MARKER
from codefit.scale.shuffle import partition_of, read_partition, write_partitions
from tests.scale.work import join


def _run(folder: Path, texts: dict[str, str], word: str = "-", code: str = "1") -> list[str]:
    """Join each text with itself, then all of them; return the text, and the names of pieces that ran."""
    (folder / "ran").unlink(missing_ok=True)
    runner = Runner(LocalExecutor(1), code)
    pieces = []
    for name, text in texts.items():
        path = folder / f"{name}.in"
        path.write_text(text)
        runner.know(path)
        pieces.append(Piece(folder / name, {"texts": (path, path)}, {"word": word}))
    first = runner.run("first", join, pieces)
    inputs = tuple(piece.file("text.txt") for piece in first)
    (last,) = runner.run("last", join, [Piece(folder / "all", {"texts": inputs}, {"word": "|"})])
    ran = (folder / "ran").read_text().split() if (folder / "ran").exists() else []
    assert last.summary["chars"] == len(last.file("text.txt").read_text())
    return [last.file("text.txt").read_text(), *ran]


def test_only_what_changed_runs_again(tmp_path: Path) -> None:
    texts = {"a": "x", "b": "y"}
    assert _run(tmp_path, texts) == ["x-x|y-y", "a", "b", "all"]
    assert _run(tmp_path, texts) == ["x-x|y-y"]
    assert _run(tmp_path, {"a": "x", "b": "z"}) == ["x-x|z-z", "b", "all"]
    assert _run(tmp_path, {"a": "x", "b": "z"}, word="+") == ["x+x|z+z", "a", "b", "all"]
    assert _run(tmp_path, {"a": "x", "b": "z"}, word="+", code="2") == ["x+x|z+z", "a", "b", "all"]


@pytest.mark.parametrize("harm", ["gone", "shorter", "no marker", "half a marker", "another marker"])
def test_what_is_not_whole_runs_again(tmp_path: Path, harm: str) -> None:
    texts = {"a": "x", "b": "y"}
    whole = _run(tmp_path, texts)[0]
    text, marker = tmp_path / "a" / "text.txt", tmp_path / "a" / MARKER
    if harm == "gone":
        text.unlink()
    elif harm == "shorter":
        text.write_text("x")
    elif harm == "no marker":
        marker.unlink()
    elif harm == "half a marker":
        marker.write_text(marker.read_text()[:20])
    else:
        marker.write_text("[]")
    # The piece gives the same content again, so what was made of it still holds.
    assert _run(tmp_path, texts) == [whole, "a"]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**64 - 1)), max_size=60),
    st.integers(1, 9),
)
def test_partitions_hold_every_row_once_and_equal_keys_together(
    rows: list[tuple[int, int]], parts: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{n}.arrow" for n in range(6)]
        for number, path in enumerate(paths):
            keys = np.array([key for n, key in rows if n == number], np.uint64)
            table = pa.table({"key": keys, "at": np.arange(len(keys))})
            write_partitions(path, table, partition_of(keys, parts), parts)
        found = [
            (number, key, part)
            for part in range(parts)
            for number, table in read_partition(paths, part)
            for key in table["key"].to_pylist()
        ]
    assert sorted((number, key) for number, key, _ in found) == sorted(rows)
    assert len({(key, part) for _, key, part in found}) == len({key for _, key in rows})
