"""The over-fit verdict on curves whose answer is known."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.train.overfit import RULE, line, rise, training_loss, verdict


def curve(*losses: float, error: float | None = 0.001) -> list[dict[str, Any]]:
    best, found = losses[0], []
    for i, loss in enumerate(losses):
        found.append({"step": 10 * (i + 1), "val_loss": loss, "val_rise": loss - best, "val_rise_se": error})
        best = min(best, loss)
    return found


def test_a_curve_that_turns_up_is_over_fitted() -> None:
    found = verdict(curve(1.0, 0.8, 0.7, 0.75, 0.9), train_loss=0.4)
    assert found["verdict"] == "over-fitted"
    assert (found["best_step"], found["last_step"]) == (30, 50)
    assert found["rise"] == pytest.approx(0.2)
    assert found["gap"] == pytest.approx(0.5)
    assert found["rule"] == RULE
    assert "step 30" in line(found)
    assert RULE in line(found)


@pytest.mark.parametrize(
    ("losses", "error"),
    [
        ((1.0, 0.8, 0.7, 0.65), 0.001),  # falls to the end
        ((1.0, 0.7, 0.705), 0.001),  # rises by less than 1 %
        ((1.0, 0.7, 0.75), 0.03),  # rises within the noise
        ((0.7, 0.7, 0.7), 0.0),
    ],
)
def test_a_curve_that_does_not_is_not(losses: tuple[float, ...], error: float) -> None:
    assert verdict(curve(*losses, error=error))["verdict"] == "not over-fitted"


def test_too_little_to_judge_is_not_measured() -> None:
    assert verdict([])["verdict"] == "not measured"
    assert verdict(curve(1.0))["verdict"] == "not measured"
    assert verdict(curve(1.0, 1.2, error=None))["verdict"] == "not measured"
    assert "fewer than two" in line(verdict(curve(1.0)))


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=12), st.floats(0, 1))
def test_the_verdict_follows_its_rule(losses: list[float], error: float) -> None:
    found = verdict(curve(*losses, error=error))
    rose = losses[-1] - min(losses)
    over = rose > 0.01 * min(losses) and rose > 2 * error
    assert found["verdict"] == ("over-fitted" if over else "not over-fitted")
    assert line(found).startswith(found["verdict"])


def test_the_error_of_a_rise_is_that_of_many_draws_of_rows() -> None:
    rng = random.Random(1)
    tokens = [rng.randint(5, 60) for _ in range(200)]
    before = [t * rng.uniform(0.2, 2.0) for t in tokens]  # some rows are hard, in both
    after = [b + t * rng.gauss(0.05, 0.2) for b, t in zip(before, tokens, strict=True)]
    mean, error = rise(after, before, tokens)
    draws = []
    for _ in range(2000):
        rows = rng.choices(range(200), k=200)
        draws.append(sum(after[i] - before[i] for i in rows) / sum(tokens[i] for i in rows))
    centre = sum(draws) / len(draws)
    spread = (sum((d - centre) ** 2 for d in draws) / len(draws)) ** 0.5
    assert error == pytest.approx(spread, rel=0.1)
    assert mean == pytest.approx(centre, abs=0.1 * spread)
    assert rise([3.0], [1.0], [4]) == (0.5, None)


def test_the_training_loss_is_of_the_steps_since_the_validation_before() -> None:
    log = [{"step": s, "loss": float(s)} for s in range(1, 9)]
    assert training_loss(log, [{"step": 3}, {"step": 6}]) == 5.0
    assert training_loss(log, [{"step": 3}]) is None
    assert training_loss([], [{"step": 3}, {"step": 6}]) is None
