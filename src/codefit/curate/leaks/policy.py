"""Which matches of behaviour are leaks, and which are listed for a person with the reason.

The figures were set on the development half of the labelled pairs (`benchmarks/decontaminate.py`).
"""

from __future__ import annotations

from codefit.core.curation import DecontaminateSettings
from codefit.curate.leaks.callables import telling_constants
from codefit.curate.leaks.forms import Form
from codefit.curate.leaks.match import SAME, Match

_SUPPORTED_SHARE = 0.4
_LEAST_VARIED = 8
_LEAST_FORMED, _LEAST_RARE, _MANY_SAME = 12, 4, 0.9
_EITHER_SHARE = 0.7
_SAME_WORK, _MORE_BESIDE = (Form.ABOVE, Form.BELOW), (Form.FIRST, Form.LAST)
_FEW_VALUES = 6
_FEW_VALUES_SHARE, _SMALL_SHARE, _LEAST_SHARE = 0.92, 0.97, 0.5
_SMALL_NODES, _CHANGED_NODES = 20, 45
_EVERYWHERE = 8
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
    as `n % 4 != 2` has. A program that gives many different values may disagree on more of the other inputs, of
    which some are no valid ones, and on any number of them where it agrees on those of the form of the tests'.
    `tested` rows passed tests of their own, which say what they ask for: the task's reference must pass them in
    turn. Where it cannot be asked, behaviour alone must agree nearly everywhere, on the task's own arguments and
    on many values.
    """
    if match.form and match.form is not Form.SWAPPED:
        alike = near >= settings.support and not opposite
        own = match.form in _SAME_WORK or (match.form in _MORE_BESIDE and near >= _near_support(settings))
        return _another_form(match, alike, own, tested=tested)
    if match.others >= settings.generic_tasks or match.trivial:
        return _generic(match, near, settings)
    least = _near_support(settings) if match.share >= SAME else settings.support
    if match.callable.guessed and near < least:
        return "by accident, perhaps: what the program takes and gives is guessed"
    tiny = match.callable.nodes <= settings.generic_nodes * (1 if match.passes else 2)
    if near >= (_TRIVIAL_SUPPORT if tiny else settings.support):
        return None if match.share >= _SUPPORTED_SHARE or _same_form(match) else _differs(match)
    if match.varied < _LEAST_VARIED and (tiny or match.share < SAME):
        return "by accident, perhaps: the task's reference takes too few other inputs to tell"
    if near >= _near_support(settings) and match.share >= SAME and match.natural and match.distinct > 1:
        return None
    if tested and match.agrees is False:
        return "by accident: the task's reference does not pass the row's own tests"
    certain = match.natural and match.share >= SAME and match.distinct >= _FEW_VALUES
    if tested and match.agrees is None and not certain:
        return (
            "by accident, perhaps: the row has tests of its own, which the task's reference cannot be asked"
        )
    if tiny and not (match.share == 1 and _same_form(match) and telling_constants(match.callable)):
        return f"generic primitive: {match.callable.nodes} syntax nodes"
    if not match.natural and match.callable.nodes < _CHANGED_NODES:
        return f"generic primitive: with its arguments {match.shape}"
    enough = match.share >= _needed_share(match) and not _another(match)
    return None if enough or _same_form(match) else _differs(match)


def _generic(match: Match, near: float, settings: DecontaminateSettings) -> str | None:
    """Judge a program that does what many tasks ask for, or next to nothing: it must be asked for in like words."""
    if match.others >= settings.generic_tasks:
        support = _GENERIC_SUPPORT if match.others < _EVERYWHERE else _EVERYWHERE_SUPPORT
        if match.natural and match.share >= settings.same_behaviour and near >= support:
            return None
        return f"generic primitive: it does what {match.others} tasks ask for"
    if near >= _TRIVIAL_SUPPORT and match.natural:
        return None
    return "generic primitive: the task mostly gives back what it gets"


def _another_form(match: Match, alike: bool, own: bool, *, tested: bool) -> str | None:
    """Judge a program that gives the values in another form: alike in words, or long and like the reference.

    `own` forms show the whole work: one off throughout, or the value among others where words are somewhat alike.

    Tests of its own say that a row asks for its own form, which is another task.
    """
    counts = match.form is Form.NUMBER  # 0 and 1 are counts too, as long as they are small
    same = match.share >= SAME or (_same_form(match) and not counts)
    own = own and match.callable.nodes >= _CHANGED_NODES
    own = own and match.distinct >= _FEW_VALUES and not match.trivial
    alike = alike and match.callable.nodes > _SMALL_NODES
    return (
        None
        if not tested and same and (alike or own)
        else f"by accident, perhaps: it gives the values {match.form.text}"
    )


def _another(match: Match) -> bool:
    """Return True if a program often differs from the reference on any inputs and on those of the tests' form."""
    return match.formed >= _LEAST_FORMED and max(match.share, match.formed_share) < _EITHER_SHARE


def _same_form(match: Match) -> bool:
    """Return True if a program agrees nearly everywhere on inputs of the form of the tests' own."""
    enough = match.formed >= _LEAST_FORMED and match.formed_rare >= _LEAST_RARE
    return enough and match.formed_share >= (_MANY_SAME if match.distinct >= _FEW_VALUES else SAME)


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
