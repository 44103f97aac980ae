"""Programs that have a function row beside them (`verify.convert: add`): one problem in two forms.

The function row's id is made from the program row's, so that two ids tell whether their rows are a pair
wherever the rows came from: also where curated rows are curated again.
"""

from __future__ import annotations

from collections.abc import Iterable

from codefit.core.files import digest

_MARK = "/function-"


def function_id(program_id: str) -> str:
    """Return the id of the function row of a program row; the hash tells it from an id of someone's own."""
    return f"{program_id}{_MARK}{digest('function', program_id)[:8]}"


def program_id(row_id: str) -> str | None:
    """Return the id of the program row that a row was made from, or None if its id was not made here."""
    program, mark, _ = row_id.rpartition(_MARK)
    return program if mark and row_id == function_id(program) else None


def function_ids(row_ids: Iterable[str]) -> frozenset[str]:
    """Return those ids that are function rows'."""
    return frozenset(row_id for row_id in row_ids if program_id(row_id) is not None)


def is_pair(a: str, b: str) -> bool:
    """Return True if two ids are a program's and its function's."""
    return a == program_id(b) or b == program_id(a)
