"""Held-out tasks: the test set and the development set, frozen in data files.

Their compositions and request sentences occur nowhere in pre-training or tuning, and about half
of the requests use sentence templates that no other text has. Primitives, phrases and constants
do occur in both: the claim is compositional generalisation, nothing more.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Literal

from codefit.core.types import Task, Tests
from codefit.micro.compose import Part, Problem, compositions, draw_problem, fill, kills
from codefit.micro.families import Arguments
from codefit.micro.wording import request

HeldOut = Literal["test", "dev"]
SIZES = {"test": 260, "dev": 120}
ENTRY_POINT = "solve"
UNSEEN_SHARE = 0.4
PROBES = (0, 1, 2, 3, 5, 7, 9, 12)


@cache
def tasks(split: HeldOut) -> list[Task]:
    """Return the held-out tasks of a split: one-sentence requests with six calls each as tests."""
    text = files("codefit.micro").joinpath(f"data/{split}.jsonl").read_text(encoding="utf-8")
    return [_task(json.loads(line)) for line in text.splitlines()]


def _task(record: dict[str, Any]) -> Task:
    calls = [(ast.literal_eval(i), ast.literal_eval(o)) for i, o in record["calls"]]
    inputs, outputs = tuple(i for i, _ in calls), tuple(o for _, o in calls)
    return Task(
        task_id=record["task_id"],
        prompt=record["prompt"],
        entry_point=ENTRY_POINT,
        tests=Tests("calls", ENTRY_POINT, inputs=inputs, outputs=outputs),
        reference=record["reference"],
        extra={"composition": record["composition"], "unseen_template": record["unseen_template"]},
    )


def build_records(split: HeldOut, size: int | None = None) -> list[dict[str, Any]]:
    """Draw the tasks of a split (or its first `size`) anew, as the records of its data file.

    Dropped: a problem whose tests miss a single mistake of its primitives, one that answers its
    tests like another composition of the world, and a second one of the same composition.
    """
    rng = Random(f"micro tasks {split} 1")
    records: list[dict[str, Any]] = []
    taken: set[str] = set()
    while len(records) < (size or SIZES[split]):
        problem = draw_problem(rng, split)
        inputs = good_inputs(problem, rng)
        if problem.composition in taken or inputs is None or _has_twin(problem, inputs, rng):
            continue
        taken.add(problem.composition)
        unseen = rng.random() < UNSEEN_SHARE
        records.append(
            {
                "task_id": f"micro/{split}/{len(records)}",
                "prompt": request(problem, rng, unseen=unseen),
                "reference": problem.source(),
                "calls": [[repr(i), repr(problem.value(i))] for i in inputs],
                "composition": problem.composition,
                "unseen_template": unseen,
            }
        )
    return records


def good_inputs(problem: Problem, rng: Random, tries: int = 12) -> list[Arguments] | None:
    """Draw inputs on which every single mistake shows; None where none are found."""
    mutants = list(problem.mutants())
    for _ in range(tries):
        inputs = problem.inputs(rng)
        if all(kills(problem, m, inputs) for m in mutants):
            return inputs
    return None


def _has_twin(problem: Problem, inputs: list[Arguments], rng: Random) -> bool:
    probes = inputs + problem.inputs(rng, PROBES)
    return any(not kills(problem, rival, probes) for rival in _rivals(problem, rng))


def _rivals(problem: Problem, rng: Random) -> Iterator[Problem]:
    """Yield every other composition of the family, with the problem's own constants where they fit."""
    for split in ("train", "dev", "test"):
        for names in compositions(split):
            if names[0] == problem.family.name and "/".join(names) != problem.composition:
                rival = fill(rng, names)
                parts = [_borrow(p, i, problem) for i, p in enumerate(rival.parts)]
                yield Problem(rival.family, (parts[0], parts[1], parts[2]))


def _borrow(part: Part, place: int, problem: Problem) -> Part:
    order = [problem.parts[place], *problem.parts]
    same = [p.constant for p in order if p.prim.const == part.prim.const]
    return Part(part.prim, same[0]) if same else part
