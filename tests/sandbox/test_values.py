"""What programs get and give: values, errors, streams, each kind of test."""

from __future__ import annotations

from typing import Any

import pytest

from codefit.core.types import Outcome
from codefit.sandbox import Frame, Limits, Opaque, Program, Sandbox


def _calls(source: str, *tests: tuple[Any, ...], name: str = "f", **more: Any) -> Program:
    return Program(source, "calls", tests, name, **more)


def _values(box: Sandbox, program: Program) -> list[Any]:
    run = box.run(program)
    assert run.outcome is Outcome.PASSED, run
    return [f.error or f.value for f in run.frames]


def test_calls_return_values_in_order(box: Sandbox) -> None:
    program = _calls("def f(a, b):\n    return {a: [b]}\n", (1, "x"), ((2, 3), {4}))
    assert _values(box, program) == [{1: ["x"]}, {(2, 3): [{4}]}]


def test_a_method_gets_a_new_object_for_every_call(box: Sandbox) -> None:
    source = "class Solution:\n    n = 0\n    def go(self):\n        self.n += 1\n        return self.n\n"
    assert _values(box, _calls(source, (), (), name="Solution.go")) == [1, 1]


def test_inputs_are_fresh_for_every_test_and_modules_are_not(box: Sandbox) -> None:
    program = _calls(
        "seen = []\ndef f(a):\n    a.append(1)\n    seen.append(0)\n    return [a, len(seen)]\n", ([],), ([],)
    )
    assert _values(box, program) == [[[1], 1], [[1], 2]]


def test_expressions_see_the_module_and_the_setup(box: Sandbox) -> None:
    program = Program(
        "def f(x):\n    return x * k\n", "exprs", ("f(2)", "f('a')", "g(1)", "1 +"), setup="k = 3"
    )
    two, text, missing, broken = box.run(program).frames
    assert (two.value, text.value) == (6, "aaa")
    assert missing.error is not None
    assert missing.error.startswith("NameError")
    assert broken.error is not None
    assert broken.error.startswith("SyntaxError")


def test_asserts_frame_none_or_their_error(box: Sandbox) -> None:
    program = Program(
        "def f():\n    return 1\n", "asserts", ("assert f() == 1", "assert f() == 2, 'no'", "assert f(1)")
    )
    run = box.run(program)
    assert run.outcome is Outcome.PASSED
    assert [f.error and f.error.split(":")[0] for f in run.frames] == [None, "AssertionError", "TypeError"]
    assert run.frames[1].error == "AssertionError: no"


def test_errors_of_one_test_leave_the_next_alone(box: Sandbox) -> None:
    source = "def f(x):\n    if x == 1: exit(3)\n    if x == 2: raise KeyboardInterrupt\n    return 10 // x\n"
    found = _values(box, _calls(source, (1,), (2,), (0,), (5,)))
    assert found == [
        "SystemExit: 3",
        "KeyboardInterrupt",
        "ZeroDivisionError: integer division or modulo by zero",
        2,
    ]


@pytest.mark.parametrize(
    ("source", "outcome", "error"),
    [
        ("def f(:\n", Outcome.SYNTAX_ERROR, "SyntaxError"),
        ("x = '\0'\n", Outcome.SYNTAX_ERROR, ""),
        ("x = '\ud800'\n", Outcome.SYNTAX_ERROR, "UnicodeEncodeError"),
        ("1 / 0\n", Outcome.RUNTIME_ERROR, "ZeroDivisionError"),
        ("def g(): pass\n", Outcome.RUNTIME_ERROR, "NameError"),
        ("exit()\n", Outcome.RUNTIME_ERROR, "SystemExit"),
        ("import no_such_module\n", Outcome.RUNTIME_ERROR, "ModuleNotFoundError"),
        ("import os\nos._exit(0)\n", Outcome.RUNTIME_ERROR, "exited before all tests finished"),
        ("import os\nos._exit(7)\n", Outcome.RUNTIME_ERROR, "exited with status 7"),
    ],
)
def test_failures_to_load_are_told_apart(box: Sandbox, source: str, outcome: Outcome, error: str) -> None:
    run = box.run(_calls(source, (1,)))
    assert run.outcome is outcome
    assert run.frames == ()
    assert run.error is not None
    assert error in run.error


def test_stdin_programs_run_like_scripts(box: Sandbox) -> None:
    source = (
        "import sys, atexit, threading\n"
        "assert __name__ == '__main__'\n"
        "atexit.register(lambda: print('bye'))\n"
        "def main():\n"
        "    a = input()\n"
        "    rest = sys.stdin.read()\n"
        "    print(a, len(rest), 'é')\n"
        "threading.Thread(target=main).start()\n"
    )
    assert _values(box, Program(source, "stdin", ("one\ntwo\n", "x\n"))) == ["one 4 é\nbye\n", "x 0 é\nbye\n"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.write(1, os.read(0, 9))", "in\n"),
        ("print(open(0).read(), end='')", "in\n"),
        ("for line in __import__('sys').stdin:\n    print(line.strip())", "in\n"),
        ("print(1)\nexit()", "1\n"),
        ("print(1)\nquit(0)", "1\n"),
        ("print(1, flush=True)\nimport os\nos._exit(0)", "1\n"),
        ("import sys\nprint(1)\nsys.stdout.close()", "1\n"),
        ("print(1)\nexit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os\nos._exit(9)", "exited with status 9"),
        ("print('\\ud800')", None),
    ],
)
def test_ways_to_read_and_to_end(box: Sandbox, source: str, found: str | None) -> None:
    (value,) = _values(box, Program(source, "stdin", ("in\n",)))
    assert value == found if found else value.startswith("UnicodeEncodeError")


_LATE = """
import io, os, sys
class Late(io.IOBase):
    def __init__(self):
        self.kept = []
    def flush(self):
        for text in self.kept:
            os.write(1, text.encode())
        self.kept = []
late = Late()
print("first")
late.kept.append(input() + chr(10))
"""
_AT_EXIT = """
import atexit, io, sys
sys.stdout = io.StringIO()
atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))
print("first")
print(input())
"""


@pytest.mark.parametrize("source", [_LATE, _AT_EXIT], ids=["when its object ends", "when the program ends"])
def test_what_a_program_writes_at_its_end_is_seen(box: Sandbox, source: str) -> None:
    assert _values(box, Program(source, "stdin", ("in\n", "also\n"))) == ["first\nin\n", "first\nalso\n"]


def test_stdin_can_be_opened_by_its_name(box: Sandbox) -> None:
    if "landlock" in box.description.split("+")[0]:
        pytest.skip("the machine's devices are not opened for programs without namespaces of their own")
    source = "import sys\nwith open('/dev/stdin') as f:\n    print(f.read().upper(), file=open('/dev/stdout', 'w'))\n"
    assert _values(box, Program(source, "stdin", ("in\n",))) == ["IN\n\n"]


def test_a_stdin_program_with_a_syntax_error_never_runs(box: Sandbox) -> None:
    assert box.run(Program("print(", "stdin", ("",))).outcome is Outcome.SYNTAX_ERROR


def test_the_caller_sees_frames_as_they_come_and_can_stop(box: Sandbox) -> None:
    seen: list[tuple[int, Frame]] = []

    def on_frame(index: int, frame: Frame) -> bool:
        seen.append((index, frame))
        return index < 1

    source = "import time\ndef f(x):\n    if x == 2: time.sleep(60)\n    return x\n"
    run = box.run(_calls(source, *((i,) for i in range(5))), on_frame)
    assert (run.outcome, run.stopped, len(run.frames)) == (Outcome.PASSED, True, 2)
    assert [(i, f.value) for i, f in seen] == [(0, 0), (1, 1)]
    assert run.wall_s < 5


def test_values_are_not_kept_for_a_caller_that_takes_them(box: Sandbox) -> None:
    program = _calls("def f(x):\n    return 1 / x\n", (1,), (0,), (4,))
    seen = []
    run = box.run(program, lambda index, frame: seen.append(frame.value) is None)
    assert seen == [1.0, None, 0.25]
    assert [(f.value, f.error) for f in run.frames] == [
        (None, None),
        (None, "ZeroDivisionError: division by zero"),
        (None, None),
    ]
    both = dict(box.map([(program, None), (program, lambda index, frame: True)]))
    assert [[f.value for f in both[i].frames] for i in (0, 1)] == [[1.0, None, 0.25], [None] * 3]


def test_an_error_of_the_callback_reaches_the_caller_and_the_slot_lives_on(box: Sandbox) -> None:
    def on_frame(index: int, frame: Frame) -> bool:
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        box.run(_calls("def f():\n    return 1\n", ()), on_frame)
    assert _values(box, _calls("def f():\n    return 1\n", ())) == [1]


def test_values_that_are_not_data_are_opaque(box: Sandbox) -> None:
    (value,) = _values(box, _calls("import re\ndef f():\n    return [re.match('a', 'a')]\n", ()))
    assert type(value[0]) is Opaque
    assert value[0].type_name == "Match"


def test_many_frames_and_big_frames_arrive_whole(box: Sandbox) -> None:
    program = _calls("def f(n):\n    return list(range(n))\n", *((n,) for n in range(300)), (50_000,))
    found = _values(box, program)
    assert [len(v) for v in found] == [*range(300), 50_000]


def test_the_world_is_pinned(box: Sandbox) -> None:
    source = (
        "import os, random, time, sys\n"
        "def f():\n"
        "    return [hash('codefit'), random.random(), time.tzname[0], sys.flags.hash_randomization,\n"
        "            sys.argv, sorted(os.environ)]\n"
    )
    first, second = (_values(box, _calls(source, ()))[0] for _ in range(2))
    assert first == second
    assert first[2] == "UTC"
    assert "PYTHONPATH" not in first[5]


def test_programs_do_not_see_one_another(box: Sandbox) -> None:
    plant = (
        "import builtins, os, random, sys, json\n"
        "builtins.mark = json.mark = os.environ['MARK'] = '1'\n"
        "sys.modules['planted'] = sys\n"
        "random.seed(5)\n"
        "open(os.path.expanduser('~/mark'), 'w').write('1')\n"
        "open(os.environ['TMPDIR'] + '/mark', 'w').write('1')\n"
        "open('mark', 'w').write('1')\n"
        "def f():\n    return 1\n"
    )
    look = (
        "import builtins, os, sys, json\n"
        "from os.path import exists, expanduser\n"
        "def f():\n"
        "    found = [hasattr(builtins, 'mark'), hasattr(json, 'mark'), 'MARK' in os.environ]\n"
        "    found += ['planted' in sys.modules]\n"
        "    found += [exists(p) for p in (expanduser('~/mark'), os.environ['TMPDIR'] + '/mark', 'mark')]\n"
        "    return found\n"
    )
    assert _values(box, _calls(plant, ())) == [1]
    assert _values(box, _calls(look, ())) == [[False] * 7]


def test_a_program_is_an_honest_request() -> None:
    with pytest.raises(ValueError, match="without tests"):
        Program("", "calls", (), "f")
    with pytest.raises(ValueError, match="entry point"):
        Program("", "calls", ((1,),))
    with pytest.raises(ValueError, match="hash seed"):
        Program("", "exprs", ("1",), hash_seed=3)
    with pytest.raises(ValueError, match="kind"):
        Program("", "shell", ("ls",))  # type: ignore[arg-type]


def test_total_output_is_bounded(box: Sandbox) -> None:
    limits = Limits(output_bytes=200_000, total_output_bytes=500_000)
    run = box.run(_calls("def f():\n    return 'x' * 150_000\n", *[()] * 10, limits=limits))
    assert run.outcome is Outcome.OUTPUT_LIMIT
    assert len(run.frames) == 3
    flood = Program("while True: print('x' * 1000)", "stdin", ("",), limits=limits)
    assert box.run(flood).outcome is Outcome.OUTPUT_LIMIT
