"""Rows to Parquet and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core import types
from codefit.core.errors import InputError
from codefit.core.types import Dropped, Row
from codefit.core.values import dump, load
from codefit.curate.rows_io import read_dropped, read_rows, write_dropped, write_rows

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers(), st.text()), inner, max_size=3)
        | st.sets(st.integers() | st.text(), max_size=4)
        | st.frozensets(st.booleans() | st.integers(), max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    again = load(dump(value))
    assert again == value
    assert repr(again) == repr(value) or isinstance(value, set | frozenset | dict | list | tuple)


def test_integer_of_many_digits_and_infinity_come_back() -> None:
    value = [1 << 40_000, -(1 << 40_000), float("inf"), {"$": 1}, {2: 3}]
    assert load(dump(value)) == value


def test_rows_come_back_with_every_field_and_equal_bytes(tmp_path: Path) -> None:
    tests = types.Tests(
        "calls", "f", inputs=((1, [2]), ({"a": {1}},)), outputs=((1, 2), 10**5_000), setup="import math"
    )
    rows = [
        Row(
            "a",
            "s",
            "ask",
            "x",
            "python",
            tests,
            ("x", "y"),
            "EASY",
            ("t",),
            "MIT",
            {"quality": 0.5, "n": None},
        ),
        Row("b", "s", "ask", "x"),
    ]
    assert write_rows(tmp_path / "a.parquet", rows) == 2
    write_rows(tmp_path / "b.parquet", iter(rows))
    assert list(read_rows(tmp_path / "a.parquet")) == rows
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_no_rows_make_a_readable_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "none.parquet", [])
    assert list(read_rows(tmp_path / "none.parquet")) == []


def test_drop_ledger_comes_back(tmp_path: Path) -> None:
    dropped = [Dropped("a", "syntax", "python 2"), Dropped("b", "verify", "timeout")]
    write_dropped(tmp_path / "dropped.parquet", dropped)
    assert list(read_dropped(tmp_path / "dropped.parquet")) == dropped


def test_damaged_column_of_a_row_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", [Row("a", "s", "ask", "x")])
    table = pq.read_table(tmp_path / "a.parquet")
    for column, value in (("tests", "{}"), ("extra", "nothing"), ("response", None)):
        record = table.to_pylist()[0] | {column: value}
        pq.write_table(pa.Table.from_pylist([record], table.schema), tmp_path / "b.parquet")
        with pytest.raises(InputError, match=f"column '{column}'"):
            list(read_rows(tmp_path / "b.parquet"))


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(read_rows(tmp_path / "x.parquet"))
    write_dropped(tmp_path / "d.parquet", [])
    with pytest.raises(InputError, match="has no column 'id'"):
        list(read_rows(tmp_path / "d.parquet"))


def test_text_that_utf8_cannot_hold_is_written_with_a_mark(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", [Row("a", "s", "ask \ud800", "x")])
    assert next(read_rows(tmp_path / "a.parquet")).instruction == "ask \ufffd"
