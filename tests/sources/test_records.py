"""Raw records: formats, damage, and the place that an error names."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from codefit.core.errors import InputError
from codefit.sources.records import read_records

RECORDS = [{"instruction": f"request {i}", "input": "", "output": f"x = {i}"} for i in range(3)]


def _write(path: Path, form: str) -> Path:
    table = pa.Table.from_pylist(RECORDS)
    lines = "\n".join(map(json.dumps, RECORDS)).encode()
    if form == "jsonl":
        path.write_bytes(lines)
    elif form == "jsonl.gz":
        path.write_bytes(gzip.compress(lines))
    elif form == "list":
        path.write_text(json.dumps(RECORDS, indent=1))
    elif form == "parquet":
        pq.write_table(table, path)
    elif form == "arrow stream":
        with pa.OSFile(str(path), "wb") as f, pa.ipc.new_stream(f, table.schema) as writer:
            writer.write_table(table)
    else:
        with pa.OSFile(str(path), "wb") as f, pa.ipc.new_file(f, table.schema) as writer:
            writer.write_table(table)
    return path


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "list", "parquet", "arrow stream", "arrow file"])
def test_every_format_gives_the_same_records(tmp_path: Path, form: str) -> None:
    path = _write(tmp_path / "rows", form)  # no suffix: the content decides
    assert [record for _, record in read_records(path)] == RECORDS


def test_folder_reads_its_files_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text(json.dumps({"instruction": name}))
    (tmp_path / "notes.txt").write_text("not data")
    assert [r["instruction"] for _, r in read_records(tmp_path)] == ["a.jsonl", "b.jsonl"]


def test_bad_line_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n\xff\xfe\n[1]\n{"a": 2}\n')
    bad: list[InputError] = []
    assert [r for _, r in read_records(path, bad.append)] == [{"a": 1}, {"a": 2}]
    assert [e.where for e in bad] == [f"{path}:2", f"{path}:3", f"{path}:4"]


@pytest.mark.parametrize("form", ["line", "list"])
def test_lone_surrogate_becomes_the_replacement_character(tmp_path: Path, form: str) -> None:
    path = tmp_path / "rows"
    text = r'{"a\ud83d": ["\ud83d\ude00 \uDE00\ud83d", 1, null], "b": {"c": "\\ud83d"}}'
    path.write_text(text if form == "line" else f"[{text}]")
    expected = {"a\ufffd": ["\U0001f600 \ufffd\ufffd", 1, None], "b": {"c": r"\ud83d"}}
    assert [record for _, record in read_records(path)] == [expected]


def test_strict_reading_stops_at_the_first_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\nnot json\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not JSON"):
        list(read_records(path))


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_records(tmp_path / "nothing.jsonl"))


@pytest.mark.parametrize("cut", [0, 3, 40, -9])
def test_truncated_parquet_is_refused(tmp_path: Path, cut: int) -> None:
    path = _write(tmp_path / "rows.parquet", "parquet")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(read_records(path))


def test_truncated_gzip_is_refused_where_it_breaks(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.jsonl.gz", "jsonl.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="damaged"):
        list(read_records(path))
