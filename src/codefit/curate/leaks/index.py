"""The test tasks, indexed by everything that can give one away."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from codefit.core.types import Task, Tests
from codefit.curate.calls import known_calls
from codefit.curate.code import Function, functions
from codefit.curate.leaks.words import Request, request

K = TypeVar("K", bound=Hashable)
Floats = npt.NDArray[np.float64]
GENERIC_NAMES = frozenset(
    {"solve", "solution", "main", "task_func", "func", "function", "f", "test", "candidate", "check", "run"}
    | {"my_function", "foo", "answer", "result", "calculate", "compute", "process", "my_func", "example"}
)
_TELLING_CHARS = 9
"""Arguments shorter than this as JSON (`[10]`, `[3,2,1]`) are the same in many tasks by chance."""
_COMMON_GRAM_TASKS = 2
"""A run of words that occurs in more tasks of one suite is a stock phrase of that suite."""


@dataclass(frozen=True)
class Target:
    """One test task, ready to be compared with rows."""

    suite: str
    task: Task
    request: Request
    reference: str
    function: Function | None
    calls: Mapping[str, str]

    @property
    def key(self) -> str:
        """Return suite and task id."""
        return f"{self.suite}:{self.task.task_id}"


class Likeness:
    """How alike a set of stems is to each of T known ones, stems weighted by their rarity among these."""

    def __init__(self, known: Sequence[frozenset[str]]) -> None:
        counts = Counter(stem for stems in known for stem in stems)
        self._rare = math.log(1 + len(known))
        self._weight = {s: math.log(1 + len(known) / c) for s, c in counts.items()}
        self._norms = np.array([math.sqrt(self.square(stems)) or 1.0 for stems in known])
        places = _group((s, i) for i, stems in enumerate(known) for s in stems)
        self._postings = {s: np.array(ids) for s, ids in places.items()}

    def square(self, stems: frozenset[str]) -> float:
        """Return the sum of the stems' squared weights."""
        return sum(self._weight.get(s, self._rare) ** 2 for s in sorted(stems))

    def cosine(self, stems: frozenset[str]) -> Floats:
        """Return cosine_T with every known set."""
        dots = np.zeros(len(self._norms))
        for stem in sorted(stems & self._postings.keys()):
            dots[self._postings[stem]] += self._weight[stem] ** 2
        norm = math.sqrt(self.square(stems)) or 1.0
        return np.asarray(dots / (norm * self._norms))


class TaskIndex:
    """All tasks of the named suites, looked up by words, code, names and calls."""

    def __init__(self, tasks: Mapping[str, Sequence[Task]], *, ngram: int, long_ngram: int) -> None:
        self.targets = [_target(suite, task) for suite in sorted(tasks) for task in tasks[suite]]
        self.ngram, self.long_ngram = ngram, long_ngram
        self.by_key = _group((t.request.key, i) for i, t in enumerate(self.targets))
        self.by_shape = _group((t.function.shape, i) for i, t in enumerate(self.targets) if t.function)
        self.by_name = _group(
            (name, i) for i, t in enumerate(self.targets) if (name := specific_name(t.task.entry_point))
        )
        self.by_call = _group(
            (f"{a}={v}", i)
            for i, t in enumerate(self.targets)
            for a, v in known_calls(t.task.tests, _TELLING_CHARS).items()
        )
        self.by_gram = {n: self._grams(n) for n in {ngram, long_ngram}}
        self._likeness = Likeness([t.request.stems for t in self.targets])

    def _grams(self, n: int) -> dict[tuple[str, ...], list[int]]:
        found = _group((g, i) for i, t in enumerate(self.targets) for g in set(grams(t.request.words, n)))
        return {g: ids for g, ids in found.items() if self._few(ids) and self._meaningful(g)}

    def _few(self, ids: list[int]) -> bool:
        return max(Counter(self.targets[i].suite for i in ids).values()) <= _COMMON_GRAM_TASKS

    @staticmethod
    def _meaningful(gram: tuple[str, ...]) -> bool:
        words = [w for w in gram if not w.isdecimal()]
        return len(words) >= len(gram) // 2

    def similarity(self, wanted: Request) -> Floats:
        """Return cosine_T of the request with every task: stems weighted by their rarity among tasks."""
        return self._likeness.cosine(wanted.stems)

    def telling(self, stems: frozenset[str]) -> float:
        """Return how much stems tell: the sum of their squared weights."""
        return self._likeness.square(stems)

    def containment(self, stems: frozenset[str], target: Target) -> float:
        """Return the weighted share of the task's stems that are among `stems`."""
        whole = self._likeness.square(target.request.stems)
        return self._likeness.square(target.request.stems & stems) / whole if whole else 0.0


def _target(suite: str, task: Task) -> Target:
    reference, function = _reference(task)
    return Target(suite, task, request(task.prompt), reference, function, _calls(task))


def _calls(task: Task) -> Mapping[str, str]:
    """Return the base tests as known calls; those shown in the prompt where the tests have no values."""
    shown = (line.strip() for line in task.prompt.splitlines() if line.strip().startswith("assert "))
    return known_calls(task.tests) or known_calls(Tests("asserts", asserts=tuple(shown)))


def _reference(task: Task) -> tuple[str, Function | None]:
    """Return the reference's source and function; it may only be the body below the prompt."""
    name = (task.entry_point or "").rpartition(".")[2]
    if task.reference:
        for source in (task.reference, f"{task.prompt}\n{task.reference}", f"{task.prompt}{task.reference}"):
            for function in functions(source):
                if function.name == name:
                    return source, function
    return "", None


def _group(pairs: Iterable[tuple[K, int]]) -> dict[K, list[int]]:
    grouped: defaultdict[K, list[int]] = defaultdict(list)
    for key, i in pairs:
        if key:
            grouped[key].append(i)
    return dict(grouped)


def grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Return all runs of `n` words."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def specific_name(name: str | None) -> str | None:
    """Return a function name in one spelling if it says what the function does, else None."""
    last = (name or "").rpartition(".")[2]
    parts = [p for p in re.split(r"_|(?<=[a-z0-9])(?=[A-Z])", last) if p]
    joined = "".join(parts).lower()
    return joined if len(parts) >= 2 and len(joined) >= 6 and last.lower() not in GENERIC_NAMES else None
