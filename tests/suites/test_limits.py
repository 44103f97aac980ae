"""The limits that a suite gives to the programs it judges."""

from __future__ import annotations

import json
from pathlib import Path

from codefit.sandbox import encode
from codefit.suites.base import _limits
from codefit.suites.load import load_suite
from codefit.suites.reference import Expected


def test_every_test_has_a_wall_limit_of_ten_times_its_cpu_limit(tmp_path: Path) -> None:
    row = {"task_id": "Mbpp/1", "prompt": "", "entry_point": "f", "atol": 0, "canonical_solution": ""}
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({**row, "base_input": [[1], [2]], "plus_input": [[3]]}) + "\n")
    suite = load_suite("mbpp+", data)
    suite._expected = {("Mbpp/1", "base"): Expected((encode(1), encode(2)), (0.01, 0.9), (False, False))}
    limits = suite.check(suite.tasks[0], "", "base").program.limits
    assert limits.test_cpu_s == (1.0, 3.6)
    assert limits.test_wall_s == (10.0, 36.0)
    assert (limits.cpu_s, limits.wall_s) == (5.6, 46.0)
    assert "wall per test max(5 s, 10x its cpu)" in suite.info.harness


def test_a_suite_with_fixed_limits_has_them_too() -> None:
    suite = load_suite("micro", limit=1)
    limits = suite.check(suite.tasks[0], "", "base").program.limits
    assert (limits.test_cpu_s, limits.test_wall_s, limits.cpu_s, limits.wall_s) == (3, 30, 60, 600)
    assert (
        "cpu per test 3 s, per task 60 s; wall per test max(5 s, 10x its cpu), per task 600 s"
        in suite.info.harness
    )


def test_a_task_may_take_twice_what_its_reference_takes() -> None:
    """On a slow machine the cap of a minute would decide verdicts by the machine."""
    expected = Expected(values=(b"N",) * 10, cpu_s=(5.0,) * 10, wants_atol=(False,) * 10)
    assert _limits(expected).cpu_s == 101.0
    quick = Expected(values=(b"N",) * 10, cpu_s=(0.001,) * 10, wants_atol=(False,) * 10)
    assert _limits(quick).cpu_s == 11.0
