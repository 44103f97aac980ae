"""Models that one could start from, by published scores: a table of one row a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codefit.analyse.opponents import Published, published_scores

# column: the benchmark, and its flavours in order of preference
_MBPP = (
    "evalplus-0shot-378",
    "evalplus-0shot-399",
    "evalplus-0shot-399-era",
    "evalplus-0shot-version-unstated",
)
COLUMNS = {
    "humaneval": ("HumanEval", ("evalplus-0shot-164",)),
    "humaneval+": ("HumanEval+", ("evalplus-0shot-164",)),
    "mbpp": ("MBPP", _MBPP),
    "mbpp+": ("MBPP+", _MBPP),
    "bigcodebench-instruct": ("BigCodeBench", ("instruct-full-1140",)),
    "bigcodebench-complete": ("BigCodeBench", ("complete-full-1140",)),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A published score in percent, the lowest and highest anyone printed, with flavour and source."""

    score: float
    lowest: float
    highest: float
    flavour: str
    source: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model: base or instruct, its size in thousand millions, and what was published of it."""

    model: str
    kind: str
    params_b: float
    figures: dict[str, Figure]


def candidates(max_params_b: float) -> list[Candidate]:
    """Return every model up to this size with a score in `COLUMNS`, best MBPP+ first, unknown last.

    Other people's tunings of a model in the table are left out: nobody published their weights here.
    Where several sources print a score of the same flavour, a leaderboard's is shown and the range beside
    it: a figure that moves by as much as a tuning gains is no ground for a choice.
    """
    groups: dict[tuple[str, str], list[Published]] = {}
    for p in published_scores():
        tuning = " + " in p.model or " SFT " in p.model
        if p.params_b is not None and p.params_b <= max_params_b and not tuning:
            groups.setdefault((p.model, p.kind), []).append(p)
    found = []
    for (model, kind), entries in groups.items():
        figures = {name: f for name in COLUMNS if (f := _figure(name, entries))}
        if figures:
            found.append(Candidate(model, kind, float(entries[0].params_b or 0), figures))
    return sorted(found, key=lambda c: (-_score(c, "mbpp+"), -_score(c, "humaneval+"), c.model, c.kind))


def _score(candidate: Candidate, column: str) -> float:
    figure = candidate.figures.get(column)
    return figure.score if figure else -1.0


def _figure(column: str, entries: Sequence[Published]) -> Figure | None:
    benchmark, flavours = COLUMNS[column]
    for flavour in flavours:
        fitting = [p for p in entries if p.flavour == flavour and benchmark in p.scores]
        if fitting:
            first = min(fitting, key=lambda p: "github.io results" not in p.source)
            scores = [p.scores[benchmark] for p in fitting]
            return Figure(first.scores[benchmark], min(scores), max(scores), flavour, first.source)
    return None
