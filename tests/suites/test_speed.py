"""Limits that mean the same on a busy machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from codefit.core.files import write_json
from codefit.sandbox import Limits, Sandbox
from codefit.suites import speed


@pytest.mark.parametrize(
    ("before", "now", "factor"),
    [(1.0, 1.5, 1.5), (1.0, 0.5, 1.0), (1.0, 9.0, 3.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0)],
)
def test_a_slow_machine_stretches_limits_and_a_fast_one_does_not_tighten_them(
    before: float, now: float, factor: float
) -> None:
    assert speed.slowdown(before, now) == factor


def test_only_cpu_limits_are_stretched() -> None:
    limits = speed.stretched(Limits(cpu_s=2, test_cpu_s=(1.0, 3.0), wall_s=9, test_wall_s=(5.0, 5.0)), 2)
    assert (limits.cpu_s, limits.test_cpu_s, limits.wall_s, limits.test_wall_s) == (
        4,
        (2.0, 6.0),
        9,
        (5.0, 5.0),
    )
    assert speed.stretched(Limits(test_cpu_s=1.5), 2).test_cpu_s == 3.0
    assert speed.stretched(Limits(), 2).test_cpu_s is None


def test_the_speed_is_measured_once_and_kept_and_damage_is_measured_anew(tmp_path: Path) -> None:
    with Sandbox(jobs=1) as box:
        first = speed.reference_work_s(box, tmp_path, "python 3")
        assert first > 0
        (file,) = tmp_path.iterdir()
        write_json(file, {"work_s": 0.25})
        assert speed.reference_work_s(box, tmp_path, "python 3") == 0.25
        file.write_text("{")
        assert speed.reference_work_s(box, tmp_path, "python 3") not in (0.0, 0.25)
        assert speed.reference_work_s(box, None, "python 3") > 0
