"""Programs rewritten as functions: the same answers, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core import types
from codefit.core.types import STDIN_CONTRACT, Row
from codefit.curate.convert.program import rewrite
from codefit.curate.convert.reading import Refused
from codefit.curate.verify import Verify
from codefit.sandbox import Sandbox
from codefit.sources.taco import open_taco
from tests.curate.conftest import context, row
from tests.shared_data import shared_data

ONE_LINE = "n = int(input())\na = list(map(int, input().split()))\na.sort()\nprint(a[0] + n)"
MAIN = """\
import sys
input = sys.stdin.readline
def double(x):
    return 2 * x
def main():
    a, b = map(int, input().split())
    if a > b:
        print("first")
        return
    print(double(b) - a)
if __name__ == "__main__":
    main()
"""
CASES = """\
def solve():
    n, k = map(int, input().split())
    xs = [int(x) for x in input().split()]
    if k > n:
        print(-1)
        return
    print(sum(xs[:k]))
for _ in range(int(input())):
    solve()
"""
ROWS = """\
n = int(input())
best = 0
for i in range(n):
    name, points = input().split()
    best = max(best, int(points) + i)
print(best)
"""
LINES = "q = int(input())\nfor _ in range(q):\n    x = int(input())\n    print(x * x)"
ITEMS = "s = sorted(input().split())\nprint(*s)"
SEARCH = """\
n = int(input())
for d in range(2, n):
    if n % d == 0:
        print(d)
        break
else:
    print("prime")
"""


@pytest.mark.parametrize(
    ("source", "signature", "inputs", "outputs", "calls"),
    [
        (ONE_LINE, "def solve(n: int, a: list[int]) -> int:", ["2\n3 1\n"], ["3\n"], [((2, [3, 1]), 3)]),
        (MAIN, "def solve(a: int, b: int):", ["1 3", "3 1"], ["5", "first"], [((1, 3), 5), ((3, 1), "first")]),
        (
            CASES,
            "def answer(n: int, k: int, xs: list[int]) -> int:",
            ["2\n2 1\n5 6\n1 2\n7\n"],
            ["5\n-1\n"],
            [((2, 1, [5, 6]), 5), ((1, 2, [7]), -1)],
        ),
        (ROWS, "def solve(rows: list[list[str]]) -> int:", ["2\na 3\nb 4"], ["5"], [(([["a", "3"], ["b", "4"]],), 5)]),
        (LINES, "def solve(x: int) -> int:", ["2\n3\n4"], ["9\n16"], [((3,), 9), ((4,), 16)]),
        (ITEMS, "def solve(s: list[str]) -> list[str]:", ["b a"], ["a b"], [((["b", "a"],), ["a", "b"])]),
        (SEARCH, "def solve(n: int):", ["9", "7"], ["3", "prime"], [((9,), 3), ((7,), "prime")]),
    ],
)  # fmt: skip
def test_a_program_becomes_a_function_with_the_same_answers(
    sandbox: Sandbox,
    source: str,
    signature: str,
    inputs: list[str],
    outputs: list[str],
    calls: list[tuple[tuple[object, ...], object]],
) -> None:
    tests = types.Tests("stdin", inputs=tuple(inputs), outputs=tuple(outputs))
    one = row("a", f"Do it.\n\n{STDIN_CONTRACT}", source, tests=tests, solutions=(source,))
    ctx = context(sandbox, verify={"convert_share": 1.0})
    (kept,) = Verify().run([one], ctx).kept
    assert ctx.fact("a", "converted") == "stdin to function"
    assert kept.tests is not None
    assert kept.tests.kind == "calls"
    assert list(zip(kept.tests.inputs, kept.tests.outputs, strict=True)) == calls
    assert signature in kept.response.splitlines()
    assert "input(" not in kept.response
    assert signature in kept.instruction
    assert STDIN_CONTRACT not in kept.instruction
    assert (kept.solutions, kept.extra["converted_from"]) == ((), "stdin")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print('hello')", "reads nothing"),
        ("import sys\nprint(sum(map(int, sys.stdin.read().split())))", "not plain"),
        ("while True:\n    print(input())", "not plain"),
        ("n = int(input())\nprint(n, end=' ')\nprint(n)", "separator of its own"),
        ("total = 0\ndef f(x):\n    global total\n    total += x\nf(int(input()))\nprint(total)", "globals"),
        ("exec(input())", "globals, files or code"),
        ("n = int(input())\nn = int(input())\nprint(n)", "read twice"),
        ("def f(:", "does not parse"),
    ],
)
def test_what_is_not_understood_is_refused(source: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        rewrite(source)


def test_a_function_that_answers_otherwise_is_not_taken(sandbox: Sandbox) -> None:
    # Blanks at the end of a line are no part of a value for the grammar, but the program counts them.
    source = "line = input()\nprint(len(line))"
    tests = types.Tests("stdin", inputs=("ab  \n", "abc"), outputs=("4", "3"))
    ctx = context(sandbox, verify={"convert_share": 1.0})
    (kept,) = Verify().run([row("a", "Count.", source, tests=tests)], ctx).kept
    assert kept.response == source
    assert kept.tests == tests


def test_the_recipe_says_how_many_rows_are_rewritten(sandbox: Sandbox) -> None:
    tests = types.Tests("stdin", inputs=("2\n3 1\n",), outputs=("3\n",))
    rows = [row(f"r{i}", "Do it.", ONE_LINE + f"  # {i}", tests=tests) for i in range(10)]

    def converted(rows: list[Row], **settings: object) -> list[str]:
        kept = Verify().run(rows, context(sandbox, verify=settings)).kept
        return sorted(r.id for r in kept if r.tests and r.tests.kind == "calls")

    assert len(converted(rows)) == 3
    assert converted(rows) == converted(rows[::-1])
    assert converted(rows, convert="off") == converted(rows, convert_share=0.0) == []
    assert len(converted(rows, convert_share=1.0)) == 10


@given(st.text(alphabet="n=int(input()prsax,+*\n :[]'0", max_size=80))
def test_any_text_is_rewritten_or_refused(text: str) -> None:
    try:
        rewrite(text)
    except Refused:
        pass


def test_a_third_of_the_real_programs_can_be_rewritten() -> None:
    found = open_taco(shared_data("taco_schema_stdin.jsonl.gz"), limit=120).rows()
    count = 0
    for one in found:
        try:
            rewrite(one.solutions[0])
            count += 1
        except Refused:
            pass
    assert count >= 40
