"""What a script sets before it goes to work, any of which may be its input.

Of `LIMIT = 100`, `text = "..."` and `words = text.split()` the text is meant, most likely; nothing says so. So
the largest sensible choices are tried: all, all but what is written or named as a constant, all but single numbers,
each alone.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from itertools import chain, combinations

_STARTS: tuple[object, ...] = (0, 1, "", None, [], {}, (), 0.0, set())
_BUILTINS = frozenset(dir(builtins))
_CONSTANTS = frozenset(
    {"pi", "tau", "e", "g", "eps", "epsilon", "mod", "modulo", "tolerance", "alphabet", "vowels"}
)
_READING = frozenset({"input", "open", "eval", "exec", "print"})
MOST_PARAMETERS = 4
_MOST_CHOICES = 4


def is_literal(node: ast.expr) -> bool:
    """Return True for a plain value written down."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
        return False
    return True


def is_input(node: ast.expr) -> bool:
    """Return True for a constant that is more than the start of a counter or a collection."""
    return is_literal(node) and not isinstance(value := ast.literal_eval(node), bool) and value not in _STARTS


def set_values(body: Sequence[ast.stmt]) -> list[str]:
    """Return the names that a script sets to values of its own, in order; empty where one is set twice."""
    found = [name for node in body for name in _set_by(node)]
    return found if len(set(found)) == len(found) else []


def choices(body: Sequence[ast.stmt], names: Sequence[str]) -> list[tuple[list[str], list[ast.stmt]]]:
    """Return (names taken as parameters, the script without what sets them), the likeliest choice first."""
    known = frozenset(names)
    sets = {name: node for node in body for name in _set_by(node) if name in known}
    large = [name for name in names if not _single(sets[name], name)]
    plain = [name for name in names if not (name.isupper() or _constant(sets[name], name))]
    whole = ([*names], plain, large, [name for name in large if not name.isupper()])
    found: list[list[str]] = []
    for choice in chain(whole, ([name] for name in names), map(list, combinations(names, 2))):
        if len(found) == _MOST_CHOICES:
            break
        if 0 < len(choice) <= MOST_PARAMETERS and choice not in found:
            found.append(choice)
    return [(choice, _without(body, frozenset(choice))) for choice in found]


def _set_by(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement sets to values that depend on nothing."""
    for target, value in _parts(node):
        if isinstance(target, ast.Name) and (is_input(value) or _made(value) or _wraps(value)):
            yield target.id


def _parts(node: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    """Return the targets of an assignment with their values."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(node.target, node.value)]
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return []
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        starred = any(isinstance(t, ast.Starred) for t in target.elts)
        return [] if starred else list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _made(value: ast.expr) -> bool:
    """Return True for a value made of constants by built-in means: `list(range(9))`, `"a b".split()`."""
    if not isinstance(value, ast.Call | ast.BinOp) or (
        isinstance(value, ast.Call) and not value.args and (isinstance(value.func, ast.Name))
    ):
        return False
    names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
    constants = any(isinstance(n, ast.Constant) for n in ast.walk(value))
    return constants and all(n in _BUILTINS and n not in _READING for n in names)


def _wraps(value: ast.expr) -> bool:
    """Return True for something else than built-in means made of one constant: `np.array([3, 1])`."""
    if not isinstance(value, ast.Call) or not value.args or not is_input(value.args[0]) or _made(value):
        return False
    return not any(isinstance(n, ast.Name) and n.id in _READING for n in ast.walk(value.func))


def _constant(node: ast.stmt, name: str) -> bool:
    """Return True for a number worked out of numbers, such as `22 / 7`, or a name that such constants have."""
    if name.lower() in _CONSTANTS:
        return True
    values = [v for t, v in _parts(node) if isinstance(t, ast.Name) and t.id == name]
    parts = [n for v in values if isinstance(v, ast.BinOp) for n in ast.walk(v) if isinstance(n, ast.expr)]
    plain = ast.BinOp | ast.UnaryOp | ast.Constant
    return bool(parts) and all(isinstance(n, plain) for n in parts) and not any(map(_is_text, parts))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _single(node: ast.stmt, name: str) -> bool:
    """Return True if a statement sets a name to one number."""
    values = [v for t, v in _parts(node) if isinstance(t, ast.Name) and t.id == name]
    return all(is_literal(v) and isinstance(ast.literal_eval(v), int | float) for v in values)


def _without(body: Sequence[ast.stmt], names: frozenset[str]) -> list[ast.stmt]:
    """Return a script without the parts of assignments that set some names."""
    found: list[ast.stmt] = []
    for node in body:
        parts = _parts(node)
        if names.isdisjoint(_set_by(node)):
            found.append(node)
            continue
        for target, value in parts:
            own = isinstance(target, ast.Name) and target.id in names
            if not own:
                found.append(ast.Assign([target], value))
            elif isinstance(target, ast.Name) and isinstance(value, ast.Call) and _wraps(value):
                arguments = [ast.Name(target.id, ast.Load()), *value.args[1:]]
                found.append(ast.Assign([target], ast.Call(value.func, arguments, value.keywords)))
    return found
