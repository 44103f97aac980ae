"""The raw rows carry the faults that the table states, and the faults are real."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter

import pytest

from codefit.core.types import Outcome
from codefit.micro import raw_rows, raw_tables
from codefit.micro.faults import fault_table, parses
from codefit.sandbox import Limits, Program, Sandbox

TABLE = fault_table()


def _share(rows, keep) -> float:
    return sum(map(keep, rows)) / len(rows)


def _originals(rows):
    return [r for r in rows if not r["planted"]["copy"] and not r["planted"].get("leak")]


def test_sizes_match_the_table():
    tables = raw_tables(0)
    assert {k: len(v) for k, v in tables.items()} == {k: TABLE["sizes"][k] for k in ("taco", "code_alpaca")}


@pytest.mark.parametrize(
    ("name", "table", "copy"),
    [
        ("taco_near_duplicate", "taco", "near"),
        ("taco_exact_duplicate", "taco", "exact"),
        ("code_alpaca_near_duplicate", "code_alpaca", "near"),
        ("code_alpaca_exact_duplicate", "code_alpaca", "exact"),
    ],
)
def test_copies_stand_at_their_rates(name, table, copy):
    share = _share(raw_tables(0)[table], lambda r: r["planted"]["copy"] == copy)
    assert share == pytest.approx(TABLE["faults"][name]["rate"], abs=0.001)


def test_languages_of_code_alpaca_stand_at_their_rates():
    rows = [r for r in raw_tables(0)["code_alpaca"] if not r["planted"]["copy"]]
    functions = (None, "wrong", "undefined_name")
    seen = Counter("python_function" if f in functions else f for f in (r["planted"]["fault"] for r in rows))
    seen["python_unparseable"] = seen.pop("unparseable")
    for name, rate in TABLE["code_alpaca_language"]["rates"].items():
        assert seen[name] / len(rows) == pytest.approx(rate, abs=0.002), name


def test_wrong_and_unparseable_solutions_stand_at_their_rates():
    rates = {k: v["rate"] for k, v in TABLE["faults"].items()}
    taco = _originals(raw_tables(0)["taco"])
    faults = Counter(r["planted"]["fault"] for r in taco)
    failing = faults["wrong"] + faults["unparseable"]
    assert failing / len(taco) == pytest.approx(rates["taco_no_passing_solution"], abs=0.001)
    assert faults["unparseable"] / len(taco) == pytest.approx(rates["taco_unparseable"], abs=0.001)
    passing = len(taco) - failing
    assert faults["first_of_two_wrong"] / passing == pytest.approx(
        rates["taco_first_of_two_wrong"], abs=0.001
    )
    asked = [r for r in _originals(raw_tables(0)["code_alpaca"]) if r["planted"]["composition"]]
    asked = [r for r in asked if r["planted"]["fault"] != "unparseable"]
    faults = Counter(r["planted"]["fault"] for r in asked)
    wrong = faults["wrong"] + faults["undefined_name"]
    assert wrong / len(asked) == pytest.approx(rates["code_alpaca_wrong"], abs=0.002)
    assert faults["undefined_name"] / len(asked) == pytest.approx(
        rates["code_alpaca_undefined_name"], abs=0.002
    )


def test_leaks_and_placeholders_stand_in_the_numbers_stated():
    rows = raw_tables(0)["code_alpaca"]
    leaks = Counter(r["planted"].get("leak") for r in rows)
    assert leaks["verbatim"] == 2
    assert leaks["reworded"] / len(rows) == pytest.approx(0.029, abs=0.001)
    assert sum(r["planted"].get("leak") == "verbatim" for r in raw_tables(0)["taco"]) == 2
    assert sum(r["input"] in ("noinput", "N/A", "<noinput>") for r in _originals(rows)) == 3


def test_what_is_marked_unparseable_does_not_parse_and_the_rest_of_python_does():
    for row in raw_rows(0):
        programs = json.loads(row["solutions"]) if "solutions" in row else [row["output"]]
        fault = row["planted"]["fault"]
        if fault == "unparseable":
            assert not any(map(parses, programs))
        elif row["planted"]["composition"] or fault == "python_script":
            assert all(map(parses, programs)), programs


def test_wrong_solutions_fail_and_right_ones_pass_their_own_tests_in_the_sandbox():
    cases = []
    rows = raw_tables(0)["taco"]
    # A quotient with `/` equals one with `//` where nothing is left over: the tests must hold another case.
    for row in rows[:200] + [r for r in rows[200:] if "floordiv" in r["planted"]["composition"]]:
        calls, programs = json.loads(row["input_output"]), json.loads(row["solutions"])
        if row["planted"]["fault"] != "unparseable":
            right = [row["planted"]["fault"] is None] * len(programs)
            if row["planted"]["fault"] == "first_of_two_wrong":
                right = [False, True]
            cases += [(p, calls, ok) for p, ok in zip(programs, right, strict=True)]
    programs = [
        Program(
            p, "calls", tests=tuple(map(tuple, c["inputs"])), entry_point=c["fn_name"], limits=Limits(cpu_s=5)
        )
        for p, c, _ in cases
    ]
    with Sandbox(jobs=2) as sandbox:
        for index, run in sandbox.map((p, None) for p in programs):
            source, calls, right = cases[index]
            passed = run.outcome is Outcome.PASSED and [f.value for f in run.frames] == calls["outputs"]
            assert passed is right, source


def test_asserts_of_code_alpaca_rows_tell_right_from_wrong_in_the_sandbox():
    rows = [r for r in raw_tables(0)["code_alpaca"] if r["planted"]["composition"]]
    rows = [r for r in rows if r["planted"]["fault"] != "unparseable"][:160]
    programs = [
        Program(r["output"], "asserts", tests=tuple(r["input"].split("\n")), limits=Limits(cpu_s=5))
        for r in rows
    ]
    with Sandbox(jobs=2) as sandbox:
        for index, run in sandbox.map((p, None) for p in programs):
            row = rows[index]
            passed = run.outcome is Outcome.PASSED and all(f.error is None for f in run.frames)
            assert passed is (row["planted"]["fault"] is None), row


def test_each_function_row_carries_asserts_with_literals():
    for row in raw_tables(0)["code_alpaca"]:
        if row["planted"]["composition"] and row["planted"]["fault"] != "unparseable":
            lines = row["input"].split("\n")
            assert 2 <= len(lines) <= 3
            assert all(isinstance(ast.parse(line).body[0], ast.Assert) for line in lines)


def test_rows_depend_on_the_seed_alone():
    code = (
        "import sys, json, hashlib\n"
        "from codefit.micro import raw_rows\n"
        "print(hashlib.sha256(json.dumps(raw_rows(int(sys.argv[1]))).encode()).hexdigest())"
    )
    prints = [
        subprocess.run(
            [sys.executable, "-c", code, seed],
            env={"PYTHONHASHSEED": hashing, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, hashing in (("0", "1"), ("0", "2"), ("1", "1"))
    ]
    assert prints[0] == prints[1] != prints[2]
