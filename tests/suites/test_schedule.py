"""The order in which programs run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.suites.schedule import Schedule


def test_dearest_first_and_first_come_first_among_equals() -> None:
    schedule: Schedule[str] = Schedule(2)
    for name, cost in (("a", 1), ("b", 3), ("c", 3), ("d", 2)):
        schedule.push(name, cost)
    assert list(schedule) == ["b", "c", "d", "a"]


def test_what_waits_and_what_computes_come_in_turn() -> None:
    schedule: Schedule[str] = Schedule(2)
    for n in range(3):
        schedule.push(f"compute {n}", 10 - n)
        schedule.push(f"wait {n}", 100 - n, waits=True)
    schedule.push("compute 3", 1)
    found = list(schedule)
    assert [name.split()[0] for name in found[:6]] == ["wait", "compute"] * 3
    assert found[6] == "compute 3"


def test_it_may_be_empty_for_now_and_go_on() -> None:
    schedule: Schedule[int] = Schedule(1)
    with pytest.raises(StopIteration):
        next(schedule)
    schedule.push(1, 1)
    assert next(schedule) == 1
    with pytest.raises(StopIteration):
        next(schedule)


def test_the_doubtful_come_last_one_at_a_time_and_with_a_free_core() -> None:
    schedule: Schedule[str] = Schedule(2)
    for name in ("first", "second"):
        schedule.push(name, 1)
    schedule.push_alone("doubtful")
    schedule.push_alone("also")
    assert [next(schedule), next(schedule)] == ["first", "second"]
    with pytest.raises(StopIteration):
        next(schedule)  # two run: no core is free
    schedule.ended()
    assert next(schedule) == "doubtful"
    with pytest.raises(StopIteration):
        next(schedule)  # one doubtful at a time
    schedule.ended()
    with pytest.raises(StopIteration):
        next(schedule)
    schedule.push("new", 1)
    assert next(schedule) == "new"
    schedule.ended(alone=True)
    assert next(schedule) == "also"


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans())), st.integers(1, 4))
def test_everything_comes_exactly_once(items: list[tuple[float, bool, bool]], jobs: int) -> None:
    schedule: Schedule[int] = Schedule(jobs)
    for number, (cost, waits, alone) in enumerate(items):
        if alone:
            schedule.push_alone(number)
        else:
            schedule.push(number, cost, waits=waits)
    found = []
    while (item := next(schedule, None)) is not None:
        found.append(item)
        schedule.ended(alone=items[item][2])
    assert sorted(found) == list(range(len(items)))
