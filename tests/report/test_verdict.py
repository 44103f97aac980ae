"""The verdict and what got worse."""

from __future__ import annotations

from codefit.report.messages import plain
from codefit.report.verdict import got_worse, headline, reading, sentences
from tests.report.fixture_run import exactly, scores


def comparison(before: range, after: range, suite: str = "micro"):
    found = scores(exactly({"start": before, "curated": after}))["comparisons"][0]
    return {**found, "suite": suite}


BETTER = comparison(range(10), range(30))
WORSE = comparison(range(30), range(10))
UNSHOWN = comparison(range(20), range(22))


def text(comparisons, lang="en"):
    return [plain(lang).render(m) for m in sentences(comparisons)]


def test_a_proven_gain_is_better():
    assert headline([BETTER]) == "better"
    assert text([BETTER])[0].startswith("micro: curated is better than start. 25.0 % → 75.0 %, +50.0 points")
    assert "(+200.0 % relative), 95 % CI [" in text([BETTER])[0]
    assert "20 tasks fixed, 0 broken" in text([BETTER])[0]


def test_a_proven_loss_is_worse():
    assert headline([WORSE]) == "worse"
    assert "curated is worse than start" in text([WORSE])[0]


def test_a_small_gain_is_not_shown_whatever_its_sign():
    assert UNSHOWN["points"] > 0
    assert headline([UNSHOWN]) == "not_shown"
    assert "is not shown" in text([UNSHOWN])[0]
    assert "未能证明" in text([UNSHOWN], "zh")[0]


def test_an_interval_above_zero_is_not_enough_without_the_test():
    assert reading({"ci95": [0.1, 5.0], "p_value": 0.06}) == "not_shown"
    assert reading({"ci95": [-0.1, 5.0], "p_value": 0.01}) == "not_shown"
    assert reading({"ci95": [0.1, 5.0], "p_value": 0.01}) == "better"


def test_gain_and_loss_on_different_suites_are_both_said_loss_first():
    both = [BETTER, {**WORSE, "suite": "other"}]
    assert headline(both) == "mixed"
    assert text(both)[0].startswith("other: curated is worse")


def test_a_variant_may_show_a_loss_but_makes_no_gain_and_is_not_told_where_nothing_is_shown():
    loss, gain, none = ({**c, "suite": "micro~renamed"} for c in (WORSE, BETTER, UNSHOWN))
    assert [headline([UNSHOWN, c]) for c in (loss, gain, none)] == ["worse", "not_shown", "not_shown"]
    assert headline([BETTER, loss]) == "mixed"
    assert [len(text([UNSHOWN, c])) for c in (loss, gain, none)] == [2, 2, 1]
    assert (headline([gain]), len(text([none]))) == ("better", 1)  # nothing else was measured


def test_no_comparison_is_not_measured():
    assert headline([]) == "not_measured"
    assert text([]) == ["No paired comparison was measured in this run."]


def test_a_gain_from_zero_has_no_relative_figure():
    assert "(undefined relative)" in text([comparison(range(0), range(30))])[0]


def test_losses_come_first_then_broken_tasks_then_grown_classes():
    failures = {"start": {"n": 40, "counts": {"passed": 30}}, "curated": {"n": 40, "counts": {"timeout": 3}}}
    found = got_worse([WORSE], {"suites": {"micro": {"failures": failures}}}, ("start", "curated"))
    assert [m["msg"] for m in found] == ["worse.score", "worse.broken", "worse.class"]
