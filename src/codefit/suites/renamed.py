"""Tasks with other names: the entry point's, and those parameters' that the prompt shows.

The new names say nothing of the task. Prompt, tests and reference are renamed alike; what is judged, and
how, stays. A task is left out where a name can't be told from a word or from data; a parameter that is an
ordinary word of the request keeps its name.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from codefit.core.types import Task, Tests
from codefit.suites.prefix import parse
from codefit.suites.wording import function_of, table

_WORD = re.compile(r"[^\W\d]\w*")
_QUOTES = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_DETERMINED = re.compile(
    r"\b(?:the|a|an|each|every|all|any|some|both|this|that|these|those|two|three|no|longer|\w+er|\w+est) $"
)


class _Unsafe(Exception):
    """A task cannot be renamed; says why."""


def renamed(task: Task, rng: Random) -> Task | str:
    """Return a task with other names, or why it has to keep its own."""
    try:
        return _renamed(task, rng)
    except _Unsafe as e:
        return str(e)
    except (ValueError, RecursionError, MemoryError):
        return "its code can't be written anew"


def _renamed(task: Task, rng: Random) -> Task:
    old = task.entry_point
    if old is None or task.tests.kind not in ("asserts", "calls"):
        raise _Unsafe("its tests name no function")
    codes = _codes(task)
    trees = [_tree(code) for code in codes]
    reference = _tree(task.reference) if task.reference else None
    if reference is not None and function_of(reference.body, old) is None:
        raise _Unsafe("its reference doesn't define the entry point as one function")
    everything = [*trees, *([reference] if reference else [])]
    _check_data(old, everything)
    taken = {w for text in (task.prompt, task.reference or "", *codes) for w in _WORD.findall(text)}
    new = _new_name("functions", rng, taken)
    prompt = _entry_in(task.prompt, old, new)
    if prompt == task.prompt:
        raise _Unsafe("its prompt doesn't name the entry point")
    parameters = _parameters(task, everything, rng, taken | {new})
    prompt = _parameters_in(prompt, new, parameters)
    if reference is not None:
        _rename_parameters(function_of(reference.body, old), parameters)
    names = {old: new}
    return replace(
        task,
        prompt=prompt,
        entry_point=new,
        tests=_tests(task.tests, names),
        plus=_tests(task.plus, names) if task.plus else None,
        reference=ast.unparse(_Rename(names).visit(reference)) if reference is not None else None,
        extra=_extra(task.extra, old, new),
    )


def _extra(extra: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return what stands beside a task; `judged_as` keeps the name that a benchmark's special rules know."""
    request = {"request": _entry_in(extra["request"], old, new)} if "request" in extra else {}
    return {**extra, **request, "judged_as": old}


def _codes(task: Task) -> list[str]:
    both = [t for t in (task.tests, task.plus) if t is not None]
    return [code for t in both for code in (*t.asserts, t.setup) if code]


def _tree(code: str) -> ast.Module:
    module = parse(code.replace("\r\n", "\n"))
    if module is None:
        raise _Unsafe("its tests or reference don't parse")
    return module.tree


def _check_data(name: str, trees: Iterable[ast.Module]) -> None:
    """Refuse a name that also stands in a text of the code, where it may be data or looked up."""
    whole = re.compile(rf"\b{re.escape(name)}\b")
    for tree in trees:
        shown = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}  # type: ignore[attr-defined]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in shown:
                if whole.search(node.value):
                    raise _Unsafe("its name stands in a text of its code")
            elif _binds(node, name):
                raise _Unsafe("its name has another meaning in its code")


def _has_docstring(node: ast.AST) -> bool:
    named = isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))
    return named and ast.get_docstring(node, clean=False) is not None  # type: ignore[arg-type]


def _binds(node: ast.AST, name: str) -> bool:
    """Return whether a node uses a name in a way that renaming would miss."""
    match node:
        case ast.Global() | ast.Nonlocal():
            return name in node.names
        case ast.alias():
            return name in (node.name, node.asname)
        case ast.keyword() | ast.arg():
            return node.arg == name
        case ast.ExceptHandler() | ast.ClassDef() | ast.MatchAs() | ast.MatchStar():
            return node.name == name
        case _:
            return False


def _new_name(kind: str, rng: Random, taken: set[str]) -> str:
    free = [n for n in table()["names"][kind] if n not in taken and not keyword.iskeyword(n)]
    if not free:
        raise _Unsafe("no new name is free")
    return str(rng.choice(free))


def _entry_in(text: str, old: str, new: str) -> str:
    """Rename a function in a prompt: where it is called or called a function, elsewhere if it can't be a word."""
    name = rf"(?<![\w.]){re.escape(old)}"
    if old.isalpha() and old.islower():
        return re.sub(rf"{name}(?=\s*\()|(?<=\bfunction ){old}\b", new, text)
    return re.sub(rf"{name}\b", new, text)


def _parameters(task: Task, trees: list[ast.Module], rng: Random, taken: set[str]) -> dict[str, str]:
    """Return new names of the parameters that the prompt shows and that can be renamed everywhere."""
    found: dict[str, str] = {}
    for name in _shown(task):
        if _may_rename(name, task, trees):
            found[name] = _new_name("parameters", rng, taken | {*found.values()})
    return found


def _shown(task: Task) -> list[str]:
    module = parse(task.prompt)
    function = function_of(module.tree.body, task.entry_point) if module else None
    if function is not None:
        return [a.arg for a in function.args.args]
    written = re.search(rf"(?<![\w.]){re.escape(str(task.entry_point))}\(([\w, ]*)\)", task.prompt)
    if written is None or task.tests.kind != "calls":
        return []  # the call of an assert shows values
    return [n for n in re.split(r",\s*", written[1].strip()) if n.isidentifier()]


def _may_rename(name: str, task: Task, trees: list[ast.Module]) -> bool:
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.arg) and _binds(node, name):
                return False
    if task.reference and not _is_parameter(name, task, trees[-1]):
        return False
    used = list(re.finditer(rf"(?<![\w.]){re.escape(name)}\b", task.prompt))
    if any(q.start() < u.start() < q.end() for q in _QUOTES.finditer(task.prompt) for u in used):
        return False
    other = rf"\d{re.escape(name)}\b" + (rf"|\b{name.swapcase()}\b" if len(name) == 1 else "")
    if re.search(other, task.prompt):
        return False  # 2x, or N for n
    if len(name) > 1 and not name.isalpha():
        return True
    # a name that may be a word: fine where it is nowhere determined as a noun is, and a request names it
    words = [u for u in used if task.prompt[u.end() : u.end() + 1] != ":"]
    prose_signature = parse(task.prompt) is None
    plain = all(not _DETERMINED.search(task.prompt[: u.start()]) for u in words)
    return name.lower() not in ("a", "i") and plain and (prose_signature or len(name) == 1 or len(used) == 1)


def _is_parameter(name: str, task: Task, reference: ast.Module) -> bool:
    function = function_of(reference.body, task.entry_point)
    return function is not None and name in {a.arg for a in function.args.args}


def _parameters_in(prompt: str, entry: str, names: Mapping[str, str]) -> str:
    """Rename parameters in the whole prompt; in code, within the entry point's own lines."""
    module = parse(prompt)
    function = function_of(module.tree.body, entry) if module else None
    lines = prompt.splitlines(keepends=True)
    first, last = (function.lineno - 1, function.end_lineno) if function else (0, len(lines))
    body = "".join(lines[first:last])
    for old, new in names.items():
        body = re.sub(rf"(?<![\w.]){re.escape(old)}\b", new, body)
    return "".join(lines[:first]) + body + "".join(lines[last:] if last is not None else [])


def _rename_parameters(function: ast.FunctionDef | None, names: Mapping[str, str]) -> None:
    if function is not None:
        _Rename(names).generic_visit(function)


class _Rename(ast.NodeTransformer):
    """Renames variables, parameters and functions; attributes, keywords and texts stay."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Rename a variable."""
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Rename a parameter."""
        node.arg = self.names.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Rename a function."""
        node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)


def _tests(tests: Tests, names: Mapping[str, str]) -> Tests:
    return replace(
        tests,
        entry_point=names.get(tests.entry_point or "", tests.entry_point),
        asserts=tuple(_code(a, names) for a in tests.asserts),
        setup=_code(tests.setup, names),
    )


def _code(code: str, names: Mapping[str, str]) -> str:
    if not any(name in code for name in names):
        return code
    return ast.unparse(_Rename(names).visit(_tree(code)))
