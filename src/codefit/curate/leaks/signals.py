"""What speaks for a leak without running anything: words, names, code, calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from codefit.core.curation import DecontaminateSettings
from codefit.core.types import Row
from codefit.curate.calls import contradict, known_calls
from codefit.curate.code import Function, functions
from codefit.curate.leaks.index import Target, TaskIndex, grams, specific_name
from codefit.curate.leaks.program import program_of
from codefit.curate.leaks.words import Request, altered, complete, core, opposed, request, same_core, stems_of

LONG_WORDS = 40
_NET = 0.2
_MIN_STEMS = 2
_MIN_CALLS = 2
_TELLING, _CORE_NEAR = 25.0, 0.4
_INPUT = "\n\nInput:\n"  # what `sources` puts between a request and its example input


@dataclass
class Evidence:
    """What one row shares with tasks. `found[i][method]` is the score against target i.

    Methods in `found` are leaks by themselves; `weak` targets need more (similarity or execution).
    """

    row: Row
    program: str
    request: Request
    functions: tuple[Function, ...]
    calls: dict[str, str]
    similar: dict[int, float]
    found: dict[int, dict[str, float]] = field(default_factory=dict)
    weak: dict[int, dict[str, float]] = field(default_factory=dict)

    def near(self, target: int) -> float:
        """Return the similarity of the requests; 0 below the net."""
        return self.similar.get(target, 0.0)

    def add(self, target: int, method: str, score: float, *, strong: bool = True) -> None:
        """Record one signal."""
        (self.found if strong else self.weak).setdefault(target, {})[method] = round(score, 3)


def gather(row: Row, index: TaskIndex, settings: DecontaminateSettings) -> Evidence:
    """Return everything that a row shares with the tasks, apart from behaviour."""
    wanted = request(row.instruction)
    short = request(row.instruction.partition(_INPUT)[0])
    program = program_of(row)
    evidence = Evidence(
        row,
        program,
        wanted,
        functions(program),
        dict(known_calls(row.tests)),
        _similar(wanted, short, index, settings),
    )
    _words(evidence, index, settings)
    _same_core(evidence, short, index)
    _names(evidence, index, settings)
    _code(evidence, index, settings)
    _calls(evidence, index)
    return evidence


def _similar(
    wanted: Request, short: Request, index: TaskIndex, settings: DecontaminateSettings
) -> dict[int, float]:
    """Return target -> similarity where it matters: a row keeps few of thousands of tasks."""
    net = min(settings.support, settings.candidate, settings.fuzzy, _NET)
    similarity_T = np.maximum(index.similarity(wanted), index.similarity(short))
    return {
        i: round(float(similarity_T[i]), 6) for i in np.flatnonzero(similarity_T >= max(net, 1e-9)).tolist()
    }


def _words(evidence: Evidence, index: TaskIndex, settings: DecontaminateSettings) -> None:
    wanted = evidence.request
    if len(wanted.stems) >= _MIN_STEMS:
        for i in index.by_key.get(wanted.key, ()):
            evidence.add(i, "exact_prompt", 1.0)
    for i, words in sorted(_copied(evidence, index, settings).items()):
        copied, target = stems_of(words), index.targets[i]
        share = index.containment(copied, target)
        if share >= settings.containment:
            evidence.add(i, "ngram", share, strong=_whole(evidence.request, copied, target))
    for i, score in evidence.similar.items():
        if score < settings.fuzzy:
            continue
        other = index.targets[i].request
        if len(wanted.stems & other.stems) < _MIN_STEMS or opposed(wanted, other):
            continue
        evidence.add(i, "fuzzy_prompt", score, strong=not altered(wanted, other))


def _same_core(evidence: Evidence, short: Request, index: TaskIndex) -> None:
    """Find tasks that ask for the same in the same words, whatever the kinds of values and the language."""
    if index.telling(core(short)) < _TELLING:
        return
    for i, score in evidence.similar.items():
        if score >= _CORE_NEAR and same_core(short, index.targets[i].request):
            evidence.add(i, "fuzzy_prompt", score)


def _whole(wanted: Request, copied: frozenset[str], target: Target) -> bool:
    """Return True if a copied run stands for the whole task, not for its opening words.

    A short request must have all of the task's words somewhere, a long one those that change the meaning.
    """
    if len(target.request.words) < LONG_WORDS:
        return target.request.stems <= wanted.stems and not opposed(wanted, target.request)
    return complete(copied, target.request)


def _copied(evidence: Evidence, index: TaskIndex, settings: DecontaminateSettings) -> dict[int, set[str]]:
    """Return target -> words of the runs that row and task share."""
    words = evidence.request.words
    found: dict[int, set[str]] = {}
    for n in {settings.ngram, settings.long_ngram}:
        known = index.by_gram[n]
        for gram in grams(words, n):
            for i in known.get(gram, ()):
                shortest = min(len(words), len(index.targets[i].request.words))
                if n == settings.ngram or shortest >= LONG_WORDS:
                    found.setdefault(i, set()).update(gram)
    return found


def _names(evidence: Evidence, index: TaskIndex, settings: DecontaminateSettings) -> None:
    for function in evidence.functions:
        name = specific_name(function.name)
        for i in index.by_name.get(name, ()) if name else ():
            theirs = index.targets[i].function
            if theirs is not None and not function.takes(theirs.least):
                continue
            near = evidence.near(i) >= settings.support
            same = near and not opposed(evidence.request, index.targets[i].request)
            evidence.add(i, "entry_point", evidence.near(i), strong=same)


def _code(evidence: Evidence, index: TaskIndex, settings: DecontaminateSettings) -> None:
    for function in evidence.functions:
        for i in index.by_shape.get(function.shape, ()):
            near = evidence.near(i) >= settings.support
            evidence.add(i, "code", 1.0, strong=near or function.nodes > settings.generic_nodes)


def _calls(evidence: Evidence, index: TaskIndex) -> None:
    """Count calls with the same arguments and value; two and half of the row's are a leak."""
    shared: dict[int, int] = {}
    for arguments, value in evidence.calls.items():
        for i in index.by_call.get(f"{arguments}={value}", ()):
            shared[i] = shared.get(i, 0) + 1
    for i, count in sorted(shared.items()):
        if contradict(evidence.calls, index.targets[i].calls):
            continue
        share = count / len(evidence.calls)
        evidence.add(i, "asserts", share, strong=count >= _MIN_CALLS and share >= 0.5)
