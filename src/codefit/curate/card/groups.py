"""What is known of a group of rows (a source, the mixture) or of a suite's tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codefit.core.types import Row, Task
from codefit.curate.code import functions, parse
from codefit.curate.language import detect
from codefit.curate.normalise import emptiness, normalised
from codefit.curate.step import Context
from codefit.curate.topics import libraries, topics

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "max": 1.0}
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one row; `parses` and `defines` are None where the answer is not Python."""

    request_tokens: int
    answer_tokens: int
    language: str
    parses: bool | None
    form: str
    topics: tuple[str, ...]
    libraries: tuple[str, ...]


def about_row(row: Row, ctx: Context) -> About:
    """Return what is known of a row without running it."""
    language = row.language or str(ctx.fact(row.id, "language") or _language(row, ctx.settings.steps))
    python = language == "python"
    row = replace(row, language=language)
    return About(
        request_tokens=ctx.count_tokens(row.instruction),
        answer_tokens=ctx.count_tokens(row.response),
        language=language,
        parses=parse(row.response) is not None if python else None,
        form=_form(row, python),
        topics=topics(row),
        libraries=libraries(row) if python else (),
    )


def _language(row: Row, steps: Sequence[str]) -> str:
    """Return the language of a row on which the step `language` left no note, as that step would."""
    clean = normalised(row, Counter()) if "normalise" in steps else row
    if "language" in steps and not emptiness(clean):
        return detect(clean.response, clean.instruction)[0]
    return detect(row.response, row.instruction)[0] if row.response else "no answer"


def _form(row: Row, python: bool) -> str:
    """Return what the row trains to write: a function, a whole program or a script."""
    if row.tests and row.tests.kind == "stdin":
        return "program (standard input and output)"
    if row.tests or (python and functions(row.response)):
        return "function"
    return "script or class" if python else "other language"


def about_task(task: Task, count_tokens: Callable[[str], int]) -> About:
    """Return the same of a benchmark task, its reference standing for the answer."""
    reference = task.reference or ""
    row = Row(task.task_id, "", task.prompt, reference, "python")
    named = _named_libraries(task)
    return About(
        request_tokens=count_tokens(task.prompt),
        answer_tokens=count_tokens(reference),
        language="python",
        parses=parse(reference) is not None if reference else None,
        form="function",
        topics=topics(row),
        libraries=libraries(row) if named is None else named,
    )


def _named_libraries(task: Task) -> tuple[str, ...] | None:
    """Return the libraries that BigCodeBench names for a task (a list as text), else None."""
    text = str(task.extra.get("libs") or "")
    names = [part.strip(" '\"") for part in text.strip("[] ").split(",")]
    return tuple(sorted({name for name in names if name.isidentifier()})) if text else None


def rows_facts(rows: Sequence[Row], about: Mapping[str, About]) -> Facts:
    """Return counts over rows whose `about` is known by row id."""
    tested = [len(row.tests) for row in rows if row.tests]
    return {
        **common_facts([about[row.id] for row in rows]),
        "licences": ranked(row.licence or "not stated" for row in rows),
        "difficulty": ranked(row.difficulty for row in rows if row.difficulty),
        "tests": {"rows": len(tested), "per_row": quantiles(tested)},
    }


def common_facts(about: Sequence[About]) -> Facts:
    """Return counts that rows and tasks have in common."""
    parses = [a.parses for a in about if a.parses is not None]
    return {
        "rows": len(about),
        "tokens": {
            "total": sum(a.request_tokens + a.answer_tokens for a in about),
            "request": quantiles([a.request_tokens for a in about]),
            "answer": quantiles([a.answer_tokens for a in about]),
        },
        "languages": ranked(a.language for a in about),
        "python": {"rows": len(parses), "parses": sum(parses)},
        "forms": ranked(a.form for a in about),
        "topics": ranked(topic for a in about for topic in a.topics),
        "libraries": ranked(name for a in about for name in a.libraries),
        "rows_with_libraries": sum(bool(a.libraries) for a in about),
    }


def quantiles(values: Sequence[int]) -> dict[str, int] | None:
    """Return the 10th, 50th and 90th percentile and the maximum; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return {name: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for name, q in QUANTILES.items()}


def ranked(values: Any) -> dict[str, int]:
    """Return counts, the largest first, equal ones by name."""
    return dict(sorted(Counter(values).items(), key=lambda kv: (-kv[1], kv[0])))
