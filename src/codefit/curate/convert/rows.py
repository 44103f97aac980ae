"""Rows of programs that read and print, rewritten as rows of functions with calls as tests.

Both forms are executed: the program has passed the row's tests before it comes here, and the function
must return, for the same inputs, exactly what the tests say was printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codefit.core.curation import VerifySettings
from codefit.core.files import digest
from codefit.core.types import STDIN_CONTRACT, Outcome, Row, Tests
from codefit.curate.convert.grammar import Lines, Read, Repeat, Spread, Unreadable, Value, Values, parse_reads
from codefit.curate.convert.printing import Form
from codefit.curate.convert.program import Function, rewrite, type_of
from codefit.curate.convert.reading import Refused
from codefit.curate.rounds import first_tests, limits_of
from codefit.curate.runner import Trial, Verdicts, run_trials
from codefit.sandbox import Sandbox
from codefit.suites.stdio import as_text

_MAX_CALLS = 200
_INT = re.compile(r"-?(?:0|[1-9]\d{0,3999})")
_FLOAT = re.compile(r"-?\d{1,300}\.\d{1,300}")
_BOOLS = {"True": True, "False": False}
_TYPES: tuple[tuple[type, str], ...] = ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"))


@dataclass(frozen=True, slots=True)
class Functions:
    """Functions proven the same as programs, by the programs' row ids; `programs` counts the programs asked."""

    programs: int
    rows: Mapping[str, Row]

    def lots(self) -> list[str]:
        """Return the proven functions' lots."""
        return sorted(map(lot, self.rows))

    def up_to(self, last: str) -> dict[str, Row]:
        """Return the functions that are taken, where `last` is the last lot that is."""
        return {row_id: row for row_id, row in self.rows.items() if lot(row_id) <= last}


def lot(row_id: str) -> str:
    """Return a row's place in the queue for being rewritten: a hash, so the order of rows says nothing."""
    return digest("convert", row_id)


def last_lot(lots: Iterable[str], programs: int, share: float) -> str:
    """Return the last lot that is taken where at most `share` of the programs may be; "" takes none."""
    return max(sorted(lots)[: int(share * programs)], default="")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row as a function, with the tests that it still has to pass."""

    row: Row
    tests: Tests


def convert_rows(
    rows: Sequence[Row], settings: VerifySettings, sandbox: Sandbox, verdicts: Verdicts
) -> Functions:
    """Return the stdin rows as functions, as far as they can be rewritten, whatever the share.

    `rows` are rows whose `response` has passed their tests. A function that fails any test is not taken.
    """
    programs = [row for row in rows if row.tests and row.tests.kind == "stdin"]
    if settings.convert == "off" or not settings.convert_share:
        return Functions(len(programs), {})
    offered = {row.id: list(candidates(row, settings)) for row in programs}
    limits = limits_of(settings)
    taken: dict[str, Row] = {}
    for reading in range(2):
        due = {k: c[reading] for k, c in offered.items() if k not in taken and len(c) > reading}
        trials = {
            row_id: [Trial(c.row.response, c.tests, limits, 0.0, run) for run in range(settings.runs)]
            for row_id, c in due.items()
        }
        found = run_trials((t for group in trials.values() for t in group), sandbox, verdicts)
        for row_id, candidate in due.items():
            judgements = [found[t.key] for t in trials[row_id]]
            if all(j.outcome is Outcome.PASSED and j.checker == "exact" for j in judgements):
                taken[row_id] = candidate.row
    return Functions(len(programs), taken)


def candidates(row: Row, settings: VerifySettings) -> Iterator[Candidate]:
    """Yield the row as a function, once for each reading of its outputs: as values, then as texts."""
    assert row.tests is not None
    try:
        function = rewrite(row.response)
        tests = first_tests(row.tests, settings.max_tests)
        calls = [
            call for i, o in zip(tests.inputs, tests.outputs, strict=True) for call in _calls(function, i, o)
        ]
    except (Refused, Unreadable):
        return
    calls = list(_distinct(calls))[:_MAX_CALLS]
    if not calls:
        return
    for as_values in (True, False):
        outputs = tuple(_output(text, function.form, as_values) for _, text in calls)
        as_calls = Tests("calls", function.name, inputs=tuple(c[0] for c in calls), outputs=outputs)
        returned = _type_of_all(outputs)
        source = _annotated(function.source, function.name, returned)
        instruction = f"{_without_contract(row.instruction)}\n\n{_contract(function, source)}"
        extra = dict(row.extra) | {"converted_from": "stdin"}
        yield Candidate(
            replace(row, instruction=instruction, response=source, tests=as_calls, solutions=(), extra=extra),
            as_calls,
        )
        if outputs == tuple(_output(text, function.form, False) for _, text in calls):
            return


def _calls(function: Function, text: Any, printed: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield (arguments, printed text) of a test; several where an input holds several cases."""
    lines = Lines(as_text(text))
    count = 1
    if function.per_case:
        (count,) = parse_reads([Read("count", Value("int"))], lines).values()
    output = as_text(printed).rstrip()
    outputs = [line.rstrip() for line in output.split("\n")] if function.per_case else [output]
    if count != len(outputs):
        raise Unreadable(f"{count} cases but {len(outputs)} lines of output")
    for expected in outputs:
        values = parse_reads(function.reads, lines)
        yield tuple(values[name] for name in function.parameters), expected
    if not lines.finished():
        raise Unreadable("the input goes on")


def _distinct(calls: list[tuple[tuple[Any, ...], str]]) -> Iterator[tuple[tuple[Any, ...], str]]:
    seen = set()
    for arguments, text in calls:
        if (key := repr(arguments)) not in seen:
            seen.add(key)
            yield arguments, text


def _output(text: str, form: Form, as_values: bool) -> Any:
    match form:
        case "value":
            return _value(text.strip("\n"), as_values)
        case "items":
            return [_value(token, as_values) for token in text.split()]
        case "lines":
            return [_value(line.rstrip(), as_values) for line in text.split("\n")] if text else []


def _value(text: str, as_values: bool) -> Any:
    if as_values and _INT.fullmatch(text.strip()):
        return int(text)
    if as_values and _FLOAT.fullmatch(text.strip()):
        return float(text)
    return _BOOLS.get(text, text) if as_values else text


def _type_of_all(values: Sequence[Any]) -> str | None:
    """Return the annotation that fits all values, or None."""
    if all(isinstance(v, list) for v in values):
        items = [item for value in values for item in value]
        inner = _type_of_all(items) if items else None
        return f"list[{inner}]" if inner else "list"
    return next((name for kind, name in _TYPES if all(type(v) is kind for v in values)), None)


def _annotated(source: str, name: str, returned: str | None) -> str:
    return (
        re.sub(rf"^(def {name}\(.*\)):$", rf"\1 -> {returned}:", source, flags=re.M) if returned else source
    )


def _without_contract(instruction: str) -> str:
    return instruction.rstrip().removesuffix(STDIN_CONTRACT).rstrip()


def _contract(function: Function, source: str) -> str:
    """Say what is asked for instead of a program: the signature, where each argument comes from, what to return."""
    signature = next(line for line in source.splitlines() if line.startswith(f"def {function.name}("))
    lines = [
        "Do not read from standard input or print. Write this function instead, which gets what the input holds"
        + (" for one test case" if function.per_case else "")
        + " as arguments:",
        f"```python\n{signature}\n```",
    ]
    lines += [f"- `{p}`: {_described(p, function.reads)}" for p in function.parameters]
    what = {
        "value": "the value that would be printed",
        "items": "a list of the values that would be printed on the line",
        "lines": "a list of the values that would be printed, one for each line",
    }[function.form]
    return "\n".join([*lines, f"Return {what}" + (" for the test case." if function.per_case else ".")])


_ONE = {"int": "a whole number", "float": "a number", "str": "a text"}
_MANY = {"int": "whole numbers", "float": "numbers", "str": "texts"}


def _described(name: str, reads: Sequence[Read]) -> str:
    read = next(r for r in reads if name in r.names)
    match read.shape:
        case Value(cast=cast):
            return f"{_ONE[cast]} (a line of its own)"
        case Values(cast=cast):
            return f"the {_MANY[cast]} of one line"
        case Spread(cast=cast) if type_of(name, reads) == cast:
            return _ONE[cast]
        case Spread(cast=cast):
            return f"the other {_MANY[cast]} of the line"
        case Repeat(item=Value(cast=cast)):
            return f"{_MANY[cast]}, one from each line"
        case Repeat(item=Values(cast=cast) | Spread(cast=cast)):
            return f"the lines, each a list of {_MANY[cast]}"
    raise AssertionError(f"no words for {read.shape}")
