"""Execution match: does a row's program behave as a test task asks, whatever its words and names?

Every callable of a row's answer is given the arguments of every task that it can take, also swapped, with or
without a length, as a list or spread. Rounds keep that cheap: a few calls per kind of arguments (a function
of text fails on lists), one telling test of each task left, all tests of a task, and only then variations of
their arguments, on which the task's reference says what is right. The variations tell a function that does
the same from one that passes three asserts by accident.

Not covered: tasks whose tests state no calls (BigCodeBench), and answers that cannot be made Python (`foreign`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codefit.core.curation import DecontaminateSettings
from codefit.curate.calls import Call, contradict, stated_calls, telling
from codefit.curate.leaks.adapt import AS_IS, is_last_resort, restored, shapes
from codefit.curate.leaks.answers import Agreement
from codefit.curate.leaks.asked import Asked
from codefit.curate.leaks.behaviour import behaviours
from codefit.curate.leaks.callables import ENTRY, Callee, callables
from codefit.curate.leaks.foreign import with_runtime
from codefit.curate.leaks.forms import Form
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.leaks.likely import Likely
from codefit.curate.leaks.match import Match, agreed, matched
from codefit.curate.leaks.probe import Answer, Probe, Prober, Question
from codefit.curate.leaks.rivals import Rivals
from codefit.curate.leaks.signals import Evidence
from codefit.curate.leaks.weight import AMONG_20, near_support, worth_asking
from codefit.curate.leaks.words import opposed
from codefit.curate.runner import Trial, Verdicts, run_trials
from codefit.curate.step import Progress
from codefit.sandbox import Limits, Sandbox

_LIMITS = Limits(cpu_s=20.0, test_cpu_s=1.0, memory_mb=512)
_CHUNK_ROWS = 256
_PER_KIND = 5
_OWN_CALLS = 6
_LIKELY = 60
_NEAR_FORMS, _FAR_FORMS = worth_asking(0), worth_asking(AMONG_20)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A callable of a row, and a task in the shape that it can take."""

    row: int
    callable: Callee
    target: int
    shape: str
    likely: int
    alike: bool

    @property
    def wanted(self) -> Form:
        """Return the forms of answers that may show something."""
        return _NEAR_FORMS if self.alike or self.likely < AMONG_20 else _FAR_FORMS

    @property
    def place(self) -> tuple[int, str, int]:
        """Return row, callable and task, whatever the shape."""
        return self.row, self.callable.call, self.target


class ExecutionMatch:
    """Runs rows' callables on tasks' calls and remembers what came out, in append-only files too."""

    def __init__(
        self,
        index: TaskIndex,
        settings: DecontaminateSettings,
        sandbox: Sandbox,
        cache: Path | None,
        progress: Progress,
    ) -> None:
        self._index, self._settings, self._sandbox = index, settings, sandbox
        self._progress = progress
        self._behaviours = behaviours(index, sandbox, cache)
        self._asked = Asked(self._behaviours)
        self._leaders = self._twins()
        self._likely = Likely(index.targets)
        self._verdicts = Verdicts(cache / "matches.jsonl" if cache else None)
        self._prober = Prober(sandbox, cache / "probes.jsonl" if cache else None)
        self._rivals = Rivals(index, self._behaviours, self._asked, self._prober)

    def close(self) -> None:
        """Close the files."""
        self._verdicts.close()
        self._prober.close()

    def matches(
        self, evidence: Sequence[Evidence], verified: frozenset[str] = frozenset()
    ) -> dict[str, dict[int, Match]]:
        """Return row id -> target -> the best match; `verified` rows passed their own tests.

        Raises `CodefitError` if the sandbox itself failed on any program.
        """
        found: dict[str, dict[int, Match]] = {}
        for start in range(0, len(evidence), _CHUNK_ROWS):
            chunk = evidence[start : start + _CHUNK_ROWS]

            def told(share: float, start: int = start, rows: int = len(chunk)) -> None:
                self._progress(start + int(share * rows), len(evidence))

            for row, match in self._answered(chunk, list(self._chunk(chunk, told)), verified):
                mine = found.setdefault(chunk[row].row.id, {})
                for twin in self._leaders[match.target]:
                    if twin not in mine or match.rank > mine[twin].rank:
                        mine[twin] = replace(match, target=twin)
            told(1)
        self._verdicts.refuse_unjudged()
        return {row: self._with_rivals(mine) for row, mine in found.items()}

    def _with_rivals(self, matches: dict[int, Match]) -> dict[int, Match]:
        others = self._rivals.counted(matches, self._settings.generic_tasks)
        return {i: replace(match, others=others[i]) for i, match in matches.items()}

    def asks(self, evidence: Evidence, target: int) -> bool:
        """Return True if some callable of the row can be given the task's arguments as they are."""
        seen = self._behaviours[target].seen
        found = callables(evidence.program) if seen else ()
        return any(AS_IS in shapes(seen, one.least, one.most) for one in found if not one.reads)

    def _twins(self) -> dict[int, list[int]]:
        """Return the first target of each task -> all targets of it: the same task stands in several suites."""
        groups: dict[tuple[str, str], list[int]] = {}
        for i, target in enumerate(self._index.targets):
            if self._behaviours[i].base:
                groups.setdefault((target.task.entry_point or "", target.request.key), []).append(i)
        return {members[0]: members for members in groups.values()}

    def _chunk(self, chunk: Sequence[Evidence], told: Callable[[float], None]) -> Iterator[tuple[int, Match]]:
        fits = [fit for row, e in enumerate(chunk) for fit in self._fits(row, e)]
        direct = self._fitting_kinds(chunk, [fit for fit in fits if not is_last_resort(fit.shape)])
        told(1 / 3)
        taken = {fit.place for fit in direct}
        others = [fit for fit in fits if is_last_resort(fit.shape) and fit.place not in taken]
        fits = sorted(
            direct + self._fitting_kinds(chunk, others), key=lambda fit: self._turn(chunk[fit.row], fit)
        )
        telling_calls = [[q for q in (self._asked.telling(f.target, f.shape),) if q] for f in fits]
        told(1 / 2)
        found = self._round(fits, telling_calls)
        told(3 / 4)
        fits = [fit for fit, answers in zip(fits, found, strict=True) if agreed(answers, fit.wanted)]
        own = self._round(fits, [self._asked.base(fit.target, fit.shape) for fit in fits])
        fits = [fit for fit, answers in zip(fits, own, strict=True) if agreed(answers, fit.wanted)]
        calls = [self._asked.all(fit.target, fit.shape).all for fit in fits]
        matches = [
            (fit, match)
            for fit, answers in zip(fits, self._round(fits, calls), strict=True)
            for match in (self._match(fit, answers),)
            if match
        ]
        yield from self._judged(chunk, matches)

    def _answered(
        self, chunk: Sequence[Evidence], matches: list[tuple[int, Match]], verified: frozenset[str]
    ) -> list[tuple[int, Match]]:
        """Ask the references of matched tasks for the values of the rows' own tests, where the rows pass them."""
        asked: dict[int, list[Call]] = {}
        for n, (row, match) in enumerate(matches):
            if chunk[row].row.id in verified and self._index.targets[match.target].function:
                calls = self._own_calls(chunk[row], match)
                if calls:
                    asked[n] = calls
        targets = [self._index.targets[matches[n][1].target] for n in asked]
        probes = [
            Probe(target.reference, target.task.entry_point or "", [Question.of(call) for call in calls])
            for target, calls in zip(targets, asked.values(), strict=True)
        ]
        for n, answers in zip(asked, self._prober.run(probes), strict=True):
            row, match = matches[n]
            matches[n] = (row, replace(match, agrees=all(a.agrees(match.form) for a in answers)))
        return matches

    def _own_calls(self, evidence: Evidence, match: Match) -> list[Call]:
        """Return the row's own tests as calls of the task's function; none where they do not have its shape."""
        tests = evidence.row.tests
        own = telling(stated_calls(tests), _OWN_CALLS) if tests and tests.kind != "stdin" else []
        seen = self._behaviours[match.target].seen
        back = [(restored(arguments, match.shape, seen), value) for arguments, value in own]
        return [(arguments, value) for arguments, value in back if arguments is not None]

    def _fits(self, row: int, evidence: Evidence) -> list[_Fit]:
        """Return what is worth running, most similar requests first."""
        found: list[_Fit] = []
        ones = callables(evidence.program)
        wanted = self._wanted(evidence) if ones else []
        places = self._places(evidence) if wanted else {}
        wanted = [i for i in wanted if not contradict(evidence.calls, self._index.targets[i].calls)]
        alike = {i for i in wanted if self._near(evidence, i) >= near_support(self._settings.support)}
        for one in ones:
            for target in wanted:
                ways = [*self._asked.ways(target, one)]
                ways += self._asked.wide_ways(target, one) if places[target] < _LIKELY else ()
                found += [_Fit(row, one, target, way, places[target], target in alike) for way in ways]
        return found

    def _places(self, evidence: Evidence) -> dict[int, int]:
        """Return the place of each task among all by all words of the row, from 0; those that share none are last."""
        scores_T = self._likely.scores(evidence.row.instruction, evidence.row.response).tolist()
        best = {i: max(scores_T[twin] for twin in twins) for i, twins in self._leaders.items()}
        order = sorted(best, key=lambda i: (-best[i], i))
        last = max(len(order), _LIKELY)
        return {i: place if best[i] > 0 else last for place, i in enumerate(order)}

    def _wanted(self, evidence: Evidence) -> list[int]:
        everything = self._settings.execution_match == "all"
        alike = {i: self._near(evidence, i) for i in self._leaders}
        near = sorted(
            (i for i, share in alike.items() if everything or share >= self._settings.candidate),
            key=lambda i: (-alike[i], i),
        )
        if everything:
            return near
        signalled = [i for i in self._leaders if i in evidence.found or i in evidence.weak]
        fitting = [i for i in near if not opposed(evidence.request, self._index.targets[i].request)]
        return list(dict.fromkeys(signalled + fitting[: self._settings.candidates_per_row]))

    def _turn(self, evidence: Evidence, fit: _Fit) -> tuple[int, bool, float]:
        """Sort key: likely tasks first, and large arguments last, since they may keep a right function busy."""
        near = fit.likely < AMONG_20 or self._near(evidence, fit.target) >= self._settings.candidate
        return fit.row, not near, self._asked.size(fit.target)

    def _near(self, evidence: Evidence, target: int) -> float:
        return max(evidence.near(twin) for twin in self._leaders[target])

    def _fitting_kinds(self, chunk: Sequence[Evidence], fits: list[_Fit]) -> list[_Fit]:
        """Return the fits whose kind of arguments the callable takes, by a few calls of that kind."""
        groups: dict[tuple[int, str, str], list[_Fit]] = {}
        calls: dict[tuple[int, str, str], list[Question]] = {}
        for fit in fits:
            question = self._asked.telling(fit.target, fit.shape)
            if question:
                kind = self._asked.kind(fit.target, None if fit.callable.reads else fit.shape)
                place = (fit.row, fit.callable.call, f"{kind}{fit.shape * fit.callable.reads}")
                groups.setdefault(place, []).append(fit)
                calls.setdefault(place, []).append(question)
        # Likely tasks and small arguments first: only so many calls that keep a program busy are made.
        turns = {place: min(self._turn(chunk[f.row], f) for f in group) for place, group in groups.items()}
        order = sorted(groups, key=lambda place: turns[place])
        groups = {place: groups[place] for place in order}
        first = [members[0] for members in groups.values()]
        found = self._round(first, [_spread(calls[place]) for place in order], compared=False)
        return [
            fit
            for members, answers in zip(groups.values(), found, strict=True)
            if any(answer.way is not Agreement.FAILED for answer in answers)
            for fit in members
        ]

    def _round(
        self, fits: Sequence[_Fit], calls: Sequence[list[Question]], *, compared: bool = True
    ) -> list[list[Answer]]:
        """Return how each fit's calls came out; the calls of one callable run as one program."""
        programs: dict[tuple[int, str], list[int]] = {}
        for n, fit in enumerate(fits):
            programs.setdefault((fit.row, fit.callable.call), []).append(n)
        probes = [
            Probe(
                fits[members[0]].callable.source,
                ENTRY,
                [c for n in members for c in calls[n]],
                compared=compared,
            )
            for members in programs.values()
        ]
        out: list[list[Answer]] = [[] for _ in fits]
        for members, found in zip(programs.values(), self._prober.run(probes), strict=True):
            start = 0
            for n in members:
                out[n] = found[start : start + len(calls[n])]
                start += len(calls[n])
        return out

    def _match(self, fit: _Fit, answers: list[Answer]) -> Match | None:
        asked = self._asked.all(fit.target, fit.shape)
        trivial = self._behaviours[fit.target].trivial
        found = matched(fit.target, fit.callable, fit.shape, asked, answers, trivial=trivial)
        return replace(found, place=fit.likely) if found else None

    def _judged(
        self, chunk: Sequence[Evidence], matches: Sequence[tuple[_Fit, Match]]
    ) -> Iterator[tuple[int, Match]]:
        """Yield (row, match); where the calls are not the whole of the tests, those have been run too."""
        trials = {
            n: self._trial(match)
            for n, (_, match) in enumerate(matches)
            if match.passes and not self._behaviours[match.target].complete
        }
        found = run_trials(trials.values(), self._sandbox, self._verdicts)
        for n, (fit, match) in enumerate(matches):
            passes = found[trials[n].key].passed if n in trials else match.passes
            yield fit.row, replace(match, passes=passes)

    def _trial(self, match: Match) -> Trial:
        task = self._index.targets[match.target].task
        name = (task.entry_point or "").rpartition(".")[2]
        source = match.callable.plain
        if match.callable.call != name:
            source += f"\n\ndef {name}(*a):\n    return {match.callable.call}(*a)\n"
        return Trial(with_runtime(source), replace(task.tests, entry_point=name), _LIMITS, task.atol)


def _spread(calls: list[Question]) -> list[Question]:
    """Return the first call and some of all sizes, small ones first: large numbers keep a right function busy."""
    ordered = sorted(calls, key=lambda question: question.size)
    places = sorted({len(ordered) * n // _PER_KIND for n in range(_PER_KIND)})
    return [calls[0], *(ordered[i] for i in places)]
