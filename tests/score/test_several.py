"""Holm, the gate, seeds and continuous traits, against statsmodels and scipy."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar  # type: ignore[import-untyped]
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from codefit.score.interval import wilson
from codefit.score.paired import detectable_points_at_power, mcnemar_exact, minimum_detectable_points
from codefit.score.seeds import chi2_tail, cochran_q, seed_interval, seed_spread
from codefit.score.several import as_family, gate, holm
from codefit.score.traits import paired_ratios


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


@pytest.mark.parametrize(("fixed", "broken"), [(26, 12), (39, 34), (41, 29), (36, 34), (7, 0)])
def test_mcnemar_agrees_with_statsmodels(fixed: int, broken: int) -> None:
    assert mcnemar_exact(fixed, broken) == pytest.approx(
        mcnemar([[9, fixed], [broken, 9]], exact=True).pvalue
    )


@pytest.mark.parametrize(
    ("n", "net", "shares", "p"),
    [
        (378, 11, (0.06, 0.08, 0.10), (0.035, 0.099, 0.14)),
        (378, 14, (0.08, 0.10, 0.12), (0.016, 0.034, 0.073)),
        (164, 7, (9 / 164, 15 / 164), (0.04, 0.12)),
    ],
)
def test_worked_figures_of_the_public_run(n: int, net: int, shares: Any, p: Any) -> None:
    """The p of each discordance as worked by hand: where the parity of the changed tasks does not fit
    the net, half a task was rounded down, and the net is one short."""
    for share, expected in zip(shares, p, strict=True):
        changed = round(share * n)
        fixed = (changed + net) // 2
        assert mcnemar_exact(fixed, changed - fixed) == pytest.approx(expected, abs=0.0035)


def test_a_gain_of_eleven_of_1140_is_not_shown_at_any_plausible_discordance() -> None:
    assert all(mcnemar_exact((k + 11) // 2, (k - 11) // 2) >= 0.18 for k in range(61, 400, 2))


@pytest.mark.parametrize(("passed", "n", "half"), [(259, 378, 4.7), (223, 378, 5.0), (291, 1140, 2.5)])
def test_half_widths_of_the_known_benchmarks(passed: int, n: int, half: float) -> None:
    low, high = wilson(passed, n)
    assert 50 * (high - low) == pytest.approx(half, abs=0.07)  # the rule of thumb is Wald's interval
    assert (low, high) == pytest.approx(proportion_confint(passed, n, method="wilson"))


def test_the_change_found_with_80_percent_power_is_found_with_that_power() -> None:
    n, share = 399, 73 / 399
    points = detectable_points_at_power(n, share)
    seen = minimum_detectable_points(n, share)
    assert points == pytest.approx(6.0, abs=0.1)  # the figure worked out for two real models
    assert points is not None
    assert seen is not None
    assert seen < points
    rng = np.random.default_rng(0)
    up = (share + points / 100) / 2
    cells = rng.multinomial(n, [up, share - up, 1 - share], size=2000)
    # the exact test is a little conservative against the normal approximation
    power = np.mean([mcnemar_exact(int(f), int(b)) <= 0.05 for f, b, _ in cells])
    assert 0.74 < power < 0.83


def test_where_hardly_anything_changes_no_power_can_be_had() -> None:
    assert detectable_points_at_power(100, 0.03) is None
    assert detectable_points_at_power(100, 0.0) is None


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7])
def test_the_tail_of_chi_square_agrees_with_scipy(df: int) -> None:
    for x in (0.0, 0.5, 3.8, 20.0):
        assert chi2_tail(x, df) == pytest.approx(stats.chi2.sf(x, df))


def test_cochrans_q_agrees_with_statsmodels() -> None:
    rng = random.Random(4)
    passed = [[rng.random() < rate for _ in range(60)] for rate in (0.4, 0.5, 0.7)]
    expected = cochrans_q(np.array(passed).T.astype(int))
    assert cochran_q(passed) == pytest.approx((expected.statistic, expected.pvalue))
    assert cochran_q([[True, False]] * 3) == (0.0, 1.0)


def test_the_interval_over_seeds_is_students() -> None:
    values = [3.1, 4.0, 2.2, 5.0]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert seed_interval(values) == pytest.approx(expected, rel=1e-4)
    assert seed_interval([1.0]) is None


def test_seeds_that_agree_leave_only_the_noise_of_tasks() -> None:
    before = {f"t{i}": i < 40 for i in range(100)}
    after = {t: i < 60 for i, t in enumerate(before)}
    found = seed_spread(before, [after, after, after])
    assert (found["seed_sd_points"], found["seeds_differ_p"]) == (0.0, 1.0)
    assert found["points"] == pytest.approx(20)
    assert found["relative_percent"] == pytest.approx(50)
    assert found["ci95_seeds"] == pytest.approx([20, 20])
    assert found["ci95_tasks"][0] < 15


def test_seeds_that_differ_widen_their_own_interval_only() -> None:
    before = dict.fromkeys((f"t{i}" for i in range(100)), False)
    seeds = [{t: i < n for i, t in enumerate(before)} for n in (10, 30, 50)]
    found = seed_spread(before, seeds)
    assert found["values"] == pytest.approx([0.1, 0.3, 0.5])
    assert found["seed_range_points"] == pytest.approx(40)
    assert found["seeds_differ_p"] < 1e-6
    assert found["ci95_seeds"][0] < 0 < found["ci95_tasks"][0]


def test_seeds_on_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        seed_spread({"a": True}, [{"a": True}])
    with pytest.raises(ValueError, match="tasks of"):
        seed_spread({"a": True}, [{"a": True}, {"b": True}])


def test_the_paired_bootstrap_of_many_traits_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    before = rng.normal(5, 2, (200, 2))
    after = before + rng.normal([0.4, 0.0], 1, (200, 2))
    ones = np.ones(200)
    for trait, found in enumerate(paired_ratios(before, ones, after, ones)):
        expected = stats.bootstrap(
            (after[:, trait] - before[:, trait],), np.mean, n_resamples=2000, method="percentile", rng=1
        ).confidence_interval
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
        assert found.difference == pytest.approx(found.after - found.before)
    assert paired_ratios(before, ones, after, ones) == paired_ratios(before, ones, after, ones)


def test_a_ratio_is_of_sums_so_that_short_programs_do_not_decide() -> None:
    faults = np.array([[1.0], [0.0]])
    lines, doubled = np.array([1.0, 99.0]), np.array([1.0, 199.0])
    (found,) = paired_ratios(faults, lines, faults, doubled)
    assert (found.before, found.after) == pytest.approx((0.01, 0.005))


@pytest.mark.parametrize("wrong", [np.zeros((0, 1)), np.array([[np.nan]])])
def test_traits_without_values_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        paired_ratios(wrong, np.ones(len(wrong)), wrong, np.ones(len(wrong)))


def family(**bounds: float) -> list[dict[str, Any]]:
    found = [
        {"suite": s.replace("_", "+"), "ci95": [low, low + 9], "p_value": 0.01, "stamp": None}
        for s, low in bounds.items()
    ]
    return as_family(found, ["humaneval+"])


@pytest.mark.parametrize(
    ("bounds", "passed"),
    [
        ({"mbpp_": 0.1, "humaneval_": -2.0}, True),
        ({"mbpp_": 0.1, "humaneval_": -2.1}, False),
        ({"mbpp_": 0.0, "humaneval_": 1.0}, False),
        ({"humaneval_": 1.0}, False),
    ],
)
def test_the_gate_wants_a_gain_and_guards_that_lose_little(bounds: dict[str, float], passed: bool) -> None:
    assert gate(family(**bounds))["passed"] is passed


def test_a_stamped_comparison_never_passes_the_gate() -> None:
    assert not gate([{**c, "stamp": "not like for like"} for c in family(mbpp_=5.0)])["passed"]


def test_a_family_corrects_for_every_benchmark_in_it() -> None:
    found = family(mbpp_=1.0, humaneval_=1.0)
    assert [(c["p_holm"], c["family"], c["role"]) for c in found] == [(0.02, 2, "target"), (0.02, 2, "guard")]
