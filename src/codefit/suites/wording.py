"""Requests in other words: reworded by our own rules, or put in a Chinese frame (`data/variants.json`).

The part of a prompt that says what is wanted is the *prose*; signatures, asserts and examples around it stay
letter by letter. Not covered: neither is the work of a person or of a model. A rewording changes the head of
a request and a few set phrases; the Chinese frame is no translation of the task, but for the short requests
that the phrase table renders in full.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Literal

from codefit.core.types import Task
from codefit.suites.prefix import parse

Kind = Literal["docstring", "code", "prose"]
_QUOTED = re.compile(r"(\"[^\"\n]*\"|(?<!\w)'[^'\n]*'|`[^`\n]*`)")
_EXAMPLES = re.compile(
    r"^\s*(?:>>>|```|assert |\[|examples?\b|for examples?\b|e\.g\.|input|output|\w+\(.*\)\s*(?:=|-|➞|→|returns?\b))",
    re.IGNORECASE,
)
_WRITE = re.compile(r"^write a (?:python )?function to ", re.IGNORECASE)
_OF = re.compile(r" (?:of|in) ")
_ARTICLE = re.compile(r"^(?:the |a |an )?(?:given )?")


@dataclass(frozen=True, slots=True)
class Parts:
    """A prompt in three parts: `before + prose + after`.

    `docstring`: nothing but a docstring, as MBPP's; `code`: a function to complete, as HumanEval's;
    `prose`: a request in words, which examples may follow.
    """

    kind: Kind
    before: str
    prose: str
    after: str

    def put(self, prose: str) -> str:
        """Return the prompt with another prose."""
        return f"{self.before}{prose}{self.after}"


@cache
def table() -> dict[str, Any]:
    """Return the words of all variants."""
    text = files("codefit.suites").joinpath("data/variants.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def parts_of(task: Task) -> Parts:
    """Return the parts of a task's prompt."""
    module = parse(task.prompt)
    body = module.tree.body if module else []
    function = function_of(body, task.entry_point)
    if function is not None:
        return _inside("code", task.prompt, ast.get_docstring(function, clean=False))
    if len(body) == 1 and (text := _text(body[0])) is not None:
        return _inside("docstring", task.prompt, text)
    return _split("prose", "", task.prompt, "")


def function_of(body: list[ast.stmt], name: str | None) -> ast.FunctionDef | None:
    """Return the one top-level function of a name, None where there is none or more than one."""
    found = [n for n in body if isinstance(n, ast.FunctionDef) and n.name == name]
    return found[0] if len(found) == 1 else None


def _text(node: ast.stmt) -> str | None:
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _inside(kind: Kind, prompt: str, docstring: str | None) -> Parts:
    """Split at a docstring; one that is written with escapes is not found and is left alone."""
    if docstring and prompt.count(docstring) == 1:
        before, _, after = prompt.partition(docstring)
        return _split(kind, before, docstring, after)
    return Parts(kind, prompt, "", "")


def _split(kind: Kind, before: str, text: str, after: str) -> Parts:
    """Take the lines before the first example as the prose, without the space around them."""
    lines = text.splitlines(keepends=True)
    number = next((i for i, line in enumerate(lines) if _EXAMPLES.match(line)), len(lines))
    prose, rest = "".join(lines[:number]), "".join(lines[number:])
    inner = prose.strip()
    at = prose.index(inner)
    return Parts(kind, before + prose[:at], inner, prose[at + len(inner) :] + rest + after)


def reworded(task: Task, rng: Random) -> Task | str:
    """Return a task whose request is in other words, or why there are none."""
    parts = parts_of(task)
    say = _rewording(rng)
    prose = say(parts.prose)
    if prose == parts.prose:
        return "no rule rewords its request"
    return _with_prose(task, parts.put(prose), say)


def _rewording(rng: Random) -> Callable[[str], str]:
    """Return the rewording of one task: its form of a head is drawn once."""
    draw = rng.random()

    def say(prose: str) -> str:
        for head in table()["heads"]:
            if found := re.search(head["match"], prose):
                form = head["forms"][int(draw * len(head["forms"]))]
                prose = form.format(sig=found["sig"] or "") + prose[found.end() :]
                break
        pieces = _QUOTED.split(prose)  # what stands in quotes is data
        return "".join(p if i % 2 else _phrases(p) for i, p in enumerate(pieces))

    return say


def _phrases(text: str) -> str:
    for pattern, instead in table()["phrases"]:
        text = re.sub(pattern, instead, text)
    return text


def _with_prose(task: Task, prompt: str, say: Callable[[str], str]) -> Task:
    request = task.extra.get("request")
    extra: Mapping[str, Any] = {**task.extra, "request": say(request)} if request else task.extra
    return replace(task, prompt=prompt, extra=extra)


def chinese(task: Task, _rng: Random) -> Task | str:
    """Return a task asked in Chinese; its English stays inside the frame where the table can't render it."""
    words, parts = table()["chinese"], parts_of(task)
    if parts.kind == "code":
        return replace(task, prompt=words["code"] + task.prompt)
    if parts.kind == "prose":
        return replace(task, prompt=words["prose"] + task.prompt)
    after = parts.after
    if after.lstrip().startswith("assert "):
        after = f"\n{words['tests']}{after}"
    framed = Parts(parts.kind, parts.before, parts.prose, after)
    return _with_prose(task, framed.put(_framed(parts.prose)), _framed)


def _framed(prose: str) -> str:
    words, full = table()["chinese"], rendered(prose)
    return words["rendered"].format(task=full) if full else f"{words['docstring']}\n{prose}"


def rendered(prose: str) -> str | None:
    """Return a whole one-sentence request in Chinese; None unless the table has every phrase of it."""
    head = _WRITE.match(prose)
    if head is None:
        return None
    wanted = prose[head.end() :].strip().rstrip(".").strip().lower()
    for pattern, chinese_words in table()["chinese"]["patterns"]:
        if found := re.fullmatch(pattern, wanted):
            values = {name: _noun(text) for name, text in found.groupdict().items()}
            if all(values.values()):
                return str(chinese_words.format(**values))
    return None


def _noun(text: str) -> str | None:
    """Return a noun phrase in Chinese: as it stands in the table, or as `A of B`, which is B 的 A."""
    bare = _ARTICLE.sub("", text.strip(), count=1)
    known: Mapping[str, str] = table()["chinese"]["nouns"]
    if bare in known:
        return known[bare]
    for found in _OF.finditer(bare):
        first, second = _noun(bare[: found.start()]), _noun(bare[found.end() :])
        if first and second:
            return f"{second}{'中' if found.group().strip() == 'in' else ''}的{first}"
    return None
