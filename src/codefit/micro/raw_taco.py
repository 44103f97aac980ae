"""Raw rows in TACO's columns, with the planted faults of the table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from codefit.core.types import Task
from codefit.micro.compose import Problem, draw_problem
from codefit.micro.families import Arguments
from codefit.micro.faults import break_syntax, choose_wrong, planted, retouch, reword, wrong_version
from codefit.micro.tasks import ENTRY_POINT, good_inputs
from codefit.micro.wording import request

SECOND_SHARE = 0.3
EMPTY_COLUMNS = (
    "url",
    "Expected Auxiliary Space",
    "time_limit",
    "date",
    "picture_num",
    "memory_limit",
    "Expected Time Complexity",
)
RawRow = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A problem with inputs that show each single mistake."""

    problem: Problem
    inputs: list[Arguments]


def taco_rows(size: int, tests: list[Task], rng: Random) -> list[RawRow]:
    """Return `size` rows in TACO's columns; column `planted` says what is wrong with each."""
    leaks = planted("taco_leaked_verbatim", size)
    near, exact = planted("taco_near_duplicate", size), planted("taco_exact_duplicate", size)
    drawn = _draw(size - leaks - near - exact, rng)
    none_pass = planted("taco_no_passing_solution", len(drawn))
    wrong = sorted(choose_wrong([d.problem for d in drawn], none_pass, rng))
    unparseable = set(rng.sample(wrong, planted("taco_unparseable", len(drawn))))
    right = sorted(set(range(len(drawn))) - set(wrong))
    second = set(rng.sample(right, planted("taco_first_of_two_wrong", len(right))))
    rows = []
    for i, d in enumerate(drawn):
        if i in unparseable:
            rows.append(_row(d, [break_syntax(d.problem.source(), rng)], "unparseable", rng))
        elif i in set(wrong):
            rows.append(_row(d, _pair(_wrong(d, rng), rng), "wrong", rng))
        elif i in second:
            rows.append(_row(d, [_wrong(d, rng).source(), d.problem.source()], "first_of_two_wrong", rng))
        else:
            rows.append(_row(d, _pair(d.problem, rng), None, rng))
    copies = [_near(rng.choice(rows), rng) for _ in range(near)]
    copies += [r | {"planted": r["planted"] | {"copy": "exact"}} for r in rng.sample(rows, exact)]
    return rows + copies + [_leak(t) for t in rng.sample(_plain(tests), leaks)]


def _draw(count: int, rng: Random) -> list[Drawn]:
    """Draw distinct problems that JSON can hold and that have a wrong version."""
    drawn: dict[str, Drawn] = {}
    while len(drawn) < count:
        problem = draw_problem(rng, "train")
        if problem.identity in drawn:
            continue
        inputs = good_inputs(problem, rng, tries=3)
        if inputs is None or not all(_json_safe(problem.value(i)) for i in inputs):
            continue
        if wrong_version(problem, inputs, rng):
            drawn[problem.identity] = Drawn(problem, inputs)
    return list(drawn.values())


def _json_safe(value: Any) -> bool:
    return bool(json.loads(json.dumps(value)) == value)


def _wrong(d: Drawn, rng: Random) -> Problem:
    while True:
        wrong = wrong_version(d.problem, d.inputs, rng)
        if wrong:
            return wrong


def _pair(problem: Problem, rng: Random) -> list[str]:
    second = [problem.source("loop")] if rng.random() < SECOND_SHARE else []
    return [problem.source(), *second]


def _row(d: Drawn, solutions: list[str], fault: str | None, rng: Random) -> RawRow:
    calls = {
        "fn_name": ENTRY_POINT,
        "inputs": [list(i) for i in d.inputs],
        "outputs": [d.problem.value(i) for i in d.inputs],
    }
    effort = sum(p.prim.hard for p in d.problem.parts)
    row = _record(
        request(d.problem, rng), solutions, calls, ("EASY", "MEDIUM", "MEDIUM_HARD")[min(effort, 2)]
    )
    row["planted"] = {"fault": fault, "copy": None, "composition": d.problem.composition}
    return row


def _record(question: str, solutions: list[str], calls: dict[str, Any], difficulty: str) -> RawRow:
    return {
        "question": question,
        "solutions": json.dumps(solutions),
        "starter_code": "",
        "input_output": json.dumps(calls),
        "difficulty": difficulty,
        "raw_tags": "[]",
        "name": None,
        "source": "micro",
        "tags": "[]",
        "skill_types": "[]",
        **dict.fromkeys(EMPTY_COLUMNS),
    }


def _near(row: RawRow, rng: Random) -> RawRow:
    solutions = [retouch(s, rng) if rng.random() < 0.5 else s for s in json.loads(row["solutions"])]
    return row | {
        "question": reword(row["question"], rng),
        "solutions": json.dumps(solutions),
        "planted": row["planted"] | {"copy": "near"},
    }


def _plain(tests: list[Task]) -> list[Task]:
    return [t for t in tests if all(map(_json_safe, t.tests.outputs))]


def _leak(task: Task) -> RawRow:
    calls = {
        "fn_name": ENTRY_POINT,
        "inputs": [list(i) for i in task.tests.inputs],
        "outputs": list(task.tests.outputs),
    }
    row = _record(task.prompt, [task.reference or ""], calls, "EASY")
    composition = task.extra["composition"]
    row["planted"] = {"fault": None, "copy": None, "composition": composition, "leak": "verbatim"}
    return row
