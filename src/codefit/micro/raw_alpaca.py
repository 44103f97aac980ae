"""Raw rows in Code Alpaca's columns, with the planted faults of the table."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from codefit.core.types import Task
from codefit.micro.compose import Problem, draw_problem
from codefit.micro.faults import (
    assert_line,
    break_syntax,
    choose_wrong,
    fault_table,
    misname,
    planted,
    retouch,
    reword,
    shown_asserts,
    wrong_version,
)
from codefit.micro.wording import request

RawRow = dict[str, Any]


def alpaca_rows(size: int, tests: list[Task], rng: Random) -> list[RawRow]:
    """Return `size` rows in Code Alpaca's columns; column `planted` says what is wrong with each.

    Requests for functions carry two or three asserts in `input`, as users give examples.
    """
    near, exact = planted("code_alpaca_near_duplicate", size), planted("code_alpaca_exact_duplicate", size)
    verbatim, reworded = (
        planted("code_alpaca_leaked_verbatim", size),
        planted("code_alpaca_leaked_reworded", size),
    )
    originals = size - near - exact
    rates = fault_table()["code_alpaca_language"]["rates"]
    counts = {name: round(rate * originals) for name, rate in rates.items()}
    counts["prose"] += originals - sum(counts.values())
    rows = _function_rows(counts["python_function"] - verbatim - reworded, rng)
    rows += [_unparseable(rng) for _ in range(counts["python_unparseable"])]
    for name in [n for n in counts if n not in ("python_function", "python_unparseable")]:
        rows += _off_topic(name, counts[name], rng)
    _placeholders(rows, planted("code_alpaca_placeholder_input", size), rng)
    copies = [_near(rng.choice(rows), rng) for _ in range(near)]
    copies += [r | {"planted": r["planted"] | {"copy": "exact"}} for r in rng.sample(rows, exact)]
    leaked = [_leak(t, "verbatim", rng) for t in rng.sample(tests, verbatim)]
    return rows + copies + leaked + [_leak(t, "reworded", rng) for t in rng.sample(tests, reworded)]


def _function_rows(count: int, rng: Random) -> list[RawRow]:
    drawn: dict[str, tuple[Problem, list[str]]] = {}
    while len(drawn) < count:
        problem = draw_problem(rng, "train")
        asserts = shown_asserts(problem, list(problem.mutants()), rng)
        if problem.identity not in drawn and asserts and _wrong(problem, rng):
            drawn[problem.identity] = (problem, asserts)
    items = list(drawn.values())
    wrong = sorted(choose_wrong([p for p, _ in items], planted("code_alpaca_wrong", count), rng))
    unnamed = set(rng.sample(wrong, planted("code_alpaca_undefined_name", count)))
    return [
        _function_row(
            problem, asserts, "undefined_name" if i in unnamed else "wrong" if i in set(wrong) else None, rng
        )
        for i, (problem, asserts) in enumerate(items)
    ]


def _function_row(problem: Problem, asserts: list[str], fault: str | None, rng: Random) -> RawRow:
    output = problem.source()
    if fault == "undefined_name":
        output = misname(problem)
    elif fault == "wrong":
        wrong = _wrong(problem, rng)
        while wrong is None:
            wrong = _wrong(problem, rng)
        rivals = [*problem.mutants(), wrong]
        asserts = shown_asserts(problem, rivals, rng) or shown_asserts(problem, [wrong], rng) or asserts
        output = wrong.source()
    return _record(request(problem, rng), "\n".join(asserts), output, fault, problem.composition)


def _wrong(problem: Problem, rng: Random) -> Problem | None:
    return wrong_version(problem, problem.inputs(rng, (0, 1, 2, 2, 3, 3, 4, 4, 5)), rng)


def _unparseable(rng: Random) -> RawRow:
    problem = draw_problem(rng, "train")
    broken = break_syntax(problem.source(), rng)
    asserts = shown_asserts(problem, [], rng) or []
    return _record(request(problem, rng), "\n".join(asserts), broken, "unparseable", problem.composition)


def _record(instruction: str, given: str, output: str, fault: str | None, composition: str | None) -> RawRow:
    side = {"fault": fault, "copy": None, "composition": composition}
    return {"instruction": instruction, "input": given, "output": output, "planted": side}


@cache
def _off_topic_texts() -> dict[str, Any]:
    text = files("codefit.micro").joinpath("data/offtopic.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def off_topic_rows(rng: Random, most: int) -> list[RawRow]:
    """Return up to `most` draws for each kind of off-topic text, repeats left out."""
    kinds = [name for name in _off_topic_texts() if name != "slots"]
    drawn = [_fill(name, rng) for name in kinds for _ in range(most)]
    return list({row["instruction"]: row for row in drawn}.values())


def _fill(name: str, rng: Random) -> RawRow:
    texts = _off_topic_texts()
    pattern = rng.choice(texts[name])
    slots = {k: rng.choice(v) for k, v in texts["slots"].items()}
    said, given, output = (pattern[k].format(**slots) for k in ("instruction", "input", "output"))
    return _record(said, given, output, name, None)


def _off_topic(name: str, count: int, rng: Random) -> list[RawRow]:
    """Return distinct rows of another language, of Python without a function, or of prose."""
    rows: dict[str, RawRow] = {}
    while len(rows) < count:
        row = _fill(name, rng)
        rows.setdefault(row["instruction"], row)
    return list(rows.values())


def _placeholders(rows: list[RawRow], count: int, rng: Random) -> None:
    for row in rng.sample([r for r in rows if not r["input"]], count):
        row["input"] = rng.choice(("noinput", "N/A", "<noinput>"))
        row["planted"]["placeholder"] = True


def _near(row: RawRow, rng: Random) -> RawRow:
    touched = (
        retouch(row["output"], rng) if row["planted"]["composition"] and rng.random() < 0.5 else row["output"]
    )
    return row | {
        "instruction": reword(row["instruction"], rng),
        "output": touched,
        "planted": row["planted"] | {"copy": "near"},
    }


def _leak(task: Task, kind: str, rng: Random) -> RawRow:
    calls = sorted(zip(task.tests.inputs, task.tests.outputs, strict=True), key=lambda c: len(repr(c)))
    asserts = "\n".join(assert_line(i, repr(o)) for i, o in calls[1:4])
    said = task.prompt if kind == "verbatim" else reword(task.prompt, rng)
    row = _record(said, asserts, task.reference or "", None, task.extra["composition"])
    row["planted"]["leak"] = kind
    return row
