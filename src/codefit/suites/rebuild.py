"""Arguments of MBPP+ rebuilt from JSON: tuples, sets and complex numbers by a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

Pattern = str | dict[str, Any]


def _deep_tuple(value: Any) -> Any:
    return tuple(_deep_tuple(v) for v in value) if isinstance(value, list) else value


_ATOMS: dict[str, Callable[[Any], Any]] = {
    "keep": lambda v: v,
    "tuple": tuple,
    "deep_tuple": _deep_tuple,
    "tuple_if_list": lambda v: tuple(v) if isinstance(v, list) else v,
    "set_or_empty_dict": lambda v: set(v) if isinstance(v, list) and v else {},
    "float": float,
    "complex": complex,
}


def rebuild(pattern: Pattern, value: Any) -> Any:
    """Return `value` converted by a pattern of `data/mbpp_plus_inputs.json`."""
    if isinstance(pattern, str):
        return _ATOMS[pattern](value)
    ((container, inner),) = pattern.items()
    if container == "list":
        return [rebuild(inner, v) for v in value]
    if container == "tuple":
        return tuple(rebuild(inner, v) for v in value)
    return {k: rebuild(inner, v) for k, v in value.items()}


@cache
def _table() -> dict[int, dict[str, Any]]:
    text = files("codefit.suites").joinpath("data/mbpp_plus_inputs.json").read_text(encoding="utf-8")
    return {task: entry for entry in json.loads(text)["patterns"] for task in entry["tasks"]}


def mbpp_arguments(task_id: str, arguments: list[Any]) -> tuple[Any, ...]:
    """Return the positional arguments of one test of task `Mbpp/<n>`.

    Raises `ValueError` or `TypeError` where the data do not have the shape the table expects.
    """
    entry = _table().get(int(task_id.rpartition("/")[2]))
    if entry is None:
        return tuple(arguments)
    patterns = list(entry.get("arguments", ()))
    patterns += [entry.get("rest", "keep")] * (len(arguments) - len(patterns))
    return tuple(rebuild(p, a) for p, a in zip(patterns, arguments, strict=True))
