"""Flavours: the published ways to put a benchmark's tasks to a model. Scores of two flavours don't compare.

`plain` is the task's prompt alone in one user turn, as training sees its rows; the others are for figures
beside published ones. Their wording is part of the published protocol and is kept to the letter:

- `evalplus-0-shot`: EvalPlus (arXiv 2305.01210; evalplus/codegen.py, provider/utility.py, Apache-2.0).
- `mbpp-3-shot`: Austin et al. 2021 (arXiv 2108.07732; google-research/mbpp/README.md): tasks 2, 3 and 4 as
  examples, all three asserts shown. The examples come from the suite's own file.
- `bigcodebench`: BigCodeBench (arXiv 2406.15877; bigcodebench/generate.py, Apache-2.0), of either split.

A prompt has three forms. *begun*: chat turns with the answer's first words already there, as the two
harnesses ask local models; *chat*: the turns alone, as they ask endpoints; *text*: one text that a base
model goes on with.
Not covered: the harnesses stop decoding at their stop words, here an answer is decoded to its end and cut
at them, which costs tokens and changes no program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from codefit.core.errors import InputError, did_you_mean
from codefit.core.types import Task
from codefit.suites.base import Suite
from codefit.suites.variants import plain_name

Form = Literal["begun", "chat", "text"]
PLAIN = "plain"
NAMES = (PLAIN, "evalplus-0-shot", "mbpp-3-shot", "bigcodebench")

_REQUEST = "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
_ANSWER = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:"
)
_BEGIN = f"{_ANSWER}\n```python\n"
_FENCE_ENDS = "\n```\n"
_ENDS = ("\nif __name__", "\ndef main(", "\nprint(")
_NEXT_CODE = ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")
_NEXT_MBPP = ('\n"""', "\nassert")
_SHOTS = ("Mbpp/2", "Mbpp/3", "Mbpp/4")
_OPEN, _DONE = "[BEGIN]\n", "[DONE]"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One task as a model gets it: chat turns (role, content), the answer's first words, or one text."""

    turns: tuple[tuple[str, str], ...]
    begin: str
    text: str


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one suite's tasks are put, and what of an answer the judge gets."""

    name: str
    family: str
    shots: tuple[Task, ...] = ()
    starts: tuple[str, ...] = ()

    def prompt(self, task: Task) -> Prompt:
        """Return a task's prompt."""
        if self.name == "evalplus-0-shot":
            code = task.prompt.strip()
            return Prompt((("user", f"{_REQUEST}\n```\n{code}\n```\n"),), _BEGIN, f"{code}\n")
        if self.name == "bigcodebench":
            body = task.prompt.strip()
            shown = f"```\n{body}\n```" if task.prompt in self.starts else body
            return Prompt((("user", f"{_REQUEST}\n{shown}\n"),), _BEGIN, task.prompt.strip("\n"))
        if self.name == "mbpp-3-shot":
            return self._few_shot(task)
        return Prompt((("user", task.prompt),), "", task.prompt)

    def _few_shot(self, task: Task) -> Prompt:
        turns: list[tuple[str, str]] = []
        for shot in self.shots:
            turns += [("user", _asked(shot)), ("assistant", f"{_OPEN}{shot.reference}\n{_DONE}")]
        text = "".join(f"{_asked(s)}{_OPEN}{s.reference}\n{_DONE}\n\n" for s in self.shots)
        return Prompt((*turns, ("user", _asked(task))), _OPEN, f"{text}{_asked(task)}{_OPEN}")

    def form(self, wanted: Form) -> Form:
        """Return the form that a prompt has where `wanted` is what its model takes."""
        return "chat" if self.name == PLAIN and wanted == "begun" else wanted

    def stops(self, form: Form) -> tuple[str, ...]:
        """Return what ends an answer, beside the model's own end."""
        if self.name == "mbpp-3-shot":
            return (_DONE,)
        if self.name == PLAIN or form == "chat":
            return ()
        if form == "begun":
            return (_FENCE_ENDS, *_ENDS)
        return (*(_NEXT_MBPP if self.family == "mbpp" else _NEXT_CODE), *_ENDS)

    def answer(self, text: str, form: Form) -> str:
        """Return what the judge gets of what a model wrote."""
        if self.name == "mbpp-3-shot" and form == "chat":
            text = text.partition(_OPEN)[2] if _OPEN in text else text
        return text[: min((at for s in self.stops(form) if (at := text.find(s)) >= 0), default=len(text))]


def _asked(task: Task) -> str:
    tests = "\n".join(task.tests.asserts)
    return (
        f"You are an expert Python programmer, and here is your task: {task.extra['request']} "
        f"Your code should pass these tests:\n\n{tests}\n"
    )


def flavour_of(suite: Suite, name: str) -> Flavour:
    """Return a flavour of a suite, and have the suite's scores name it.

    Raises `InputError` where the flavour is unknown, is not one of this suite, or lacks its examples.
    """
    _check(suite, name)
    family = suite.info.family
    shots = _examples(suite.all_tasks, suite.info.data) if name == "mbpp-3-shot" else ()
    starts = tuple(getattr(suite, "starts", {}).values()) if name == "bigcodebench" else ()
    suite.info = replace(suite.info, flavour=name)
    return Flavour(name, family, shots, starts)


def _check(suite: Suite, name: str) -> None:
    info = suite.info
    if name not in NAMES:
        raise InputError(
            f"unknown flavour '{name}'", where=info.name,
            todo=did_you_mean(name, NAMES) or f"known: {', '.join(NAMES)}",
        )  # fmt: skip
    families = {
        "evalplus-0-shot": ("mbpp", "humaneval"),
        "mbpp-3-shot": ("mbpp",),
        "bigcodebench": ("bigcodebench",),
    }
    fits = name == PLAIN or info.family in families[name]
    if name == "mbpp-3-shot" and (info.oracle is not None or plain_name(info.name) != "mbpp"):
        fits = False  # evalplus' file judges the examples themselves
    if not fits:
        usable = [PLAIN, *(n for n, f in families.items() if info.family in f)]
        hint = "; mbpp-3-shot takes suite mbpp in MBPP's own layout" if name == "mbpp-3-shot" else ""
        raise InputError(f"flavour '{name}' is not one of this suite", where=info.name,
                         todo=f"use one of {', '.join(usable)}{hint}")  # fmt: skip


def _examples(tasks: Sequence[Task], data: str | None) -> tuple[Task, ...]:
    by_id = {t.task_id: t for t in tasks}
    missing = [i for i in _SHOTS if i not in by_id]
    if missing:
        raise InputError(
            f"no {', '.join(missing)}: the examples of mbpp-3-shot are MBPP's tasks 2, 3 and 4", where=data,
            todo="use the whole file (mbpp.jsonl), with all of its splits",
        )  # fmt: skip
    return tuple(by_id[i] for i in _SHOTS)
