"""The data card: what went in, what is left, and what is known about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from codefit.core.types import Row
from codefit.curate.code import parse
from codefit.curate.step import Context

_NON_COMMERCIAL = ("nc", "non-commercial", "noncommercial")
_NC_NOTE = (
    "**Non-commercial rows.** {names}: this licence (CC BY-NC for Code Alpaca) does not allow commercial use "
    "of the rows. Whether a model tuned on them inherits that is an open legal question; treat the tuned "
    "model as non-commercial, or leave the source out. Code Alpaca's answers were also written by another "
    "company's model, whose terms may restrict training with its output."
)
_QUANTILES = (0.1, 0.5, 0.9, 1.0)


def card(read: Sequence[Row], kept: Sequence[Row], funnel: dict[str, Any], ctx: Context) -> str:
    """Return the card as Markdown; the same rows and settings give the same text."""
    parts = [
        "# Data card\n",
        f"{len(read):,} rows read, {len(kept):,} kept ({funnel['kept_tokens']:,} tokens of request and "
        f"answer, by this run's counter). Seed {funnel['seed']}.\n",
        _sources(read, kept, funnel),
        _licences(kept),
        _steps(funnel),
        _lengths(kept, ctx),
        _languages(funnel),
        _evidence(read, kept, ctx),
        _separation(funnel),
    ]
    return "\n".join(part for part in parts if part)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += [
        "| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in row) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def share(part: int, whole: int) -> str:
    """Return `12.3 % (45/366)`, or `-` of nothing."""
    return f"{100 * part / whole:.1f} % ({part:,}/{whole:,})" if whole else "-"


def _sources(read: Sequence[Row], kept: Sequence[Row], funnel: dict[str, Any]) -> str:
    into, out = Counter(r.source for r in read), Counter(r.source for r in kept)
    known = {s["name"]: s for s in funnel["sources"]}
    licences = {r.source: r.licence for r in read}
    rows = [
        (
            name,
            f"{into[name]:,}",
            share(out[name], into[name]),
            share(out[name], len(kept)),
            licences[name] or "not stated",
            known.get(name, {}).get("revision", "-"),
        )
        for name in sorted(into)
    ]
    about = "".join(
        f"- {name}: {known[name]['about']}\n" for name in sorted(into) if known.get(name, {}).get("about")
    )
    head = ("source", "rows read", "kept of them", "share of the mixture", "licence", "revision")
    return "## Sources\n\n" + _table(head, rows) + ("\n" + about if about else "")


def _licences(kept: Sequence[Row]) -> str:
    restricted = sorted(
        {
            r.source
            for r in kept
            if r.licence and set(r.licence.lower().replace("-", " ").split()) & set(_NON_COMMERCIAL)
        }
    )
    return _NC_NOTE.format(names=", ".join(restricted)) + "\n" if restricted else ""


def _steps(funnel: dict[str, Any]) -> str:
    rows = []
    for step in funnel["steps"]:
        reasons = "; ".join(f"{name} {count:,}" for name, count in list(step["reasons"].items())[:6])
        rows.append(
            (step["step"], f"{step['in']:,}", f"{step['kept']:,}", f"{step['dropped']:,}", reasons or "-")
        )
    return "## Funnel\n\n" + _table(("step", "in", "kept", "dropped", "most frequent reasons"), rows)


def _lengths(kept: Sequence[Row], ctx: Context) -> str:
    if not kept:
        return ""
    rows = []
    texts = {"request": [r.instruction for r in kept], "answer": [r.response for r in kept]}
    for label, column in texts.items():
        counts = sorted(map(ctx.count_tokens, column))
        rows.append((label, *(f"{counts[min(len(counts) - 1, int(q * len(counts)))]:,}" for q in _QUANTILES)))
    return "## Lengths of kept rows in tokens\n\n" + _table(("", "p10", "median", "p90", "longest"), rows)


def _languages(funnel: dict[str, Any]) -> str:
    found: dict[str, int] = next(
        (s["report"]["languages"] for s in funnel["steps"] if s["step"] == "language"), {}
    )
    total = sum(found.values())
    rows = [(name, share(count, total)) for name, count in found.items()]
    return (
        "## Languages of the answers, by heuristic, before selection\n\n" + _table(("language", "rows"), rows)
        if rows
        else ""
    )


def _evidence(read: Sequence[Row], kept: Sequence[Row], ctx: Context) -> str:
    parses = {row.id for row in kept if row.language in (None, "python") and parse(row.response) is not None}
    python = [row for row in kept if row.language in (None, "python")]
    verdicts = Counter(str(ctx.fact(row.id, "verdict", "not_run")) for row in kept)
    tested = sum(row.tests is not None for row in kept)
    rows = [
        ("answers in Python", share(len(python), len(kept))),
        ("of them parse", share(len(parses), len(python))),
        ("have tests of their own", share(tested, len(kept))),
        ("pass their own tests", share(verdicts["passed"], len(kept))),
        ("no tests, an example holds", share(verdicts["example holds"], len(kept))),
        ("no tests, run on the example input", share(verdicts["example runs"], len(kept))),
        ("no tests, load without error", share(verdicts["loads"] + verdicts["example fails"], len(kept))),
        ("need a checker (several right answers)", share(verdicts["needs a checker"], len(kept))),
        (
            "could not be loaded here (input, module, file or network missing)",
            share(verdicts["unproven"], len(kept)),
        ),
        ("were not run", share(verdicts["not_run"], len(kept))),
    ]
    return "## Evidence on kept rows\n\n" + _table(("", "rows"), rows)


def _separation(funnel: dict[str, Any]) -> str:
    step = next((s for s in funnel["steps"] if s["step"] == "decontaminate"), None)
    if step is None:
        return "## Separation from test sets\n\nNot checked: the recipe leaves the step out.\n"
    if not funnel["suites"]:
        return "## Separation from test sets\n\nNot checked: no test set was given.\n"
    rows = []
    for suite, tasks in funnel["suites"].items():
        found = step["report"]["suites"].get(suite, {})
        methods = ", ".join(f"{m} {n:,}" for m, n in found.get("rows_by_method", {}).items())
        touched = share(found.get("tasks_touched", 0), tasks)
        rows.append(
            (
                suite,
                f"{found.get('rows_removed', 0):,}",
                touched,
                f"{found.get('rows_listed', 0):,}",
                methods or "-",
            )
        )
    mode = funnel["settings"]["decontaminate"]["execution_match"]
    head = ("suite", "rows removed", "tasks touched", "rows listed for review", "removed rows by method")
    return (
        "## Separation from test sets\n\n"
        + _table(head, rows)
        + f"\nExecution match: {mode}. A row may be found by several methods. Not covered: paraphrases whose "
        "answers are not Python functions.\n"
    )
