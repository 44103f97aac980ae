"""Published layouts of benchmark files, each as a function from a record to a `Task`."""

from __future__ import annotations

import ast
import builtins
from typing import Any

from codefit.core.types import Task, Tests
from codefit.suites.prefix import parse
from codefit.suites.rebuild import mbpp_arguments

MBPP_TEST_SPLIT = range(11, 511)
MBPP_VALIDATION_SPLIT = range(511, 601)


def evalplus_task(row: dict[str, Any], family: str, *, plus: bool) -> Task:
    """Return a task of evalplus' layout (MBPP+ or HumanEval+): inputs, and a reference for outputs."""
    task_id = text_field(row, "task_id")
    entry_point = text_field(row, "entry_point")
    prompt, solution = text_field(row, "prompt"), text_field(row, "canonical_solution")
    extra: dict[str, Any] = {"base_input": row["base_input"]}
    more = None
    if plus and row["plus_input"]:
        extra["plus_input"] = row["plus_input"]
        more = _call_tests(task_id, entry_point, row["plus_input"], family)
    return Task(
        task_id=task_id,
        prompt=prompt,
        entry_point=entry_point,
        tests=_call_tests(task_id, entry_point, row["base_input"], family),
        plus=more,
        reference=prompt + solution,
        atol=float(row.get("atol", 0.0)),
        extra=extra,
    )


def _call_tests(task_id: str, entry_point: str, inputs: list[Any], family: str) -> Tests:
    if not isinstance(inputs, list) or not inputs:
        raise ValueError("no test inputs")
    if not all(isinstance(i, list) for i in inputs):
        raise ValueError("a test input is not a list of arguments")
    if family == "mbpp":
        return Tests("calls", entry_point, inputs=tuple(mbpp_arguments(task_id, i) for i in inputs))
    return Tests("calls", entry_point, inputs=tuple(tuple(i) for i in inputs))


def mbpp_task(row: dict[str, Any], split: range = MBPP_TEST_SPLIT) -> Task:
    """Return a task of MBPP's own layout, of any split; `judged` is False for those outside `split`."""
    number = int(row["task_id"])
    request = row["text"] if "text" in row else row["prompt"]
    asserts = _strings(row, "test_list")
    code = str(row["code"])
    setup = str(row.get("test_setup_code") or "")
    setup += "".join(f"\n{line}" for line in row.get("test_imports") or [])
    entry_point = entry_point_of(asserts, code)
    return Task(
        task_id=f"Mbpp/{number}",
        prompt=f'"""\n{request}\n{asserts[0]}\n"""\n',
        entry_point=entry_point,
        tests=Tests("asserts", entry_point, asserts, setup=setup.strip()),
        reference=code,
        extra={"request": request, **({} if number in split else {"judged": False})},
    )


def entry_point_of(asserts: tuple[str, ...], reference: str | None) -> str | None:
    """Return the function the assertions call: the first one that the reference defines."""
    called = [name for text in asserts for name in _called(text)]
    if reference:
        module = parse(reference.replace("\r\n", "\n"))
        if module is not None:
            defined = [n.name for n in module.tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
            called = [n for n in called if n in defined]
    else:
        called = [n for n in called if not hasattr(builtins, n)]
    return called[0] if called else None


def _called(text: str) -> list[str]:
    module = parse(text.strip())
    if module is None:
        return []
    calls = [n for n in ast.walk(module.tree) if isinstance(n, ast.Call)]
    return [c.func.id for c in calls if isinstance(c.func, ast.Name)]


def humaneval_task(row: dict[str, Any]) -> Task:
    """Return a task of HumanEval's own layout: the body of `check` as assertions where it can be."""
    entry_point = text_field(row, "entry_point")
    prompt = text_field(row, "prompt")
    return Task(
        task_id=text_field(row, "task_id"),
        prompt=prompt,
        entry_point=entry_point,
        tests=_check_tests(text_field(row, "test"), entry_point),
        reference=prompt + text_field(row, "canonical_solution"),
    )


def _check_tests(test: str, entry_point: str) -> Tests:
    module = parse(test)
    if module is None:
        raise ValueError("field 'test' does not parse")
    checks = [n for n in module.tree.body if isinstance(n, ast.FunctionDef) and n.name == "check"]
    if len(checks) != 1:
        raise ValueError("field 'test' does not define check(candidate)")
    asserts = _assertions(checks[0], entry_point)
    if asserts is None:
        return Tests("asserts", entry_point, (f"check({entry_point})",), setup=test)
    rest = ast.Module([n for n in module.tree.body if n is not checks[0]], type_ignores=[])
    return Tests("asserts", entry_point, asserts, setup=ast.unparse(rest))


def _assertions(check: ast.FunctionDef, entry_point: str) -> tuple[str, ...] | None:
    """Return the assertions of a check that consists of nothing else, about the entry point."""
    found = []
    candidate = check.args.args[0].arg
    for node in check.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.Name)):
            continue
        if not isinstance(node, ast.Assert):
            return None
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id == candidate:
                name.id = entry_point
        found.append(f"assert {ast.unparse(node.test)}")
    return tuple(found) or None


def own_task(row: dict[str, Any]) -> Task:
    """Return a task of the user's own layout.

    `task_id` and `prompt`, and either `tests` or `test_list` (assert statements) or `inputs`
    and `outputs` with `entry_point`; `reference`, `setup` and `atol` if there are any.
    """
    task_id = str(row["task_id"])
    reference = row.get("reference")
    entry_point = row.get("entry_point")
    if "inputs" in row or "outputs" in row:
        tests = _own_calls(row, entry_point)
    else:
        asserts = _strings(row, "tests" if "tests" in row else "test_list")
        setup = str(row.get("setup") or row.get("test_setup_code") or "")
        entry_point = entry_point or entry_point_of(asserts, reference)
        tests = Tests("asserts", entry_point, asserts, setup=setup)
    return Task(
        task_id=task_id,
        prompt=text_field(row, "prompt"),
        entry_point=entry_point,
        tests=tests,
        reference=reference,
        atol=float(row.get("atol", 0.0)),
    )


def _own_calls(row: dict[str, Any], entry_point: str | None) -> Tests:
    inputs, outputs = row["inputs"], row["outputs"]
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise ValueError("'inputs' and 'outputs' must be lists of the same length")
    if not inputs:
        raise ValueError("no tests")
    setup = str(row.get("setup") or "")
    if entry_point is None:
        if not all(isinstance(i, str) for i in inputs):
            raise ValueError("without 'entry_point' the inputs must be texts for standard input")
        return Tests("stdin", inputs=tuple(inputs), outputs=tuple(outputs), setup=setup)
    if not all(isinstance(i, list) for i in inputs):
        raise ValueError("each of 'inputs' must be a list of arguments")
    return Tests(
        "calls", entry_point, inputs=tuple(tuple(i) for i in inputs), outputs=tuple(outputs), setup=setup
    )


def text_field(row: dict[str, Any], name: str) -> str:
    """Return a field that must be a text; raises `KeyError` or `ValueError`."""
    value = row[name]
    if not isinstance(value, str):
        raise ValueError(f"field '{name}' is not a text but {type(value).__name__}")
    return value


def _strings(row: dict[str, Any], name: str) -> tuple[str, ...]:
    value = row[name]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError(f"field '{name}' must be a list of assert statements with at least one entry")
    return tuple(v.strip() for v in value)
