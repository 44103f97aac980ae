"""Load a YAML document into a pydantic model, with every fault reported at once by line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from codefit.core.errors import InputError, InputErrors, did_you_mean


class Settings(BaseModel):
    """Base of every recipe section: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]
_LONGEST = 1 << 20  # characters of a document
_MOST_NODES = 20_000  # with every alias written out; a recipe has some hundreds
_PRIVATE = ("api_key_env", "base_url")
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice and reads 1e-3 as a number."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as e:
            # The constructors of PyYAML trust that a value fits its tag, such as a date or !!int.
            kind = node.tag.rsplit(":", 1)[-1]
            raise yaml.MarkedYAMLError(
                problem=f"'{str(node.value)[:40]}' is no valid {kind}", problem_mark=node.start_mark
            ) from e

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key}' is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    plain = _EXPONENT.fullmatch(str(node.value).replace("_", ""))
    value = float(plain[0] if plain else loader.construct_yaml_float(node))
    if not math.isfinite(value):
        raise yaml.MarkedYAMLError(problem="not a finite number", problem_mark=node.start_mark)
    return value


# Anchored, since a resolver is asked for the beginning of a value only: a commit hash may begin with 2e1.
_EXPONENT = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+\Z")
_Loader.add_implicit_resolver("!exp", _EXPONENT, list("-+0123456789"))
for _tag in ("!exp", "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _float)


def parse_yaml(text: str, where: str) -> tuple[Any, dict[Location, int]]:
    """Return the document and the line (from 1) of every key in it; raises `InputError`."""
    if len(text) > _LONGEST:
        raise InputError(f"longer than {_LONGEST:,} characters", where=where, todo="is it the right file?")
    try:
        node = yaml.compose(text, _Loader)
        if node is None:
            return None, {}
        _size(node, {})
        return yaml.load(text, _Loader), dict(_lines(node, ()))
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise InputError(f"not YAML: {e.problem}", where=place) from e
    except (yaml.YAMLError, RecursionError) as e:
        raise InputError(f"not YAML: {e}", where=where) from e


def _size(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """Return the nodes below `node` with every alias written out; each node is visited once.

    Refuses what cannot be written out: an alias inside its own anchor, and a document that a few
    nested aliases make huge.
    """
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise yaml.MarkedYAMLError(problem="an alias to itself", problem_mark=node.start_mark)
        return size
    sizes[id(node)] = None
    total = 1
    for child in _children(node):
        total += _size(child, sizes)
        if total > _MOST_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"more than {_MOST_NODES:,} values", problem_mark=node.start_mark
            )
    sizes[id(node)] = total
    return total


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == _MERGE:
                raise yaml.MarkedYAMLError(
                    problem="no merge keys (<<) here; write the keys out", problem_mark=key.start_mark
                )
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be one word", problem_mark=key.start_mark)
            yield value


def _lines(node: yaml.Node, at: Location) -> Iterator[tuple[Location, int]]:
    yield at, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*at, str(key.value)), key.start_mark.line + 1
            yield from (
                (loc, line)
                for loc, line in _lines(value, (*at, str(key.value)))
                if loc != (*at, str(key.value))
            )
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _lines(value, (*at, i))


def validate(model: type[Model], data: Any, where: str, lines: dict[Location, int]) -> Model:
    """Return the model, or raise `InputErrors` with one line per fault."""
    if not isinstance(data, dict):
        raise InputError("not a mapping of settings", where=where, todo="see `codefit recipe show`")
    try:
        return model.model_validate(data)
    except ValidationError as e:
        details = e.errors()
        # A list whose only element is wrong is reported as too short as well: say it once.
        own = [d for d in details if not any(len(o["loc"]) > len(d["loc"]) == _shared(o, d) for o in details)]
        raise InputErrors([_explain(model, d, where, lines) for d in own]) from e


def _shared(a: ErrorDetails, b: ErrorDetails) -> int:
    """Return how many leading parts of two places agree."""
    return next((i for i, (x, y) in enumerate(zip(a["loc"], b["loc"], strict=False)) if x != y),
                min(len(a["loc"]), len(b["loc"])))  # fmt: skip


def _explain(
    model: type[BaseModel], detail: ErrorDetails, where: str, lines: dict[Location, int]
) -> InputError:
    loc = tuple(p for p in detail["loc"] if not (isinstance(p, str) and p.startswith("function-")))
    line = next((lines[loc[:n]] for n in range(len(loc), -1, -1) if loc[:n] in lines), None)
    place = f"{where}:{line}" if line else where
    name = ".".join(str(p) for p in loc)
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, loc[:-1])
        hint = did_you_mean(str(loc[-1]), known) or f"known here: {', '.join(sorted(known))}"
        return InputError(f"unknown key '{name}'", where=place, todo=hint)
    if detail["type"] == "missing":
        return InputError(f"'{name}' is missing", where=place)
    message = detail["msg"].removeprefix("Value error, ")
    if loc and loc[-1] in _PRIVATE:  # what stands there by mistake may be a key
        return InputError(f"{name}: {message}", where=place, todo="a key belongs into the environment alone")
    if not loc:  # of the whole file: what was given is all of it
        return InputError(message, where=place)
    given = repr(detail["input"])
    return InputError(f"{name}: {message}", where=place, todo=f"given: {given[:60]}")


def _fields_at(model: type[BaseModel], loc: Location) -> list[str]:
    current: type[BaseModel] | None = model
    for part in loc:
        if current and isinstance(part, str) and part in current.model_fields:
            current = _inner_model(current.model_fields[part].annotation)
    return list(current.model_fields) if current else []


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    args = getattr(annotation, "__args__", ())
    return next((m for a in args if (m := _inner_model(a)) is not None), None)


def apply_overrides(data: dict[str, Any], overrides: tuple[str, ...]) -> None:
    """Apply `KEY.KEY=VALUE` strings (VALUE is YAML) to a document in place; raises `InputError`."""
    for text in overrides:
        path, sep, value = text.partition("=")
        if not sep or not path.strip():
            raise InputError(f"'{text}' is not KEY=VALUE", where="--set")
        keys = path.strip().split(".")
        at: Any = data
        for key in keys[:-1]:
            at = at.setdefault(key, {}) if isinstance(at, dict) else _element(at, key, text)
        parsed, _ = parse_yaml(value, "--set")
        if isinstance(at, dict):
            at[keys[-1]] = parsed
        else:
            _element(at, keys[-1], text)
            at[int(keys[-1])] = parsed


def _element(at: Any, key: str, text: str) -> Any:
    if isinstance(at, list) and key.isdecimal() and len(key) < 10 and int(key) < len(at):
        return at[int(key)]
    raise InputError(f"'{text}': no '{key}' there", where="--set")


def load(model: type[Model], path: Path, overrides: tuple[str, ...] = ()) -> Model:
    """Read a YAML file into a model; raises `InputError` with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        reason = getattr(e, "strerror", None) or "not UTF-8"
        raise InputError(f"cannot read: {reason}", where=str(path), todo="see `codefit recipe list`") from e
    data, lines = parse_yaml(text, str(path))
    if isinstance(data, dict) and overrides:
        apply_overrides(data, overrides)
    return validate(model, data, str(path), lines)
