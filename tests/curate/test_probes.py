"""Probes give the same answer whichever limit a runaway call meets first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Outcome
from codefit.curate.calls import Call
from codefit.curate.leaks.answers import Agreement
from codefit.curate.leaks.forms import Form
from codefit.curate.leaks.probe import Probe, Prober, Question
from codefit.sandbox import Frame, Run, Sandbox

SOURCE = "def solve(n):\n    return [x * x for x in range(n)][:2]"
CALLS: list[Call] = [((10**9,), [0]), ((2,), [0, 1]), ((1,), [7])]
FOUND = [Agreement.FAILED, Agreement.EXACT, Agreement.OTHER]


def ended(outcome: Outcome, *values: object) -> Run:
    return Run(outcome, tuple(Frame(v) for v in values), None, 0.1, 0.1, 1.0, False)


@pytest.mark.parametrize("end", [Outcome.TIMEOUT, Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT])
def test_calls_behind_a_runaway_one_are_made_whichever_limit_it_met(end: Outcome) -> None:
    probe = Probe(SOURCE, "solve", [Question.of(c) for c in CALLS])
    assert not probe.take(ended(end))
    assert probe.take(ended(Outcome.PASSED, [0, 1], [0]))
    assert [answer.way for answer in probe.outcome()] == FOUND


def test_a_program_that_does_not_load_is_not_tried_again() -> None:
    assert Probe(SOURCE, "solve", [Question.of(c) for c in CALLS]).take(ended(Outcome.RUNTIME_ERROR))


def test_a_runaway_call_in_the_sandbox_hides_no_other(sandbox: Sandbox) -> None:
    prober = Prober(sandbox, None)
    (found,) = prober.run([Probe(SOURCE, "solve", [Question.of(c) for c in CALLS])])
    prober.close()
    assert [answer.way for answer in found] == FOUND


def test_a_program_that_never_ends_below_one_is_still_asked_all_else(sandbox: Sandbox) -> None:
    source = (
        "def f(n):\n    count = 0\n    while n != 1:\n        n, count = n // 2, count + 1\n    return count"
    )
    calls: list[Call] = [((-n,), n) for n in range(16)] + [((2**n,), n) for n in range(1, 9)]
    prober = Prober(sandbox, None)
    (found,) = prober.run([Probe(source, "f", [Question.of(c) for c in calls])])
    prober.close()
    assert [answer.way for answer in found] == [Agreement.FAILED] * 16 + [Agreement.EXACT] * 8


@given(
    st.lists(st.integers(-9, 40) | st.sampled_from([10**6, "7 -2", "0", "ab"]), max_size=30, unique=True),
    st.integers(0, 9),
)
def test_each_call_is_made_once_and_comes_out_at_its_place(values: list[int | str], most: int) -> None:
    calls: list[Call] = [((v,), v) for v in values]
    probe = Probe("", "f", [Question.of(c) for c in calls])
    made: list[int | str] = []
    hung = 0
    ended_by = not calls
    while not ended_by and hung <= most:
        left = [a for (a,) in probe.program().tests]
        busy = next((i for i, v in enumerate(left) if isinstance(v, int) and v <= 0), None)
        done = left if busy is None else left[:busy]
        made += done
        ended_by = probe.take(ended(Outcome.PASSED if busy is None else Outcome.TIMEOUT, *done))
        hung += busy is not None
    found = probe.outcome()
    assert len(made) == len([a for a in found if a.way is Agreement.EXACT])
    assert all(a.way is Agreement.EXACT for a, v in zip(found, values, strict=True) if v in made)
    if most >= 2:  # one call with a zero, one with what is below: all others come before more of these
        assert all(v in made for v in values if v == "ab" or (isinstance(v, int) and v > 0))


def test_forms_of_answers_come_back_from_the_cache(sandbox: Sandbox, tmp_path: Path) -> None:
    source = "def f(xs):\n    return (len(xs), sum(xs))"
    calls: list[Call] = [(([3, 4],), 7), (([5],), 5), (([1, 1],), [2, 2])]
    runs = []
    for _ in range(2):
        prober = Prober(sandbox, tmp_path / "probes.jsonl")
        runs += prober.run([Probe(source, "f", [Question.of(c) for c in calls])])
        prober.close()
    assert runs[0] == runs[1]
    assert [answer.forms for answer in runs[0]] == [
        Form.LAST,
        Form.LAST,
        Form.SWAPPED | Form.FLAT,
    ]
