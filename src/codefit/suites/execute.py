"""From a completion file to verdicts and scores on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import Ledger, canonical_json, digest, file_digest, read_json, write_json, write_jsonl
from codefit.core.types import Completion, Outcome, Task
from codefit.sandbox.sandbox import Sandbox
from codefit.suites.base import Suite
from codefit.suites.extract import Extraction
from codefit.suites.judge import Finding, Job, Judge, Progress
from codefit.suites.judged import Judged
from codefit.suites.machine import machine_now
from codefit.suites.results import answer_row, published_results, task_row, verdict_row
from codefit.suites.samples import Sample, Samples, from_completions, from_file
from codefit.suites.score_rows import Figures, score_rows

LEDGER = "judged.jsonl"
MANIFEST = "manifest.json"
FILES = ("verdicts.jsonl", "answers.jsonl", "tasks.jsonl", "scores.json", "eval_results.json")


@dataclass(frozen=True, slots=True)
class ExecuteResult:
    """What was written. `notes` are lines for the user; `sandbox_failed` above 0 must end non-zero.

    `did_nothing` says that the folder already held this very result.
    """

    out: Path
    scores: list[dict[str, Any]]
    outcomes: dict[str, int]
    missing: tuple[str, ...]
    flakes: int
    sandbox_failed: int
    notes: list[str] = field(default_factory=list)
    did_nothing: bool = False


def execute(
    suite: Suite,
    completions: Iterable[Completion] | Path,
    out: Path,
    sandbox: Sandbox,
    figures: Figures,
    *,
    cache: Path | None = None,
    only: Iterable[str] | None = None,
    all_tests: bool = False,
    strict: bool = False,
    fresh: bool = False,
    replace: bool = False,
    marks: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    prepare_progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], datetime] = datetime.now,
) -> ExecuteResult:
    """Judge completions and write `verdicts.jsonl`, `scores.json`, `eval_results.json` into `out`.

    `figures` turns counts into pass@k with its interval (`codefit.score.tally.pass_figures`);
    `cache` keeps the reference's values between runs; `only` names the tasks to judge;
    `all_tests` goes on behind failures and runs plus tests after a failed base, for detail.
    `judged.jsonl` grows while it runs and makes an interrupted run go on; `manifest.json`, written
    last, means complete, and the same call again does nothing. `fresh` forgets both; `replace` writes
    over the result of other completions but keeps verdicts on programs that were judged before.
    `marks` say how the completions came to be (`prompts`, `decoding`, `weights` and so on) and stand in every score.
    `sandbox`'s own `jobs` decide how many programs run at once.
    Raises `InputError` for unusable completions, or an `out` with another result in it.
    """
    tasks = _tasks(suite, only)
    samples = _samples(completions, tasks, suite, strict)
    marks = marks or {}
    inputs = _inputs_key(suite, samples, tasks, all_tests, marks)
    if not (fresh or replace):
        done = _done_before(out, inputs)
        if done is not None:
            return done
    before = machine_now()
    suite.prepare(sandbox, cache, prepare_progress, samples.tasks)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    if fresh:
        (out / LEDGER).unlink(missing_ok=True)
    with Ledger(out / LEDGER) as ledger:
        judge = Judge(suite, sandbox, ledger, all_tests=all_tests)
        judged = _judge(suite, samples.samples, tasks, judge, progress, all_tests)
    return _write(suite, tasks, samples, judged, out, sandbox, figures, inputs, clock, judge, before, marks)


def _tasks(suite: Suite, only: Iterable[str] | None) -> dict[str, Task]:
    tasks = {t.task_id: t for t in suite.tasks}
    if only is None:
        return tasks
    wanted = list(dict.fromkeys(only))
    unknown = [t for t in wanted if t not in tasks]
    if unknown:
        raise InputError(f"no task '{unknown[0]}' in suite '{suite.info.name}'", todo="check the task id")
    return {t: tasks[t] for t in wanted}


def _samples(
    completions: Iterable[Completion] | Path, tasks: dict[str, Task], suite: Suite, strict: bool
) -> Samples:
    if not tasks:
        raise InputError("no task to judge", where=suite.info.name)
    if isinstance(completions, Path):
        return from_file(completions, tasks, strict=strict)
    return from_completions(completions, tasks)


def _inputs_key(
    suite: Suite, samples: Samples, tasks: dict[str, Task], all_tests: bool, marks: Mapping[str, Any]
) -> str:
    parts = [suite.info.name, suite.info.revision, suite.info.harness, str(all_tests), *sorted(tasks)]
    parts += [canonical_json(marks)] if marks else []
    parts += [suite.info.flavour] if suite.info.flavour else []
    for s in samples.samples:
        parts += [s.task_id, str(s.sample), s.kind, s.text, *(v for v in (s.asked, s.decoding) if v)]
    return digest(*parts)


def _done_before(out: Path, inputs: str) -> ExecuteResult | None:
    path = out / MANIFEST
    if not path.exists():
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("kind") != "execute":
        raise InputError("holds something else", where=str(out), todo="choose another --out")
    if manifest["inputs"] != inputs:
        raise InputError(
            "holds the verdicts of other completions or settings", where=str(out), todo="choose another --out"
        )
    whole = all((out / n).exists() and file_digest(out / n) == h for n, h in manifest["files"].items())
    if not whole or manifest["sandbox_failed"]:
        return None
    return ExecuteResult(
        out,
        read_json(out / "scores.json"),
        manifest["outcomes"],
        tuple(manifest["missing"]),
        manifest["flakes"],
        manifest["sandbox_failed"],
        manifest["notes"],
        did_nothing=True,
    )


def _judge(
    suite: Suite,
    samples: Iterable[Sample],
    tasks: dict[str, Task],
    judge: Judge,
    progress: Progress | None,
    all_tests: bool,
) -> list[Judged]:
    taken = [
        (s, tasks[s.task_id], suite.program(tasks[s.task_id], s.text, s.kind))
        for s in samples
        if s.task_id not in suite.excluded
    ]
    base = [judge.job(t, e.program, "base") for _, t, e in taken if e.program is not None]

    def plus_tests(job: Job, finding: Finding) -> Job | None:
        wanted = job.phase == "base" and job.task.plus is not None
        passed = finding.outcome is Outcome.PASSED
        return judge.job(job.task, job.source, "plus") if wanted and (passed or all_tests) else None

    judge.judge(base, progress, plus_tests)
    return [_judged(judge, s, t, e) for s, t, e in taken]


def _judged(judge: Judge, sample: Sample, task: Task, extraction: Extraction) -> Judged:
    if extraction.program is None:
        nothing = Finding(extraction.outcome or Outcome.NO_CODE, "no code in the completion")
        return Judged(sample, task, extraction, nothing, None, Outcome.NOT_RUN if task.plus else None)
    base = judge.finding(judge.job(task, extraction.program, "base"))
    if base is None:
        raise RuntimeError(f"{task.task_id} was not judged")
    plus = judge.finding(judge.job(task, extraction.program, "plus")) if task.plus else None
    plus_outcome = (plus.outcome if plus else Outcome.NOT_RUN) if task.plus else None
    return Judged(sample, task, extraction, base, plus, plus_outcome)


def _write(
    suite: Suite,
    tasks: dict[str, Task],
    samples: Samples,
    judged: list[Judged],
    out: Path,
    sandbox: Sandbox,
    figures: Figures,
    inputs: str,
    clock: Callable[[], datetime],
    judge: Judge,
    machine: dict[str, Any],
    marks: Mapping[str, Any],
) -> ExecuteResult:
    have = {s.task_id for s in samples.samples}
    missing = tuple(t for t in tasks if t not in have)
    failed = sum(j.outcome is Outcome.SANDBOX_FAILED for j in judged)
    flakes = sum(f.flaky for j in judged for f in (j.base, j.plus) if f is not None)
    outcomes = dict(sorted(Counter(j.outcome.value for j in judged).items()))
    notes = _notes(suite, samples, missing, failed, flakes)
    if len(tasks) < len(suite.tasks):
        notes.append(f"only {len(tasks)} of {len(suite.tasks)} tasks, those that were named")
    if judge.slowdown > 1:
        notes.append(
            f"time limits were stretched by {judge.slowdown:.2f} for programs that were run again alone"
        )
    scores = score_rows(
        suite, judged, missing, figures, isolation=sandbox.level, flakes=flakes, notes=notes, marks=marks
    )
    write_jsonl(out / "verdicts.jsonl", (verdict_row(j.verdict()) for j in judged))
    write_jsonl(out / "answers.jsonl", (answer_row(j) for j in judged))
    write_jsonl(out / "tasks.jsonl", (task_row(t) for t in tasks.values()))
    write_json(out / "scores.json", scores)
    write_json(out / "eval_results.json", published_results(suite, judged, clock()))
    manifest = {
        "kind": "execute",
        "complete": failed == 0,
        "suite": suite.info.name,
        "inputs": inputs,
        "files": {n: file_digest(out / n) for n in FILES},
        "isolation": sandbox.description,
        "machine": machine,
        "outcomes": outcomes,
        "extraction_rules": dict(sorted(Counter(j.extraction.rule for j in judged).items())),
        "missing": list(missing),
        "flakes": flakes,
        "sandbox_failed": failed,
        "notes": notes,
    }
    write_json(out / MANIFEST, manifest)
    return ExecuteResult(out, scores, outcomes, missing, flakes, failed, notes)


def _notes(suite: Suite, samples: Samples, missing: tuple[str, ...], failed: int, flakes: int) -> list[str]:
    notes = list(suite.problems) + list(samples.problems)
    notes += [f"{task}: not judged: {why}" for task, why in suite.excluded.items() if task in samples.tasks]
    if samples.unknown:
        notes.append(f"{samples.unknown} completions are of tasks that are not judged here")
    if missing:
        shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        notes.append(f"{len(missing)} tasks without a completion are left out of the score: {shown}")
    if flakes:
        notes.append(f"{flakes} verdicts changed when run again alone")
    if failed:
        notes.append(f"{failed} samples could not be judged: the sandbox failed twice")
    if suite.info.limit is not None:
        notes.append(f"limited to the first {suite.info.limit} tasks")
    return notes
