"""Variants through the command line: judged by name, never compared with another, set side by side by analysis."""

from __future__ import annotations

import json
from pathlib import Path

from codefit.suites.load import load_suite
from tests.cli.conftest import Cli, one_line


def test_a_variant_beside_its_plain_suite_gives_robustness(cli: Cli, tmp_path: Path) -> None:
    plain = load_suite("micro", limit=4)
    new = {t.task_id: str(t.reference) for t in load_suite("micro", limit=4, variant="renamed").tasks}
    old = {t.task_id: str(t.reference) for t in plain.tasks}
    lost, *kept = old  # in the variant one answer keeps its old name, as a model does that reads no names
    side = tmp_path / "side"
    for name, programs, more in (
        ("micro", old, ()),
        ("micro~renamed", {lost: old[lost], **{t: new[t] for t in kept}}, ("--variant", "renamed")),
    ):
        lines = [json.dumps({"task_id": t, "solution": p}) + "\n" for t, p in programs.items()]
        (tmp_path / "answers.jsonl").write_text("".join(lines))
        done = cli(
            "execute", "micro", "--limit", "4", *more, "--completions", "answers.jsonl", "--out", side / name
        )
        assert done.returncode == 0, done.stderr
    (score,) = json.loads((side / "micro~renamed" / "scores.json").read_text())
    assert (score["suite"], score["variant"], score["passed"], score["n"]) == (
        "micro~renamed",
        "renamed",
        3,
        4,
    )
    assert score["details"]["left_out"] == {}
    again = cli(
        "execute", "micro", "--limit", "4", "--completions", "answers.jsonl", "--out", side / "micro~renamed"
    )
    assert again.returncode == 2  # another suite's results lie there
    refused = cli(
        "compare", side / "micro", side / "micro~renamed", "--out", "no", "--allow-different-harness"
    )
    assert refused.returncode == 2
    assert "no suite in both: micro and micro~renamed" in one_line(refused)
    compared = cli("compare", side, side, "--out", "cmp", "--json")
    assert {c["suite"]: c["role"] for c in json.loads(compared.stdout)["comparisons"]} == {
        "micro": "target",
        "micro~renamed": "guard",
    }
    (entry,) = json.loads((tmp_path / "cmp" / "findings.json").read_text())["robustness"]
    assert (entry["suite"], entry["plain"], entry["variant"]) == ("micro~renamed", "micro", "renamed")
    assert (entry["arms"]["tuned"]["plain"], entry["arms"]["tuned"]["lost_tasks"]) == (4, [lost])
    assert entry["arms"]["tuned"]["stamp"] is None
