"""How many different tasks ask for the behaviour of one task: many for a sort, one for most.

A program that does what many tasks ask for is a generic primitive, unless these tasks are one task several times
over, or ask for less: the largest sum of a run is the plain sum wherever no number is negative. So where a program
is too long to be a primitive, a task does not count as the rival of another whose calls its own reference takes and
gives other values for, and the same words count as one task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codefit.curate.leaks.adapt import AS_IS, is_order
from codefit.curate.leaks.answers import Agreement
from codefit.curate.leaks.asked import Asked
from codefit.curate.leaks.behaviour import Behaviour
from codefit.curate.leaks.callables import ENTRY, Callee, callables
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.leaks.match import SAME, Match, matched
from codefit.curate.leaks.probe import Probe, Prober

_ALIKE = 0.9
_LONG_NODES = 50
_LEAST_TOLD = 2


class Rivals:
    """Asks the references of tasks each other's questions, each pair once."""

    def __init__(
        self, index: TaskIndex, behaviours: Sequence[Behaviour], asked: Asked, prober: Prober
    ) -> None:
        self._index, self._behaviours, self._asked, self._prober = index, behaviours, asked, prober
        self._does: dict[tuple[int, int], bool] = {}

    def counted(self, matches: Mapping[int, Match], least: int) -> dict[int, int]:
        """Return target -> number of tasks that ask for its behaviour; only where the row does `least` tasks."""
        same = [
            i
            for i, m in matches.items()
            if m.share >= SAME and m.natural and not m.trivial and m.told >= _LEAST_TOLD
        ]
        first: dict[str, int] = {}
        for i in sorted(same):
            first.setdefault(self._index.targets[i].request.key, i)
        whole = len(first)
        if whole < least:
            return dict.fromkeys(matches, whole)
        long = [i for i, match in matches.items() if match.callable.nodes >= _LONG_NODES]
        self._ask(sorted(first.values()), sorted(long))
        return {
            target: self._groups([i for i in sorted(first.values()) if self._does.get((i, target), True)])
            if match.callable.nodes >= _LONG_NODES
            else whole
            for target, match in matches.items()
        }

    def _groups(self, members: list[int]) -> int:
        """Return the number of groups of tasks alike in words."""
        groups: list[list[int]] = []
        for member in members:
            similar_T = self._index.similarity(self._index.targets[member].request)
            near = [g for g in groups if any(similar_T[i] >= _ALIKE for i in g)]
            groups = [g for g in groups if g not in near] + [[member, *(i for g in near for i in g)]]
        return len(groups)

    def _ask(self, rivals: Sequence[int], targets: Sequence[int]) -> None:
        """Find out which of the rivals' references do the targets' work; those that cannot be asked might."""
        pairs = [(r, t) for r in rivals for t in targets if (r, t) not in self._does]
        ways = [(r, t, one, way) for r, t in pairs for one, way in self._ways(r, t)]
        probes = [Probe(one.source, ENTRY, self._asked.all(t, way).all) for _, t, one, way in ways]
        for (r, t, one, way), answers in zip(ways, self._prober.run(probes), strict=True):
            found = matched(t, one, way, self._asked.all(t, way), answers, trivial=False)
            other = any(a.way is Agreement.OTHER for a in answers[: len(self._asked.all(t, way).base)])
            does = (found is not None and found.natural) or not other
            self._does[r, t] = self._does.get((r, t), False) or does

    def _ways(self, rival: int, target: int) -> list[tuple[Callee, str]]:
        task = self._index.targets[rival]
        name = (task.task.entry_point or "").rpartition(".")[2]
        own = [one for one in callables(task.reference) if one.name == name]
        if rival == target or not self._behaviours[target].seen:
            return []
        natural = [(one, way) for one in own for way in self._asked.ways(target, one)]
        return [(one, way) for one, way in natural if way == AS_IS or is_order(way)]
