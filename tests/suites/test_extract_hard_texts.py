"""Texts that are bad for one rule of the extractor or another, at any length.

benchmarks/extraction.py measures the time they take.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from codefit.suites import prefix
from codefit.suites.extract import extract


def repeated(*lines: str) -> Callable[[int], str]:
    """Return a family that repeats some lines."""
    return lambda n: "\n".join((list(lines) * (n // len(lines) + 1))[:n])


def program(n: int) -> str:
    """Return a function of n lines."""
    body = "".join(f"    x = x + {i}  # step\n" for i in range(n - 2))
    return f"def f(x):\n{body}    return x\n"


def mixed(n: int) -> str:
    """Return lines of all other families in random order."""
    pool = [
        line
        for name, make in FAMILIES.items()
        if name != "lines of all kinds"
        for line in make(8).split("\n")
    ]
    return "\n".join(random.Random(n).choices(pool, k=n))


LAST = "\n\ndef f(x):\n    return x\n"
FAMILIES: dict[str, Callable[[int], str]] = {
    "program": program,
    "prose around a program": lambda n: f"It's so, I say:\n{program(n)}\nThis adds (many.\n",
    "fenced program": lambda n: f"So:\n```python\n{program(n)}```\nok",
    "unclosed fence": lambda n: f"So:\n```python\n{program(n)}",
    "unopened fence": lambda n: f"{program(n)}```\nok.",
    "broken off in the last line": lambda n: f"{program(n)}    y = (1",
    "broken in the first line": lambda n: f"def g(:\n{program(n)}",
    "broken in the middle": lambda n: f"{program(n // 2)}    y = (]\n" + "    x = 1\n" * (n // 2),
    "docstring never closed": lambda n: f'def g():\n    """\n{program(n)}',
    "try never finished": lambda n: "def f(x):\n    try:\n" + "        x = 1\n" * n,
    "deep tries never finished": lambda n: (
        "def f(x):\n" + "".join(f"{'    ' * i}try:\n" for i in range(1, 91)) + f"{'    ' * 91}x = 1\n" * n
    ),
    "every second function broken": repeated("def g(x):", "    return (]", "def g(x):", "    return 1"),
    "every second line prose": repeated("x = 1", "and this is prose"),
    "statements": repeated("g(1)"),
    "prose": repeated("This is a line of prose, isn't it?"),
    "open brackets": repeated("("),
    "prose with open brackets": repeated("a (b"),
    "open strings": repeated('x = """'),
    "open strings of two kinds": repeated('"""', "'''"),
    "functions with open docstrings": repeated("def f(x):", '    """'),
    "backtick lines": repeated("```"),
    "opening fences": repeated("```python"),
    "closed blocks": repeated("```python", "def g(x):", "    return 1", "```"),
    "unclosed blocks": repeated("```python", "def g(x):", "    return 1", ""),
    "broken blocks": repeated("```python", "def g(x):", "    return (", "```"),
    "blocks with open strings": repeated("```python", 'a """', "b", "```", 'c """ d """'),
    "fences in an open string": lambda n: '```python\ndef g(x):\n    """\n' + repeated("```", "x")(n),
    "fences that grow": lambda n: "\n".join("`" * min(3 + i, 1000) for i in range(n)),
    "fences that shrink": lambda n: "\n".join("`" * max(3, min(n, 1000) - i) for i in range(n)),
    "fences glued to prose": repeated("so: ```python", "x = 1", "```"),
    "quoted lines": repeated("> x = 1", "> so it is"),
    "sessions": repeated("```", ">>> x = 1", "2", "```"),
    "indented bits": repeated("so it is:", "", "    x = 1", ""),
    "blocks that need the next": lambda n: "\n".join(
        f"```python\ndef f{i}(x): return f{i + 1}(x)\n```" for i in range(n // 3)
    ),
    "HTML": repeated("so <code>x</code> is <pre>y</pre>."),
    "HTML never closed": repeated("<code>", "so <pre>"),
    "turns": repeated("<|im_start|>assistant", "```python", "def g(x):", "    return 1", "```", "<|im_end|>"),
    "thoughts": repeated("<think>", "x", "</think>"),
    "Alpaca turns": repeated("### Instruction:", "do", "### Response:", "x = 1"),
    "inline code": repeated("Use `x` and `y`, or ``z``."),
    "decorators": repeated("@a"),
    "line continuations": repeated("x = 1 + \\"),
    "elifs": lambda n: "if x: pass\n" + "elif x: pass\n" * n,
    "headers": lambda n: "".join(f"{' ' * i}if x:\n" for i in range(min(n, 600))),
    "prompt marks": repeated("[DONE]", "x = 1"),
    "one line of backticks": lambda n: "`" * 20 * n,
    "one line of inline code": lambda n: "`x` " * 5 * n,
    "one line of chat marks": lambda n: "<|im_end|></think>" * n,
    "one line of quotes": lambda n: "\"'" * 10 * n,
    "one line of brackets": lambda n: "([" * 10 * n,
    "one line of list marks": lambda n: "1. - > " * 3 * n + "```",
    "lines of all kinds": mixed,
}


@pytest.mark.parametrize("lines", [1, 7, 300])
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "lines of all kinds"])
def test_a_fenced_function_behind_any_text_is_found(name: str, lines: int) -> None:
    text = f"{FAMILIES[name](lines)}\n\n```python\n{LAST.strip()}\n```\n"
    assert extract(text, "f").program == LAST.strip()


@pytest.mark.parametrize("tail", ["", LAST], ids=["", "with the entry point"])
@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_parsed_grows_with_the_text_and_not_with_its_square(
    name: str, tail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = prefix._try
    monkeypatch.setattr(prefix, "_try", lambda source: sizes.append(len(source)) or original(source))
    for lines in (300, 1_200):
        text = FAMILIES[name](lines) + tail
        sizes.clear()
        extract(text, "f")
        assert sum(sizes) < 60 * len(text) + 10_000
