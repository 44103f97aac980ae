"""Python 2 repaired where it is safe, refused where it is not; names that are never defined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Tests
from codefit.curate.code import parse
from codefit.curate.names import undefined_names
from codefit.curate.python2 import is_python2, repair_python2
from codefit.curate.syntax import Syntax
from codefit.curate.verify import Verify
from codefit.sandbox import Sandbox
from tests.curate.conftest import asserts, context, row

# (Python 2, what it printed there). Written and worked out by hand.
MEANINGS = [
    ('print "a", 1\nprint\nprint ("b")', "a 1\n\nb\n"),
    ("print (1, 2)\nprint 3", "(1, 2)\n3\n"),
    ('x = [3, 4]\nfor i in xrange(2): print x[i],; print "!"', "3 !\n4 !\n"),
    ('if 1 <> 2: print "differs" # why\nelse: print "same"', "differs\n"),
    ("try:\n    raise ValueError, 'no'\nexcept ValueError, e:\n    print `str(e)`", "'no'\n"),
    ("try:\n    {}['k']\nexcept (KeyError, IndexError), e:\n    print 'gone'", "gone\n"),
    ("d = {'k': 2}\nprint d.has_key('k'), not d.has_key(1 + 1), d.keys()[0]", "True True k\n"),
    ("d = {1: 2}\nfor k, v in d.iteritems():\n    print k, v\nprint sum(d.itervalues())", "1 2\n2\n"),
    ("a = map(str, range(3)) + ['x']\nprint a, range(2) + [7], zip([1], [2])",
     "['0', '1', '2', 'x'] [0, 1, 7] [(1, 2)]\n"),
    ("print 0777, 10L + 0xFFL, 00", "511 265 0\n"),
    ("print 7 / 2.0, float(1) / 4", "3.5 0.25\n"),
    ("print reduce(lambda x, y: x + y, [1, 2])\ng = iter([5])\nprint g.next()", "3\n5\n"),
    ("exec 'y = 4' in {}\nexec 'z = 4'\nprint z", "4\n"),
    ("import sys\nprint >>sys.stdout, 'out', 1\nprint >>sys.stdout", "out 1\n\n"),
    ("f = lambda x: x; print f({1: 2}[1])", "2\n"),
    ("from StringIO import StringIO\ns = StringIO()\nprint >>s, unicode(3)\nprint s.getvalue()", "3\n\n"),
    ("class A: x = 1; print x\nprint isinstance('s', basestring), long(4)", "1\nTrue 4\n"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "printed"), MEANINGS)
def test_repaired_python2_prints_what_python2_printed(old: str, printed: str, sandbox: Sandbox) -> None:
    assert is_python2(old)
    modern = repair_python2(old, tested=False)
    assert modern is not None
    tests = Tests("stdin", inputs=("",), outputs=(printed,))
    result = Verify().run([row("a", response=modern, tests=tests)], context(sandbox))
    assert not result.dropped, (modern, result.dropped)


@pytest.mark.parametrize(
    "old",
    [
        "print 3 / 2",
        "n = input()\nprint n",
        "print round(2.5)",
        "x = sorted([2, 1], cmp)\nprint x",
        "x = [1]\nx.sort(cmp=lambda a, b: a - b)\nprint x",
        "import urllib2\nprint 1",
        "def f(a, (b, c)):\n    print b",
        "class A:\n    def next(self):\n        print 1",
        "print map(None, [1], [2])",
        "import string\nprint string.letters",
        "def f(:\n    print 1",
    ],
)
def test_python2_without_a_certain_equal_is_refused(old: str) -> None:
    assert repair_python2(old, tested=False) is None


def test_division_is_repaired_only_where_tests_prove_it() -> None:
    old = "def f(n):\n    print n\n    return (n + 1) / 2"
    plain = row("a", response=old, language="python")
    assert [d.reason for d in Syntax().run([plain], context()).dropped] == ["python 2"]
    tested = row("b", response=old, language="python", tests=asserts("assert f(4) == 2"))
    (kept,) = Syntax().run([tested], ctx := context()).kept
    assert kept.response == "def f(n):\n    print(n)\n    return (n + 1) // 2"
    assert ctx.fact("b", "repaired") == "python 2"
    unverified = context(steps=("syntax",))
    assert Syntax().run([tested], unverified).dropped


@pytest.mark.parametrize(
    "modern",
    [
        'print("a", 1)',
        "x = 'xrange(3) <> 0777'",
        "s = 'print me'\nprint(s)",
        "def has_key(k): return k",
        "xrange = 3\nxrange",
    ],
)
def test_python3_is_left_alone(modern: str) -> None:
    assert not is_python2(modern)


@given(st.text(alphabet="abprint \n\t()[]{},:;`'\"<>0L#\\=", max_size=60))
def test_repair_gives_a_program_or_nothing(text: str) -> None:
    modern = repair_python2(text, tested=True)
    assert modern is None or parse(modern) is not None


@pytest.mark.parametrize(
    ("source", "request_", "missing"),
    [
        ("def f(x):\n    return y + x", "Add.", ["y"]),
        ("def f(x):\n    return y + x", "Add x to y.", []),
        ("from math import *\ny = sqrt(z)", "", []),
        ("def f(x: List[int]):\n    return math.sqrt(x[0]), datetime.date.today(), np.zeros(2)", "", []),
        ("try:\n    pass\nexcept OSError as e:\n    print(e)\n[i for i in range(3)]", "", []),
        ("exec('y = 1')\nprint(y)", "", []),
        ("def f():\n    global n\n    n = 1\nprint(n, __name__, __file__)", "", []),
        ("match 3:\n    case [a, *b] | {**c}:\n        print(a, b, c)", "", []),
        ("console.log('a')", "Log it.", ["console"]),
    ],
)
def test_undefined_names(source: str, request_: str, missing: list[str]) -> None:
    assert undefined_names(source, request_) == missing
