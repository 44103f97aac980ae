"""Probes: one program and many calls, each compared with what a task expects; answers survive kill -9."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome
from codefit.curate.calls import Call, magnitude
from codefit.curate.leaks.answers import Agreement, agreement, dumped
from codefit.curate.leaks.forms import FORMS, Form, forms, label
from codefit.curate.runner import HARNESS, refuse_unjudged
from codefit.sandbox import Limits, Program, Run, Sandbox

_PROBE_LIMITS = Limits(cpu_s=8.0, test_cpu_s=0.25, test_wall_s=2.0, memory_mb=256)
_MAX_RESTARTS = 10
_REVISION = "probe-7"
_LETTERS = dict(zip(FORMS, string.ascii_letters, strict=False))
_OF_LETTER = {letter: form for form, letter in _LETTERS.items()}
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
        return (
            str(int(self.way))
            + "".join(_LETTERS[form] for form in self.forms)
            + f"~{self.label}" * bool(self.label)
        )


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
    """

    def __init__(
        self, source: str, entry_point: str, questions: Sequence[Question], *, compared: bool = True
    ) -> None:
        self.source, self.entry_point, self._compared = source, entry_point, compared
        self._calls = [q.call for q in questions]
        self.key = digest(
            _REVISION, HARNESS, str(compared), source, entry_point, *(q.mark for q in questions)
        )
        self.found: list[Answer] = []

    def program(self) -> Program:
        """Return the program over the calls that have not been made yet."""
        arguments = tuple(a for a, _ in self._calls[len(self.found) :])
        return Program(self.source, "calls", arguments, entry_point=self.entry_point, limits=_PROBE_LIMITS)

    def take(self, run: Run) -> bool:
        """Judge the frames of a run; True when all calls are made or the program is hopeless.

        A call that never came back has failed, and the next run starts behind it.
        """
        for frame in run.frames:
            arguments, expected = self._calls[len(self.found)]
            if frame.error:
                self.found.append(_FAILED)
            else:
                self.found.append(_answer(expected, frame.value, arguments) if self._compared else _GIVEN)
        if run.outcome is Outcome.PASSED or (not run.frames and run.outcome not in _ONE_CALL):
            return True
        self.found.append(_FAILED)
        return len(self.found) >= len(self._calls)

    def outcome(self) -> list[Answer]:
        """Return per call how it came out; calls never made have failed."""
        return (self.found + [_FAILED] * len(self._calls))[: len(self._calls)]


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
        waiting = list(new.values())
        failed: set[str] = set()
        for _ in range(_MAX_RESTARTS):
            left: list[Probe] = []
            for i, run in self._sandbox.map((p.program(), None) for p in waiting):
                if run.outcome is Outcome.SANDBOX_FAILED:
                    failed.add(waiting[i].key)
                    left.append(waiting[i])
                elif waiting[i].take(run):
                    self._settle(waiting[i])
                else:
                    left.append(waiting[i])
            waiting = left
        for probe in waiting:
            if probe.key not in failed:
                self._settle(probe)
        refuse_unjudged(sum(probe.key in failed for probe in waiting))

    def _settle(self, probe: Probe) -> None:
        self._known[probe.key] = probe.outcome()
        if self._ledger:
            self._ledger.append({"key": probe.key, "found": "".join(a.code for a in probe.outcome())})


def _answer(expected: Any, got: Any, arguments: tuple[Any, ...]) -> Answer:
    return Answer(agreement(expected, got, arguments), forms(expected, got, arguments), label(expected, got))


def _unpacked(text: str) -> list[Answer]:
    return [_decoded(code) for code in _CODE.findall(text)]


def _decoded(code: str) -> Answer:
    letters, _, said = code[1:].partition("~")
    found = Form.NONE
    for letter in letters:
        found |= _OF_LETTER.get(letter, Form.NONE)  # of an older version, under a key that is asked no more
    return Answer(Agreement(int(code[0])), found, said)
