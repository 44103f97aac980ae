"""Functions that change their argument instead of returning something."""

from __future__ import annotations

from dataclasses import replace

from codefit.core.types import Tests

_WRAPPER = """
def _changed_argument(*arguments):
    value = {call}(*arguments)
    return arguments[0] if value is None and arguments else value
"""
_SOLUTION = "Solution."


def in_place(tests: Tests) -> Tests:
    """Return tests of a function that is worth its first argument after the call where it returns None.

    The wrapper runs beside the program, which could replace it; it could as well return what it likes,
    so nothing is decided there.
    """
    if tests.kind != "calls" or not tests.entry_point:
        return tests
    method = tests.entry_point.removeprefix(_SOLUTION)
    call = f"Solution().{method}" if tests.entry_point.startswith(_SOLUTION) else method
    setup = f"{tests.setup}\n{_WRAPPER.format(call=call)}"
    return replace(tests, entry_point="_changed_argument", setup=setup)
