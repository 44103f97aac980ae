"""Runs programs against tests in the sandbox, each distinct pair once, with verdicts that survive kill -9."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError, MissingPrerequisite
from codefit.core.files import Ledger, digest, without_surrogates
from codefit.core.types import Outcome, Tests
from codefit.core.values import tests_to_json
from codefit.curate.checker import Checker
from codefit.curate.statement import PLAIN, Rules
from codefit.sandbox import Limits, OnFrame, Program, Run, Sandbox
from codefit.suites.check import Check
from codefit.suites.show import short

HARNESS = "curate-3"
"""Part of every verdict's key: change it when verdicts may change."""
NEEDS_A_CHECKER = "needs a checker"


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and the tests it has to pass; without tests it only has to load.

    `attempt` tells repeated runs of the same program apart. `rules` say how outputs are compared.
    `key` hashes all of it and the harness: equal keys have one verdict.
    """

    source: str
    tests: Tests | None
    limits: Limits
    atol: float = 0.0
    attempt: int = 0
    rules: Rules = PLAIN
    key: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        tests = tests_to_json(self.tests) if self.tests else ""
        how = (repr(self.limits), repr(self.atol), str(self.attempt), repr(self.rules))
        object.__setattr__(self, "key", digest(self.source, tests, *how, HARNESS))


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of a trial. `failed_test` holds input, expected and got of the first failure, shortened.

    `checker` is the rule by which a pass was accepted (`codefit.curate.checker`). `not_run` with an error
    that begins with `needs a checker` is a program whose outputs are neither right nor wrong.
    """

    outcome: Outcome
    error: str | None = None
    failed_test: dict[str, Any] | None = None
    seconds: float = 0.0
    checker: str | None = None

    @property
    def passed(self) -> bool:
        """Return True if the program passed all tests, or loaded where there are none."""
        return self.outcome is Outcome.PASSED

    @property
    def unchecked(self) -> bool:
        """Return True if the program ran on all tests, and some outputs need a checker of their own."""
        return self.outcome is Outcome.NOT_RUN and (self.error or "").startswith(NEEDS_A_CHECKER)


class Verdicts:
    """Verdicts by key, in memory and, where a path is given, in an append-only file."""

    def __init__(self, path: Path | None = None) -> None:
        self._ledger = Ledger(path) if path else None
        self._known = {
            e["key"]: _judgement(e) for e in (self._ledger.entries if self._ledger else ()) if "key" in e
        }

    def get(self, key: str) -> Judgement | None:
        """Return the verdict of a key, or None."""
        return self._known.get(key)

    def put(self, key: str, verdict: Judgement) -> None:
        """Remember a verdict; the sandbox's own failures are not written down, so they are tried again."""
        self._known[key] = verdict
        if self._ledger and verdict.outcome is not Outcome.SANDBOX_FAILED:
            entry = {"key": key, "outcome": verdict.outcome.value, "error": verdict.error}
            more = {"seconds": verdict.seconds, "checker": verdict.checker}
            self._ledger.append(entry | {"failed_test": verdict.failed_test} | more)

    def refuse_unjudged(self) -> None:
        """Raise `CodefitError` if the sandbox failed any program, since no row may go by such a verdict."""
        refuse_unjudged(sum(v.outcome is Outcome.SANDBOX_FAILED for v in self._known.values()))

    def close(self) -> None:
        """Close the file."""
        if self._ledger:
            self._ledger.close()

    def __enter__(self) -> Verdicts:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _judgement(entry: dict[str, Any]) -> Judgement:
    return Judgement(
        Outcome(entry["outcome"]),
        entry.get("error"),
        entry.get("failed_test"),
        entry["seconds"],
        entry.get("checker"),
    )


def need(sandbox: Sandbox | None, what: str) -> Sandbox:
    """Return the sandbox; raises `MissingPrerequisite` where a step needs one and there is none."""
    if sandbox is None:
        raise MissingPrerequisite(f"{what} runs programs and needs the sandbox", todo="see `codefit doctor`")
    return sandbox


def refuse_unjudged(count: int) -> None:
    """Raise `CodefitError` if there are programs that the sandbox failed also on their second chance."""
    if count:
        raise CodefitError(
            f"{count} programs could not be judged (sandbox_failed)", todo="run the same command again"
        )


def run_trials(
    trials: Iterable[Trial],
    sandbox: Sandbox,
    verdicts: Verdicts,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Judgement]:
    """Return key -> verdict of the trials; each distinct trial runs once, known ones not at all."""
    wanted = {trial.key: trial for trial in trials}
    new = {key: trial for key, trial in wanted.items() if verdicts.get(key) is None}
    done = len(wanted) - len(new)
    for key, judgement in _run(new, sandbox):
        verdicts.put(key, judgement)
        done += 1
        on_done(done, len(wanted))
    return {key: verdict for key in wanted for verdict in (verdicts.get(key),) if verdict}


def _run(trials: dict[str, Trial], sandbox: Sandbox) -> Iterator[tuple[str, Judgement]]:
    """Run trials in the sandbox, in parallel; one that the sandbox failed gets a second chance.

    A pass of tests that are decided beside the program counts once its probe has found nothing.
    """
    passes: list[tuple[str, Judgement, _Judge, Program]] = []
    for last in (False, True):
        failed: dict[str, Trial] = {}
        items = list(trials.items())
        checks: dict[int, _Judge | None] = {}
        for i, run in sandbox.map(_jobs(items, checks)):
            (key, trial), check = items[i], checks.pop(i)
            if run.outcome is Outcome.SANDBOX_FAILED and not last:
                failed[key] = trial
                continue
            judgement = check.judgement(run) if check else _loaded(run)
            probe = check.probe if check else None
            if check and probe and judgement.passed:
                passes.append((key, judgement, check, probe))
            else:
                yield key, judgement
        if not failed:
            break
        trials = failed
    yield from _probed(passes, sandbox)


def _probed(
    passes: list[tuple[str, Judgement, _Judge, Program]], sandbox: Sandbox
) -> Iterator[tuple[str, Judgement]]:
    jobs: Iterator[tuple[Program, OnFrame | None]] = ((probe, None) for *_, probe in passes)
    for i, run in sandbox.map(jobs):
        key, judgement, check, _ = passes[i]
        shown = check.tampered(run)
        if run.outcome is Outcome.SANDBOX_FAILED:
            judgement = Judgement(run.outcome, run.error)
        elif shown:
            judgement = replace(judgement, outcome=Outcome.TAMPERING, error=shown)
        yield key, judgement


def _jobs(
    items: list[tuple[str, Trial]], checks: dict[int, _Judge | None]
) -> Iterator[tuple[Program, OnFrame | None]]:
    """Yield the jobs as the sandbox asks for them, so that only running tests are held twice."""
    for i, (_, trial) in enumerate(items):
        check = checks[i] = _Judge(trial, trial.tests) if trial.tests else None
        if check:
            yield check.program, check.on_frame
        else:
            yield Program(trial.source, "exprs", ("None",), limits=trial.limits), None


class _Judge(Check):
    """The check of a trial with tests, by the rules of its statement."""

    def __init__(self, trial: Trial, tests: Tests) -> None:
        self._checker = Checker(trial.rules, trial.atol, printed=tests.kind == "stdin")
        super().__init__(
            trial.source,
            tests,
            limits=trial.limits,
            atol=trial.atol,
            compare=self._checker,
            compare_text=self._checker,
        )

    def judgement(self, run: Run) -> Judgement:
        """Return the verdict of a finished run."""
        result = self.result(run)
        failed = dict(result.failed_test) if result.failed_test else None
        seconds = round(result.cpu_s, 4)
        if not result.passed:
            return Judgement(result.outcome, result.error, failed, seconds)
        if self._checker.first_open is None:
            rule = self._checker.rule if self.tests.kind != "asserts" else "asserts"
            return Judgement(result.outcome, None, None, seconds, rule)
        index, got = self._checker.first_open
        shown = {"input": short(self.tests.inputs[index]), "expected": short(self.tests.outputs[index])}
        why = f"{NEEDS_A_CHECKER}: the statement allows more than one answer on"
        why += f" {self._checker.open_tests} of {len(self.tests)} tests"
        return Judgement(Outcome.NOT_RUN, why, shown | {"got": short(got)}, seconds)


def _loaded(run: Run) -> Judgement:
    error = run.error or next((f.error for f in run.frames if f.error), None)
    return Judgement(run.outcome, without_surrogates(error), None, round(run.cpu_s, 4))
