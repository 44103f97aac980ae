"""Variants: the same tasks asked differently, to see how much of a score hangs on how one asks.

`renamed` gives the entry point, and parameters that the prompt shows, names that say nothing (see `renamed`);
`reworded` says the request in other words, `chinese` puts it in a Chinese frame (see `wording`). Whatever is
chosen hangs on the task's id alone, so that a variant is the same for everyone. A variant's tasks are judged
as the plain ones are; its suite has a name of its own, `mbpp~renamed` (`mbpp~renamed+` with plus tests).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from codefit.core.errors import InputError, did_you_mean
from codefit.core.files import canonical_json, digest
from codefit.core.seeds import rng
from codefit.core.types import Task
from codefit.suites.base import TaskSuite
from codefit.suites.renamed import renamed
from codefit.suites.wording import chinese, reworded, table

VERSION = "1"
MARK = "~"
_MAKE: dict[str, Callable[[Task, Random], Task | str]] = {
    "renamed": renamed,
    "reworded": reworded,
    "chinese": chinese,
}
VARIANTS = tuple(_MAKE)


def plain_name(suite: str) -> str:
    """Return the suite that a variant is of; a plain suite's name is its own."""
    if variant_of(suite) is None:
        return suite
    return suite.rpartition(MARK)[0] + ("+" if suite.endswith("+") else "")


def variant_of(suite: str) -> str | None:
    """Return the variant that a suite's name stands for, None for a plain suite."""
    _, mark, variant = suite.rpartition(MARK)
    return known if mark and (known := variant.rstrip("+")) in _MAKE else None


def vary(suite: TaskSuite, variant: str) -> TaskSuite:
    """Return a suite of the tasks that the variant can be made of; `info.left_out` names the others.

    `all_tasks` stay the plain ones: those are what training rows must be apart from. Raises `InputError`
    for an unknown variant and where no task is left.
    """
    if variant not in _MAKE:
        raise InputError(
            f"unknown variant '{variant}'", where=suite.info.name,
            todo=did_you_mean(variant, VARIANTS) or f"known: {', '.join(VARIANTS)}",
        )  # fmt: skip
    made = {t.task_id: _MAKE[variant](t, rng(0, "variant", variant, t.task_id)) for t in suite.tasks}
    tasks = tuple(t for t in made.values() if isinstance(t, Task))
    if not tasks:
        raise InputError(
            f"variant '{variant}' can be made of none of its tasks: {next(iter(made.values()))}",
            where=suite.info.name, todo="ask the suite as it is",
        )  # fmt: skip
    info, words = suite.info, digest(VERSION, canonical_json(table()))
    content = [digest(t.task_id, t.prompt, str(t.entry_point), repr(t.tests), repr(t.plus)) for t in tasks]
    base = f"{info.base_name.rstrip('+')}{MARK}{variant}"
    varied = replace(
        info,
        name=base + "+" if info.name.endswith("+") else base,
        revision=digest(info.revision, words, *content),
        base_name=base,
        base_revision=digest(info.base_revision, words, *content),
        tasks=len(tasks),
        variant=variant,
        left_out={t: why for t, why in made.items() if isinstance(why, str)},
    )
    return replace(suite, info=varied, tasks=tasks)
