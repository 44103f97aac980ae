"""What the reference solution does under a task's unittest tests: run in the sandbox once, kept on disk.

A task whose reference fails here (a library's version, data or a network that is not there) cannot be
judged here; its reason is kept in a few words. The cache is gzip JSON Lines, keyed by content; its name
holds what else decides: interpreter and libraries.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError, InputError
from codefit.core.files import atomic_path, digest, read_jsonl, without_surrogates
from codefit.core.types import Outcome, Tests
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import Limits, OnFrame, Program, Run
from codefit.suites.schedule import Schedule
from codefit.suites.unittest_check import Known, ended_well, entries_of, stubbed_of
from codefit.suites.wrong_tests import wrong_tests

_VERSION = "4"
_LIMITS = Limits(cpu_s=240.0, wall_s=400.0, memory_mb=6144, processes=64, file_mb=256, output_bytes=4_000_000)
PROBE_WALL_S = 20.0
_SLOW_WORDS = ("sleep", "timeout", "socket", "keras", "permutations")
_REASON_CHARS = 160
# the first that fits an error says why a reference fails
_REASONS = (
    (re.compile(r"Resource .* not found.*NLTK|MissingCorpusError"), "language data are not there"),
    (re.compile(r"Temporary failure in name resolution|Name or service not known|Max retries exceeded|URLError"
                r"|Network is unreachable"), "needs the network"),
    (re.compile(r"ModuleNotFoundError: (No module named '[\w.]+')"), "a library is not there"),
)  # fmt: skip
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class UnitSource:
    """One reference program and its tests."""

    task_id: str
    program: str
    tests: Tests


def known_references(
    sources: Sequence[UnitSource],
    sandbox: Sandbox,
    folder: Path | None,
    *,
    runtime: str,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Known]:
    """Return what each reference does, from the cache folder or from the sandbox.

    Timeouts and failures of the sandbox are not kept. Raises `CodefitError` where the sandbox itself
    fails twice. A run that is killed goes on where it was.
    """
    path = folder / f"unittests-{digest(_VERSION, runtime)}.jsonl.gz" if folder else None
    kept = _load(path) if path is not None and path.exists() else {}
    keys = {s.task_id: digest(s.program, *s.tests.asserts, s.tests.setup) for s in sources}
    waiting = [s for s in sources if keys[s.task_id] not in kept]
    found: dict[str, Known] = {}
    for source, known, lasting in _run_all(waiting, sandbox):
        found[source.task_id] = known
        if lasting:
            kept[keys[source.task_id]] = known
        if progress:
            progress(len(sources) - len(waiting) + len(found), len(sources))
        if path is not None and len(found) % 50 == 0:
            _save(path, kept)
    if found and path is not None:
        _save(path, kept)
    return {t: found[t] if t in found else kept[key] for t, key in keys.items()}


def _run_all(sources: Sequence[UnitSource], sandbox: Sandbox) -> Iterator[tuple[UnitSource, Known, bool]]:
    """Yield what each reference does, and whether that will be so next time."""
    schedule: Schedule[UnitSource] = Schedule(sandbox.jobs)
    for source in sources:
        words = _may_wait(source)
        schedule.push(source, words, waits=words > 0)
    sources = list(schedule)
    programs = [_program(s) for s in sources]
    waiting: dict[int, Known] = {}
    jobs: list[tuple[Program, OnFrame | None]] = [(p, None) for p in programs]
    for index, run in sandbox.map(jobs):
        known, lasting = _known(sources[index], run)
        if known.failure is None:
            waiting[index] = known
        else:
            yield sources[index], known, lasting
    order = sorted(waiting)
    probes: list[tuple[Program, OnFrame | None]] = [
        (_program(sources[i], wall_s=PROBE_WALL_S + 2 * waiting[i].wall_s), None) for i in order
    ]
    for number, run in sandbox.map(probes):
        index = order[number]
        yield sources[index], _with_stubs(waiting[index], sources[index], run), True


def _may_wait(source: UnitSource) -> int:
    """Return a guess at how long tests wait, so that those which do start first."""
    text = source.program + source.tests.asserts[0]
    return sum(text.count(word) for word in _SLOW_WORDS)


def _program(source: UnitSource, *, wall_s: float | None = None) -> Program:
    """Return the reference's program; with a stub in its place, and so long to wait, where `wall_s` is given."""
    return Program(
        source.program,
        "unittest",
        source.tests.asserts,
        entry_point=source.tests.entry_point,
        setup=source.tests.setup,
        limits=_LIMITS if wall_s is None else replace(_LIMITS, wall_s=wall_s),
        stub=wall_s is not None,
        wrong=None if wall_s is None else wrong_tests(source.tests.asserts[0]),
    )


def _known(source: UnitSource, run: Run) -> tuple[Known, bool]:
    if run.outcome is Outcome.SANDBOX_FAILED:
        raise CodefitError(f"the sandbox failed: {run.error}", where=f"reference of {source.task_id}")
    if run.outcome is not Outcome.PASSED:
        reason = _reason(run.error or run.outcome.value)
        return Known(failure=f"the reference ends with {run.outcome.value}: {reason}"), _lasts(run)
    frame = run.frames[0]
    entries = entries_of(frame.value) if frame.error is None else None
    if not entries:
        return Known(failure=f"the reference's tests do not run: {_reason(frame.error or 'no tests')}"), True
    well = ended_well(entries)
    bad = [(n, status, text) for n, status, text in entries if n not in well]
    if bad:
        name, status, text = bad[0]
        total = len({n for n, _, _ in entries})
        failure = f"{len({n for n, _, _ in bad})} of {total} tests fail with the reference: {name}: "
        return Known(failure=failure + _reason(text or status)), True
    return Known(tuple(sorted(well)), {}, run.cpu_s, run.wall_s, run.peak_mb or 0.0), True


def _lasts(run: Run) -> bool:
    return run.outcome not in (Outcome.TIMEOUT, Outcome.MEMORY_LIMIT)


def _with_stubs(known: Known, source: UnitSource, run: Run) -> Known:
    if run.outcome is Outcome.SANDBOX_FAILED:
        raise CodefitError(f"the sandbox failed: {run.error}", where=f"reference of {source.task_id}")
    return replace(known, stubbed=stubbed_of(run, _program(source, wall_s=0.0)))


def _reason(text: str) -> str:
    plain = str(without_surrogates(" ".join(_COLOUR.sub("", text).replace("*", "").split())))
    for pattern, reason in _REASONS:
        if pattern.search(plain):
            return f"{reason} ({plain[:_REASON_CHARS]})"
    return plain[:_REASON_CHARS]


def _save(path: Path, found: dict[str, Known]) -> None:
    with atomic_path(path) as temp, temp.open("wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as f:
            for key, known in found.items():
                f.write(json.dumps({"key": key, **asdict(known)}).encode() + b"\n")


def _load(path: Path) -> dict[str, Known]:
    """Return what the cache holds, up to damage if there is any: the rest is run anew."""
    found: dict[str, Known] = {}
    try:
        for _, row in read_jsonl(path):
            found[row.pop("key")] = _from_json(row)
    except (InputError, KeyError, TypeError, ValueError):
        pass
    return found


def _from_json(row: dict[str, Any]) -> Known:
    stubbed = {kind: tuple(tests) for kind, tests in row["stubbed"].items()}
    return Known(
        tuple(row["tests"]),
        stubbed,
        float(row["cpu_s"]),
        float(row["wall_s"]),
        float(row["peak_mb"]),
        row["failure"],
    )
