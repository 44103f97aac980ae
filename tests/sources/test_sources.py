"""Sources: schemas, tests found in rows, ids, and wrong specs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codefit.core import types
from codefit.core.errors import InputError, InputErrors
from codefit.core.rows import record_of
from codefit.core.types import Row
from codefit.sources import open_source
from codefit.sources.asserts import find_asserts
from tests.shared_data import shared_data


def _rows(tmp_path: Path, kind: str, records: Iterable[dict[str, Any]], **spec: Any) -> list[Row]:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    return list(open_source({"kind": kind, "path": path} | spec).rows())


def test_code_alpaca_row_folds_its_input_and_carries_the_licence(tmp_path: Path) -> None:
    record = {"instruction": "Sort the list.", "input": "[3, 1]", "output": "sorted([3, 1])"}
    (row,) = _rows(tmp_path, "code_alpaca", [record])
    assert row.instruction == "Sort the list.\n\nInput:\n[3, 1]"
    assert (row.source, row.licence, row.tests) == ("code_alpaca", "CC BY-NC 4.0", None)


@pytest.mark.parametrize("placeholder", ["noinput", "<noinput>", "N/A", " ", "No input."])
def test_placeholder_input_is_left_out(tmp_path: Path, placeholder: str) -> None:
    record = {"instruction": "Say hi.", "input": placeholder, "output": "print('hi')"}
    assert _rows(tmp_path, "code_alpaca", [record])[0].instruction == "Say hi."


def test_asserts_in_the_prompt_become_tests(tmp_path: Path) -> None:
    given = "assert twice(2) == 4\n- `assert twice([1]) == [1, 1]`\nassert x > 2\nassert other(1) == 2"
    record = {"instruction": "Write twice.", "input": given, "output": "def twice(x):\n    return x * 2"}
    (row,) = _rows(tmp_path, "code_alpaca", [record])
    assert row.tests == types.Tests(
        "asserts", "twice", ("assert twice(2) == 4", "assert twice([1]) == [1, 1]")
    )


def test_asserts_with_calls_or_names_as_values_are_not_tests() -> None:
    assert find_asserts("assert f(x) == 2", "assert f(1) == g(2)", "assert f(__import__('os')) == 1") is None


def test_taco_function_row_calls_the_class_where_solutions_have_one(tmp_path: Path) -> None:
    record = {
        "question": "Add one.",
        "solutions": json.dumps(["class Solution:\n    def inc(self, x):\n        return x + 1"]),
        "input_output": json.dumps({"fn_name": "inc", "inputs": [[1], [2]], "outputs": [2, 3]}),
        "starter_code": "class Solution:\n    def inc(self, x):",
        "difficulty": "EASY",
        "skill_types": "['Sorting']",
    }
    (row,) = _rows(tmp_path, "taco", [record])
    assert row.tests == types.Tests("calls", "Solution.inc", inputs=((1,), (2,)), outputs=(2, 3))
    assert "def inc(self, x):" in row.instruction
    assert (row.difficulty, row.tags, row.language) == ("EASY", ("Sorting",), "python")


def test_taco_program_row_joins_lists_of_lines(tmp_path: Path) -> None:
    record = {
        "question": "Echo.",
        "solutions": '["print(input())", "import sys"]',
        "input_output": '{"inputs": ["a\\n", ["b", "c"]], "outputs": ["a", "b"]}',
    }
    (row,) = _rows(tmp_path, "taco", [record])
    assert row.tests == types.Tests("stdin", inputs=("a\n", "b\nc"), outputs=("a", "b"))
    assert row.solutions == ("print(input())", "import sys")
    assert row.response == row.solutions[0]


@pytest.mark.parametrize(
    "question", ["Add one.", "Add one.\n", "Read a number from Standard Input. Add one."]
)
def test_taco_program_row_says_how_it_talks(tmp_path: Path, question: str) -> None:
    tests = '{"inputs": ["1"], "outputs": ["2"]}'
    (row,) = _rows(tmp_path, "taco", [{"question": question, "solutions": '["x"]', "input_output": tests}])
    said = "Standard Input" in question
    assert row.instruction == (question if said else f"Add one.\n\n{types.STDIN_CONTRACT}")


def test_taco_number_beyond_the_digit_limit_is_read_exactly(tmp_path: Path) -> None:
    text = '{"fn_name": "f", "inputs": [[1]], "outputs": [-1' + "0" * 9_000 + "7]}"
    record = {"question": "Q", "solutions": '["def f(x): pass"]', "input_output": text}
    (row,) = _rows(tmp_path, "taco", [record])
    assert row.tests is not None
    assert row.tests.outputs == (-(10**9_001 + 7),)


@pytest.mark.parametrize(
    "text",
    [
        "{broken",
        "[1]",
        '{"inputs": ["1"], "outputs": []}',
        '{"inputs": [[1]], "outputs": [2]}',
        "[" * 100_000,
    ],
)
def test_taco_tests_that_cannot_be_read_leave_the_row_without_tests(tmp_path: Path, text: str) -> None:
    record = {"question": "Q", "solutions": '["pass"]', "input_output": text}
    (row,) = _rows(tmp_path, "taco", [record])
    assert row.tests is None
    assert row.extra["tests_fault"].startswith("input")


def test_rows_that_cannot_be_used_are_named_by_line_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = {"instruction": "a", "output": "b"}
    records = [good, {"output": "no request"}, {"instruction": 5, "output": "b"}, {"instruction": "a"}]
    path.write_text("\n".join(map(json.dumps, records)))
    bad: list[InputError] = []
    source = open_source({"kind": "code_alpaca", "path": path})
    assert len(list(source.rows(bad.append))) == 1
    assert [e.where for e in bad] == [f"{path}:2", f"{path}:3", f"{path}:4"]
    with pytest.raises(InputError, match=r"rows\.jsonl:2: column 'instruction' is missing"):
        list(source.rows())


def test_ids_are_stable_and_unique(tmp_path: Path) -> None:
    record = {"instruction": "a", "output": "b"}
    own = {"instruction": "a", "output": "b", "id": 7}
    first = _rows(tmp_path, "jsonl", [record, record, own, own])
    again = _rows(tmp_path, "jsonl", [record, record, own, own])
    assert [r.id for r in first] == [r.id for r in again]
    assert len({r.id for r in first}) == 4
    assert first[2].id == "rows/7"
    assert first[3].id == "rows/7#2"
    assert _rows(tmp_path, "jsonl", [{"instruction": "a", "output": "c"}])[0].id != first[0].id


def test_own_rows_take_other_column_names_and_assert_texts(tmp_path: Path) -> None:
    record = {
        "prompt": "P",
        "solution": "S",
        "tests": ["import math", "assert f(1) == 2"],
        "language": "Python",
    }
    (row,) = _rows(tmp_path, "jsonl", [record], licence="MIT", name="mine")
    assert row.tests == types.Tests("asserts", "f", ("assert f(1) == 2",), setup="import math")
    assert (row.source, row.licence, row.language) == ("mine", "MIT", "python")


def test_revision_follows_the_content(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    a.write_text('{"instruction": "a", "output": "b"}')
    b.write_text(a.read_text())
    revisions = [open_source({"kind": "jsonl", "path": p}).revision for p in (a, b)]
    assert revisions[0] == revisions[1]
    b.write_text('{"instruction": "a", "output": "c"}')
    assert open_source({"kind": "jsonl", "path": b}).revision != revisions[0]


def test_taco_columns_cannot_smuggle_lone_surrogates(tmp_path: Path) -> None:
    record = {
        "question": "Q",
        "solutions": r'["print(1) # \ud83d"]',
        "input_output": r'{"inputs": ["\ud83d"], "outputs": ["1"]}',
        "tags": r"['\ud83d']",
    }
    (row,) = _rows(tmp_path, "taco", [record])
    assert row.tests is not None
    assert (row.solutions, row.tests.inputs, row.tags) == (("print(1) # \ufffd",), ("\ufffd",), ("\ufffd",))


OWN = Row(
    "code_alpaca/7", "code_alpaca", "Ask.", "x = 1", "python",
    types.Tests("calls", "f", inputs=((1, (2,)),), outputs=({3},)), ("x = 1",), "EASY", ("t",), "MIT", {"n": 0.5},
)  # fmt: skip


def test_rows_that_codefit_wrote_are_read_back_whole(tmp_path: Path) -> None:
    rows = [OWN, Row("micro/1", "micro", "Ask again.", "y")]
    path = tmp_path / "kept.parquet"
    pq.write_table(pa.Table.from_pylist(list(map(record_of, rows))), path)
    assert list(open_source({"kind": "parquet", "path": path}).rows()) == rows


def test_named_source_names_the_rows_that_codefit_wrote(tmp_path: Path) -> None:
    (row,) = _rows(tmp_path, "jsonl", [record_of(OWN)], name="mine", licence="CC0")
    assert row == replace(OWN, id="mine/code_alpaca/7", source="mine", licence="CC0")


def test_file_of_malformed_lines_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xff\n[1]\n")
    bad: list[InputError] = []
    with pytest.raises(InputError) as e:
        list(open_source({"kind": "jsonl", "path": path}).rows(bad.append))
    assert f"none of its 2 records can be used; first: {path}:1: not UTF-8 at byte 0" in e.value.line()
    assert len(bad) == 2


def test_empty_data_set_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no records"):
        _rows(tmp_path, "taco", [])


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'code_alpaca'"):
        open_source({"kind": "codealpaca", "path": "x"})


def test_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(InputErrors, match="unknown key 'licens'; did you mean 'licence'"):
        open_source({"kind": "taco", "path": "x", "licens": "MIT"})


def test_missing_path_and_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a path"):
        open_source({"kind": "jsonl"})
    with pytest.raises(InputError, match="no such file"):
        open_source({"kind": "taco", "path": "gone.jsonl"}, base=tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "hub"}, "needs a repo; set 'repo' to owner/name"),
        ({"kind": "hub", "repo": "a/b", "path": "x"}, "kind 'hub' takes no path"),
        ({"kind": "micro", "repo": "a/b"}, "takes no repo"),
        ({"kind": "jsonl", "path": "x", "split": "train"}, "'split' is for a dataset of the hub"),
        ({"kind": "taco", "path": "x", "revision": "main"}, "'revision' is for a dataset of the hub"),
        ({"kind": "taco", "columns": {"instruction": "q"}}, "knows its columns"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(spec: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(spec)


def test_named_columns_of_a_local_file(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"q": "Write f.", "a": "def f(): pass", "input": "x"}\n')
    spec = {"kind": "jsonl", "path": tmp_path / "r.jsonl", "columns": {"instruction": "q", "output": "a"}}
    (row,) = open_source(spec).rows()
    assert (row.instruction, row.response) == ("Write f.\n\nInput:\nx", "def f(): pass")


def test_micro_rows_come_in_both_schemas_with_tests() -> None:
    rows = list(open_source({"kind": "micro", "seed": 1, "limit": 300}).rows())
    assert len(rows) == 300
    assert {row.tests.kind for row in rows if row.tests} == {"asserts", "calls"}
    assert not any("planted" in row.extra for row in rows)


def test_every_real_row_is_read() -> None:
    path = shared_data("code_alpaca_20k.jsonl.gz")
    rows = list(open_source({"kind": "code_alpaca", "path": path}).rows())
    assert len(rows) == 20_022
    assert sum(not row.response.strip() for row in rows) == 6


@pytest.mark.parametrize(("name", "count"), [("stdin", 497), ("function", 1_984)])
def test_every_real_taco_row_has_tests(name: str, count: int) -> None:
    path = shared_data(f"taco_schema_{name}.jsonl.gz")
    rows = list(open_source({"kind": "taco", "path": path}).rows())
    assert len(rows) == count
    assert all(row.tests and len(row.tests) for row in rows)
