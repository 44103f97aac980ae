"""Planted faults: the table of rates and the hands that damage programs, requests and rows."""

from __future__ import annotations

import ast
import json
import re
import warnings
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from codefit.micro.compose import FAILED, Part, Problem, compositions, fill, kills
from codefit.micro.families import Arguments
from codefit.micro.wording import templates

HARD_WEIGHT = 8.0
HARD_SHARE = 0.8
# Shares of the real unparseable rows: plain errors 314, lost indentation 120, cut off 104.
UNPARSEABLE = ("colon", "bracket", "indent", "cut")
UNPARSEABLE_WEIGHTS = (157, 157, 120, 104)


@cache
def fault_table() -> dict[str, Any]:
    """Return the table of planted rates, each with the measurement it comes from."""
    text = files("codefit.micro").joinpath("data/faults.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def planted(name: str, of: int) -> int:
    """Return how many of `of` rows get a fault."""
    entry = fault_table()["faults"][name]
    return max(int(entry.get("at_least", 0)), round(float(entry["rate"]) * of))


def choose_wrong(problems: list[Problem], count: int, rng: Random) -> set[int]:
    """Choose which problems get a wrong answer; hard primitives weigh more, as for real authors."""

    def key(i: int) -> float:
        hard = any(p.prim.hard for p in problems[i].parts)
        return float(rng.random() ** (1 / (HARD_WEIGHT if hard else 1.0)))

    return set(sorted(range(len(problems)), key=key, reverse=True)[:count])


def wrong_version(problem: Problem, inputs: list[Arguments], rng: Random) -> Problem | None:
    """Return the problem with systematic mistakes that its tests show, or None.

    Mistakes sit in the hard primitives first. No mistake makes the code of a held-out composition.
    """
    for _ in range(6):
        bugs = {
            i: rng.choice(p.prim.bugs)
            for i, p in enumerate(problem.parts)
            if p.prim.hard and p.prim.bugs and rng.random() < HARD_SHARE
        }
        in_range = problem.family.range_bug is not None and rng.random() < 0.5
        if bugs or in_range:
            wrong = problem.with_bugs(bugs, range_bug=in_range)
        else:
            wrong = rng.choice([*problem.mutants()] or [problem])
        if kills(problem, wrong, inputs) and _shape(wrong) not in _held_out_shapes():
            return wrong
    return None


def _shape(problem: Problem) -> str:
    """Return the code with constants blanked."""
    parts = [
        Part(p.prim, {"digit": 7, "three": 7, "few": 7}.get(p.prim.const, "c"), p.bug) for p in problem.parts
    ]
    return Problem(problem.family, (parts[0], parts[1], parts[2]), problem.range_bug).source()


@cache
def _held_out_shapes() -> frozenset[str]:
    rng = Random(0)
    return frozenset(_shape(fill(rng, names)) for split in ("test", "dev") for names in compositions(split))


def break_syntax(source: str, rng: Random) -> str:
    """Return the program damaged so that it does not parse."""
    while True:
        kind = rng.choices(UNPARSEABLE, UNPARSEABLE_WEIGHTS)[0]
        if kind == "colon":
            broken = source.replace("):\n", ")\n", 1)
        elif kind == "bracket":
            at = max(source.rfind("]"), source.rfind(")"))
            broken = source[:at] + source[at + 1 :]
        elif kind == "indent":
            broken = "\n".join(line.lstrip() for line in source.split("\n"))
        else:
            broken = source[: rng.randint(len(source) // 2, len(source) - 2)]
        if not parses(broken):
            return broken


def parses(source: str) -> bool:
    """Return whether a text is Python; nothing is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def misname(problem: Problem) -> str:
    """Return the program with its first parameter misspelt in the body: a name never defined."""
    head, _, body = problem.source("named").partition("\n")
    name = problem.family.params[0]
    return head + "\n" + re.sub(rf"\b{name}\b", f"{name}_", body, count=1)


def reword(request: str, rng: Random) -> str:
    """Return a request lightly reworded: another head, politeness, or only case and punctuation."""
    kind = rng.randrange(3)
    if kind == 0:
        for old, new in templates()["reworded_heads"]:
            if request.startswith(old):
                return str(new) + request.removeprefix(old)
    if kind == 1:
        return request.rstrip(".") + ", please."
    return request.replace(" function", "  function", 1).rstrip(".") + " ."


def retouch(source: str, rng: Random) -> str:
    """Return a Python program with a comment or blank line more; the meaning stays."""
    head, newline, body = source.partition("\n")
    if not newline:
        return source
    return f"{head}\n{rng.choice(('    # answer', '    # result', ''))}\n{body}"


def shown_asserts(
    problem: Problem, rivals: list[Problem], rng: Random, most: int = 3, least: int = 2
) -> list[str] | None:
    """Return two or three short assert lines that tell the problem from each rival, or None."""
    pool = problem.inputs(rng, (0, 1, 2, 2, 3, 3, 4, 4, 5))
    pool = [i for i in pool if problem.outcome(i) != FAILED]
    pool.sort(key=lambda i: len(repr(i)) + len(problem.outcome(i)))
    left = list(rivals)
    chosen: list[Arguments] = []
    while left and len(chosen) < most:
        best = max(pool, key=lambda i: sum(problem.outcome(i) != r.outcome(i) for r in left))
        rest = [r for r in left if problem.outcome(best) == r.outcome(best)]
        if len(rest) == len(left):
            return None
        chosen.append(best)
        left = rest
    if left:
        return None
    chosen += [i for i in pool if i not in chosen][: max(0, least - len(chosen))]
    return [assert_line(i, problem.outcome(i)) for i in chosen]


def assert_line(arguments: Arguments, expected: str) -> str:
    """Return one assert statement; `expected` is source text of the value."""
    return f"assert solve({', '.join(map(repr, arguments))}) == {expected}"
