"""Which matches of behaviour are leaks, and which are listed for a person with the reason.

The figures were set on the development half of the labelled pairs (`benchmarks/decontaminate.py`).
"""

from __future__ import annotations

from codefit.core.curation import DecontaminateSettings
from codefit.curate.leaks.adapt import LAST_RESORTS
from codefit.curate.leaks.callables import telling_constants
from codefit.curate.leaks.forms import WHOLE, Form
from codefit.curate.leaks.match import SAME, Match
from codefit.curate.leaks.weight import (
    AMONG_20,
    CHANGED_NODES,
    FEW_VALUES,
    LEAST_TOLD,
    MANY_SAME,
    MANY_TOLD,
    OWN_NODES,
    SMALL_NODES,
    farthest,
    least_near,
    near_support,
    same_form,
    shows_things,
    sure,
)

_SUPPORTED_SHARE = 0.4
_LEAST_VARIED, _LEAST_FORMED = 8, 12
_EITHER_SHARE = 0.7
_SAME_WORK, _MORE_BESIDE = (Form.ABOVE, Form.BELOW), (Form.FIRST, Form.LAST)
_THINGS = (Form.COUNT, Form.TRUTHY, Form.LABEL)
_FEW_VALUES_SHARE, _SMALL_SHARE, _LEAST_SHARE = 0.92, 0.97, 0.5
_EVERYWHERE, _LONG_NODES = 8, 100
_TRIVIAL_SUPPORT, _GENERIC_SUPPORT, _EVERYWHERE_SUPPORT = 0.5, 0.43, 0.6


def doubt(
    match: Match,
    near: float,
    settings: DecontaminateSettings,
    *,
    tested: bool = False,
    opposite: bool = False,
) -> str | None:
    """Return why a match is no proof of a leak, or None where it is one.

    `near` is the similarity of the two requests, `opposite` that they ask for opposite things. A sort passes the
    tests of every sorting algorithm, and a small function that says yes or no passes three asserts by accident:
    such rows are leaks only where the requests are alike too, or where a small function has constants of its own,
    as `n % 4 != 2` has, or is the only one of its kind; a common thing done by hand at length is one too. What shows
    little must stand far in front among all tasks by words (`weight.farthest`). A program that gives many different
    values may disagree on more of the other inputs, of which some are no valid ones, and on any number of them where
    it agrees on those of the form of the tests'. `tested` rows passed tests of their own, which say what they ask
    for: the task's reference must pass them in turn. Where it cannot be asked, behaviour alone must agree nearly
    everywhere, on the task's own arguments and on many values.
    """
    if (match.form or match.wide) and match.told < LEAST_TOLD:
        return "by accident, perhaps: the values are what the program was given"
    if near < least_near(match, settings.support) and match.place >= farthest(match):
        return f"by accident, perhaps: {match.place} tasks are more like the row in words"
    if match.form and match.form is not Form.SWAPPED:
        alike = near >= settings.support and not opposite and match.form is not Form.TRUTHY
        own = match.form in _SAME_WORK or (
            match.form in _MORE_BESIDE and near >= near_support(settings.support)
        )
        return _another_form(match, alike, own, near >= settings.support, tested=tested)
    if match.others >= settings.generic_tasks or match.trivial:
        return _generic(match, near, settings, tested=tested)
    return _plain(match, near, settings, tested=tested)


def _plain(match: Match, near: float, settings: DecontaminateSettings, *, tested: bool) -> str | None:
    """Judge a program that does what few tasks ask for and gives the values as they are."""
    least = near_support(settings.support) if match.share >= SAME else settings.support
    if match.callable.guessed and near < least and not (sure(match) and match.told >= MANY_TOLD):
        return "by accident, perhaps: what the program takes and gives is guessed"
    if match.wide and not sure(match) and not (near >= settings.support and match.shape in LAST_RESORTS):
        return f"by accident, perhaps: with its arguments {match.shape}"
    tiny = match.callable.nodes <= settings.generic_nodes * (1 if match.passes else 2)
    if near >= (_TRIVIAL_SUPPORT if tiny else settings.support):
        return None if match.share >= _SUPPORTED_SHARE or same_form(match) else _differs(match)
    if match.varied < _LEAST_VARIED and (tiny or match.share < SAME):
        return "by accident, perhaps: the task's reference takes too few other inputs to tell"
    if (
        near >= near_support(settings.support)
        and match.share >= SAME
        and match.natural
        and match.distinct > 1
    ):
        return None
    if tested and (why := _of_own_tests(match)):
        return why
    if tiny and not _alone(match):
        return f"generic primitive: {match.callable.nodes} syntax nodes"
    if not match.natural and match.callable.nodes < (SMALL_NODES if sure(match) else CHANGED_NODES):
        return f"generic primitive: with its arguments {match.shape}"
    enough = match.share >= _needed_share(match) and not _another(match)
    return None if enough or same_form(match) else _differs(match)


def _of_own_tests(match: Match) -> str | None:
    """Judge by the tests that a row passed: the task's reference must pass them in turn."""
    if match.agrees is False:
        return "by accident: the task's reference does not pass the row's own tests"
    certain = match.natural and match.share >= SAME and match.distinct >= FEW_VALUES
    if match.agrees is None and not certain:
        return (
            "by accident, perhaps: the row has tests of its own, which the task's reference cannot be asked"
        )
    return None


def _alone(match: Match) -> bool:
    """Return True if a tiny program is no primitive: it has numbers of its own, or no other task asks for the same."""
    if match.share == 1 and same_form(match) and telling_constants(match.callable):
        return True
    same = min(match.share, match.formed_share) == 1 and sure(match)
    return same and match.others <= 1 and match.natural and match.told >= MANY_TOLD


def _generic(match: Match, near: float, settings: DecontaminateSettings, *, tested: bool) -> str | None:
    """Judge a program that does what many tasks ask for, or next to nothing: it must be asked for in like words."""
    if match.others >= settings.generic_tasks:
        own = _own_work(match, near) and not match.trivial
        if own and not (tested and _of_own_tests(match)):
            return None
        support = _GENERIC_SUPPORT if match.others < _EVERYWHERE else _EVERYWHERE_SUPPORT
        if match.natural and match.share >= settings.same_behaviour and near >= support:
            return None
        return f"generic primitive: it does what {match.others} tasks ask for"
    if near >= _TRIVIAL_SUPPORT and match.natural:
        return None
    return "generic primitive: the task mostly gives back what it gets"


def _own_work(match: Match, near: float) -> bool:
    """Return True if a program does a common thing by hand, at length, and the row speaks of it."""
    same = match.natural and match.share >= SAME and sure(match) and same_form(match)
    if match.callable.nodes >= _LONG_NODES:
        return same and (match.others < _EVERYWHERE or match.place < AMONG_20)
    return same and match.others < _EVERYWHERE and match.callable.nodes >= OWN_NODES and near > 0


def _another_form(match: Match, alike: bool, own: bool, some: bool, *, tested: bool) -> str | None:
    """Judge a program that gives the values in another form: alike in words, or long and like the reference.

    `own` forms show the whole work: one off throughout, or the value among others where words are somewhat alike.
    So does a text that has many different values at one and the same place.

    Tests of its own say that a row asks for its own form, which is another task.
    """
    counts = match.form is Form.NUMBER  # 0 and 1 are counts too, as long as they are small
    same = match.share >= SAME or (same_form(match) and not counts)
    many = match.distinct >= FEW_VALUES and not match.trivial
    own = many and own and match.callable.nodes >= CHANGED_NODES
    least = OWN_NODES if match.wide else SMALL_NODES
    everywhere = min(match.share, match.formed_share) >= MANY_SAME
    whole = (
        match.form in WHOLE
        and everywhere
        and match.told >= FEW_VALUES
        and sure(match)
        and match.callable.nodes > least
    )
    things = match.form in _THINGS and shows_things(match, some)
    alike = alike and match.callable.nodes > SMALL_NODES
    return (
        None
        if not tested and ((same and (alike or own or whole)) or things)
        else f"by accident, perhaps: it gives the values {match.form.text}"
    )


def _another(match: Match) -> bool:
    """Return True if a program often differs from the reference on any inputs and on those of the tests' form."""
    return match.formed >= _LEAST_FORMED and max(match.share, match.formed_share) < _EITHER_SHARE


def _needed_share(match: Match) -> float:
    if match.distinct < FEW_VALUES:
        return _FEW_VALUES_SHARE
    return _LEAST_SHARE if match.callable.nodes >= SMALL_NODES else _SMALL_SHARE


def _differs(match: Match) -> str:
    return (
        f"by accident: it agrees with the reference on {match.share:.0%} of {match.varied} other inputs only"
    )
