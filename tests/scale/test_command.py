"""`codefit curate --executor`: the same run as without, and options that mean nothing are refused."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from codefit.cli.run import curate
from codefit.core.files import read_json
from tests.cli.conftest import Cli, cache, cli

__all__ = ["cache", "cli"]
STEPS = "[normalise,language,syntax,dedup_exact,dedup_near,quality,select]"


def test_a_recipe_gives_the_same_files_over_shards(cli: Cli, tmp_path: Path) -> None:
    found = {}
    for name, options in (
        ("memory", []),
        ("shards", ["--executor", "local", "--jobs", "2", "--shard-rows", "90"]),
    ):
        asked = [
            "--set",
            "sources.0.limit=250",
            "--set",
            f"curate.steps={STEPS}",
            "--set",
            "curate.select.rows=20",
        ]
        result = cli("curate", "micro-demo", "--out", name, *asked, *options)
        assert result.returncode == 0, result.stderr
        data = tmp_path / name / "data"
        assert not (data / "shards").exists()
        found[name] = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    assert "over shards, 2 local processes" in result.stderr
    assert found["memory"] == found["shards"]
    keys = [read_json(tmp_path / name / "manifest.json")["stages"]["curate"]["key"] for name in found]
    assert keys[0] == keys[1]  # `codefit run` goes on from either


def test_options_of_an_executor_need_one() -> None:
    result = CliRunner().invoke(curate, ["micro-demo", "--jobs", "2"])
    assert result.exit_code == 2
    assert "--jobs and --shard-rows are for --executor" in result.output
