"""Probes: one program and many calls, each compared with what a task expects; answers survive kill -9."""

from __future__ import annotations

import re
import string
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome
from codefit.curate.calls import Call, magnitude
from codefit.curate.leaks.answers import (
    Agreement,
    agreement,
    dumped,
    none_expected,
    unwritten,
    yes_no,
)
from codefit.curate.leaks.forms import FORMS, NOTHING, Form, forms, label
from codefit.curate.runner import HARNESS, refuse_unjudged
from codefit.sandbox import Limits, Program, Run, Sandbox

_PROBE_LIMITS = Limits(cpu_s=8.0, test_cpu_s=0.15, test_wall_s=1.5, memory_mb=256)
_MOST_RUNS = 8
_MOST_CPU_S = 7.5  # of a program over all restarts: one that is slow on every call is not worth more
_MOST_PARTS, _LONG, _LARGE = 6, 5, 1000
_MINDED = ("-", "0", "N")
_REVISION = "probe-10"
_LETTERS = dict(zip(FORMS, string.ascii_letters, strict=False))
_OF_LETTER = {letter: form for form, letter in _LETTERS.items()}
_RAISED = re.compile(r"\braise (\w+)")
_CODE = re.compile(r"\d[a-zA-Z]*(?:~[0-9a-f]{4})?")
# Ends that one call may have brought about. Which of them comes first is a matter of milliseconds,
# so they must lead to the same answer.
_ONE_CALL = (Outcome.TIMEOUT, Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT)


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call came out: `way` as it is, `forms` in which the answer holds the expected value otherwise.

    `label` stands for what the program said where a yes or no was expected and it said something else.
    """

    way: Agreement
    forms: Form = Form.NONE
    label: str = ""

    def agrees(self, form: Form = Form.NONE) -> bool:
        """Return True if the answer is the expected value in a form."""
        return form in self.forms if form else self.way >= Agreement.LOOSE

    @property
    def code(self) -> str:
        """Return the answer as the cache holds it: a digit, a letter for each form, and the label."""
        return f"{self.way:d}{_letters(self.forms)}{f'~{self.label}' * bool(self.label)}"


_FAILED, _GIVEN = Answer(Agreement.FAILED), Answer(Agreement.OTHER)


@dataclass(frozen=True, slots=True)
class Question:
    """A call with its fingerprint, which takes longer to make than to ask what is known of it."""

    call: Call
    mark: str
    size: float  # the largest number or length in its arguments

    @classmethod
    def of(cls, call: Call) -> Question:
        """Return the question that a call puts."""
        arguments, value = call
        mark = f"{digest(dumped(arguments))}={digest(dumped(value))}"  # of lists and tuples, which are not the same
        return cls(call, mark, magnitude(arguments))


class Probe:
    """A program, its function, and calls (arguments it is given, expected value); `found` fills up.

    `compared`: values are compared with the expected ones; otherwise it only counts whether a call gives one.
    A program that reads on below 0 or never ends on 0 is no reason to leave other calls unmade: calls of a kind that
    kept it busy once are put behind all others.
    """

    def __init__(
        self, source: str, entry_point: str, questions: Sequence[Question], *, compared: bool = True
    ) -> None:
        self.source, self.entry_point, self._compared = source, entry_point, compared
        self._calls = [q.call for q in questions]
        self.key = digest(
            _REVISION, HARNESS, str(compared), source, entry_point, *(q.mark for q in questions)
        )
        self._found: dict[int, Answer] = {}
        self._waiting = list(range(len(questions)))
        self._spent_s = 0.0
        self._raised = frozenset(_RAISED.findall(source))

    def program(self) -> Program:
        """Return the program over the calls that have not been made yet."""
        arguments = tuple(self._calls[i][0] for i in self._waiting)
        return Program(self.source, "calls", arguments, entry_point=self.entry_point, limits=_PROBE_LIMITS)

    def take(self, run: Run) -> bool:
        """Judge the frames of a run; True when all calls are made or the program is hopeless or too slow.

        A call that never came back has failed, and the next run goes on with the others.
        """
        made, self._waiting = self._waiting[: len(run.frames)], self._waiting[len(run.frames) :]
        for i, frame in zip(made, run.frames, strict=True):
            arguments, expected = self._calls[i]
            if frame.error:
                self._found[i] = self._refused(frame.error, expected, arguments)
            else:
                self._found[i] = _answer(expected, frame.value, arguments) if self._compared else _GIVEN
        if run.outcome is Outcome.PASSED or (not run.frames and run.outcome not in _ONE_CALL):
            return True
        self._spent_s += run.cpu_s
        if self._spent_s >= _MOST_CPU_S:
            return True
        if self._waiting:
            busy = _hanging_kind(self._calls[self._waiting.pop(0)][0])
            self._waiting.sort(key=lambda i: _hanging_kind(self._calls[i][0]) == busy)
        return not self._waiting

    def _refused(self, error: str, expected: Any, arguments: tuple[Any, ...]) -> Answer:
        """Return the answer of a call that raised: an error that the program raises itself says that there is none."""
        if not self._compared or error.partition(":")[0] not in self._raised:
            return _FAILED
        if expected is False or (isinstance(expected, str) and yes_no(expected, arguments) is False):
            return Answer(Agreement.OTHER, Form.TRUTHY)
        return Answer(Agreement.LOOSE, NOTHING) if none_expected(expected, arguments) else _FAILED

    def outcome(self) -> list[Answer]:
        """Return per call how it came out; calls never made have failed."""
        return [self._found.get(i, _FAILED) for i in range(len(self._calls))]


def _hanging_kind(arguments: tuple[Any, ...]) -> str:
    """Return what a program that never ends on some arguments may mind most: a sign, a zero, a size, else their kinds.

    Of a text of few words that are numbers, these count.
    """
    parts = [part for a in arguments[:_MOST_PARTS] for part in _parts(a)]
    return next((mark for mark in _MINDED if mark in parts), " ".join(parts))


def _parts(value: Any) -> list[str]:
    if isinstance(value, str):
        words = value.split()
        numbers = [_number(word) for word in words[:_MOST_PARTS]]
        if numbers and len(words) <= _MOST_PARTS and None not in numbers:
            return [_sign(n) for n in numbers if n is not None]
    if isinstance(value, str | list | tuple | dict | set | frozenset):
        return [f"{type(value).__name__}{min(len(value) // _LONG, _MOST_PARTS)}"]
    return [_sign(value) if isinstance(value, int | float) else type(value).__name__]


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _sign(value: float) -> str:
    return "-" if value < 0 else "0" if value < 1 else "n" if value <= _LARGE else "N"


class Prober:
    """Runs probes and remembers what came out, in memory and in an append-only file."""

    def __init__(self, sandbox: Sandbox, path: Path | None) -> None:
        self._sandbox = sandbox
        self._ledger = Ledger(path) if path else None
        entries = self._ledger.entries if self._ledger else []
        self._known = {e["key"]: _unpacked(e["found"]) for e in entries if "key" in e and "found" in e}

    def run(self, probes: Iterable[Probe]) -> list[list[Answer]]:
        """Return per probe and call how it came out.

        Raises `CodefitError` if the sandbox itself failed on any of them, when all others are done.
        """
        probes = list(probes)
        self._run({p.key: p for p in probes if p.key not in self._known})
        return [self._known[p.key] for p in probes]

    def close(self) -> None:
        """Close the file."""
        if self._ledger:
            self._ledger.close()

    def _run(self, new: dict[str, Probe]) -> None:
        """Run each probe until it is settled; one that starts again does so at once, beside all others."""
        waiting, failed = deque(new.values()), list[Probe]()
        tries: Counter[str] = Counter()
        while waiting:
            running: list[Probe] = []
            for i, run in self._sandbox.map(_programs(waiting, running)):
                probe = running[i]
                tries[probe.key] += 1
                again = tries[probe.key] < _MOST_RUNS
                if run.outcome is Outcome.SANDBOX_FAILED:
                    (waiting if again else failed).append(probe)
                elif probe.take(run) or not again:
                    self._settle(probe)
                else:
                    waiting.appendleft(probe)
        refuse_unjudged(len(failed))

    def _settle(self, probe: Probe) -> None:
        found = self._known[probe.key] = probe.outcome()
        if self._ledger:
            self._ledger.append({"key": probe.key, "found": "".join(answer.code for answer in found)})


def _programs(waiting: deque[Probe], running: list[Probe]) -> Iterator[tuple[Program, None]]:
    """Yield the programs of what waits, as long as something does; `running` fills up in the same order."""
    while waiting:
        running.append(waiting.popleft())
        yield running[-1].program(), None


def _answer(expected: Any, got: Any, arguments: tuple[Any, ...]) -> Answer:
    got = unwritten(expected, got)
    return Answer(agreement(expected, got, arguments), forms(expected, got, arguments), label(expected, got))


@lru_cache(1 << 12)
def _letters(forms: Form) -> str:
    return "".join(_LETTERS[form] for form in forms)


def _unpacked(text: str) -> list[Answer]:
    return [_decoded(code) for code in _CODE.findall(text)]


def _decoded(code: str) -> Answer:
    letters, _, said = code[1:].partition("~")
    found = Form.NONE
    for letter in letters:
        found |= _OF_LETTER.get(letter, Form.NONE)  # of an older version, under a key that is asked no more
    return Answer(Agreement(int(code[0])), found, said)
