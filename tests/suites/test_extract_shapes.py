"""The shapes in which models write code: of each, the program it holds and the rule that finds it.

All programs are ours. `check` is an expression that must be true of the program;
benchmarks/extraction.py judges by it what another extractor makes of the same text.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from codefit.suites.extract import extract
from codefit.suites.prefix import parse

F = "def f(x):\n    return x + 1"
OLD = "def f(x):\n    return x - 1"
USE = "print(f(1))"
STUB = "def f(x):\n    pass"
RAISES = 'def f(x):\n    """Add one."""\n    raise NotImplementedError'
TESTS = "from solution import f\nassert f(1) == 2"
SCRIPT = "function f(x) {\n  return x + 1;\n}"
SETS = "f.calls = 0\nmemo = {}\nmemo[f] = 1"
FLOOR = "def f(x):\n    return math.floor(x) + 1"
CALLER = "def f(x):\n    return g(x)"
HELPER = "def g(x):\n    return x + 1"
LOCAL = "x = 3\nprint(x)"
REPL = ">>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2"
REPL_USE = ">>> f(1)\n2"
JSON = '{"a": 1}'
TAB = "\t"
TALK = "This function adds one to its argument, and it's fast."


class Shape(NamedTuple):
    """One text; `entry` is the entry point, `check` what must be true of the program."""

    name: str
    text: str
    program: str
    rule: str
    entry: str = "f"
    check: str = "f(1) == 2"


def fence(code: str, info: str = "python", mark: str = "```") -> str:
    """Return code in a fence."""
    return f"{mark}{info}\n{code}\n{mark}"


def indent(text: str, by: str) -> str:
    """Return a text with `by` before every line."""
    return "\n".join(by + line for line in text.split("\n"))


def whole(name: str, text: str, **more: str) -> Shape:
    """Return a shape that is a program as it stands."""
    return Shape(name, text, text, "whole text", **more)


NESTED = 'def f(x):\n    """Add one.\n\n    ```python\n    f(1)  # 2\n    ```\n    """\n    return x + 1'
BARE_NESTED = 'def f(x):\n    """Add one.\n\n```\nf(1)\n```\n"""\n    return x + 1'
TEMPLATE = 'ASK = """\n### Instruction:\n{x}\n### Response:\n"""\n\n' + F
ENDS = 'END = "<|im_end|>", "</s>"\n\n' + F
TABLE = "T = []\nfor i in range(5):\n    T.append(i + 1)\n\ndef f(x):\n    return T[x]"

FENCES = [
    Shape("prose around a fence", f"Sure!\n\n{fence(F)}\n\n{TALK}", F, "fence"),
    Shape("a fence without a language", f"Here:\n{fence(F, '')}", F, "fence"),
    Shape("py3 as language", fence(F, "py3"), F, "fence"),
    Shape("capitals and a space before the language", fence(F, " Python"), F, "fence"),
    Shape("language and version", fence(F, "python3.11"), F, "fence"),
    Shape("title attribute", fence(F, 'python title="solution.py"'), F, "fence"),
    Shape("pandoc attributes", fence(F, '{.python .numberLines startFrom="1"}'), F, "fence"),
    Shape("file name behind the language", fence(F, "python:src/solution.py"), F, "fence"),
    Shape("file name alone", fence(F, "solution.py"), F, "fence"),
    Shape("wrong language", fence(F, "java"), F, "fence"),
    Shape("tildes", f"So:\n{fence(F, 'python', '~~~')}\nDone.", F, "fence"),
    Shape("five backticks", fence(F, "python", "`````"), F, "fence"),
    Shape("a longer closing fence", f"```python\n{F}\n`````\n{TALK}", F, "fence"),
    Shape("fence in Markdown in a fence", fence(f"Text\n{fence(F)}\nText", "markdown", "````"), F, "fence"),
    Shape("unclosed", f"Here:\n```python\n{F}\n", F + "\n", "fence, unclosed"),
    Shape("unclosed, prose behind", f"```python\n{F}\n\n{TALK}", F, "fence, unclosed, parseable part"),
    Shape(
        "unclosed, then another block", f"```python\n{F}\n\nUse it:\n{fence(USE)}", F, "fence, parseable part"
    ),
    Shape("unopened", f"{F}\n```\n\n{TALK}", F, "fence, unopened"),
    Shape("unopened, then an example", f"{F}\n```\nRun:\n{fence(USE)}", F, "fence, unopened"),
    Shape("unopened script code first", f"{TABLE}\n```", TABLE, "fence, unopened"),
    Shape("unopened after prose", f"The code:\n{F}\n```\nRun:\n{fence(USE)}", F, "raw text after prose"),
    Shape("closing fence glued to the code", f"```python\n{F}```\n{TALK}", F, "fence"),
    Shape("unopened and glued", f"{F}```", F, "fence, unopened"),
    Shape("prose behind the closing fence", f"```python\n{F}\n``` This is it.\n{TALK}", F, "fence"),
    Shape("prose before the opening fence", f"Here is the code: ```python\n{F}\n```", F, "fence"),
    Shape("code on the opening fence", f"```python {F}\n```", F, "fence"),
    Shape("code instead of a language", f"```{F}\n```", F, "fence"),
    Shape("language on its own line", f"```\npython\n{F}\n```", F, "fence"),
    Shape("indented in a list", f"1. Do:\n\n{indent(fence(F), '   ')}\n2. Done", F, "fence"),
    Shape("behind a list marker", f"- ```python\n{indent(F, '  ')}\n  ```\n- Done", F, "fence"),
    Shape("indented with a tab", f"- Do:\n{indent(fence(F), TAB)}", F, "fence"),
    Shape("code deeper than its fence", f"```python\n{indent(F, '    ')}\n```", F, "fence"),
    Shape("quoted", f"They say:\n{indent(fence(F), '> ')}\nso", F, "fence"),
    Shape(
        "quoted, blank lines bare",
        "> ```python\n> import math\n>\n> def f(x):\n>     return math.floor(x + 1)\n> ```",
        "import math\n\ndef f(x):\n    return math.floor(x + 1)",
        "fence",
    ),
    Shape("CRLF", f"Here:\r\n```python\r\n{F}\r\n```\r\n".replace("x):\n", "x):\r\n"), F, "fence"),
    Shape("CR alone", f"Here:\n{fence(F)}\n".replace("\n", "\r"), F, "fence"),
    Shape("byte order mark inside", f"```python\n\ufeff{F}\n```", F, "fence"),
    Shape("tabs", "```python\ndef f(x):\n\treturn x + 1\n```", "def f(x):\n\treturn x + 1", "fence"),
    Shape("fence in a docstring in a fence", f"Here:\n{fence(NESTED)}\n{TALK}", NESTED, "fence"),
    Shape("bare fence at the margin of a docstring", fence(BARE_NESTED), BARE_NESTED, "fence"),
    Shape(
        "fence in a docstring, broken off behind",
        f"```python\n{NESTED}\n\n\ndef g(x):\n    y = [x,",
        NESTED,
        "fence, unclosed, parseable part",
    ),
    Shape(
        "fences in comments",
        fence(f"# Example:\n# ```\n# f(1)\n# ```\n{F}"),
        f"# Example:\n# ```\n# f(1)\n# ```\n{F}",
        "fence",
    ),
    Shape(
        "an unbalanced quote, then a good block",
        f'```python\ndef g():\n    """Oops.\n```\nBetter:\n{fence(NESTED)}',
        NESTED,
        "fence",
    ),
]

BLOCKS = [
    Shape("two alternatives", f"{fence(OLD)}\nBetter:\n{fence(F)}", F, "fence"),
    Shape("a stub, then the solution", f"{fence(STUB)}\nNow:\n{fence(F)}", F, "fence"),
    Shape(
        "the solution, then a stub",
        f"{fence(F)}\nYour turn:\n{fence(RAISES)}",
        F,
        "fence",
    ),
    Shape("example behind", f"{fence(F)}\nUse:\n{fence(USE)}", F, "fence"),
    Shape("example before", f"{fence(USE)}\nneeds\n{fence(F)}", F, "fence"),
    Shape("output behind", f"{fence(F)}\nOutput:\n{fence('2', '')}", F, "fence"),
    Shape("tests that import it", f"{fence(F)}\n{fence(TESTS)}", F, "fence"),
    Shape(
        "shell and JSON besides",
        f"{fence('pip install x', 'bash')}\n{fence(F)}\n{fence(JSON, 'json')}",
        F,
        "fence",
    ),
    Shape(
        "JavaScript besides",
        f"{fence(F)}\nIn JavaScript:\n{fence(SCRIPT, 'javascript')}",
        F,
        "fence",
    ),
    Shape("a truncated second try", f"{fence(F)}\nBetter:\n```python\ndef f(x):\n    y = [x,", F, "fence"),
    Shape(
        "attribute set in the example",
        f"{fence(F)}\nThen:\n{fence(SETS)}",
        F,
        "fence",
    ),
    Shape(
        "imports in a block of their own",
        f"First:\n{fence('import math')}\nThen:\n{fence(FLOOR)}",
        "import math\n\ndef f(x):\n    return math.floor(x) + 1",
        "fence, with others it needs",
    ),
    Shape(
        "helper in a later block",
        f"{fence(CALLER)}\nwith\n{fence(HELPER)}",
        f"{CALLER}\n\n{HELPER}",
        "fence, with others it needs",
    ),
    Shape("a local of the same name elsewhere", f"{fence(LOCAL)}\n{fence(F)}", F, "fence"),
    Shape(
        "a block with prose in it",
        fence(f"import math\n{F}\n\n{TALK}"),
        f"import math\n{F}",
        "fence, parseable part",
    ),
    Shape("broken example in the block", fence(f"{F}\n\nprint(f(1)"), F, "fence, parseable part"),
    Shape(
        "broken helper in the middle",
        fence("import math\n\ndef g(x):\n    return (x]\n\ndef f(x):\n    return math.floor(x) + 1"),
        "import math\n\ndef f(x):\n    return math.floor(x) + 1",
        "fence, parseable part, with others it needs",
    ),
    Shape(
        "a second try that breaks off but parses",
        f"{fence(F)}\nOr:\n```python\ndef f(x):\n    ret",
        F,
        "fence",
    ),
    Shape("the same again and again", f"{fence(F)}\n" * 30 + "```python\ndef f(x):\n    return", F, "fence"),
    Shape(
        "a magic in the block",
        fence(f"!pip install x\nimport math\n\n{F}"),
        f"import math\n\n{F}",
        "fence, parseable part",
    ),
    Shape(
        "a shell that writes it", fence(f"cat > f.py << 'EOF'\n{F}\nEOF", "bash"), F, "fence, parseable part"
    ),
]

RAW = [
    Shape("prose before and behind", f"Sure, it's easy!\n\n{F}\n\n{TALK}", F, "raw text after prose"),
    Shape("prose without blank lines", f"Sure!\n{F}\nDone!", F, "raw text after prose"),
    Shape("one word before", f"Certainly\n{F}", F, "raw text after prose"),
    Shape("one word behind", f"{F}\nDone", F, "raw text"),
    Shape("label behind", f"{F}\n\nOutput: y", F, "raw text"),
    Shape("complexity behind", f"{F}\n\nComplexity: O(n)", F, "raw text"),
    Shape("labels of an example", f"Input: nums = [1, 2]\nOutput: total\n\n{F}", F, "raw text after prose"),
    Shape("done mark of a prompt", f"{F}\n[DONE]\n\nNext task", F, "raw text"),
    Shape("marks around", f"[BEGIN]\n{F}\n[DONE]", F, "raw text after prose"),
    Shape(
        "top-level loop after prose", f"As follows.\n\n{TABLE}\n\nThat is all.", TABLE, "raw text after prose"
    ),
    Shape(
        "optional import after prose",
        f"As follows:\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n{F}\nOK?",
        f"try:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n{F}",
        "raw text after prose",
    ),
    Shape(
        "decorator after prose",
        f"Cached, of course:\nimport functools\n\n@functools.cache\n# quick\n@functools.wraps(len)\n{F}\nYes?",
        f"import functools\n\n@functools.cache\n# quick\n@functools.wraps(len)\n{F}",
        "raw text after prose",
    ),
    Shape(
        "brackets over lines at the margin",
        f"I think:\nT = [\n1,\n2,\n]\n{F}\nI am sure.",
        f"T = [\n1,\n2,\n]\n{F}",
        "raw text after prose",
    ),
    Shape(
        "string over lines at the margin",
        f"I think:\nDOC = '''\nThis (is\nprose\n'''\n{F}\nI am sure.",
        f"DOC = '''\nThis (is\nprose\n'''\n{F}",
        "raw text after prose",
    ),
    Shape(
        "line continuation",
        f"I think:\nONE = 0 + \\\n1\n{F}\nI am sure.",
        f"ONE = 0 + \\\n1\n{F}",
        "raw text after prose",
    ),
    Shape("comment first", f"Look here!\n# adds one\n{F}", f"# adds one\n{F}", "raw text after prose"),
    Shape(
        "comment at the margin of a body",
        "Look here!\ndef f(x):\n# one more\n    return x + 1",
        "def f(x):\n# one more\n    return x + 1",
        "raw text after prose",
    ),
    Shape(
        "headings",
        f"# Solution\n\nWe add one.\n\n## Code\n\n{F}\n\n## Notes\n\nThat's all.",
        f"## Code\n\n{F}\n\n## Notes",
        "raw text after prose",
    ),
    Shape("list behind", f"{F}\n\n- It is fast.\n- It is `f(x)`.", F, "raw text"),
    Shape("indented prose behind", f"{F}\n\n  Note that it adds (one).\n  - `f(1)` is 2", F, "raw text"),
    Shape(
        "open bracket in the prose", f"It adds (as asked\n{F}\nand that is (all", F, "raw text after prose"
    ),
    Shape("apostrophes in the prose", f"It's what you're after:\n{F}\nIsn't it?", F, "raw text after prose"),
    Shape(
        "inline code in the prose",
        f"Use `f` with `x`, or ```f(1)```:\n{F}\nThen `f(1)` is `2`.",
        F,
        "raw text after prose",
    ),
    Shape(
        "Chinese prose",
        f"这是一个函数，它把参数加一：\n\n{F}\n\n示例：f(1) 返回 2。",
        F,
        "raw text after prose",
    ),
    Shape("one Chinese word", f"代码\n{F}\n完成", F, "raw text after prose"),
    Shape("Chinese prose and a fence", f"解决方案如下：\n{fence(F)}\n说明：参数加一。", F, "fence"),
    Shape("example output in the fence", f"{F}\n\nOutput:\n{fence('2', '')}\nas asked.", F, "raw text"),
    Shape("example in a fence", f"{F}\n\nExample:\n{fence(USE)}", F, "raw text"),
    Shape(
        "prose between the helper and the solution",
        "The helper:\n\ndef g(x):\n    return x + 1\n\nThe solution:\n\ndef f(x):\n    return g(x)\n\nIt's done.",
        "def g(x):\n    return x + 1\n\ndef f(x):\n    return g(x)",
        "raw text after prose, with others it needs",
    ),
    Shape(
        "code for a call behind prose", f"{F}\n\nYou may call it so:\n\nprint(f(undefined))", F, "raw text"
    ),
    Shape(
        "a stub in the question",
        f"Complete this:\n\ndef f(x):\n    ...\n\nThe answer:\n\n{F}",
        F,
        "raw text after prose",
    ),
    Shape(
        "Markdown code by indent",
        f"Here is the code:\n\n{indent(F, '    ')}\n\nDone, I think.",
        F,
        "indented text",
    ),
    Shape("all of it indented", indent(F, "    "), F, "indented text"),
    Shape("quoted without a fence", f"You wrote:\n{indent(F, '> ')}\nNo change.", F, "quoted text"),
    Shape("inline only", "Use `def f(x): return x + 1`.", "def f(x): return x + 1", "inline code"),
    Shape(
        "one-line fence",
        "Use ```def f(x): return x + 1``` as it is.",
        "def f(x): return x + 1",
        "inline code",
    ),
    Shape("lambda in the prose", "Use `f = lambda x: x + 1`, no more.", "f = lambda x: x + 1", "inline code"),
    Shape(
        "REPL",
        REPL,
        "def f(x):\n    return x + 1\n\nf(1)",
        "transcript",
    ),
    Shape(
        "REPL in a fence",
        f"So:\n{fence(REPL, 'pycon')}",
        "def f(x):\n    return x + 1\n\nf(1)",
        "fence, transcript",
    ),
    Shape(
        "IPython",
        "In [1]: def f(x):\n   ...:     return x + 1\n   ...:\n\nIn [2]: f(1)\nOut[2]: 2",
        "def f(x):\n    return x + 1\n\nf(1)",
        "transcript",
    ),
    Shape("REPL beside a block", f"{fence(F)}\nTry:\n{fence(REPL_USE)}", F, "fence"),
    Shape(
        "form feeds",
        f"Text, first.\n\x0c\nimport math\n\x0c\n{F}\nThe end.",
        f"import math\n\x0c\n{F}",
        "raw text after prose",
    ),
    Shape(
        "indented prose that begins like code",
        f"{F}\n\n  for example, one gives two.\n  if (so)",
        F,
        "raw text",
    ),
    Shape("triple quotes for a fence", f"So:\n'''python\n{F}\n'''\nDone, I say.", F, "triple quotes"),
    Shape("triple quotes alone", f'"""python\n{F}\n"""', F, "triple quotes"),
    Shape("zero-width space before the code", f"So:\n\u200b{F}", F, "raw text after prose"),
    Shape("table and rules around", f"| a |\n|---|\n\n---\n{F}\n---\n**End**", F, "raw text after prose"),
]

TRUNCATED = [
    Shape("in a statement", f"{F}\n\ndef g(x):\n    return x +", F, "raw text"),
    Shape("in a bracket", f"{F}\n\nT = [1,\n     2,", F, "raw text"),
    Shape("in a string", f"{F}\n\ns = 'abc", F, "raw text"),
    Shape("in a docstring", f'{F}\n\ndef g(x):\n    """Add\n\n    more and more', F, "raw text"),
    Shape(
        "in a docstring with text at the margin",
        f'{F}\n\ndef g(x):\n    """Add\nmore and (more',
        F,
        "raw text",
    ),
    Shape("behind a header", f"{F}\n\nfor i in range(3):\n", F, "raw text"),
    Shape("behind a decorator", f"{F}\n\n@cache\n", F, "raw text"),
    Shape("in the closing fence", f"```python\n{F}\n``", F, "fence, unclosed, parseable part"),
    Shape(
        "in the solution",
        "def f(x):\n    if x:\n        return x + 1\n    return [",
        "def f(x):\n    if x:\n        return x + 1",
        "raw text",
    ),
    Shape(
        "in a try in the solution",
        "def f(x):\n    if x:\n        return x + 1\n    try:\n        y = 1\n        z =",
        "def f(x):\n    if x:\n        return x + 1",
        "raw text",
    ),
    Shape(
        "in a fenced solution",
        "```python\ndef f(x):\n    if x:\n        return x + 1\n    y = {",
        "def f(x):\n    if x:\n        return x + 1",
        "fence, unclosed, parseable part",
    ),
    Shape("in the prose", f"{F}\n\nThis function ad", F, "raw text"),
]

PROGRAMS = [
    whole("blank lines around", f"\n\n{F}\n\n"),
    Shape("byte order mark first", f"\ufeff{F}", F, "whole text"),
    whole("imports and constants", f"import math\nfrom typing import List\n\nONE = 1\n\n{F}"),
    whole("helper without return", "def log(x):\n    print(x)\n\n\ndef f(x):\n    log(x)\n    return x + 1"),
    whole("decorated", f"import functools\n\n\n@functools.lru_cache(maxsize=None)\n{F}"),
    whole("loop at the top", TABLE),
    whole("while loop at the top", "n = 0\nwhile n < 1:\n    n += 1\n\ndef f(x):\n    return x + n"),
    whole("augmented constant", "N = 0\nN += 1\n\ndef f(x):\n    return x + N"),
    whole("optional import", f"try:\n    import numpy as np\nexcept ImportError:\n    np = None\n\n{F}"),
    whole("redefinition", f"{OLD}\n\n\n{F}"),
    whole("future import", f"from __future__ import annotations\n\n{F}"),
    whole(
        "method as entry point",
        "class S:\n    def f(self, x):\n        return x + 1",
        entry="S.f",
        check="S().f(1) == 2",
    ),
    whole(
        "class as entry point",
        "class S:\n    def __init__(self, x):\n        self.x = x + 1",
        entry="S",
        check="S(1).x == 2",
    ),
    whole(
        "method by assignment",
        "class S:\n    def g(self, x):\n        return x + 1\n    f = g",
        entry="S.f",
        check="S().f(1) == 2",
    ),
    whole("async", "async def f(x):\n    return x + 1", check="__import__('asyncio').run(f(1)) == 2"),
    whole("lambda", "f = lambda x: x + 1"),
    whole("annotated lambda", "from typing import Callable\nf: Callable = lambda x: x + 1"),
    whole("name for another function", "def add(x):\n    return x + 1\n\nf = add"),
    whole("two names at once", "f, g = (lambda x: x + 1), None"),
    whole("main guard", f"{F}\n\nif __name__ == '__main__':\n    print(f(1))"),
    whole("main guard with input", f"{F}\n\nif __name__ == '__main__':\n    print(f(int(input())))"),
    whole("asserts behind", f"{F}\n\nassert f(1) == 2\nassert f(2) == 3"),
    whole("prints behind", f"{F}\n\nprint(f(1))\nprint('done')"),
    whole("comparison behind", f"{F}\n\nf(1) == 2"),
    whole("value behind, as in a notebook", f"{F}\n\ny = f(1)\ny"),
    whole("docstring first", f'"""Adds one."""\n\n{F}'),
    whole(
        "overloads",
        f"from typing import overload\n\n@overload\ndef f(x: int): ...\n@overload\ndef f(x: float): ...\n{F}",
    ),
    whole(
        "match",
        "def f(x):\n    match x:\n        case int():\n            return x + 1\n        case _:\n            return 0",
    ),
    whole("walrus", "def f(x):\n    return y if (y := x + 1) else 0"),
    whole("f-string with quotes", "def f(x):\n    s = f\"{'a' if x else 'b'!r:>{10}}\"\n    return x + 1"),
    whole("line continuation in the body", "def f(x):\n    return x + \\\n        1"),
    whole(
        "annotations of the future",
        f"from __future__ import annotations\n\nN: Later\n\n{F}\n\nclass Later: ...",
    ),
    whole("annotation of a name nobody binds", f"{F}\n\nn: Missing = None", check=""),
    whole("semicolons", "import math; ONE = 1\ndef f(x): y = x + ONE; return y"),
    whole(
        "definition in a condition",
        "import sys\nif sys.version_info > (3,):\n    def f(x):\n        return x + 1\nelse:\n    f = None",
    ),
    whole(
        "definition in a try",
        "try:\n    from nowhere import f\nexcept ImportError:\n    def f(x):\n        return x + 1",
    ),
    whole("fence in a docstring, no fence around", NESTED),
    whole("end token in a string", ENDS),
    whole("chat marks in a string", TEMPLATE),
    whole("form feed", f"import math\n\x0c\n{F}"),
    whole("very long line", f"T = [{', '.join(map(str, range(3000)))}]\n\n{F}"),
    whole(
        "deep nesting",
        "def f(x):\n" + "".join(f"{'    ' * n}if x:\n" for n in range(1, 60)) + f"{'    ' * 60}return x + 1",
    ),
    whole(
        "many elifs",
        "def f(x):\n    if x == 0:\n        return 1\n"
        + "".join(f"    elif x == {n}:\n        return {n + 1}\n" for n in range(1, 400)),
    ),
    whole("Unicode names", "def f(größe):\n    数 = größe + 1\n    return 数"),
    whole(
        "completion of a prompt",
        'def f(x: int) -> int:\n    """Add one.\n\n    >>> f(1)\n    2\n    """\n    return x + 1\n',
    ),
    whole(
        "nonlocal and generator",
        "def f(x):\n    n = 0\n    def g():\n        nonlocal n\n        yield (n := x + 1)\n    return [*g()][0]",
    ),
    whole(
        "global in a function",
        "def init():\n    global N\n    N = 1\n\ninit()\n\ndef f(x):\n    return x + N",
    ),
]

CHAT = [
    Shape(
        "draft in a thought", f"<think>\nMaybe\n{fence(OLD)}\nno, add.\n</think>\n\n{fence(F)}", F, "fence"
    ),
    Shape(
        "fenced draft, raw answer",
        f"<think>\n{fence(OLD)}\n</think>\nSo:\n{F}\nOK!",
        F,
        "raw text after prose",
    ),
    Shape(
        "unclosed draft in a thought",
        f"<think>\n```python\ndef f(x):\n    y = \n</think>\n{fence(F)}",
        F,
        "fence",
    ),
    Shape("thought that began in the prompt", f"First, {OLD}\nno.\n</think>\n{F}", F, "raw text"),
    Shape("code in the thought alone", f"<thinking>\n{fence(F)}\n</thinking>\nSee above.", F, "fence"),
    Shape("a thought that never ends", f"<think>\nLet me see.\n{fence(F)}\nWait, that", F, "fence"),
    Shape(
        "channels",
        f"<|channel|>analysis<|message|>Hm.\n{fence(OLD)}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{F}<|return|>",
        F,
        "raw text",
    ),
    Shape("end of turn", f"{F}<|im_end|>", F, "raw text"),
    Shape("end of text, then other code", f"{F}<|endoftext|>{OLD}", F, "raw text"),
    Shape("end of text first", f"<|endoftext|>{F}", F, "raw text"),
    Shape("end of a sequence", f"{fence(F)}</s>", F, "fence"),
    Shape("next file", f"{F}\n<|file_sep|>test.py\n{OLD}", F, "raw text"),
    Shape(
        "invented next turn",
        f"{fence(F)}<|im_end|>\n<|im_start|>user\nSubtract!<|im_end|>\n<|im_start|>assistant\n{fence(OLD)}<|im_end|>",
        F,
        "fence",
    ),
    Shape(
        "echoed turns",
        f"<|im_start|>system\nYou code.<|im_end|>\n<|im_start|>user\nWhat is wrong?\n{fence(OLD)}<|im_end|>\n"
        f"<|im_start|>assistant\n{fence(F)}<|im_end|>",
        F,
        "fence",
    ),
    Shape("Llama headers", f"<|start_header_id|>assistant<|end_header_id|>\n\n{F}<|eot_id|>", F, "raw text"),
    Shape(
        "Gemma turns", f"<start_of_turn>model\n{fence(F)}<end_of_turn>\n<start_of_turn>user\nNo.", F, "fence"
    ),
    Shape("Mistral marks", f"<s>[INST] Fix it: {OLD} [/INST] {F}</s>", F, "raw text"),
    Shape("DeepSeek marks", f"<｜User｜>Fix:\n{OLD}<｜Assistant｜>{F}<｜end▁of▁sentence｜>", F, "raw text"),
    Shape(
        "Alpaca marks",
        f"Below is a task.\n\n### Instruction:\nFix\n{OLD}\n\n### Response:\n{F}\n\n### Instruction:\nMore",
        F,
        "raw text",
    ),
    Shape(
        "invented Alpaca turn", f"{F}\n\n### Instruction:\nSubtract.\n\n### Response:\n{OLD}", F, "raw text"
    ),
    Shape("response mark first", f"### Response:\n{fence(F)}", F, "fence"),
    Shape(
        "speakers",
        f"Assistant: Here.\n{F}\n\nHuman: Subtract!\n\nAssistant: {OLD}",
        F,
        "raw text after prose",
    ),
    Shape("a heading that says answer", f"{fence(F)}\n\n### Answer:\nThe function adds.", F, "fence"),
    Shape("end token in a string of a block", f"So:\n{fence(ENDS)}\nDone.", ENDS, "fence"),
    Shape("chat marks in a string of a block", f"So:\n{fence(TEMPLATE)}\nDone.", TEMPLATE, "fence"),
    Shape("end token in a string of raw text", f"So:\n{ENDS}\nDone, I say.", ENDS, "raw text after prose"),
    Shape("null bytes", f"\x00{F}\x00\x00", F, "whole text"),
    Shape("lone surrogate in the prose", f"Sure \ud83d!\n{fence(F)}", F, "fence"),
    Shape("answer tags", f"<answer>\n{F}\n</answer>", F, "raw text after prose"),
    Shape("code tags of a prompt", f"[PYTHON]\n{F}\n[/PYTHON]\nThat's it.", F, "raw text after prose"),
]

LESS = "def f(x):\n    return x + 1 if x < 3 and x > 0 else 0"
ESCAPED = LESS.replace("<", "&lt;").replace(">", "&gt;")
TAGS = 'def f(x):\n    "<b>&lt;</b>"\n    return x + 1'
HTML = [
    Shape("pre and code", f"<p>So:</p>\n<pre><code>{F}\n</code></pre>\n<p>Done</p>", F, "html"),
    Shape(
        "class attribute",
        f'<pre><code class="language-python">import math\n\n{FLOOR}</code></pre>',
        f"import math\n\n{FLOOR}",
        "html",
    ),
    Shape("escaped", f"<pre>{ESCAPED}</pre>", LESS, "html"),
    Shape("not escaped", f"<code>\n{LESS}\n</code>", LESS, "html"),
    Shape("entities that belong to the code", f"<pre>\n{TAGS}\n</pre>", TAGS, "html"),
    Shape("unclosed element", f"<PRE><CODE>\n{F}\n", F, "html"),
    Shape("named in the prose", f"Call <code>f</code> of\n{fence(F)}", F, "fence"),
]

SAID = "Adds one to it.\n" * 20_000
EXTREME = [
    Shape("a huge text before", f"{SAID}{fence(F)}", F, "fence"),
    Shape("a huge text behind", f"{F}\n\n{SAID}", F, "raw text"),
    Shape("many blocks before", (fence(USE) + "\n") * 3_000 + fence(F), F, "fence"),
    Shape("many brackets before", f"{'(' * 30_000}\n{F}", F, "raw text after prose"),
    Shape("many backticks before", f"{'`' * 30_000}\n{fence(F)}", F, "fence"),
]

MIDDLE = "def f(x):\n    y = x + 1\n    return (y]\n    return 0"
RAW_BROKEN = "def f(x):\n    return str(x))"
NO_PARSE = "code that does not parse"
METHOD = "class S:\n    def f(self, x):\n        return x + 1"
BROKEN = [
    Shape("broken raw text", RAW_BROKEN, RAW_BROKEN, NO_PARSE, check=""),
    Shape("broken in a fence", fence(RAW_BROKEN), RAW_BROKEN, NO_PARSE, check=""),
    Shape("broken in the middle of the solution", f"So:\n{fence(MIDDLE)}\nDone.", MIDDLE, NO_PARSE, check=""),
    Shape(
        "broken beside an example that parses",
        f"{fence('def f(x:')}\n{fence(USE)}",
        "def f(x:",
        NO_PARSE,
        check="",
    ),
    Shape("another name", fence(HELPER), HELPER, "fence without the entry point", check=""),
    Shape(
        "another name in raw text",
        f"Look!\n{HELPER}\nOK?",
        HELPER,
        "raw text after prose without the entry point",
        check="",
    ),
    Shape(
        "a body alone",
        fence("    return x + 1", ""),
        "return x + 1",
        "fence without the entry point",
        check="",
    ),
    Shape("a stub alone", f"So:\n{fence(STUB)}", STUB, "fence", check=""),
    Shape(
        "a name made of a class",
        f"{fence(METHOD)}\nUse `f = S().f`.",
        METHOD,
        "fence without the entry point",
        check="",
    ),
]

SHAPES = [*FENCES, *BLOCKS, *RAW, *TRUNCATED, *PROGRAMS, *CHAT, *HTML, *EXTREME, *BROKEN]


@pytest.mark.parametrize("shape", SHAPES, ids=[s.name for s in SHAPES])
def test_the_shape_holds_this_program_by_this_rule(shape: Shape) -> None:
    found = extract(shape.text, shape.entry)
    assert (found.program, found.rule) == (shape.program, shape.rule)


@pytest.mark.parametrize("shape", PROGRAMS, ids=[s.name for s in PROGRAMS])
@pytest.mark.parametrize("around", ["{}", "So:\n```python\n{}\n```\nok", "It's so, I say:\n{}\nIt's (done."])
def test_top_level_code_is_never_deleted(shape: Shape, around: str) -> None:
    found = extract(around.replace("{}", shape.text), shape.entry)
    assert found.program is not None
    assert found.program.strip("\n") == shape.program.strip("\n")


def test_shapes_have_names_of_their_own_and_programs_that_parse() -> None:
    assert max(Counter(s.name for s in SHAPES).values()) == 1
    assert all(parse(s.program) for s in SHAPES if s not in BROKEN)
