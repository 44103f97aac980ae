"""Ways of writing a task's arguments as the text of standard input."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from codefit.curate.leaks.vary import Arguments, length_arguments

Layout = Callable[[Sequence[Any]], str | None]
"""Writes values as text, or gives None where they do not have what the layout is about."""


def _lines(values: Sequence[Any]) -> str:
    return "\n".join(map(_block, values))


def _sized_lines(values: Sequence[Any]) -> str | None:
    return "\n".join(f"{_size(v)}\n{_block(v)}" if _is_list(v) else str(v) for v in values)


def _one_line(values: Sequence[Any]) -> str | None:
    return " ".join(map(str, values)) if len(values) > 1 and not any(map(_is_list, values)) else None


def _sizes_first(values: Sequence[Any]) -> str | None:
    lists, singles = _parted(values)
    head = " ".join([*map(_size, lists), *map(str, singles)])
    return "\n".join([head, *map(_block, lists)]) if lists else None


def _singles_first(values: Sequence[Any]) -> str | None:
    lists, singles = _parted(values)
    return "\n".join([*map(str, singles), *map(_block, lists)]) if lists and singles else None


def _lists_first(values: Sequence[Any]) -> str | None:
    lists, singles = _parted(values)
    return "\n".join([*map(_block, lists), *map(str, singles)]) if lists and singles else None


def _counted_lines(values: Sequence[Any]) -> str | None:
    """Write lists behind the number of their items or rows, whatever a row's width."""
    return "\n".join(f"{len(v)}\n{_block(v)}" if _is_list(v) else str(v) for v in values)


def _count_before(values: Sequence[Any]) -> str | None:
    lists, singles = _parted(values)
    sized = [f"{_size(v)}\n{_block(v)}" for v in lists]
    return "\n".join([*sized, *map(str, singles)]) if lists and singles else None


def _item_lines(values: Sequence[Any]) -> str | None:
    flat = [v for v in values if _is_list(v) and not _is_table(v)]
    return "\n".join(f"{len(v)}\n{_column(v)}" if _is_list(v) else str(v) for v in values) if flat else None


def _bare_item_lines(values: Sequence[Any]) -> str | None:
    """Write the items of the only list on a line each, single values before them."""
    lists, singles = _parted(values)
    alone = len(lists) == 1 and not _is_table(lists[0])
    return "\n".join([*map(str, singles), _column(lists[0])]) if alone else None


def _commas(values: Sequence[Any]) -> str | None:
    return "\n".join(_comma_block(v) for v in values) if any(map(_is_list, values)) else None


def _comma_line(values: Sequence[Any]) -> str | None:
    return ", ".join(map(str, values)) if len(values) > 1 and not any(map(_is_list, values)) else None


def _literals(values: Sequence[Any]) -> str | None:
    return "\n".join(json.dumps(v) if isinstance(v, str) else repr(v) for v in values)


def _one_case(write: Layout) -> Layout:
    def one_case(values: Sequence[Any]) -> str | None:
        text = write(values)
        return None if text is None else f"1\n{text}"

    return one_case


def _last_first(write: Layout) -> Layout:
    def last_first(values: Sequence[Any]) -> str | None:
        return write(list(reversed(values))) if len(values) > 1 else None

    return last_first


_LITERALS = "literals"
TEXTS: dict[str, Layout] = {
    "lines": _lines,
    "sized lines": _sized_lines,
    "one line": _one_line,
    "sizes first": _sizes_first,
    "singles first": _singles_first,
    "lists first": _lists_first,
    "count before": _count_before,
    "counted lines": _counted_lines,
    "item lines": _item_lines,
    "bare item lines": _bare_item_lines,
    "commas": _commas,
    "comma line": _comma_line,
    _LITERALS: _literals,
    "last first, lines": _last_first(_lines),
    "last first, sized lines": _last_first(_sized_lines),
    "last first, one line": _last_first(_one_line),
    "one case": _one_case(_sized_lines),
    "one case, sizes first": _one_case(_sizes_first),
    "one case, lines": _one_case(_lines),
    "one case, one line": _one_case(_one_line),
}
"""How arguments are written: each on a line, lists parted by spaces; lists behind a line with their length or
their number of rows; all on one line; lengths and single values on the first line; single values before or behind
the lists; each item on a line; parted by commas; as literals; the last argument first; and behind a line that says
that there is one case."""


def text_shapes(seen: Sequence[Arguments]) -> list[str]:
    """Return the ways of writing the arguments that differ from each other."""
    found: dict[str, str] = {}
    lengths = tuple(length_arguments(seen))
    for shape in TEXTS:
        text = written(seen[0], shape, lengths)
        if text is not None:
            found.setdefault(text, shape)
    return list(found.values())


def written(arguments: Arguments, shape: str, lengths: tuple[int, ...] = ()) -> str | None:
    """Return arguments as the text of standard input, or None where they can't be written so.

    Arguments at the places `lengths`, which only say how long another one is, are left to the shape.
    """
    values = [a for i, a in enumerate(arguments) if i not in lengths]
    if not values or not (shape == _LITERALS or all(map(_writable, values))):
        return None
    text = TEXTS[shape](values)
    return None if text is None else f"{text}\n"


def _parted(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    return [v for v in values if _is_list(v)], [v for v in values if not _is_list(v)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_table(value: Any) -> bool:
    return _is_list(value) and bool(value) and _is_list(value[0])


def _size(value: Any) -> str:
    same = _is_table(value) and len({len(row) for row in value}) == 1
    return f"{len(value)} {len(value[0])}" if same else str(len(value))


def _block(value: Any) -> str:
    if _is_table(value):
        return "\n".join(" ".join(map(str, row)) for row in value)
    return " ".join(map(str, value)) if _is_list(value) else str(value)


def _column(values: Sequence[Any]) -> str:
    return "\n".join(map(str, values))


def _comma_block(value: Any) -> str:
    if _is_table(value):
        return "\n".join(",".join(map(str, row)) for row in value)
    return ",".join(map(str, value)) if _is_list(value) else str(value)


def _writable(value: Any) -> bool:
    if _is_table(value):
        return all(_is_list(row) and all(map(is_scalar, row)) for row in value)
    return all(map(is_scalar, value)) if _is_list(value) else is_scalar(value)


def is_scalar(value: Any) -> bool:
    """Return True for a number or a text."""
    return isinstance(value, int | float | str)
