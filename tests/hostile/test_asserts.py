"""Programs that cheat assertions which are decided beside them: none passes, each honest one does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codefit.core.types import Outcome, Tests
from codefit.sandbox import Limits, Sandbox
from codefit.suites.check import Check
from tests.hostile import corpus_table

CHEATS = corpus_table.read("more_asserts")
CONTROLS = corpus_table.read("more_controls")
STATEMENTS = (
    "for i, y in ((3, 4), (41, 42)):\n    assert solve(i) == y",
    "result = solve(10)\nassert result == 11, result",
    "assert solve(5) == 6",
)
CONDITIONS = (
    "assert solve(3) == 4 and solve(41) == 42",
    "assert abs(solve(5) - 6) < 0.5 or solve(5) == 6",
    "assert solve(1) == 2 and not solve(1) == 3",
)
ALONE = ("assert solve(3) == 4", "assert solve(41) == 42")
WAYS = {"statements": STATEMENTS, "conditions": CONDITIONS, "alone": ALONE}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(jobs=1) as sandbox:
        yield sandbox


def outcome(box: Sandbox, source: str, asserts: tuple[str, ...]) -> tuple[Outcome, str | None]:
    """Judge a program as a suite does, with its probe."""
    check = Check(source, Tests("asserts", "solve", asserts), limits=Limits(cpu_s=3.0))
    result = check.result(box.run(check.program, check.on_frame))
    if result.passed and check.probe is not None:
        shown = check.tampered(box.run(check.probe))
        if shown:
            return Outcome.TAMPERING, shown
    return result.outcome, result.error


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CHEATS, ids=lambda c: c.name)
def test_cheat_does_not_pass(box: Sandbox, case: corpus_table.Case, way: str) -> None:
    found, _ = outcome(box, case.text, WAYS[way])
    assert found not in (Outcome.PASSED, Outcome.SANDBOX_FAILED)


@pytest.mark.parametrize("way", ["statements", "conditions"])
@pytest.mark.parametrize("case", CONTROLS, ids=lambda c: c.name)
def test_honest_program_passes(box: Sandbox, case: corpus_table.Case, way: str) -> None:
    corpus_table.skip_without_libraries(case)
    found, error = outcome(box, case.text, WAYS[way])
    assert found is Outcome.PASSED, error
