"""Programs that cheat tests which run beside them: none passes, each honest one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import corpus_table
from tests.suites.unittest_tasks import RESULTS_TEST, TEST, read_lines, solutions, task, write_lines

CHEATS = corpus_table.read("unittests") + corpus_table.read("more_unittests")
CONTROLS = corpus_table.read("unittest_controls") + corpus_table.read("more_unittest_controls")


def outcomes(cases: list[corpus_table.Case], test: str, folder: Path) -> dict[str, dict[str, str]]:
    """Judge all cases as samples of one task, through the command line."""
    folder.mkdir()
    data = write_lines(folder / "tasks.jsonl", [task(test=test)])
    samples = solutions(folder / "samples.jsonl", [c.text for c in cases])
    command = [
        sys.executable,
        "-m",
        "codefit",
        "execute",
        "bigcodebench",
        "--data",
        str(data),
        "--env",
        "current",
    ]
    done = subprocess.run(
        [*command, "--completions", str(samples), "--out", str(folder / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = read_lines(folder / "out" / "verdicts.jsonl")
    return {case.name: row for case, row in zip(cases, rows, strict=True)}


@pytest.fixture(scope="module", params=[TEST, RESULTS_TEST], ids=["in one line", "by a result"])
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("unittests")
    found = outcomes(CHEATS, request.param, folder / "cheats")
    return found | outcomes(CONTROLS, request.param, folder / "controls")


@pytest.mark.parametrize("case", CHEATS, ids=lambda c: c.name)
def test_cheat_does_not_pass(case: corpus_table.Case, judged: dict[str, dict[str, str]]) -> None:
    row = judged[case.name]
    assert row["outcome"] not in ("passed", "sandbox_failed"), row
    if case.outcome:
        assert row["outcome"] == case.outcome, row


@pytest.mark.parametrize("case", CONTROLS, ids=lambda c: c.name)
def test_honest_program_passes(case: corpus_table.Case, judged: dict[str, dict[str, str]]) -> None:
    assert judged[case.name]["outcome"] == "passed", judged[case.name]
