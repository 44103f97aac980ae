"""The rules of the extractor; test_extract_shapes.py holds the texts that models write."""

from __future__ import annotations

import pytest

from codefit.core.types import Outcome
from codefit.suites.extract import defines, extract
from codefit.suites.fences import fenced_blocks
from codefit.suites.prefix import parse

F = "def f(x):\n    return x + 1"
G = "def g(x):\n    return x - 1"


def fence(code: str, info: str = "python") -> str:
    return f"```{info}\n{code}\n```"


def test_the_last_block_that_defines_the_entry_point_wins() -> None:
    text = f"{fence('def f(x): return 0')}\nBetter:\n{fence(F)}\n{fence(G)}"
    assert extract(text, "f").program == F
    assert extract(text, "g").program == G


def test_the_first_raw_stretch_that_defines_the_entry_point_wins() -> None:
    assert extract(f"{F}\n\nThe next task of the list:\n\ndef f(x): return 0\n", "f").program == F


def test_without_an_entry_point_the_last_python_block_with_a_definition_wins() -> None:
    text = f"{fence(F)}\nthen\n{fence(G)}\n{fence('print(g(1))')}\n{fence('x = 1', 'toml')}"
    assert extract(text).program == G


def test_without_an_entry_point_the_longest_raw_stretch_wins() -> None:
    script = "n = int(input())\nfor i in range(n):\n    print(i)"
    assert extract(f"x = 1\n\nThis was wrong, so:\n\n{script}\n\nIt prints (all.").program == script


def test_without_an_entry_point_a_block_that_reads_its_input_wins() -> None:
    solve, script = "def solve(n):\n    return n", "print(solve(int(input())))"
    text = f"{fence(solve)}\nRead it:\n{fence(script)}\nTo test:\n{fence('def test(): pass')}"
    assert extract(text).program == f"{solve}\n\n{script}"


def test_the_code_of_a_user_is_no_answer() -> None:
    text = f"<|im_start|>user\nFix:\n{fence(F)}<|im_end|>\n<|im_start|>assistant\nI can't.<|im_end|>"
    assert extract(text, "f").outcome is Outcome.NO_CODE


def test_a_method_entry_point_needs_the_method() -> None:
    bodies = ["\n    def other(self): ...", "\n    def go(self):\n        return 1", " pass"]
    text = "\n".join(fence(f"class Solution:{body}") for body in bodies)
    assert extract(text, "Solution.go").program == f"class Solution:{bodies[1]}"


def test_a_method_that_a_base_class_may_have_is_better_than_none() -> None:
    text = f"{fence('class Solution(Base): pass')}\n{fence('class Other: pass')}"
    assert extract(text, "Solution.go").program == "class Solution(Base): pass"


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        ("memo[f] = 1\nf.calls = 0", "f"),
        ("f: int", "f"),
        ("print(f)", "f"),
        ("class S:\n    def f(self): pass", "f"),
        ("def g():\n    f = 1", "f"),
        ("g = [f for f in 'ab']", "f"),
    ],
)
def test_a_name_that_is_only_read_or_local_is_not_defined(source: str, entry: str) -> None:
    module = parse(source)
    assert module is not None
    assert not defines(module, entry)


def test_an_endless_chain_of_elifs_is_no_recursion() -> None:
    text = "if x: pass\n" + "elif x: pass\n" * 900 + F
    assert extract(text, "f").program == text
    assert extract(f"It is so:\n{text}", "f").program == text


def test_a_block_is_added_only_for_a_name_that_is_bound_nowhere_in_the_chosen_one() -> None:
    helper, caller = "def h(x):\n    return x", "def f(x):\n    return h(x)"
    local, loop = "def f(h):\n    return h(1)", "def f(x):\n    return [h for h in x]"
    assert extract(f"{fence(helper)}\n{fence(caller)}", "f").program == f"{helper}\n\n{caller}"
    for unneeding in (F, local, loop):
        assert extract(f"{fence(helper)}\n{fence(unneeding)}", "f").program == unneeding


def test_added_blocks_stand_in_the_order_of_the_text_and_bring_what_they_need() -> None:
    parts = [
        "import math",
        "def g(x):\n    return h(x)",
        F.replace("x + 1", "g(x)"),
        "def h(x):\n    return math.pi",
    ]
    text = "\nthen\n".join(fence(part) for part in parts)
    assert extract(text, "f").program == "\n\n".join(parts)


def test_a_star_import_may_bind_every_name() -> None:
    caller = "from math import *\n\ndef f(x):\n    return floor(x)"
    assert extract(f"{fence('floor = 3')}\n{fence(caller)}", "f").program == caller


def test_a_later_block_does_not_replace_what_the_chosen_one_defines() -> None:
    caller, later = "def f(x):\n    return h(x)", "def h(x):\n    return x\n\ndef f(x):\n    pass"
    assert extract(f"{fence(caller)}\n{fence(later)}", "f").program == caller


def test_a_future_import_stays_at_the_top() -> None:
    caller = "from __future__ import annotations\n\ndef f(x):\n    return h(x)"
    assert extract(f"{fence('h = abs')}\n{fence(caller)}", "f").program == caller


def test_a_truncated_program_keeps_its_longest_parseable_part() -> None:
    found = extract(f"{F}\n\n{G}\n\ndef h(x):\n    y = [1, 2\n", "f")
    assert found.program == f"{F}\n\n{G}"


def test_a_syntax_error_in_the_entry_point_is_not_cut_away() -> None:
    broken = "def f(x):\n    y = 1\n    return str(y))\n    return 0"
    for text in (broken, fence(broken), f"So:\n{fence(broken)}\n{fence('print(f(1))')}"):
        found = extract(text, "f")
        assert (found.program, found.rule, found.outcome) == (broken, "code that does not parse", None)


def test_a_body_continues_its_prompt_from_inside_a_fence() -> None:
    prompt = 'def f(x):\n    """Add one."""\n'
    body = "    y = x + 1\n    return y"
    assert extract(prompt + fence(body), "f").program == f"{prompt}{body}"
    assert extract(fence(body), "f").rule.endswith("without the entry point")


def test_the_body_of_a_function_is_no_indented_program() -> None:
    text = "def g(n):\n    f = [0]\n    for i in range(n):\n        f.append(i)\n    return (f]\n\nand more"
    assert extract(text, "f").program != "f = [0]\nfor i in range(n):\n    f.append(i)"


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
        "42",
        "Use `f(x)` as it is.",
        "<think>\nHm, f.\n</think>",
        "这是函数",
    ],
)
def test_no_code_is_said(text: str) -> None:
    found = extract(text, "f")
    assert found.program is None
    assert found.outcome is Outcome.NO_CODE


def test_a_block_knows_its_lines_and_whether_it_was_closed() -> None:
    blocks = fenced_blocks("Hi\n```python\nx = 1\n```\nand\n```c\nint y;\n")
    assert [(b.first, b.end, b.closed, b.python) for b in blocks] == [
        (2, 3, True, True),
        (6, 8, False, False),
    ]


@pytest.mark.parametrize(
    "code", ["(" * 100_000, "-" * 100_000 + "1", "x." * 50_000 + "x", "1" * 5_000, "'" * 9_999]
)
def test_what_the_parser_cannot_hold_is_survived(code: str) -> None:
    assert extract(f"{fence('x = ' + code)}\n{fence(F)}", "f").program == F


def test_texts_are_cut_at_400_000_characters() -> None:
    found = extract(F + "\n" + "# x\n" * 200_000, "f")
    assert found.program is not None
    assert len(found.program) == 400_000
