"""Verify: every planted wrong solution is caught, right ones stay, in the real sandbox."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from codefit.core import types
from codefit.core.curation import VerifySettings
from codefit.core.errors import CodefitError, ExitCode, MissingPrerequisite
from codefit.curate.imports import definitions, with_imports
from codefit.curate.verify import Verify, verify_rows
from codefit.sandbox import Sandbox
from tests.curate.conftest import GivesOut, asserts, context, row

RIGHT = "def f(x):\n    return x + 1"
TWO = asserts("assert f(1) == 2", "assert f(-1) == 0")


def _reasons(result: object) -> dict[str, str]:
    return {d.row_id: d.reason for d in result.dropped}  # type: ignore[attr-defined]


def test_wrong_solutions_go_with_their_failing_test(sandbox: Sandbox) -> None:
    rows = [
        row("right", response=RIGHT, tests=TWO),
        row("wrong", response="def f(x):\n    return 2 * x", tests=TWO),
        row("raises", response="def f(x):\n    return x + y", tests=TWO),
        row("hangs", response="def f(x):\n    while True: pass", tests=TWO),
        row("leaves", response="import os\ndef f(x):\n    os._exit(0)", tests=TWO),
        row(
            "pretends",
            response="class A:\n    __eq__ = max\ndef f(x):\n    return A()",
            tests=TWO,
        ),
    ]
    ctx = context(sandbox, verify={"test_cpu_s": 0.5})
    result = Verify().run(rows, ctx)
    assert [r.id for r in result.kept] == ["right"]
    reasons = _reasons(result)
    assert reasons["wrong"].startswith("wrong_answer: input assert f(-1) == 0; expected 0; got -2")
    assert reasons["raises"].startswith("runtime_error: NameError")
    assert reasons["hangs"].startswith("timeout")
    assert set(reasons) == {"wrong", "raises", "hangs", "leaves", "pretends"}
    assert ctx.fact("right", "verdict") == "passed"


def test_the_best_or_the_first_passing_solution_becomes_the_answer(sandbox: Sandbox) -> None:
    golfed, typed = "f=lambda x:x+1", "def f(number: int) -> int:\n    return number + 1"
    solutions = ("def f(x):\n    return 0", golfed, typed)
    one = row("a", response=solutions[0], solutions=solutions, tests=TWO)
    for how, answer, passing in (("first", golfed, "1 of 2"), ("best", typed, "2 of 3")):
        ctx = context(sandbox, verify={"solutions": how})
        (kept,) = Verify().run([one], ctx).kept
        assert kept.response == answer
        assert (ctx.fact("a", "checker"), ctx.fact("a", "passing")) == ("asserts", passing)
    assert _reasons(Verify().run([one], context(sandbox, verify={"max_solutions": 1})))["a"].startswith(
        "wrong_answer"
    )


def test_programs_are_judged_by_their_output(sandbox: Sandbox) -> None:
    tests = types.Tests("stdin", inputs=("2 3\n", "1 1\n"), outputs=("5\n", "2"))
    good = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
    rows = [row("good", response=good, tests=tests), row("bad", response="print(5)", tests=tests)]
    assert [r.id for r in Verify().run(rows, context(sandbox)).kept] == ["good"]


def test_contest_function_gets_its_imports_and_wrapped_values(sandbox: Sandbox) -> None:
    code = "class Solution:\n    def tally(self, xs: List[int]):\n        return Counter(xs).most_common(1)[0][0]"
    tests = types.Tests("calls", "Solution.tally", inputs=(([1, 2, 2],), ([3],)), outputs=([2], [3]))
    (kept,) = Verify().run([row("a", response=code, tests=tests)], context(sandbox)).kept
    assert kept.response.startswith(
        "from collections import Counter\nfrom typing import List\n\nclass Solution"
    )


def test_solution_must_pass_as_often_as_the_recipe_says(sandbox: Sandbox) -> None:
    moody = "import os, random\ndef f(x):\n    return x + (1 if os.urandom(1)[0] > 127 else 1.5)"
    rows = [row(f"m{i}", response=f"{moody}  # {i}", tests=asserts("assert f(1) == 2")) for i in range(24)]
    once = Verify().run(rows, context(sandbox, verify={"runs": 1})).kept
    often = Verify().run(rows, context(sandbox, verify={"runs": 5}))
    assert len(once) > 3 >= len(often.kept)
    flaky = [reason for reason in _reasons(often).values() if reason.startswith("flaky")]
    assert flaky
    assert all(re.match(r"flaky: passed [1-4] of [2-5] runs; wrong_answer: input assert f", r) for r in flaky)


def test_another_solution_is_taken_where_the_best_one_is_flaky(sandbox: Sandbox) -> None:
    moody = "import os\ndef f(value: int) -> int:\n    return value + 1 + (os.urandom(1)[0] > 127)\n"
    rows = [
        row(f"m{i}", response="", solutions=(f"{moody}# {i}", RIGHT), tests=asserts("assert f(1) == 2"))
        for i in range(12)
    ]
    kept = Verify().run(rows, context(sandbox, verify={"runs": 5})).kept
    assert len(kept) == 12
    assert sum(r.response == RIGHT for r in kept) >= 8


def test_rows_with_several_right_answers_need_a_checker(sandbox: Sandbox) -> None:
    tests = types.Tests("stdin", inputs=("3\n", "4\n"), outputs=("1 2 3", "1 2 3 4"))
    say = "Order the numbers from 1 to n. If there are several orders, print any of them."
    backwards = "n = int(input())\nprint(*range(n, 0, -1))"
    rows = [
        row("same", say, "n = int(input())\nprint(*range(1, n + 1))", tests=tests),
        row("other", say, backwards, tests=tests),
        row("nothing", say, "input()", tests=tests),
        row("raises", say, "print(1 / 0)", tests=tests),
        row("strict", "Print 1 to n in ascending order.", backwards, tests=tests),
    ]
    ctx = context(sandbox)
    result = Verify().run(rows, ctx)
    assert [r.id for r in result.kept] == ["same"]
    reasons = _reasons(result)
    assert reasons["other"].startswith("needs a checker: the statement allows more than one answer on 2 of 2")
    assert {k: v.partition(":")[0] for k, v in reasons.items() if k != "other"} == {
        "nothing": "wrong_answer",
        "raises": "runtime_error",
        "strict": "wrong_answer",
    }
    assert ctx.fact("other", "verdict") == "needs a checker"
    keeping = context(sandbox, verify={"unchecked": "keep"})
    assert [r.id for r in Verify().run(rows, keeping).kept] == ["same", "other"]
    assert keeping.fact("other", "verdict") == "needs a checker"


def test_a_function_that_changes_its_argument_is_worth_that(sandbox: Sandbox) -> None:
    say = "Move the zeros to the end. Do not return anything, modify the list in-place instead."
    code = "class Solution:\n    def move(self, a):\n        a.sort(key=lambda x: x == 0)"
    tests = types.Tests("calls", "Solution.move", inputs=(([0, 1, 0, 3],),), outputs=([1, 3, 0, 0],))
    rows = [
        row("right", say, code, tests=tests),
        row("wrong", say, code.replace("x == 0", "x"), tests=tests),
        row("plain", "Move the zeros to the end.", code, tests=tests),
    ]
    assert [r.id for r in Verify().run(rows, context(sandbox)).kept] == ["right"]


@pytest.mark.parametrize(
    ("code", "inputs", "outputs"),
    [
        (
            "class Solution:\n    def turn(self, head: Optional[ListNode]) -> Optional[ListNode]:\n"
            "        last = None\n        while head:\n"
            "            head.next, last, head = last, head, head.next\n        return last",
            (([1, 2, 3],), ([],)),
            ([3, 2, 1], []),
        ),
        (
            "class Solution:\n    def turn(self, root: 'TreeNode', by: int) -> TreeNode | None:\n        if root:\n"
            "            root.val += by\n            root.left, root.right = self.turn(root.right, by), "
            "self.turn(root.left, by)\n        return root",
            (([1, 2, None, 3], 1),),
            ([2, None, 3, None, 4],),
        ),
    ],
    ids=["list", "tree"],
)
def test_functions_on_nodes_get_and_give_lists(
    sandbox: Sandbox, code: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...]
) -> None:
    tests = types.Tests("calls", "Solution.turn", inputs=inputs, outputs=outputs)
    wrong = types.Tests("calls", "Solution.turn", inputs=inputs, outputs=([9], *outputs[1:]))
    rows = [row("right", response=code, tests=tests), row("wrong", response=code, tests=wrong)]
    result = Verify().run(rows, context(sandbox))
    assert [r.id for r in result.kept] == ["right"]
    assert _reasons(result)["wrong"].startswith("wrong_answer")


def test_examples_speak_for_rows_without_tests(sandbox: Sandbox) -> None:
    double = "def double(x):\n    return 2 * x"
    rows = [
        row("holds", "Write double, so that double(4) returns 8.", double),
        row("guess fails", "Write double, so that double(4) returns 9.", double),
        row(
            "doctest fails",
            "Double it.",
            'def double(x):\n    """>>> double(4)\n    9\n    """\n    return 2 * x',
        ),
        row("runs", "Double the number.\n\nInput:\nx = 4", double),
        row("does not run", "Double the number.\n\nInput:\n4", "def double(x):\n    return x.doubled"),
    ]
    ctx = context(sandbox)
    result = Verify().run(rows, ctx)
    assert {r.id: ctx.fact(r.id, "verdict") for r in rows} == {
        "holds": "example holds",
        "guess fails": "example fails",
        "doctest fails": "failed",
        "runs": "example runs",
        "does not run": "loads",
    }
    assert _reasons(result).keys() == {"doctest fails"}
    assert _reasons(result)["doctest fails"].startswith("example fails: wrong_answer: input assert double(4)")


@pytest.mark.parametrize(("policy", "kept"), [("keep", "abcd"), ("loads", "abc"), ("drop", "")])
def test_rows_without_tests_follow_the_policy(sandbox: Sandbox, policy: str, kept: str) -> None:
    rows = [
        row("a", response="def g(): pass"),
        row("b", response="import nothing_of_that_name"),
        row("c", response="name = input()"),
        row("d", response="print(undefined_name)"),
    ]
    ctx = context(sandbox, verify={"untested": policy})
    assert "".join(r.id for r in Verify().run(rows, ctx).kept) == kept
    if policy == "loads":
        assert [ctx.fact(k, "verdict") for k in "abcd"] == ["loads", "unproven", "unproven", "failed"]


@pytest.mark.parametrize("tests", [TWO, None], ids=["tests", "loads"])
def test_error_that_utf8_cannot_hold_is_written_with_a_mark(
    sandbox: Sandbox, tmp_path: Path, tests: types.Tests | None
) -> None:
    one = row("a", response='raise ValueError("\\ud83d")', tests=tests)
    assert "ValueError: \ufffd" in _reasons(Verify().run([one], context(sandbox, cache=tmp_path)))["a"]


def test_other_languages_are_not_run(sandbox: Sandbox) -> None:
    ctx = context(sandbox)
    assert Verify().run([row("a", response="SELECT 1", language="sql")], ctx).kept
    assert ctx.fact("a", "verdict") == "not_run"


def test_no_sandbox_is_said_at_once() -> None:
    with pytest.raises(MissingPrerequisite, match="needs the sandbox"):
        Verify().run([row("a", tests=TWO)], context())


def test_verdicts_outlive_a_cut_file(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [row(f"r{i}", response=f"def f(x):\n    return x + {i}", tests=TWO) for i in range(6)]
    first = Verify().run(rows, context(sandbox, cache=tmp_path))
    ledger = tmp_path / "verdicts.jsonl"
    whole = ledger.read_bytes()
    assert whole.count(b"\n") == 6 + len(first.kept)  # what passed runs twice
    ledger.write_bytes(whole[:-40])  # killed in the middle of a line
    second = Verify().run(rows, context(sandbox, cache=tmp_path))
    assert (first.kept, first.dropped) == (second.kept, second.dropped)
    assert ledger.read_bytes().count(b"\n") == whole.count(b"\n")


def test_verify_rows_writes_a_line_per_solution(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [
        row("a", response="", solutions=("def f(x):\n    return 0", RIGHT), tests=TWO),
        row("b", response="def f(x:\n    return", tests=TWO),
        row("c"),
    ]
    counts = verify_rows(rows, sandbox, tmp_path, settings=VerifySettings())
    lines = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert [(x["row_id"], x["solution"], x["outcome"]) for x in lines] == [
        ("a", 0, "wrong_answer"),
        ("a", 1, "passed"),
        ("b", 0, "syntax_error"),
        ("c", 0, "not_run"),
    ]
    assert [x["checker"] for x in lines] == [None, "asserts", None, None]
    assert lines[0]["failed_test"]["expected"] == "2"
    assert counts == {"not_run": 1, "passed": 1, "syntax_error": 1, "wrong_answer": 1}


def test_verify_rows_calls_a_solution_flaky_that_passes_only_once(sandbox: Sandbox, tmp_path: Path) -> None:
    moody = "import os\ndef f(x):\n    return x + (os.urandom(1)[0] > 127)"
    rows = [row(f"m{i}", response=f"{moody}  # {i}", tests=asserts("assert f(1) == 2")) for i in range(12)]
    verify_rows(rows, sandbox, tmp_path, settings=VerifySettings(runs=5))
    lines = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    flaky = [x for x in lines if (x["error"] or "").startswith("flaky: passed")]
    assert flaky
    assert {x["outcome"] for x in flaky} == {"wrong_answer"}
    assert sum(x["outcome"] == "passed" for x in lines) <= 3


def test_verify_rows_runs_at_most_the_solutions_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    solutions = tuple(f"{RIGHT} + {i}" for i in range(3))
    one = row("a", response="", solutions=solutions, tests=TWO)
    counts = verify_rows([one], sandbox, tmp_path, settings=VerifySettings(max_solutions=2))
    assert counts == {"passed": 1, "wrong_answer": 1}


@pytest.mark.parametrize("tests", [TWO, None], ids=["tests", "loads"])
def test_row_is_not_dropped_because_the_sandbox_failed(
    sandbox: Sandbox, tmp_path: Path, tests: types.Tests | None
) -> None:
    rows = [row("a", response=f"{RIGHT}  # unlucky", tests=tests), row("b", response=RIGHT, tests=tests)]
    broken: Any = GivesOut(sandbox, "unlucky")
    with pytest.raises(CodefitError, match=r"1 programs could not be judged \(sandbox_failed\)") as e:
        Verify().run(rows, context(broken, cache=tmp_path))
    assert e.value.exit_code is ExitCode.BUG
    assert [r.id for r in Verify().run(rows, context(sandbox, cache=tmp_path)).kept] == ["a", "b"]


def test_verify_rows_judges_again_what_the_sandbox_failed(sandbox: Sandbox, tmp_path: Path) -> None:
    tests = types.Tests("calls", "f", inputs=((1,),), outputs=([2],))
    rows = [row("a", response=f"{RIGHT}  # unlucky", tests=tests), row("b", response=RIGHT, tests=tests)]
    broken: Any = GivesOut(sandbox, "unlucky")
    assert verify_rows(rows, broken, tmp_path) == {"passed": 1, "sandbox_failed": 1}
    assert verify_rows(rows, sandbox, tmp_path) == {"passed": 2}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("x: List[int] = deque()", "from collections import deque\nfrom typing import List\n\n"),
        ("print(math.inf + inf)", "import math\nfrom math import inf\n\n"),
        ("print(string, count, string.replace('a', 'b'))", ""),
        ("datetime.date(2020, 1, 1)", "import datetime\n\n"),
        ("datetime.now() - timedelta(1)", "from datetime import datetime, timedelta\n\n"),
        ("reduce(xor, [1, 2])", "from functools import reduce\nfrom operator import xor\n\n"),
        ("np.zeros(3) + len(pd.DataFrame())", "import numpy as np\nimport pandas as pd\n\n"),
        ("from math import *\nprint(sqrt(2))", ""),
        ("def sqrt(x): return x\nsqrt(2)", ""),
    ],
)
def test_only_standard_names_used_as_such_are_imported(source: str, lines: str) -> None:
    assert with_imports(source) == lines + source


def test_definitions_leave_out_what_a_script_does() -> None:
    source = "import os\nlimit = 3\nname = input()\ndef f():\n    return limit\nprint(f())\nfor x in []: pass"
    assert definitions(source) == "import os\nlimit = 3\n\ndef f():\n    return limit"
