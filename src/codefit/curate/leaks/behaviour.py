"""What a task's function does, as calls with values: the tests' own, and variations its reference answers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome, Tests
from codefit.core.values import dump, load
from codefit.curate.calls import Call, fingerprint, stated_calls
from codefit.curate.code import parse
from codefit.curate.leaks import form
from codefit.curate.leaks.answers import dumped
from codefit.curate.leaks.index import Target, TaskIndex
from codefit.curate.leaks.vary import Arguments, variations
from codefit.curate.leaks.wide import constants
from codefit.curate.runner import HARNESS, refuse_unjudged
from codefit.sandbox import Limits, Opaque, Program, Run, Sandbox
from codefit.suites.compare import json_equal

_LIMITS = Limits(cpu_s=20.0, test_cpu_s=1.0, memory_mb=512)
_MAX_BASE = 10
_VARIED = 40
_FORMED = 24
_TRIVIAL = 0.8
_REVISION = "behaviour-3"


@dataclass(frozen=True)
class Behaviour:
    """Calls of a task with their values.

    `base` are those of its tests, `varied` others that the reference gave plain values for, `formed` more of these,
    with arguments of the form of the tests' own. `complete` says that the base calls are the whole of the tests,
    so that a function with all their values passes. `named` are the numbers that the task or its reference names.
    """

    base: tuple[Call, ...] = ()
    varied: tuple[Call, ...] = ()
    formed: tuple[Call, ...] = ()
    complete: bool = False
    named: tuple[float, ...] = ()

    @cached_property
    def trivial(self) -> bool:
        """Return True if nearly every call gives one value, or back what it was given: too little to tell by."""
        calls = self.base + self.varied
        same = sum(
            any(_echo(a, value) for a in arguments) or _reordered(arguments, value)
            for arguments, value in calls
        )
        stepped = max(sum(any(_off(a, v, step) for a in given) for given, v in calls) for step in (1, -1))
        return max(same, stepped) >= _TRIVIAL * len(calls) or len({dumped(value) for _, value in calls}) < 2

    @cached_property
    def seen(self) -> list[Arguments]:
        """Return the arguments of the tests' calls."""
        return [arguments for arguments, _ in self.base]


def _echo(argument: Any, value: Any) -> bool:
    """Return True if a value is an argument itself, up to the kind of its parts, or the list of its items."""
    if json_equal(argument, value) or _retyped(argument, value):
        return True
    plain = isinstance(value, list | tuple | set) and isinstance(argument, list | tuple | set | str)
    return plain and list(argument) == list(value)


def _off(argument: Any, value: Any, step: int) -> bool:
    """Return True if a value is the whole number a step from the argument."""
    return type(argument) is int and type(value) is int and value - argument == step


def _reordered(arguments: Arguments, value: Any) -> bool:
    """Return True if a value is the arguments in another order."""
    items = value if isinstance(value, list | tuple) else ()
    return 1 < len(items) == len(arguments) and sorted(map(dumped, items)) == sorted(map(dumped, arguments))


def _retyped(argument: Any, value: Any) -> bool:
    """Return True if two values differ only in what is a number and what is a text."""
    if isinstance(argument, list | tuple) and isinstance(value, list | tuple):
        same = len(argument) == len(value) > 0
        return same and all(_retyped(a, v) for a, v in zip(argument, value, strict=True))
    scalars = isinstance(argument, str | int | float) and isinstance(value, str | int | float)
    return scalars and not isinstance(value, bool) and dumped(argument).strip('"') == dumped(value).strip('"')


def behaviours(index: TaskIndex, sandbox: Sandbox, cache: Path | None) -> list[Behaviour]:
    """Return the behaviour of every target; references run in the sandbox, once per content.

    A task without a reference has the plain calls of its tests only, one with neither is empty.
    Raises `CodefitError` if the sandbox itself fails.
    """
    asked = [_asked(target) for target in index.targets]
    values = _values(index.targets, [a.all for a in asked], sandbox, cache)
    return [_behaviour(t, a, v) for t, a, v in zip(index.targets, asked, values, strict=True)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Arguments of the tests, small changes of any kind, and changes that keep their form."""

    seen: list[Arguments]
    varied: list[Arguments]
    formed: list[Arguments]

    @property
    def all(self) -> list[Arguments]:
        return self.seen + self.varied + self.formed


def _asked(target: Target) -> _Asked:
    seen = _arguments(target)
    return _Asked(seen, variations(seen, _VARIED, target.key), form.formed(seen, _FORMED, target.key))


def _arguments(target: Target) -> list[Arguments]:
    """Return the argument lists of the tests: stated with a value, or of any call to the function."""
    tests = target.task.tests
    if tests.kind == "calls":
        found = [tuple(i) for i in tests.inputs]
    elif tests.kind == "asserts" and target.task.entry_point:
        found = list(_called(tests, target.task.entry_point, target.task.prompt))
    else:
        return []
    found = [a for a in found if fingerprint(a) is not None]
    width = len(found[0]) if found else 0
    return [a for a in found if len(a) == width and a][:_MAX_BASE]


def _called(tests: Tests, entry_point: str, prompt: str) -> Iterator[Arguments]:
    examples = [line.strip()[3:].strip() for line in prompt.splitlines() if line.strip().startswith(">>>")]
    known: set[str] = set()
    for text in [*tests.asserts, *examples]:
        tree = parse(text)
        for node in ast.walk(tree) if tree else ():
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords):
                continue
            if node.func.id != entry_point:
                continue
            try:
                arguments = tuple(ast.literal_eval(a) for a in node.args)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
            if dumped(arguments) not in known:
                known.add(dumped(arguments))
                yield arguments


def _behaviour(target: Target, asked: _Asked, values: list[Call | None]) -> Behaviour:
    stated = {fingerprint(a): (a, v) for a, v in stated_calls(target.task.tests)}
    seen = len(asked.seen)
    base = [stated.get(fingerprint(a)) or values[i] for i, a in enumerate(asked.seen)]
    found = tuple(call for call in base if call is not None)
    end = seen + len(asked.varied)
    varied = tuple(call for call in values[seen:end] if call is not None)
    formed = tuple(call for call in values[end:] if call is not None)
    tests = target.task.tests
    whole = tests.kind == "calls" or len(stated) >= len(tests.asserts) > 0
    named = tuple(constants(target.reference, target.task.prompt))
    return Behaviour(found, varied, formed, whole and len(found) == len(base), named)


def _values(
    targets: Sequence[Target], asked: list[list[Arguments]], sandbox: Sandbox, cache: Path | None
) -> list[list[Call | None]]:
    ledger = Ledger(cache / "references.jsonl") if cache else None
    known = {e["key"]: e["values"] for e in (ledger.entries if ledger else ()) if "values" in e}
    keys = [
        digest(_REVISION, HARNESS, t.reference, *(fingerprint(a) or "" for a in arguments))
        for t, arguments in zip(targets, asked, strict=True)
    ]
    wanted = {k: i for i, k in enumerate(keys) if k not in known and targets[i].function and asked[i]}
    failed = 0
    try:
        places = list(wanted.values())
        for n, run in sandbox.map((_program(targets[i], asked[i]), None) for i in places):
            if run.outcome is Outcome.SANDBOX_FAILED:
                failed += 1
                continue
            known[keys[places[n]]] = _packed(run)
            if ledger:
                ledger.append({"key": keys[places[n]], "values": known[keys[places[n]]]})
    finally:
        if ledger:
            ledger.close()
    refuse_unjudged(failed)
    return [_calls(arguments, known.get(key, [])) for arguments, key in zip(asked, keys, strict=True)]


def _program(target: Target, asked: list[Arguments]) -> Program:
    return Program(
        target.reference, "calls", tuple(asked), entry_point=target.task.entry_point or "", limits=_LIMITS
    )


def _packed(run: Run) -> list[str | None]:
    """Return the values as text; None for errors and for what is not plain data."""
    return [None if frame.error or _opaque(frame.value) else _text(frame.value) for frame in run.frames]


def _text(value: object) -> str | None:
    try:
        return dump(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _calls(asked: list[Arguments], values: list[str | None]) -> list[Call | None]:
    padded = values + [None] * (len(asked) - len(values))
    return [None if v is None else (a, load(v)) for a, v in zip(asked, padded, strict=True)]


def _opaque(value: object) -> bool:
    if isinstance(value, Opaque):
        return True
    items = [*value, *value.values()] if isinstance(value, dict) else value
    return isinstance(items, list | tuple | set | frozenset) and any(map(_opaque, items))
