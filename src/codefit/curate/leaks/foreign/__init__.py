"""Answers in JavaScript and Java, rewritten in Python so that they can be run like the others.

Understood are functions over numbers, texts, arrays, maps and sets with the usual statements and methods; classes
with state, generators, promises, pages and input (but Java's `Scanner`) are not. What is not understood is left alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

from codefit.curate.leaks.foreign.emit import Emitter
from codefit.curate.leaks.foreign.names import PREFIX
from codefit.curate.leaks.foreign.statements import JavaStatements, Statements
from codefit.curate.leaks.foreign.tokens import tokens

# Repetitions are bounded: rows may be of any text and of megabytes, and a search must not take its square.
_LONGEST = 20_000  # characters of an answer that is looked at
_FENCE = re.compile(r"```([\w+#]{0,20})[^\n`]{0,80}\n(.*?)(?:```|\Z)", re.DOTALL)
_JAVA = re.compile(
    r"\b(?:public|private|static|int|long|double|float|boolean|bool|void|char|String)\b"
    r"[\w<>\[\], ]{0,60}\s{1,20}\w{1,60}\s{0,20}\("
)
_JAVASCRIPT = re.compile(r"\bfunction\b|=>|\b(?:const|let|var)\s|console\.log")
_OTHER = re.compile(
    r"<\?php|<html|</\w{1,20}>|^[ \t]{0,40}(?:#include|def |SELECT )|\$\w{1,40}\s{0,20}=|document\.|require\(",
    re.MULTILINE,
)
_FILES = ("runtime", "runtime_js", "runtime_java")


@lru_cache(maxsize=16_384)
def translated(answer: str) -> str | None:
    """Return the program of an answer in JavaScript or Java as Python text; None where it is not understood.

    The text calls helpers, which `with_runtime` puts before it.
    """
    if len(answer) > _LONGEST:
        return None
    fences = _FENCE.findall(answer)
    code = max((body for _, body in fences), key=len) if fences else answer
    if _OTHER.search(code):
        return None
    java = bool(_JAVA.search(code))
    if not java and not _JAVASCRIPT.search(code):
        return None
    try:
        reader = (JavaStatements if java else Statements)(tokens(code))
        return Emitter(java=java).program(reader.program())
    except (ValueError, RecursionError):  # not understood, or a number of too many digits
        return None


def with_runtime(source: str) -> str:
    """Return a Python text with the helpers that rewritten programs call, where it calls any."""
    return f"{_runtime()}\n{source}" if PREFIX in source else source


@lru_cache(maxsize=1)
def _runtime() -> str:
    texts = [resources.files(__package__).joinpath(f"{name}.py").read_text("utf-8") for name in _FILES]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("from codefit.")]
    return "\n".join(lines)
