"""Shapes that models write, and the program each of them holds."""

from __future__ import annotations

import ast
import time

import pytest

from codefit.core.types import Outcome
from codefit.suites.extract import extract

F = "def f(x):\n    return x + 1"
G = "def g(x):\n    return f(x)"
DOC = 'def f(x):\n    """Doc.\n\n    ```\n    f(1)\n    ```\n    """\n    return x + 1'

SAME = {
    "plain program": F,
    "program with blank lines": f"\n\n{F}\n\n",
    "python fence": f"```python\n{F}\n```",
    "bare fence": f"```\n{F}\n```",
    "py fence": f"```py\n{F}\n```",
    "capital fence": f"```Python\n{F}\n```",
    "fence with attributes": f"```python title=\"a.py\"\n{F}\n```",
    "tilde fence": f"~~~python\n{F}\n~~~",
    "long fence": f"````python\n{F}\n````",
    "unclosed fence": f"```python\n{F}",
    "unclosed fence after prose": f"Here is the code:\n\n```python\n{F}\n",
    "unopened fence": f"{F}\n```",
    "unopened fence with prose behind": f"{F}\n```\n\nThis adds one to `x`.",
    "unopened fence and an example block": f"{F}\n```\nUse it:\n```python\nprint(f(1))\n```",
    "fence closed on the last line of code": f"```python\n{F}```",
    "prose before and behind": f"Sure! Here is it:\n\n```python\n{F}\n```\nIt returns x + 1.",
    "example in a later block": f"```python\n{F}\n```\nExample:\n```python\nprint(f(2))\n```",
    "example in an earlier block": f"```python\nf(2)\n```\nso\n```python\n{F}\n```",
    "output block behind": f"```python\n{F}\n```\nOutput:\n```\n3\n```",
    "shell block before": f"```bash\npip install x\n```\n```python\n{F}\n```",
    "indented fence in a list": "1. Do it:\n\n   ```python\n"
    + "\n".join(f"   {line}" for line in F.split("\n"))
    + "\n   ```\n2. Done",
    "raw with prose before": f"Here is the function you asked for.\n\n{F}\n",
    "raw with prose behind": f"{F}\n\nThis function adds one to its argument.",
    "raw with prose around": f"Sure, I can help!\n{F}\nHope this helps!",
    "raw with one word behind": f"{F}\nDone",
    "raw with one word before": f"Certainly\n{F}",
    "raw with a label behind": f"{F}\n\nOutput: x",
    "windows line ends": f"```python\r\n{F}\r\n```".replace("x):\n", "x):\r\n"),
    "byte order mark": f"\ufeff{F}",
    "end of turn token": f"{F}<|im_end|>\n<|im_start|>user",
    "end of text token": f"```python\n{F}\n```<|endoftext|>",
}  # fmt: skip


@pytest.mark.parametrize("text", SAME.values(), ids=SAME.keys())
def test_the_program_is_found(text: str) -> None:
    found = extract(text, "f")
    assert found.outcome is None
    assert found.program is not None
    assert ast.dump(ast.parse(found.program)) == ast.dump(ast.parse(F))


WHOLE = {
    "imports and helpers": f"import math\nfrom typing import List\n\nONE = 1\n\n{F}\n\n{G}",
    "decorated": f"import functools\n\n\n@functools.cache\n{F}",
    "loop at top level": f"T = []\nfor i in range(3):\n    T.append(i)\n\n{F}",
    "optional import": f"try:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n{F}",
    "redefinition": f"def f(x):\n    return 0\n\n\n{F}",
    "future import": f"from __future__ import annotations\n\n{F}",
    "class": "class Solution:\n    def f(self, x):\n        return x + 1",
    "lambda": "f = lambda x: x + 1",
    "main guard": f"{F}\n\nif __name__ == '__main__':\n    print(f(1))",
    "fence in a docstring": DOC,
    "assertions behind": f"{F}\n\nassert f(1) == 2",
    "comment first": f"# adds one\n{F}",
    "docstring first": f'"""Adds one."""\n{F}',
    "walrus and match": "def f(x):\n    match (y := x):\n        case _:\n            return y + 1",
    "conditional definition": "import sys\nif sys.version_info > (3,):\n    def f(x):\n        return x + 1\n"
    "else:\n    def f(x):\n        return x + 2",
}  # fmt: skip


@pytest.mark.parametrize("program", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("frame", ["{}", "```python\n{}\n```", "So:\n```python\n{}\n```\nok"])
def test_top_level_code_is_never_deleted(program: str, frame: str) -> None:
    entry = "Solution.f" if program.startswith("class") else "f"
    found = extract(frame.format(program), entry)
    assert found.program is not None
    assert ast.dump(ast.parse(found.program)) == ast.dump(ast.parse(program))


def test_the_last_block_that_defines_the_entry_point_wins() -> None:
    text = f"```python\ndef f(x):\n    return 0\n```\nBetter:\n```python\n{F}\n```\n```python\n{G}\n```"
    assert extract(text, "f").program == F
    assert extract(text, "g").program == G


def test_without_an_entry_point_the_last_block_with_a_definition_wins() -> None:
    text = f"```python\n{F}\n```\nthen\n```python\n{G}\n```\n```python\nprint(g(1))\n```"
    assert extract(text).program == G


def test_a_truncated_program_keeps_its_longest_parseable_part() -> None:
    text = f"{F}\n\n{G}\n\ndef h(x):\n    y = [1, 2\n"
    found = extract(text, "f")
    assert found.program is not None
    assert "def g" in found.program
    assert "def h" not in found.program


def test_a_truncated_fenced_program_is_cut_too() -> None:
    found = extract(f"```python\n{F}\n\ndef h(x):\n    return (", "f")
    assert found.program is not None
    assert found.program.strip() == F
    assert "parseable prefix" in found.rule


def test_a_method_entry_point_needs_the_method() -> None:
    bodies = ["\n    def other(self): ...", "\n    def go(self): ...", " pass"]
    text = "\n".join(f"```python\nclass Solution:{body}\n```" for body in bodies)
    found = extract(text, "Solution.go")
    assert found.program is not None
    assert "go" in found.program


def test_another_name_is_returned_so_that_the_verdict_can_say_so() -> None:
    found = extract(f"```python\n{F}\n```", "wanted")
    assert found.program == F
    assert found.outcome is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "I cannot help with that.",
        "```\n```",
        "Sorry",
        "```text\nno code here!\n```",
        "1. one\n2. two",
    ],
)
def test_no_code_is_said(text: str) -> None:
    found = extract(text, "f")
    assert found.program is None
    assert found.outcome is Outcome.NO_CODE


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "```" * 10_000, "x\x00y", "'''" + "a" * 100_000, "[" * 300 + "\n" + F, "if x:\n" * 2_000],
)
def test_parser_bombs_are_survived(text: str) -> None:
    began = time.perf_counter()
    extract(text, "f")
    assert time.perf_counter() - began < 2


def _long(lines: int) -> str:
    return "def f(x):\n" + "".join(f"    x = x + {i}  # step\n" for i in range(lines - 2)) + "    return x\n"


@pytest.mark.parametrize(
    "text",
    [_long(400), _long(400) + "\nThis function\nadds (many numbers\n", f"Sure:\n\n```python\n{_long(400)}"],
    ids=["program", "prose behind", "unclosed fence"],
)
def test_four_hundred_lines_take_less_than_fifty_milliseconds(text: str) -> None:
    best = min(_seconds(text) for _ in range(3))
    assert best < 0.05


def _seconds(text: str) -> float:
    began = time.perf_counter()
    assert extract(text, "f").program is not None
    return time.perf_counter() - began


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return str(x))",
        "```python\ndef f(x):\n    return str(x))\n```",
        "def f(x):\n    return (]\n```",
    ],
)
def test_code_that_does_not_parse_is_kept_for_a_syntax_error(text: str) -> None:
    found = extract(text, "f")
    assert found.outcome is None
    assert found.program is not None
    assert found.program.startswith("def f(x)")
    assert "```" not in found.program
