"""How much a match of behaviour shows by itself: on how many inputs, with which values, how far off in words."""

from __future__ import annotations

from codefit.curate.leaks.adapt import AS_LIST, AS_TUPLE
from codefit.curate.leaks.forms import FORMS, LOOSE, WRITTEN, Form
from codefit.curate.leaks.match import SAME, Match

MANY_SAME = 0.9
FEW_VALUES = 6
LEAST_TOLD, MANY_TOLD, MANY_INPUTS = 2, 24, 24
SMALL_NODES, OWN_NODES, CHANGED_NODES = 20, 25, 45
AMONG_20, _AMONG_40, _AMONG_60, _AMONG_100, _ANYWHERE = 20, 40, 60, 100, 1_000_000
"""Places in the order of all tasks by words, of which the labelled pairs have 1,100: a true leak's task was among the
first 20 in half of the cases, and among the first 80 in three of four."""
_LEAST_FORMED, _LEAST_RARE = 12, 4
_SOME_INPUTS, _HALF = 30, 0.5
_PLAIN = WRITTEN | {Form.FLAT, Form.ROUNDED, Form.BASE, Form.IN_ORDER, Form.SWAPPED}


def worth_asking(place: int) -> Form:
    """Return the forms of answers that may show a leak of a task at some place in the order by words."""
    every = Form(sum(FORMS))
    return every if place < AMONG_20 else every & ~LOOSE


def farthest(match: Match) -> int:
    """Return how many tasks may be more like the row in words: the fewer, the less a match shows."""
    same = match.share == 1 and (match.formed_share == 1 or not match.formed)
    if match.form & LOOSE:
        return 0 if match.wide else AMONG_20
    if match.told < LEAST_TOLD:
        return _AMONG_100
    if match.shape in (AS_LIST, AS_TUPLE):
        return _AMONG_60
    if match.form or match.wide:
        if same and match.form in _PLAIN and not match.wide:
            return _ANYWHERE
        return _AMONG_100 if match.told >= MANY_TOLD else _AMONG_40
    if match.distinct < FEW_VALUES:
        return _ANYWHERE if same and match.varied + match.formed >= _SOME_INPUTS else _AMONG_100
    return _ANYWHERE if match.share >= MANY_SAME else _AMONG_100


def least_near(match: Match, support: float) -> float:
    """Return the similarity of requests from which it does not matter how many tasks are more like the row."""
    little = match.told < LEAST_TOLD or match.form & LOOSE or match.share < _HALF
    return support if little else near_support(support)


def near_support(support: float) -> float:
    """Return the similarity of requests that speaks for a match which shows much already."""
    return support * 2 / 3


def sure(match: Match) -> bool:
    """Return True if a program agrees nearly everywhere, on enough inputs and values of its own making."""
    many = match.varied + match.formed >= MANY_INPUTS and match.told >= min(FEW_VALUES, match.distinct)
    if match.distinct < FEW_VALUES:
        return many and min(match.share, match.formed_share) >= SAME
    formed = same_form(match) and match.formed_share >= SAME and not match.wide
    return many and (match.share >= SAME or formed)


def same_form(match: Match) -> bool:
    """Return True if a program agrees nearly everywhere on inputs of the form of the tests' own."""
    enough = match.formed >= _LEAST_FORMED and match.formed_rare >= _LEAST_RARE
    return enough and match.formed_share >= (MANY_SAME if match.distinct >= FEW_VALUES else SAME)


def shows_things(match: Match, some: bool) -> bool:
    """Return True if what a program gives is there whenever the task says so, or as many as it counts.

    `some`: the requests are alike.
    """
    everywhere = min(match.share, match.formed_share) >= SAME and match.varied + match.formed >= MANY_INPUTS
    nearly = match.share >= MANY_SAME and same_form(match)
    if some:
        return (everywhere or nearly) and match.callable.nodes >= SMALL_NODES
    return everywhere and match.callable.nodes >= CHANGED_NODES
