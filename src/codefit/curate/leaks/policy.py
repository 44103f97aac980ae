"""Which matches of behaviour are leaks, and which are listed for a person with the reason.

The figures were set on the development half of the labelled pairs (`benchmarks/decontaminate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from codefit.core.curation import DecontaminateSettings
from codefit.curate.leaks.execute import Match
from codefit.curate.leaks.index import TaskIndex

_SAME, _SUPPORTED_SHARE = 0.97, 0.4
_LEAST_VARIED = 8
_FEW_VALUES = 6
_FEW_VALUES_SHARE, _SMALL_SHARE, _LEAST_SHARE = 0.92, 0.97, 0.5
_SMALL_NODES, _CHANGED_NODES = 20, 45
_EVERYWHERE = 8
_TRIVIAL_SUPPORT, _GENERIC_SUPPORT, _EVERYWHERE_SUPPORT = 0.5, 0.43, 0.6


def rivals(matches: Mapping[int, Match], index: TaskIndex) -> int:
    """Return how many different tasks a row's program behaves exactly as asked."""
    same = (i for i, m in matches.items() if m.share >= _SAME and m.natural and not m.trivial)
    return len({index.targets[i].request.key for i in same})


def doubt(
    match: Match, near: float, others: int, settings: DecontaminateSettings, *, tested: bool = False
) -> str | None:
    """Return why a match is no proof of a leak, or None where it is one.

    `near` is the similarity of the two requests, `others` the number of tasks that the row's program does
    (`rivals`). A sort passes the tests of every sorting algorithm, and a small function that says yes or no
    passes three asserts by accident: such rows are leaks only where the requests are alike too. A program that
    gives many different values may disagree on more of the other inputs, of which some are no valid ones.
    `tested` rows passed tests of their own, which say what they ask for: the task's reference must pass them in turn.
    Where it cannot be asked, behaviour alone must agree nearly everywhere, on the task's own arguments and on many
    values.
    """
    if others >= settings.generic_tasks:
        support = _GENERIC_SUPPORT if others < _EVERYWHERE else _EVERYWHERE_SUPPORT
        if match.natural and match.share >= settings.same_behaviour and near >= support:
            return None
        return f"generic primitive: it does what {others} tasks ask for"
    if match.trivial:
        if near >= _TRIVIAL_SUPPORT and match.natural:
            return None
        return "generic primitive: the task mostly gives back what it gets"
    tiny = match.callable.nodes <= settings.generic_nodes * (1 if match.passes else 2)
    if near >= (_TRIVIAL_SUPPORT if tiny else settings.support):
        return None if match.share >= _SUPPORTED_SHARE else _differs(match)
    if match.varied < _LEAST_VARIED and (tiny or match.share < _SAME):
        return "by accident, perhaps: the task's reference takes too few other inputs to tell"
    if near >= _near_support(settings) and match.share >= _SAME and match.natural and match.distinct > 1:
        return None
    if tested and match.agrees is False:
        return "by accident: the task's reference does not pass the row's own tests"
    certain = match.natural and match.share >= _SAME and match.distinct >= _FEW_VALUES
    if tested and match.agrees is None and not certain:
        return (
            "by accident, perhaps: the row has tests of its own, which the task's reference cannot be asked"
        )
    if tiny:
        return f"generic primitive: {match.callable.nodes} syntax nodes"
    if not match.natural and match.callable.nodes < _CHANGED_NODES:
        return f"generic primitive: with its arguments {match.shape}"
    return None if match.share >= _needed_share(match) else _differs(match)


def _near_support(settings: DecontaminateSettings) -> float:
    return settings.support * 2 / 3


def _needed_share(match: Match) -> float:
    if match.distinct < _FEW_VALUES:
        return _FEW_VALUES_SHARE
    return _LEAST_SHARE if match.callable.nodes >= _SMALL_NODES else _SMALL_SHARE


def _differs(match: Match) -> str:
    return (
        f"by accident: it agrees with the reference on {match.share:.0%} of {match.varied} other inputs only"
    )
