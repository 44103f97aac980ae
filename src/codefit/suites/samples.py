"""Completion files: evalplus' and BigCodeBench's sample layout, and our own lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError, did_you_mean
from codefit.core.types import Completion
from codefit.suites.base import Field
from codefit.suites.lines import parsed_lines

_FIELDS: tuple[Field, ...] = ("solution", "completion", "text")


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of one task, what its text is (see `TaskSuite.program`), and what it answers."""

    task_id: str
    sample: int
    text: str
    kind: Field
    asked: str | None = None
    decoding: str | None = None
    tokens: int | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of known tasks; `unknown` counts lines of tasks the suite does not hold."""

    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = ()
    unknown: int = 0

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks that have a sample."""
        return frozenset(s.task_id for s in self.samples)


def from_completions(completions: Iterable[Completion], known: Mapping[str, Any]) -> Samples:
    """Return the samples of completions that a model just wrote."""
    samples: list[Sample] = []
    unknown = 0
    for c in completions:
        if c.task_id in known:
            samples.append(
                Sample(c.task_id, c.sample, c.text, "text", c.asked, c.decoding, c.tokens, c.finish_reason)
            )
        else:
            unknown += 1
    return _finished(samples, [], unknown, "completions", known)


def from_file(path: Path, known: Mapping[str, Any], *, strict: bool = False) -> Samples:
    """Read a completion file: `task_id` and one of `solution`, `completion`, `text`.

    Several lines of one task are its samples, numbered in order where `sample` does not say.
    Lines of unknown tasks are counted; malformed lines are named and skipped, or refused if
    `strict`. Raises `InputError` where no line fits the suite.
    """
    problems: list[str] = []
    samples: list[Sample] = []
    foreign: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for _, line in parsed_lines(path, _line, strict=strict, problems=problems):
        task_id, number, text, kind, row = line
        name = task_id if task_id in known else f"Mbpp/{task_id}"
        if name not in known:
            foreign[task_id] += 1
            continue
        number = seen[name] if number is None else number
        tokens = row.get("tokens") if type(row.get("tokens")) is int else None
        asked, decoding, ended = (_text(row, key) for key in ("asked", "decoding", "finish_reason"))
        samples.append(Sample(name, number, text, kind, asked, decoding, tokens, ended))
        seen[name] += 1
    return _finished(samples, problems, sum(foreign.values()), str(path), known, next(iter(foreign), None))


def _line(row: dict[str, Any]) -> tuple[str, int | None, str, Field, dict[str, Any]]:
    for kind in _FIELDS:
        if kind in row:
            text = row[kind]
            if not isinstance(text, str):
                raise ValueError(f"field '{kind}' is not a text but {type(text).__name__}")
            number = row.get("sample")
            if number is not None and (not isinstance(number, int) or number < 0):
                raise ValueError("field 'sample' is not a number from 0")
            return str(row["task_id"]), number, text, kind, row
    raise ValueError(f"none of the fields {', '.join(_FIELDS)} is there")


def _text(row: dict[str, Any], key: str) -> str | None:
    """Return a field that only helps to explain; another tool may mean something else by its name."""
    value = row.get(key)
    return value if isinstance(value, str) else None


def _finished(
    samples: list[Sample],
    problems: list[str],
    unknown: int,
    where: str,
    known: Mapping[str, Any],
    foreign: str | None = None,
) -> Samples:
    if not samples:
        if foreign is not None:
            hint = did_you_mean(foreign, known)
            todo = f"is this the right suite? its ids look like '{next(iter(known))}'"
            raise InputError(
                f"no line is of a task of this suite (first id: '{foreign}')", where=where, todo=hint or todo
            )
        raise InputError(problems[0] if problems else "no completion", where=None if problems else where)
    twice = [key for key, n in Counter((s.task_id, s.sample) for s in samples).items() if n > 1]
    if twice:
        raise InputError(f"sample {twice[0][1]} of task '{twice[0][0]}' stands here twice", where=where)
    samples.sort(key=lambda s: (s.task_id, s.sample))
    return Samples(tuple(samples), tuple(problems), unknown)
