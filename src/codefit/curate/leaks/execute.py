"""Execution match: does a row's function, renamed, pass a test task's own tests?

Running every function on every task's tests would cost too much, so most pairs end at a probe:
a row that passed tests of its own is probed from the other side (does the task's reference give
the values of the row's tests? one program per task), any other row by one telling test of each
of its tasks (one program per function). Pairs that pass run the task's whole tests.

Not covered by `candidates`: pairs that no signal proposes, and verified rows that pass a task's
tests although they differ from its reference on their own. `all` probes every function.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codefit.core.curation import DecontaminateSettings
from codefit.curate.calls import Call, alike, calls_of, contradict, telling
from codefit.curate.code import Function
from codefit.curate.imports import definitions
from codefit.curate.leaks.index import Target, TaskIndex
from codefit.curate.leaks.probe import LIMITS, Probe, Prober
from codefit.curate.leaks.signals import Evidence
from codefit.curate.leaks.words import opposed
from codefit.curate.runner import Judgement, Trial, Verdicts, run_trials
from codefit.curate.step import Progress
from codefit.sandbox import Sandbox

_FUNCTIONS_PER_ROW = 4


@dataclass(frozen=True)
class Pair:
    """A row's function and a task whose tests it can be called with.

    `own_test` says that the row passed tests of its own, one of which the task's reference can be asked.
    """

    row_id: str
    source: str
    function: Function
    target: int
    own_test: bool = False


def pairs(
    evidence: Evidence, index: TaskIndex, settings: DecontaminateSettings, verified: bool
) -> list[Pair]:
    """Return the pairs worth running for a row: proposed by some signal, or all that fit by arity."""
    functions = [f for f in evidence.functions if not f.name.startswith("__")][-_FUNCTIONS_PER_ROW:]
    if not functions:
        return []
    everything = settings.execution_match == "all"
    wanted = range(len(index.targets)) if everything else _candidates(evidence, index, settings)
    own = (calls_of(evidence.row.tests) or []) if verified and not everything else []
    found = []
    for i in wanted:
        target = index.targets[i]
        count = argument_count(target)
        if count is None or contradict(evidence.calls, target.calls):
            continue
        askable = bool(own and target.function and target.plain_calls)
        if askable and not _same_kinds(own, target.plain_calls or []):
            continue
        found += [
            Pair(evidence.row.id, evidence.row.response, f, i, askable) for f in functions if f.takes(count)
        ]
    return found


def _same_kinds(own: Sequence[Call], theirs: Sequence[Call]) -> bool:
    """Return True if two functions take and return values of the same kinds, by one telling test each."""
    (mine, value), (other, expected) = telling(own, 1)[0], telling(theirs, 1)[0]
    return len(mine) == len(other) and all(map(alike, mine, other)) and alike(value, expected)


def _candidates(evidence: Evidence, index: TaskIndex, settings: DecontaminateSettings) -> list[int]:
    signalled = set(evidence.found) | set(evidence.weak)
    near = [i for i, score in evidence.similar.items() if score >= settings.candidate]
    ranked = sorted(near, key=lambda i: (-evidence.near(i), i))
    fitting = [i for i in ranked if not opposed(evidence.request, index.targets[i].request)]
    return sorted(signalled | set(fitting[: settings.candidates_per_row]))


def argument_count(target: Target) -> int | None:
    """Return how many positional arguments the task's tests pass, or None if it is no function task."""
    calls = target.plain_calls
    if calls:
        return len(calls[0][0])
    if target.task.tests.kind == "asserts" and target.task.entry_point and target.function:
        return target.function.least
    return None


class ExecutionMatch:
    """Runs pairs and remembers what came out, in memory and in append-only files."""

    def __init__(self, index: TaskIndex, sandbox: Sandbox, cache: Path | None, progress: Progress) -> None:
        self._index, self._sandbox, self._progress = index, sandbox, progress
        self._verdicts = Verdicts(cache / "matches.jsonl" if cache else None)
        self._prober = Prober(sandbox, cache / "probes.jsonl" if cache else None, progress)

    def passing(
        self, wanted: Sequence[Pair], evidence: Iterable[Evidence]
    ) -> dict[tuple[str, int], Judgement]:
        """Return (row id, target) -> verdict of the pairs that came through their probe.

        Raises `CodefitError` if the sandbox itself failed on any program.
        """
        alive = self._probed_by_tasks(wanted) + self._probed_by_rows(wanted, {e.row.id: e for e in evidence})
        trials = {pair: self._trial(pair) for pair in alive}
        found = run_trials(trials.values(), self._sandbox, self._verdicts, self._progress)
        self._verdicts.refuse_unjudged()
        best: dict[tuple[str, int], Judgement] = {}
        for pair, trial in trials.items():
            place = (pair.row_id, pair.target)
            if place not in best or found[trial.key].passed:
                best[place] = found[trial.key]
        return best

    def close(self) -> None:
        """Close the files."""
        self._verdicts.close()
        self._prober.close()

    def _trial(self, pair: Pair) -> Trial:
        task = self._index.targets[pair.target].task
        entry_point = (task.entry_point or "").rpartition(".")[2]
        source = definitions(pair.source)
        if pair.function.in_solution:
            source += f"\ndef {entry_point}(*a):\n    return Solution().{pair.function.name}(*a)\n"
        elif pair.function.name != entry_point:
            source += f"\n{entry_point} = {pair.function.name}\n"
        return Trial(source, replace(task.tests, entry_point=entry_point), LIMITS, task.atol)

    def _probed_by_tasks(self, wanted: Sequence[Pair]) -> list[Pair]:
        """Return the pairs whose function gives the value of one test of the task, or can't be probed."""
        groups: dict[tuple[str, str], dict[Hashable, Call]] = {}
        free: list[Pair] = []
        probed = [pair for pair in wanted if not pair.own_test]
        for pair in probed:
            calls = telling(self._index.targets[pair.target].plain_calls or [], 1)
            if calls:
                place = (definitions(pair.source), pair.function.entry_point)
                groups.setdefault(place, {})[pair.target] = calls[0]
            else:
                free.append(pair)
        right = self._right(groups)
        return free + [
            pair
            for pair in probed
            if (definitions(pair.source), pair.function.entry_point, pair.target) in right
        ]

    def _probed_by_rows(self, wanted: Sequence[Pair], evidence: dict[str, Evidence]) -> list[Pair]:
        """Return the pairs of verified rows where the task's reference gives the value of a row's test."""
        groups: dict[tuple[str, str], dict[Hashable, Call]] = {}
        probed = [pair for pair in wanted if pair.own_test]
        for pair in probed:
            calls = telling(calls_of(evidence[pair.row_id].row.tests) or [], 1)
            groups.setdefault(self._reference(pair.target), {})[pair.row_id] = calls[0]
        right = self._right(groups)
        return [pair for pair in probed if (*self._reference(pair.target), pair.row_id) in right]

    def _right(self, groups: dict[tuple[str, str], dict[Hashable, Call]]) -> set[tuple[str, str, Hashable]]:
        return self._prober.right(
            Probe(source, name, list(calls.items())) for (source, name), calls in groups.items()
        )

    def _reference(self, target: int) -> tuple[str, str]:
        found = self._index.targets[target]
        return found.reference, found.task.entry_point or ""
