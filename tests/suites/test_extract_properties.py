"""What holds of every text: programs come back unchanged, and no text is too strange."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codefit.core.types import Outcome
from codefit.suites import prefix
from codefit.suites.extract import extract

BODIES = [
    "    return x + 1",
    "    y = [\n        x,\n    ]\n    return y",
    '    """Doc (it\'s.\n\n    ```python\n    f(1)\n    ```\n    """\n    return x',
    "    s = f\"{x!r:>{10}} '''\"  # it's `so` (\n    return s",
    "    if (y := x):\n\n        return y\n    # end\n    else:\n        return {'a': \"```\"}",
    "    try:\n        return x\n    finally:\n        pass",
    "    '''\nAt the margin:\n```\nx\n```\n'''\n    return x",
    "\tfor i in range(x):\n\t\tyield i",
    "    match x:\n        case [a, *_]:\n            return a",
    "    return x + \\\n  1",
]
HEADS = [
    "def f(x):",
    "async def f(x):",
    "@staticmethod\n# so\n@property\ndef f(x):",
    "def f(\n    x,\n):",
]
OTHERS = [
    "import math",
    "from typing import List, Dict",
    "try:\n    import numpy as np\nexcept ImportError:\n    np = None",
    "T = []\nfor i in range(3):\n    T.append(i)",
    "TABLE = [\n1,\n2,\n]",
    'TEXT = """\nIt\'s (prose.\n### Response:\n```\n<|im_end|>\n"""',
    "# a comment, isn't it?",
    "class A:\n    x = 1\n\n    def m(self):\n        pass",
    "if __name__ == '__main__':\n    print(1)",
    "print('done')",
    "assert True",
    "n: int = 0\nn += 1",
    "while False:\n    pass\nelse:\n    n = 1",
    "g = lambda x: x",
    "with open(__file__) as h:\n    h.read()",
    "del math, n",
    "# ```python\n# f(1)\n# ```",
    "s = '```'",
    "s = '''it's\n```python\nx = 1\n```\n'''",
    '# it\'s a """ comment (',
    'r = r"\\"" + """\\""" (so\nit goes.\n"""',
    "x = 1; x",
    "if True:\n    pass\n# c\nelse:\n    pass",
    "@property\n\n# c\n\n@staticmethod\nclass C: pass",
    "for i in (\n1,\n2):\n    print(i)",
    "def g(a,\nb):\n    pass",
    "y = (1 +\n# it's so\n2)",
    'z = f"""\n{1}\n"""',
    "class B:\n\n\n# at the margin\n\n    def m(self): pass",
    "q = \\\n    1",
    "print('''\n</think>\n### Response:\n''')",
    "e = '</think> <|im_end|>' + \"</s>\"",
    '"""A "quoted" word."""',
    "b = '\\\\'",
    "pass\n\x0c\npass",
    "h = {\n'a': [\n    1,\n],\n}",
    "Later: int = 0",
]
WORDS = st.sampled_from(
    ["it", "adds", "(one,", "two)", "isn't", "`f`", "[a]", '"b"', "3", "–", "函数", "and;", "def", "import"]
)
SENTENCES = st.lists(WORDS, min_size=2, max_size=8).map(lambda words: f"Note that {' '.join(words)}.")
SAYINGS = st.sampled_from(
    [
        *[
            "",
            "- It is `f(x)`.",
            "这个函数，返回结果。",
            "Sure!",
            "Output:",
            "1. First",
            "Time: O(n)",
            "word",
            "| a | b |",
        ],
        *[
            'He said """so.',
            "Use ```f(1)``` now.",
            "**Bold:** text",
            "a, b",
            "---",
            "Input: nums = [1]",
            "$x^2$",
        ],
    ]
)
PROSE = st.lists(SENTENCES | SAYINGS, max_size=4)
ASIDES = PROSE | st.sampled_from(
    [
        ["```bash", "pip install x", "```"],
        ["# Heading"],
        ["```", "2", "```"],
        ["```python", "print(1)", "```"],
    ]
)
MARKS = st.sampled_from(["```", "~~~", "````", "```````"])
INFOS = st.sampled_from(["", "python", "Python", "py", "{.python}", 'python title="a.py"', "text"])
INDENTS = st.sampled_from(["", "   ", "\t", "> ", "> > "])


@st.composite
def modules(draw: st.DrawFn) -> str:
    """Return a module that defines `f`."""
    others = st.lists(st.sampled_from(OTHERS), max_size=4)
    function = draw(st.sampled_from(HEADS)) + "\n" + draw(st.sampled_from(BODIES))
    between = draw(st.sampled_from(["\n", "\n\n", "\n\n\n"]))
    return between.join([*draw(others), function, *draw(others)])


def indented(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.split("\n"))


@settings(deadline=None, max_examples=300)
@given(modules(), ASIDES, ASIDES, MARKS, INFOS, INDENTS, st.sampled_from(["\n", "\r\n"]))
def test_a_fenced_module_comes_back_unchanged(
    module: str, before: list[str], behind: list[str], mark: str, info: str, indent: str, newline: str
) -> None:
    block = indented(f"{mark}{info}\n{module}\n{mark}", indent)
    text = "\n".join([*before, block, *behind]).replace("\n", newline)
    assert extract(text, "f").program == module


@settings(deadline=None, max_examples=300)
@given(modules(), PROSE, PROSE)
def test_a_module_between_lines_of_prose_comes_back_unchanged(
    module: str, before: list[str], behind: list[str]
) -> None:
    found = extract("\n".join([*before, module, *behind]), "f").program
    assert found is not None
    assert found.strip("\n") == module


@settings(deadline=None, max_examples=200)
@given(modules(), PROSE)
def test_a_module_whose_fence_the_prompt_opened_comes_back_unchanged(module: str, behind: list[str]) -> None:
    assert extract("\n".join([module, "```", *behind]), "f").program == module


@settings(deadline=None, max_examples=200)
@given(modules())
def test_a_module_is_taken_as_it_is(module: str) -> None:
    assert extract(module, "f").program == module


FRAMES = {
    "thought": "<think>\nHm.\n```python\ndef f(x):\n    return None\n```\n</think>\n\n```python\n{}\n```",
    "turns": "<|im_start|>assistant\n```python\n{}\n```<|im_end|>\n<|im_start|>user\nMore!<|im_end|>",
    "raw turn": "{}<|im_end|>\n<|im_start|>user\nMore!",
    "Alpaca": "### Response:\n{}\n\n### Instruction:\nNow subtract.\n\n### Response:\ndef f(x):\n    return 0",
    "Markdown in a fence": "So:\n````markdown\n# Title\n```python\n{}\n```\nthus\n````\nDone.",
    "opened behind prose": "Here it is: ```python\n{}\n```\nDone.",
    "unclosed": "Here:\n```python\n{}",
    "prose behind the fence": "```python\n{}\n``` That is all.\nDone.",
    "HTML": "<p>Here</p>\n<pre><code class='python'>{}</code></pre>\n<p>Done</p>",
    "indented": "Here it is:\n\n{}\n\nThat is all.",
    "session": "Here it is:\n\n{}\n",
}


@settings(deadline=None, max_examples=300)
@given(modules(), st.sampled_from(sorted(FRAMES)))
def test_a_module_in_any_frame_comes_back_unchanged(module: str, frame: str) -> None:
    shown = {
        "HTML": html.escape(module, quote=False),
        "indented": indented(module, "    "),
        "session": ">>> " + module.replace("\n", "\n... "),
    }
    assume(frame not in shown or frame == "HTML" or not re.search("### R|<[|]|</think", module))
    found = extract(FRAMES[frame].replace("{}", shown.get(frame, module)), "f").program
    assert found is not None
    assert found.strip("\n") == module


MARKUP = "``` ```python ~~~ ```` `f` \"\"\" ''' ( ] def_f(x): @a <code> </pre> </think> <|im_end|> </s> ### >>> > - 1."
LINES = st.sampled_from(
    [
        *(line for part in [*BODIES, *OTHERS] for line in part.split("\n")),
        *MARKUP.split(),
        *["def f(x):", "class S:", "### Response:", "<|im_start|>assistant", ">>> def f(x):", "... 1"],
        *["word", "It's so.", "", "\f"],
    ]
)
SOUPS = st.lists(LINES | st.text(max_size=12), max_size=60).map("\n".join)


@settings(deadline=None, max_examples=400)
@given(SOUPS | st.text(), st.sampled_from(["f", "S.f", None]))
def test_every_text_has_one_answer_and_it_costs_a_bounded_number_of_parses(
    text: str, entry: str | None
) -> None:
    sizes: list[int] = []
    original = prefix._try
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix, "_try", lambda source: sizes.append(len(source)) or original(source))
        found = extract(text, entry)
    assert extract(text, entry) == found
    assert (found.program is None) == (found.outcome is Outcome.NO_CODE)
    assert sum(sizes) <= 60 * len(text) + 1_000
    if found.program is not None and found.rule != "code that does not parse":
        assert prefix.parse(found.program)
