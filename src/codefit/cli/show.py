"""Rendering for people: live progress, score and comparison tables, JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from codefit.core.paths import expanded
from codefit.core.progress import Event

_PLAIN_INTERVAL_S = 5.0


def console() -> Console:
    """Return the console for results; wide enough for tables where the output is not a terminal."""
    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 140)


def cache_folder() -> Path:
    """Return where verdicts and reference outputs are kept between runs."""
    base = os.environ.get("CODEFIT_CACHE")
    if base:
        return Path(base)
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else expanded("~/.cache", "cache")) / "codefit"


def print_json(value: Any) -> None:
    """Print one JSON document to standard output, in ASCII where that cannot show all of Unicode."""
    unicode = sys.stdout.encoding.lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not unicode, allow_nan=False))


class Live:
    """Progress on standard error: a live line on a terminal, a plain line now and then elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, emoji=False)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last = 0.0

    def __enter__(self) -> Live:
        if self._console.is_terminal and not self._quiet:
            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"), console=self._console, transient=True,
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        if self._quiet:
            return
        if event.finished:
            self._clear()
            self._console.print(f"{event.stage}: {event.message}", soft_wrap=True, markup=False)
        elif self._bars:
            self._bar(self._bars, event)
        elif event.done is None or time.monotonic() - self._last > _PLAIN_INTERVAL_S:
            self._last = time.monotonic()
            count = (
                f" {event.done:,}/{event.total:,} {event.unit}"
                if event.done is not None and event.total
                else ""
            )
            note = f" {event.message}" if event.message else ""
            self._console.print(f"{event.stage}:{count}{note}", soft_wrap=True, markup=False)

    def _bar(self, bars: Progress, event: Event) -> None:
        if event.done is None:
            bars.console.print(f"{event.stage}: {event.message}", soft_wrap=True, markup=False)
            return
        name = f"{event.stage} {event.message}" if event.stage == "curate" else event.stage
        if name not in self._tasks:
            self._clear()
            self._tasks[name] = bars.add_task(name, total=event.total, note="")
        bars.update(self._tasks[name], completed=event.done, total=event.total, note=event.message)

    def _clear(self) -> None:
        for task in self._tasks.values():
            if self._bars:
                self._bars.remove_task(task)
        self._tasks.clear()


def percent(score: dict[str, Any]) -> str:
    """Return a score as `67.2 % (254/378) [62.3, 71.7]`."""
    if score["value"] is None:
        return "not measured"
    low, high = score["ci95"]
    limit = f" limit {score['limit']}" if score.get("limit") else ""
    value = f"{100 * score['value']:.1f} % ({score['passed']}/{score['n']})"
    return f"{value} [{100 * low:.1f}, {100 * high:.1f}]{limit}"


def score_table(scores: list[dict[str, Any]]) -> Table:
    """Return scores as a table, one row per model, suite and metric."""
    several = any(s.get("samples", 1) > 1 for s in scores)
    caption = "95 % intervals: bootstrap over tasks" if several else "95 % Wilson intervals"
    table = Table(caption=caption, caption_justify="left")
    more = [name for name in ("weights", "decoding") if any(s.get(name) for s in scores)]
    for name in ("model", "suite", "metric", "score", *more, "revision", "not judged"):
        table.add_column(name, overflow="fold")
    for s in scores:
        cells = [s.get(name) or "" for name in more]
        table.add_row(s.get("arm", ""), s["suite"], s["metric"], percent(s), *cells, s["revision"],
                      str(len(s["excluded"])))  # fmt: skip
    return table


def models_table(models: list[dict[str, Any]]) -> Table:
    """Return each model's pass@1 beside the memory and the time that its answers took."""
    table = Table(caption="memory and speed as measured here", caption_justify="left")
    for name in ("model", "suite", "weights", "pass@1", "weights MiB", "peak MiB", "tokens/s", "s a task"):
        table.add_column(name, overflow="fold")
    for m in models:
        figures = [(m["weights_mb"], ",.1f"), (m["peak_mb"], ",.0f"), (m["tokens_per_s"], ",.0f"),
                   (m["seconds_per_task"], ".2f")]  # fmt: skip
        cells = ["not measured" if value is None else format(value, form) for value, form in figures]
        table.add_row(m["arm"], m["suite"], m["weights"], percent(m), *cells)
    return table


def took_line(took: dict[str, Any]) -> str:
    """Return what answers took as one line; what was not measured is left out."""
    parts = [f"{took['tokens']:,} tokens in {took['seconds']:,.1f} s"]
    if took["tokens_per_s"] is not None:
        parts.append(f"{took['tokens_per_s']:,.0f} tokens/s, {took['seconds_per_task']:.2f} s a task")
    if took["peak_mb"] is not None:
        parts.append(f"peak {took['peak_mb']:,.0f} MiB")
    weights = took["weights"] or "format of the weights not stated"
    return f"Generation ({took['engine']}, {weights}, {took['decoding']}): {', '.join(parts)}"


def comparison_line(c: dict[str, Any]) -> str:
    """Return a comparison as one line, points and percent never one without the other."""
    low, high = c["ci95"]
    relative = (
        f"{c['relative_percent']:+.1f} % relative" if c["relative_percent"] is not None else "relative: none"
    )
    detectable = c["minimum_detectable_points"]
    smallest = f"{detectable:.1f} points" if detectable is not None else "nothing, so few tasks differ"
    sides = f"{c['before_arm']} -> {c['after_arm']}: " if "before_arm" in c else ""
    family = c.get("family") or 1
    holm = f" (Holm over {family}: {c['p_holm']:.2g})" if family > 1 else ""
    guard = " (guard)" if c.get("role") == "guard" else ""
    return (
        f"{c['suite']}{guard}: {sides}{100 * c['before']:.1f} -> {100 * c['after']:.1f}, {c['points']:+.1f} points"
        f" ({relative}), 95 % CI [{low:+.1f}, {high:+.1f}], {c['test']} p = {c['p_value']:.2g}{holm},"
        f" fixed {c['fixed']}, broken {c['broken']}, detectable {smallest}"
    )


def stamp_lines(c: dict[str, Any]) -> list[str]:
    """Return the lines that stamp a comparison of what was not judged alike; none where it was."""
    if not c.get("stamp"):
        return []
    lines = [f"  NOT LIKE FOR LIKE: this says nothing certain about the models; {c['n']} tasks on both sides"]
    for d in c["differences"]:
        one, two = ("not stated" if v is None else str(v) for v in (d["before"], d["after"]))
        lines.append(f"  differs in {d['what']}: {one} | {two}")
    return lines


def gate_line(verdict: dict[str, Any]) -> str:
    """Return whether the gate from the start model to the main arm is passed, and what keeps it shut."""
    return "Gate: passed" if verdict["passed"] else f"Gate: not passed: {why_shut(verdict)}"


def why_shut(verdict: dict[str, Any]) -> str:
    """Return which suites keep the gate shut, in one line."""
    faults = []
    for suite in verdict["suites"]:
        if suite["passed"]:
            continue
        if suite["stamp"]:
            faults.append(f"{suite['suite']} is {suite['stamp']}")
        else:
            kind = "loss" if suite["role"] == "guard" else "gain"
            wanted = "at least" if suite["role"] == "guard" else "above"
            faults.append(
                f"{suite['suite']}: the {kind}'s lower bound is {suite['lower_bound']:+.1f} points,"
                f" not {wanted} {suite['must_be']:g}"
            )
    return "; ".join(faults) or "every suite is a guard: none of them was to gain"


def trait_lines(pair: dict[str, Any]) -> list[str]:
    """Return one pair's traits as lines, what got worse first, and what was not measured."""
    lines = [
        f"{pair['suite']}: {pair['before']} -> {pair['after']}, {pair['tasks']} tasks, both pass {pair['both_pass']}"
    ]
    for r in pair["rows"]:
        low, high = r["ci95"]
        where = "all tasks" if r["on"] == "all" else "both pass"
        reading = r["reading"].replace("_", " ")
        lines.append(
            f"  {reading}: {r['unit']}, {where} (n {r['n']}): {r['before']:.3g} -> {r['after']:.3g},"
            f" {r['difference']:+.3g} [{low:+.3g}, {high:+.3g}]"
        )
    return lines + [
        f"  not measured: {m['group']}: {m['why']}" + (f" ({m['command']})" if m["command"] else "")
        for m in pair["not_measured"]
    ]
