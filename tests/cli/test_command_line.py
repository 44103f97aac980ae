"""The command line as a user meets it: help, hints, exit codes, one-line errors."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from codefit.cli import show
from codefit.cli.doctor import doctor, findings
from codefit.cli.main import VERBS
from codefit.cli.recipe import bundled
from codefit.cli.run import _tell
from codefit.core.errors import InputError
from codefit.core.files import write_json
from codefit.core.progress import Event
from codefit.core.recipe import load_recipe
from codefit.pipeline import RunResult
from codefit.sandbox import levels
from codefit.sandbox.advice import Facts
from tests.cli.conftest import Cli, one_line
from tests.report.fixture_run import write_run


def test_help_is_quick_and_imports_no_torch(cli: Cli) -> None:
    cli("--help")
    began = time.monotonic()
    result = cli("--help")
    assert time.monotonic() - began < 1.0
    assert result.returncode == 0
    for verb in VERBS:
        assert verb in result.stdout
    code = "import sys; sys.argv=['codefit','--help']\nfrom codefit.cli.main import entry\n"
    code += "try:\n    entry()\nexcept SystemExit:\n    pass\n"
    code += "print('HEAVY', sorted({'torch','transformers','numpy','pyarrow'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "HEAVY []" in found.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import codefit, sys; print(sorted({'torch','transformers','numpy','pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_judging_needs_no_torch_transformers_or_numpy() -> None:
    code = (
        "import sys, codefit.suites.execute, codefit.score.compare, codefit.score.tally\n"
        "print(sorted({'torch','transformers','datasets','numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_a_sentence(cli: Cli, verb: str) -> None:
    result = cli(verb, "--help")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) > 3
    assert result.stderr == ""


@pytest.mark.parametrize("args", [[], ["recipe"], ["data"], ["export"]])
def test_a_group_without_a_verb_prints_its_help(cli: Cli, args: list[str]) -> None:
    result = cli(*args)
    assert result.returncode == 0
    assert result.stdout == cli(*args, "--help").stdout
    assert len(result.stdout.splitlines()) > 5
    assert result.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_lacks_a_character_ends_no_verb(cli: Cli, tmp_path: Path, encoding: str) -> None:
    run = write_run(tmp_path / "run")
    (run / "recipe.resolved.yaml").write_text("name: x\ntitle: 标题\n", encoding="utf-8")
    for args in (["report", "run", "--lang", "zh"], ["report", "run", "--json"], ["execute", "--help"]):
        result = cli(*args, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert result.returncode == 0, result.stderr
        if "--json" in args:
            assert json.loads(result.stdout)["run"]["title"] == "标题"
    rows = [{"task_id": "自/1", "prompt": "Write f().", "entry_point": "f", "tests": ["assert f() == 1"]},
            {"task_id": "自/1", "solution": "def f():\n    return 1"}]  # fmt: skip
    for name, row in zip(("自.jsonl", "c.jsonl"), rows, strict=True):
        (tmp_path / name).write_text(json.dumps(row), encoding="utf-8")
    judged = cli(
        "execute",
        "自.jsonl",
        "--completions",
        "c.jsonl",
        "--out",
        "o",
        PYTHONIOENCODING=encoding,
        PYTHONUTF8="0",
    )
    assert judged.returncode == 0, judged.stderr


def test_the_cache_needs_no_home_folder_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.setattr(Path, "home", lambda: homeless(Path("~")))
    monkeypatch.delenv("CODEFIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert show.cache_folder() == Path("/somewhere/codefit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(InputError, match="no home folder"):
        show.cache_folder()


def test_an_unknown_verb_gets_a_hint(cli: Cli) -> None:
    result = cli("exekute")
    assert result.returncode == 2
    assert one_line(result) == "codefit: no verb 'exekute'; did you mean 'execute'?"


def test_an_unknown_option_is_one_line(cli: Cli) -> None:
    result = cli("demo", "--outt", "x")
    assert result.returncode == 2
    assert "--outt" in one_line(result)


def test_every_error_of_a_recipe_is_printed_with_its_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: x\nmodel: {nam: micro}\nsources: []\nevaluate:\n  - {name: micro}\n"
    )
    result = cli("run", "r.yaml")
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2
    assert any(x.startswith("codefit: r.yaml:2: ") and "did you mean 'name'?" in x for x in lines)
    assert any(x.startswith("codefit: r.yaml:3: ") for x in lines)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_recipe_gets_a_hint(cli: Cli) -> None:
    result = cli("run", "micro-demmo")
    assert result.returncode == 2
    assert "did you mean 'micro-demo'?" in one_line(result)


def test_recipes_can_be_listed_shown_copied_and_checked(cli: Cli, tmp_path: Path) -> None:
    listed = json.loads(cli("recipe", "list", "--json").stdout)
    assert {r["name"] for r in listed} == set(bundled())
    for name in bundled():
        assert cli("recipe", "check", name).returncode == 0
    assert cli("recipe", "show", "micro-arms").stdout.startswith("#")
    assert cli("recipe", "copy", "micro-demo", "mine.yaml").returncode == 0
    assert cli("recipe", "check", "mine.yaml").returncode == 0
    assert cli("recipe", "copy", "micro-demo", "mine.yaml").returncode == 2
    resolved = cli("recipe", "show", "micro-demo", "--resolved").stdout
    (tmp_path / "resolved.yaml").write_text(resolved)
    assert cli("recipe", "check", "resolved.yaml").returncode == 0
    checked = json.loads(cli("recipe", "check", "micro-demo", "--json").stdout)
    assert (checked["name"], checked["errors"]) == ("micro-demo", [])
    assert "properties" in json.loads(cli("recipe", "schema").stdout)


def test_a_recipes_folder_name_finds_the_bundled_recipe(cli: Cli) -> None:
    assert cli("recipe", "check", "recipes/codealpaca-taco-smoke.yaml").returncode == 0


def test_dry_run_lists_the_stages_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "micro-demo", "--dry-run", "--json")
    stages = [s["name"] for s in json.loads(result.stdout)["stages"]]
    assert stages[0] == "curate"
    assert stages[-1] == "report"
    assert not (tmp_path / "runs").exists()


def test_plan_prints_what_fits_the_card(cli: Cli) -> None:
    result = cli(
        "plan", "--model", "qwen2.5-coder-1.5b", "--memory", "7000MiB", "--max-length", "2048", "--json"
    )
    plan = json.loads(result.stdout)
    assert result.returncode == 0
    assert plan["fits"] is True
    assert plan["peak_mb"] <= 7000
    assert plan["rejected"]
    assert plan["peak_mb"] == pytest.approx(sum(plan["components_mb"].values()), abs=1)
    human = cli("plan", "--model", "qwen2.5-coder-1.5b", "--memory", "7000MiB").stdout
    assert "not yet on an 8 GB card" in human
    refused = cli("plan", "--model", "qwen2.5-coder-1.5b", "--optimizer", "adamw8")
    assert refused.returncode == 2
    assert refused.stderr.strip() == "codefit: --optimizer: adamw8 is for full tuning; add --method full"
    fused = cli("plan", "--model", "qwen2.5-coder-1.5b", "--method", "full", "--optimizer", "adamw8",
                "--batch-size", "1", "--max-length", "2048", "--json")  # fmt: skip
    assert json.loads(fused.stdout)["peak_mb"] <= 7000


def test_the_plan_takes_as_many_bits_for_the_moments_as_fit(cli: Cli) -> None:
    ask = (
        "plan",
        "--model",
        "qwen2.5-coder-1.5b",
        "--method",
        "full",
        "--batch-size",
        "1",
        "--max-length",
        "2048",
    )
    for memory, optimizer in (("40GB", "adamw"), ("7000MiB", "adamw8"), ("5500MiB", "adamw4")):
        plan = json.loads(cli(*ask, "--memory", memory, "--json").stdout)
        assert (plan["fits"], plan["settings"]["optimizer"]) == (True, optimizer)
        more_exact = {"adamw": (), "adamw8": ("adamw",), "adamw4": ("adamw", "adamw8")}[optimizer]
        why = [r["why"] for r in plan["rejected"] if r["optimizer"] in more_exact]
        assert bool(why) == bool(more_exact)
        assert all(w.endswith("over the budget") for w in why)
    nothing = cli(*ask, "--memory", "3GB")
    assert nothing.returncode == 2
    assert "over the budget" in nothing.stderr


def test_an_optimizer_left_open_is_chosen_shown_and_trained_with(cli: Cli, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: open\nmodel: {name: micro}\nsources: [{kind: micro, limit: 40}]\ncurate: {steps: [normalise]}\n"
        "format: {fence: false, max_length: 128}\nevaluate: [{name: micro, limit: 2}]\n"
        "train: {method: full, dtype: bfloat16, device: cpu, batch_size: 1, epochs: 1}\n"
    )
    done = cli("train", str(recipe), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    chosen = json.loads((tmp_path / "run" / "plan.json").read_text())["settings"]
    assert (chosen["optimizer"], chosen["weights"]) == ("adamw8", "bfloat16")
    summary = json.loads((tmp_path / "run" / "train" / "summary.json").read_text())
    assert summary["optimizer"] == "adamw8"


def test_another_run_s_verdicts_are_reused_and_change_no_byte(cli: Cli, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: reuse\nmodel: {name: micro}\nsources: [{kind: micro, limit: 60}]\nevaluate: [{name: micro, limit: 2}]\n"
        "curate: {decontaminate: {execution_match: 'off'}}\n"
    )
    first, second, plain = (tmp_path / name for name in ("first", "second", "plain"))
    assert cli("curate", str(recipe), "--out", str(first)).returncode == 0
    fewer = ("curate", str(recipe), "--set", "curate.select.rows=9")
    done = cli(*fewer, "--out", str(second), "--reuse", str(first))
    assert done.returncode == 0, done.stderr
    assert cli(*fewer, "--out", str(plain)).returncode == 0
    name = "data/kept.parquet"
    assert (second / name).read_bytes() == (plain / name).read_bytes() != (first / name).read_bytes()
    ledger = (second / "data/cache/verdicts.jsonl").read_bytes()
    assert ledger == (first / "data/cache/verdicts.jsonl").read_bytes()
    refused = cli(*fewer, "--out", str(tmp_path / "x"), "--reuse", str(tmp_path))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "not a run folder" in refused.stderr
    assert not (tmp_path / "x").exists()


def test_memory_alone_puts_every_way_side_by_side(cli: Cli) -> None:
    found = json.loads(cli("plan", "--memory", "7000MiB", "--max-length", "4096", "--json").stdout)
    ways = {(w["model"], w["method"], w["bits"]): w for w in found["ways"]}
    assert ways["qwen2.5-coder-7b", "qlora", 32]["fits"]
    assert not ways["qwen2.5-coder-7b", "lora", 32]["fits"]
    assert ways["qwen2.5-coder-1.5b", "full", 8]["longest"] >= 4096
    assert not ways["qwen2.5-coder-1.5b", "full", 32]["longest"]
    assert "does not fit" in cli("plan", "--memory", "7000MiB").stdout


def test_a_plan_is_verified_by_a_trace_of_its_step(cli: Cli) -> None:
    result = cli("plan", "--model", "qwen2.5-coder-0.5b", "--memory", "7000MiB", "--verify", "--json")
    assert abs(json.loads(result.stdout)["traced"]["difference_percent"]) < 2
    refused = cli("plan", "--model", "qwen2.5-coder-0.5b", "--memory", "80GB", "--method", "full", "--verify")
    assert refused.returncode == 2
    assert "not traced" in refused.stderr


def test_full_tuning_is_planned_in_the_precision_it_runs_in(cli: Cli) -> None:
    result = cli("plan", "--model", "qwen2.5-coder-1.5b", "--memory", "80GB", "--method", "full", "--json")
    plan = json.loads(result.stdout)
    assert plan["settings"]["weights"] == "float32"
    assert plan["components_mb"]["weights"] == pytest.approx(4 * 1_543_714_304 / 2**20, rel=1e-3)


def test_an_impossible_budget_ends_with_2_and_names_what_would_fit(cli: Cli) -> None:
    result = cli("plan", "--model", "qwen2.5-coder-7b", "--memory", "4GB")
    assert result.returncode == 2
    assert "needs" in one_line(result)


@pytest.mark.parametrize("memory", ["7000", "7 bananas"])
def test_a_budget_without_a_unit_is_refused(cli: Cli, memory: str) -> None:
    result = cli("plan", "--model", "qwen2.5-coder-1.5b", "--memory", memory)
    assert result.returncode == 2
    assert "MiB" in one_line(result)


def test_an_unknown_model_shape_gets_a_hint(cli: Cli) -> None:
    result = cli("plan", "--model", "qwen2.5-coder-15b", "--memory", "7000MiB")
    assert result.returncode == 2
    assert "did you mean" in one_line(result)


def test_doctor_names_the_fix_for_what_is_missing(cli: Cli) -> None:
    result = cli("doctor", "--json")
    found = {f["name"]: f for f in json.loads(result.stdout)}
    assert found["Python"]["ok"] is True
    assert any(name.startswith("sandbox") for name in found)
    assert all(f["fix"] for f in found.values() if f["ok"] is False)
    assert found["hub"]["ok"] is None


def test_doctor_on_another_system_names_the_container_and_ends_with_3(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels, "facts", lambda: Facts("darwin"))
    result = CliRunner().invoke(doctor)
    (line,) = (x for x in result.output.splitlines() if "sandbox" in x)
    assert line.startswith("MISS sandbox: any level: programs run on Linux only, this is darwin  -> ")
    assert "docker run --rm -it --security-opt seccomp=unconfined" in line
    assert result.exit_code == 3


def test_doctor_does_not_ask_for_what_the_demo_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    found = {f.name: f for f in findings()}
    assert found["matplotlib"].ok is None
    assert found["matplotlib"].fix == "pip install 'codefit[report]'"
    assert found["torch"].ok is True


def test_a_data_card_is_printed_as_text_or_json(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "card.md").write_text("# Card\n")
    assert cli("data", "card", ".").stdout == "# Card\n"
    assert json.loads(cli("data", "card", ".", "--json").stdout) == {"card": "# Card\n"}


@pytest.mark.parametrize("complete", [True, False])
def test_a_verb_that_stops_early_tells_whether_the_run_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], complete: bool
) -> None:
    write_json(tmp_path / "manifest.json", {"complete": complete})
    recipe = load_recipe(bundled()["micro-demo"])
    _tell(recipe, RunResult(tmp_path, ("curate",), False), "train", True)
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["until"], told["ran"]) == (complete, "train", ["curate"])
    assert (told["report"] is not None) == complete


def test_a_folder_that_is_no_run_has_no_report(cli: Cli, tmp_path: Path) -> None:
    result = cli("report", tmp_path)
    assert result.returncode == 2
    assert "not a run folder" in one_line(result)


def test_export_needs_an_adapter(cli: Cli, tmp_path: Path) -> None:
    result = cli("export", "merge", "--model", tmp_path, "--adapter", tmp_path, "--out", tmp_path / "o")
    assert result.returncode == 2
    assert "adapter_config.json" in one_line(result)


def test_the_docs_describe_every_verb() -> None:
    root = Path(__file__).parents[2]
    text = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    for verb in VERBS:
        assert f"## codefit {verb}\n" in text, f"run scripts/write_cli_docs.py: {verb} is not documented"


def test_the_documented_help_is_the_help_of_today(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    out = tmp_path / "cli.md"
    subprocess.run([sys.executable, str(root / "scripts" / "write_cli_docs.py"), str(out)], check=True,
                   env={**os.environ, "COLUMNS": "100"})  # fmt: skip
    assert out.read_text(encoding="utf-8") == (root / "docs" / "cli.md").read_text(encoding="utf-8")


def test_names_between_colons_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """An arm called `eight` was shown as a picture of an 8."""
    with show.Live() as live:
        live(Event("train:eight:", "done", finished=True))
    show.console().print("Results: runs/:four:/x")
    printed = capsys.readouterr()
    assert "train:eight:: done" in printed.err
    assert ":four:" in printed.out


def test_odd_escapes_in_rows_are_not_among_the_progress() -> None:
    """Python 3.12 and later warn of them wherever a row is parsed: in this process and in those beside it."""
    warns = "import warnings; warnings.warn_explicit('odd escape', SyntaxWarning, '<unknown>', 9)"
    source = (
        "import subprocess, sys\nimport codefit.cli.main as m\n"
        f"warns = {warns!r}\n"
        "def job(**_):\n    exec(warns)\n    subprocess.run([sys.executable, '-c', warns], check=True)\n"
        "m.main.main = job\nm.entry()\n"
    )
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
