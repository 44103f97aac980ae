"""Decontamination: planted leaks are caught by each method, hard negatives stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codefit.core import types
from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.core.types import Row, Task
from codefit.curate import DecontaminateSettings, decontaminate, review
from codefit.curate.code import functions
from codefit.curate.leaks.words import altered, opposed, request
from codefit.sandbox import Sandbox
from tests.curate.conftest import GivesOut, asserts, row, task

RUN = """def longest_run(items):
    best = current = 0
    previous = None
    for item in items:
        current = current + 1 if item == previous else 1
        best = max(best, current)
        previous = item
    return best
"""
RENAMED = """def g(data):
    '''Count.'''
    top = here = 0
    before = None
    for x in data:
        here = here + 1 if x == before else 1
        top = max(top, here)
        before = x
    return top
"""
REWRITTEN = """from itertools import groupby

def answer(values):
    lengths = [len(list(group)) for _, group in groupby(values)]
    return max(lengths, default=0)
"""
CALLS: list[tuple[tuple[Any, ...], Any]] = [
    (([1, 1, 2, 2, 2, 3],), 3),
    (([5, 5, 5, 5],), 4),
    (([],), 0),
    (([7, 8, 7, 8],), 1),
]
TASKS = {
    "bench": [
        task(
            "1",
            "Write a function to find the length of the longest run of equal neighbours in a list.",
            RUN,
            CALLS,
            "longest_run",
        ),
        task(
            "2",
            "Write a function to find the smallest missing positive number in an unsorted list.",
            "def first_gap(xs):\n    n = 1\n    while n in xs:\n        n += 1\n    return n",
            [(([1, 2, 4],), 3), (([],), 1)],
            "first_gap",
        ),
        task(
            "3",
            "Write a function to sort a list of numbers.",
            "def order(xs):\n    return sorted(xs)",
            [(([3, 1, 2],), [1, 2, 3])],
            "order",
        ),
        task(
            "4",
            "Write a function to rank scores from low to high.",
            "def rank(v):\n    return list(sorted(v))",
            [(([9, 4],), [4, 9])],
            "rank",
        ),
        task(
            "5",
            "Write a function to arrange playing cards by value.",
            "def cards(v):\n    w = list(v)\n    w.sort()\n    return w",
            [(([9, 4, 5],), [4, 5, 9])],
            "cards",
        ),
    ]
}


def _run(rows: list[Row], sandbox: Sandbox | None = None, **settings: Any) -> Any:
    chosen = DecontaminateSettings(**({"execution_match": "candidates" if sandbox else "off"} | settings))
    return decontaminate(rows, TASKS, settings=chosen, sandbox=sandbox)


def _methods(found: Any, action: str = "removed") -> set[str]:
    return {h.method for h in found.hits if h.action == action}


LEAKS = {
    "exact_prompt": row("r", TASKS["bench"][0].prompt.upper()),
    "fuzzy_prompt": row(
        "r", "Create a Python program that gets the longest run's length of equal neighbours in an array"
    ),
    "ngram": row(
        "r",
        "First read this. Then find the length of the longest run of equal neighbours in a list and print it twice",
    ),
    "entry_point": row("r", "The longest run of equal items, please", "def longestRun(a):\n    return 0"),
    "code": row("r", "Count something in my data", RENAMED),
    "asserts": row(
        "r",
        "Tell me about a story of beads",
        "x = 1",
        tests=asserts(
            "assert beads([1, 1, 2, 2, 2, 3]) == 3", "assert beads([5, 5, 5, 5]) == 4", name="beads"
        ),
    ),
}


@pytest.mark.parametrize("method", LEAKS)
def test_planted_leak_is_removed_by_its_method(method: str) -> None:
    found = _run([LEAKS[method]])
    assert not found.kept
    assert method in _methods(found)
    assert {h.task_id for h in found.hits if h.action == "removed"} == {"1"}
    assert found.dropped[0].reason.startswith("leak:bench:1:")


def test_rewritten_code_under_a_story_is_found_by_execution(sandbox: Sandbox) -> None:
    story = row("r", "Beads lie in a line. How long is the longest stretch of equal beads?", REWRITTEN)
    assert _run([story]).kept
    found = _run([story], sandbox)
    assert not found.kept
    assert _methods(found) == {"execution"}


def test_execution_of_all_pairs_needs_no_similar_words(sandbox: Sandbox) -> None:
    rows = [
        row("r", "Homework seven", REWRITTEN),
        row("s", "Homework eight", "def twice(v):\n    return [x * 2 for x in v]"),
    ]
    assert len(_run(rows, sandbox).kept) == 2
    found = _run(rows, sandbox, execution_match="all")
    assert [r.id for r in found.kept] == ["s"]


def test_a_fed_class_needs_similar_words_and_one_with_a_constructor_none(sandbox: Sandbox) -> None:
    fed = (
        "class Beads:\n    def __init__(self):\n        self.runs = [0]\n        self.last = None\n\n"
        "    def add(self, bead):\n        self.runs.append(self.runs[-1] + 1 if bead == self.last else 1)\n"
        "        self.last = bead\n\n    def result(self):\n        return max(self.runs)"
    )
    made = (
        "class Beads:\n    def __init__(self, beads):\n        self.beads = beads\n\n    def run(self):\n"
        "        runs = [0]\n        for i, bead in enumerate(self.beads):\n"
        "            same = i > 0 and bead == self.beads[i - 1]\n"
        "            runs.append(runs[-1] + 1 if same else 1)\n        return max(runs)"
    )
    words = "Find the longest run of equal neighbours in a list that is given one by one"
    rows = [row("far", "Homework seven", fed), row("near", words, fed), row("made", "Homework nine", made)]
    found = _run(rows, sandbox, execution_match="all")
    assert [r.id for r in found.kept] == ["far"]
    far = {(h.task_id, h.action) for h in found.hits if h.row_id == "far"}
    assert ("1", "listed") in far
    assert not any(action == "removed" for _, action in far)


def test_generic_primitive_needs_similar_words(sandbox: Sandbox) -> None:
    code = "def tidy(values):\n    result = list(values)\n    result.sort()\n    return [item for item in result]"
    far, near = row("far", "Homework seven", code), row("near", "Sort this list of numbers", code)
    found = _run([far, near], sandbox, execution_match="all", generic_tasks=3)
    assert [r.id for r in found.kept] == ["far"]
    assert {h.task_id for h in found.hits if h.row_id == "far"} == {"3", "4", "5"}
    assert {h.action for h in found.hits if h.row_id == "far"} == {"listed"}
    assert {h.reason for h in found.hits if h.row_id == "far"} == {
        "generic primitive: it does what 3 tasks ask for"
    }


def test_doubtful_matches_are_removed_with_their_reason_where_that_is_asked_for(sandbox: Sandbox) -> None:
    code = "def tidy(values):\n    result = list(values)\n    result.sort()\n    return [item for item in result]"
    rows = [
        row("far", "Homework seven", code),
        row("other", "Homework eight", "def f(x):\n    return {x: 1}"),
    ]
    found = _run(rows, sandbox, execution_match="all", generic_tasks=3, doubtful="remove")
    assert [r.id for r in found.kept] == ["other"]
    assert {(h.action, h.reason) for h in found.hits} == {
        ("removed", "generic primitive: it does what 3 tasks ask for")
    }


def test_the_reference_is_asked_for_the_row_s_own_tests_where_a_function_agrees_by_chance(
    sandbox: Sandbox,
) -> None:
    count = Task(
        "9", "Write a function to count true values.", "trues",
        asserts("assert trues([True, False]) == 1", "assert trues([False]) == 0", name="trues"),
        reference="def trues(v):\n    return sum(v)",
    )  # fmt: skip
    code = "def g(xs):\n    total = 0\n    for x in xs:\n        total += x == 1\n    return total"
    other = row("other", "Read the meter of the house", code,
                tests=asserts("assert g([1, 1, 5]) == 2", "assert g([7]) == 0", name="g"))  # fmt: skip
    same = row("same", "Homework nine", code, tests=asserts("assert g([1, 1, 0]) == 2", name="g"))
    found = decontaminate([other, same], {"b": [count]}, sandbox=sandbox, verified=["other", "same"],
                          settings=DecontaminateSettings(execution_match="all", generic_nodes=0))  # fmt: skip
    assert [r.id for r in found.kept] == ["other"]
    (hit,) = [h for h in found.hits if h.row_id == "other"]
    assert (hit.method, hit.action) == ("execution", "listed")
    assert "does not pass the row's own tests" in hit.reason


def test_a_suspected_paraphrase_without_a_program_is_listed_with_both_texts() -> None:
    asked = "Report the length of the longest streak of equal neighbours in a list of beads"
    suspect = row("r", asked, "function streak(beads) { return 0 }", language="javascript")
    found = _run([suspect])
    assert [r.id for r in found.kept] == ["r"]
    (line,) = review(found.kept, TASKS, found.hits)
    assert (line["task_id"], line["method"], line["action"]) == ("1", "fuzzy_prompt", "listed")
    assert line["reason"] == "suspected paraphrase"
    assert (line["instruction"], line["prompt"]) == (asked, TASKS["bench"][0].prompt)
    assert not _run([suspect], suspect=0.99).hits


HARD_NEGATIVES = [
    row(
        "n1",
        "Write a function to find the length of the shortest run of equal neighbours in a list.",
        "def shortest(v):\n    return 1",
    ),
    row(
        "n2",
        "Write a function to find the largest missing positive number in an unsorted list.",
        "def last_gap(v):\n    return 9",
    ),
    row(
        "n3",
        "Write a Python function that takes a list as input and returns a new list of numbers.",
        "def copy(v):\n    return v[:]",
    ),
    row(
        "n4",
        "Explain how to solve it.",
        "def solve(v):\n    return len(v)",
        tests=asserts("assert f([1, 1, 2, 2, 2, 3]) == 6"),
    ),
]


def test_hard_negatives_stay(sandbox: Sandbox) -> None:
    for mode in ("off", "candidates", "all"):
        found = _run(HARD_NEGATIVES, sandbox, execution_match=mode)
        assert [r.id for r in found.kept] == ["n1", "n2", "n3", "n4"], mode


def test_verified_row_that_behaves_differently_is_only_listed_for_its_words(sandbox: Sandbox) -> None:
    other = row(
        "r",
        "Find the length of the longest run of equal neighbours in a list with pairs",
        "def pairs(v):\n    return sum(a == b for a, b in zip(v, v[1:]))",
        tests=asserts("assert pairs([4, 4, 1, 1]) == 2", "assert pairs([2, 2, 2]) == 2", name="pairs"),
    )
    for verified, kept in (((), 0), (("r",), 1)):
        found = decontaminate([other], TASKS, sandbox=sandbox, verified=verified)
        assert len(found.kept) == kept
    assert "listed" in {h.action for h in found.hits}


def test_function_that_hangs_or_prints_is_no_leak_and_no_obstacle(sandbox: Sandbox) -> None:
    hangs = "def f(v):\n    while True:\n        pass"
    prompt = "longest stretch of equal neighbours in some list of beads, length wanted"
    found = _run([row("a", prompt, hangs), row("b", prompt + " now", REWRITTEN)], sandbox)
    assert "execution" in {h.method for h in found.hits if h.row_id == "b"}
    assert "execution" not in {h.method for h in found.hits if h.row_id == "a"}


def test_reference_gives_missing_values(sandbox: Sandbox) -> None:
    bare = Task(
        "9",
        "Write a function to measure beads.",
        "longest_run",
        types.Tests("calls", "longest_run", inputs=tuple(i for i, _ in CALLS)),
        reference=RUN,
    )
    settings = DecontaminateSettings(execution_match="all")
    found = decontaminate(
        [row("r", "Homework seven", REWRITTEN)], {"b": [bare]}, settings=settings, sandbox=sandbox
    )
    assert [h.method for h in found.hits] == ["execution"]


def test_verdicts_survive_and_give_the_same_hits(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [row("r", "Homework seven", REWRITTEN), *HARD_NEGATIVES]
    settings = DecontaminateSettings(execution_match="all")
    first = decontaminate(rows, TASKS, settings=settings, sandbox=sandbox, cache=tmp_path)
    sizes = {p.name: p.stat().st_size for p in tmp_path.iterdir()}
    second = decontaminate(rows, TASKS, settings=settings, sandbox=sandbox, cache=tmp_path)
    assert first.hits == second.hits
    assert sizes == {p.name: p.stat().st_size for p in tmp_path.iterdir()}


def test_progress_is_told_several_times_in_a_few_hundred_rows_and_ends_with_all(sandbox: Sandbox) -> None:
    told: list[tuple[int, int]] = []
    rows = [row(f"r{n}", response=RENAMED) for n in range(8)]
    decontaminate(rows, TASKS, sandbox=sandbox, on_progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (8, 8)
    assert len({done for done, _ in told}) >= 3


@pytest.mark.parametrize(
    "mark",
    ["for item in items", "import groupby", "def longest_run(*a)"],
    ids=["expected", "probe", "tests"],
)
def test_sandbox_failure_stops_separation_and_is_tried_again(
    sandbox: Sandbox, tmp_path: Path, mark: str
) -> None:
    bare = types.Tests("calls", "longest_run", inputs=tuple(i for i, _ in CALLS))
    if mark.startswith("def"):  # one test is no plain call, so that the tests themselves must be run
        bare = asserts(
            "assert longest_run([1, 1, 2]) == 2", "assert longest_run([0] * 9) == 9", name="longest_run"
        )
    tasks = {"b": [Task("9", "Write a function to measure beads.", "longest_run", bare, reference=RUN)]}
    rows, settings = [row("r", "Homework seven", REWRITTEN)], DecontaminateSettings(execution_match="all")
    broken: Any = GivesOut(sandbox, mark)
    with pytest.raises(CodefitError, match=r"1 programs could not be judged \(sandbox_failed\)"):
        decontaminate(rows, tasks, settings=settings, sandbox=broken, cache=tmp_path)
    found = decontaminate(rows, tasks, settings=settings, sandbox=sandbox, cache=tmp_path)
    assert [h.method for h in found.hits] == ["execution"]


def test_missing_suite_stops_the_run() -> None:
    with pytest.raises(InputError, match="suite 'mbpp' are not at hand"):
        _run([row("r")], against=("bench", "mbpp"))


def test_execution_without_a_sandbox_is_refused() -> None:
    with pytest.raises(MissingPrerequisite, match="needs the sandbox"):
        decontaminate([row("r")], TASKS)


def test_request_leaves_out_code_examples_and_asserts() -> None:
    code = 'def f(x):\n    """Double a value.\n    >>> f(2)\n    4\n    Fast."""\n'
    assert request(code).words == ("double", "a", "value", "fast")
    assert request('"""\nSort it.\nassert f([1]) == [1]\n"""\n').words == ("sort", "it")
    assert request("Sum `x`.\n```python\nx = 5\n```\nassert x").words == ("sum", "x")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("find the largest number", "find the smallest number", True),
        ("remove the first 2 items", "remove the first 3 items", True),
        ("get the biggest number", "find the maximum integer", False),
        ("sum of a list", "total of an array", False),
    ],
)
def test_opposites_and_numbers_tell_requests_apart(a: str, b: str, expected: bool) -> None:
    assert opposed(request(a), request(b)) is expected


def test_added_modifier_is_another_task_but_filler_is_not() -> None:
    assert altered(request("sum of squares"), request("sum of squares of odd numbers"))
    assert not altered(request("merge two dictionaries"), request("merge two dictionaries quickly"))


def test_shape_ignores_own_names_and_docstrings_but_not_operations() -> None:
    def of(code: str) -> str:
        return functions(code)[0].shape

    assert of("def f(a: int) -> int:\n    'doc'\n    return sum(a)") == of("def g(b):\n    return sum(b)")
    assert of("def f(a):\n    return sum(a)") != of("def f(a):\n    return len(a)")
    assert of("def f(a):\n    return a > True") != of("def f(a):\n    return a > 1")
    assert of("def f(a):\n    return sorted(a, reverse=True)") != of(
        "def f(a):\n    return sorted(a, key=True)"
    )
