"""The normal form of programs, and the step that drops the same solution in different words."""

from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Row
from codefit.curate.code import parse
from codefit.curate.dedup_code import DedupCode
from codefit.curate.normal_form import normal_form
from codefit.sources import open_source
from tests.curate.conftest import asserts, context, row
from tests.shared_data import shared_data

SAME = [
    ("def f(a, b):\n    '''Doc.'''\n    return a * b + 1", "def g(x: int, y) -> int:\n    r = 1 + y * x\n    return r"),
    ("def f(x):\n    if x > 3:\n        return 1\n    else:\n        return 2",
     "def h(q):\n    if 3 < q:\n        return 1\n    return 2"),
    ("def f(x):\n    if x != 3:\n        return 1\n    return 2",
     "def h(q):\n    if 3 == q:\n        return 2\n    else:\n        return 1"),
    ("import math\ndef f(x): return math.sqrt(x)", "from math import sqrt as s\ndef f(x): return s(x)\nprint(f(3))"),
    ("import numpy as np\nx = np.linalg.norm(v)", "import numpy\ny = numpy.linalg.norm(v)"),
    ("def a(): return 1\ndef b(): return a()", "def z():\n    return y()\ndef y(): return 1"),
    ("x = 1\nprint('a', x)", "y = 1\nprint('b', y)"),
    ("def f(s):\n    t = 0\n    for i in range(0, len(s)):\n        t += s[i]\n    return t",
     "def f(l):\n    n: int = 0\n    for k in range(len(l)):\n        n = n + l[k]\n    return n\nassert f([1]) == 1"),
    ("class A:\n    def __init__(self, n):\n        self.n = n\n    def get(self): return self.n",
     "class B:\n    def __init__(self, m):\n        self.m = m\n    def fetch(self): return self.m"),
    ("def f(a):\n    if not a in b and a > 0:\n        raise ValueError('no')",
     "def f(x):\n    if x > 0 and x not in b:\n        raise ValueError(f'oh')"),
    ("f(a=1, b=2)", "f(b=2, a=1)"),
    ("def f(n):\n    if n == 0:\n        return 1\n    return n * f(n - 1)",
     "def g(m):\n    if 0 == m:\n        return 1\n    else:\n        return g(m - 1) * m"),
]  # fmt: skip
OTHER = [
    ("def f(x): return x % 2 == 0", "def f(x): return x % 3 == 0"),
    ("def f(a, b): return a + b", "def f(a, b): return b + a"),
    ("def f(a, b): return a - b", "def f(a, b): return b - a"),
    ("def f(x): return sum(x)", "def f(x): return max(x)"),
    ("def f(s): return s.upper()", "def f(s): return s.lower()"),
    ("def f(s): return s.split(',')", "def f(s): return s.split(';')"),
    ("n = int(input())\nprint(n + 1)", "n = int(input())\nprint(n + 2)"),
    (
        "def f(x): return x\nfor i in range(3): print(f(i))",
        "def f(x): return x\nfor i in range(4): print(f(i))",
    ),
    ("K = 2\ndef f(x): return x * K", "K = 3\ndef f(x): return x * K"),
    ("def f(a): return a[0] if a else 1", "def f(a): return 1 if a else a[0]"),
    ("def f(a, b): return a > b", "def f(a, b): return a < b"),
    ("d['a'] = 1\nprint(d['a'])", "d['b'] = 1\nprint(d['b'])"),
    ("def f(x):\n    if x > 1 and g(x): return 1", "def f(x):\n    if g(x) and x > 1: return 1"),
]


def key(source: str) -> str:
    form = normal_form(source)
    assert form is not None
    return form.key


@pytest.mark.parametrize(("a", "b"), SAME)
def test_one_way_of_writing_is_left(a: str, b: str) -> None:
    assert key(a) == key(b)


@pytest.mark.parametrize(("a", "b"), OTHER)
def test_what_does_something_else_stays_apart(a: str, b: str) -> None:
    assert key(a) != key(b)


def test_what_does_not_parse_has_no_form() -> None:
    assert normal_form("def f(:") is None


PROGRAM = """
import heapq
from collections import deque

def walk(graph, start, goal=10):
    queue = deque([start])
    seen = {start}
    while queue:
        node = queue.popleft()
        if node == goal:
            return len(seen) + 7
        for other in graph[node]:
            if other not in seen and other != 3:
                seen.add(other)
                queue.append(other)
    return -1

def best(items, size):
    heap = []
    total = 0
    for item in items:
        total += item * size
        heapq.heappush(heap, (total, item))
    return [heapq.heappop(heap) for step in range(4)]
"""
OWN = [
    *("walk", "graph", "start", "goal", "queue", "seen", "node", "other"),
    *("best", "items", "size", "heap", "total", "item", "step"),
]


class Renamed(ast.NodeTransformer):
    """Renames the program's own names, and writes what has a free order in another one."""

    def __init__(self, names: dict[str, str], swap: bool) -> None:
        self.names, self.swap = names, swap

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self.names.get(node.arg, node.arg)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self.names[node.name]
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if self.swap and isinstance(node.op, ast.Mult):
            node.left, node.right = node.right, node.left
        return node


@given(st.permutations([f"n{i}" for i in range(len(OWN))]), st.booleans(), st.booleans())
def test_renaming_and_reordering_change_nothing(names: list[str], swap: bool, reorder: bool) -> None:
    tree = Renamed(dict(zip(OWN, names, strict=True)), swap).visit(ast.parse(PROGRAM))
    if reorder:
        tree.body = [tree.body[1], tree.body[0], tree.body[3], tree.body[2]]
    assert key(ast.unparse(tree)) == key(PROGRAM)


@given(st.integers(0, 3), st.integers(0, 1_000))
def test_another_number_is_another_program(which: int, value: int) -> None:
    numbers = ("10", "7", "3:", "(4)")
    old = numbers[which]
    new = old.replace(old.strip("():"), str(value))
    assert (key(PROGRAM.replace(old, new)) == key(PROGRAM)) == (old == new)


LONG = (
    "def {f}({a}):\n    out = []\n    for {b} in {a}:\n        if {b} % 2 == 0:\n            out.append({b})\n"
    "    return out"
)


def _drops(*rows: Row) -> dict[str, str]:
    result = DedupCode().run(list(rows), context())
    assert sorted([r.id for r in result.kept] + [d.row_id for d in result.dropped]) == sorted(
        r.id for r in rows
    )
    assert len(result.kept) + len(result.dropped) == len(rows)
    return {d.row_id: d.reason for d in result.dropped}


def test_same_solution_in_other_words_goes() -> None:
    a = row("a", "Keep the even numbers of a list, please.", LONG.format(f="evens", a="xs", b="x"))
    b = row("b", "Discard odd entries.", LONG.format(f="drop_odd", a="values", b="v"))
    assert _drops(a, b) == _drops(b, a) == {"b": "same code as a"}


def test_small_programs_go_only_where_the_requests_are_alike() -> None:
    code = "def f(x):\n    return sorted(x)"
    rows = [
        row("a", "Sort a list of names in ascending alphabetical order.", code),
        row("b", "Order a list of names alphabetically ascending.", code),
        row("c", "Arrange the cards of a player's hand by rank.", code),
        row("d", "Sort a list of names in descending alphabetical order.", code),
    ]
    assert _drops(*rows) == {"b": "same code as a"}


def test_classes_of_data_differ_by_what_they_are_about() -> None:
    code = "class {c}:\n    def __init__(self, {a}, {b}, {d}):\n"
    code += "        self.{a} = {a}\n        self.{b} = {b}\n        self.{d} = {d}"
    car = row(
        "car",
        "Create a class for a car with make, model and year.",
        code.format(c="Car", a="make", b="model", d="year"),
    )
    man = row(
        "man",
        "Represent an employee by name, age and salary.",
        code.format(c="Employee", a="name", b="age", d="salary"),
    )
    too = row(
        "too",
        "Make a Car class with model, make and the year.",
        code.format(c="Car", a="model", b="make", d="year"),
    )
    assert set(_drops(car, man, too)) == {"too"}


def test_rows_whose_tests_disagree_stay_both() -> None:
    code = LONG.format(f="f", a="xs", b="x")
    a = row("a", "Even ones.", code, tests=asserts("assert f([1, 2]) == [2]"))
    b = row("b", "Even ones too.", code, tests=asserts("assert f([1, 2]) == [1]"))
    assert _drops(a, b) == {}


def test_other_languages_and_broken_code_pass() -> None:
    assert _drops(row("a", response="SELECT 1;", language="sql"), row("b", response="SELECT 1;", language="sql"),
                  row("c", response="def"), row("d", response="def")) == {}  # fmt: skip


def test_real_rows_in_any_order() -> None:
    path = shared_data("code_alpaca_20k.jsonl.gz")
    rows = [
        r
        for r in open_source({"kind": "code_alpaca", "path": path, "limit": 1_200}).rows()
        if "def " in r.response
    ]
    first = _drops(*rows)
    random.Random(0).shuffle(rows)
    assert _drops(*rows) == first
    assert len(first) > 0.02 * len(rows)


def test_a_normal_form_leaves_the_shared_tree_as_it_is() -> None:
    source = "def f(a, b):\n    '''Doc.'''\n    a += b\n    if a > b:\n        return a\n    else:\n        return b"
    before = ast.dump(parse(source) or ast.Module([], []))
    assert normal_form(source) is not None
    assert ast.dump(parse(source) or ast.Module([], [])) == before
