"""The whole job through the command line: the demo's result, its second run, kill -9, Ctrl-C, a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, one_line

SMALL = ("--set", "sources.0.limit=300", "--set", "train.epochs=1", "--set", "train.save_every=2",
         "--set", "evaluate.0.limit=30", "--set", "analyse.traits=[readability]",
         "--set", "analyse.memorised_rows=6")  # fmt: skip
REPORT = ("index.html", "report.md", "report.zh.md", "report.json")


def demo(out: Path, cache: Path, *args: str) -> subprocess.Popen[str]:
    """Start the demo in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "codefit", "demo", "--out", str(out), "--json", *args],
        env={**os.environ, "CODEFIT_CACHE": str(cache)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def pages(out: Path) -> dict[str, bytes]:
    return {name: (out / "report" / name).read_bytes() for name in REPORT}


def comparison(run: dict[str, Any], before: str, after: str) -> dict[str, Any]:
    found = [c for c in run["comparisons"] if (c["before_arm"], c["after_arm"]) == (before, after)]
    assert len(found) == 1
    return dict(found[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, dict[str, Any]]:
    """Run the demo once, as the README says."""
    out = tmp_path_factory.mktemp("whole") / "run"
    child = demo(out, cache)
    text, errors = child.communicate(timeout=1200)
    assert child.returncode == 0, errors
    return out, json.loads(text)


def test_curated_rows_beat_the_start_model_and_the_raw_rows(whole: tuple[Path, dict[str, Any]]) -> None:
    _, run = whole
    start = comparison(run, "start", "curated")
    raw = comparison(run, "raw", "curated")
    assert start["fixed"] + start["broken"] + start["both"] + start["neither"] >= 200
    assert start["points"] >= 30
    assert raw["points"] >= 15
    assert start["p_value"] < 0.001
    assert raw["p_value"] < 0.001
    values = {s["arm"]: s["value"] for s in run["scores"]}
    assert 0.05 <= values["start"] <= 0.35


def test_every_file_of_the_contract_is_there(whole: tuple[Path, dict[str, Any]]) -> None:
    out, _ = whole
    expected = [
        "recipe.resolved.yaml", "manifest.json", "events.jsonl", "data/kept.parquet", "data/dropped.parquet",
        "data/funnel.json", "data/card.md", "plan.json", "train/log.jsonl", "train/checkpoints", "train/model",
        "completions/micro.jsonl", "verdicts/micro.jsonl", "scores.json", "findings.json",
        *(f"report/{page}" for page in REPORT),
    ]  # fmt: skip
    assert [name for name in expected if not (out / name).exists()] == []
    assert json.loads((out / "manifest.json").read_text())["complete"] is True
    assert not list(out.rglob("*.part"))


def test_both_arms_train_the_same_number_of_tokens(whole: tuple[Path, dict[str, Any]]) -> None:
    out, _ = whole
    curated = json.loads((out / "train" / "summary.json").read_text())
    raw = json.loads((out / "arms" / "raw" / "train" / "summary.json").read_text())
    assert curated["trained_tokens"] == pytest.approx(raw["trained_tokens"], rel=0.01)
    assert curated["rows"] < 0.5 * raw["rows"]


def test_no_row_vanishes_without_a_reason(whole: tuple[Path, dict[str, Any]]) -> None:
    import pyarrow.parquet as pq

    out, _ = whole
    kept = pq.read_table(out / "data" / "kept.parquet").column("id").to_pylist()
    dropped = pq.read_table(out / "data" / "dropped.parquet")
    ids = dropped.column("row_id").to_pylist()
    assert len(kept) + len(ids) == json.loads((out / "data" / "funnel.json").read_text())["read"]
    assert not set(kept) & set(ids)
    assert all(dropped.column("reason").to_pylist())


def test_every_page_says_that_the_model_is_a_stand_in(whole: tuple[Path, dict[str, Any]]) -> None:
    out, _ = whole
    assert "stand-in" in (out / "report" / "index.html").read_text()
    assert "stand-in" in (out / "report" / "report.md").read_text()
    assert "替身" in (out / "report" / "report.zh.md").read_text()


def test_the_second_run_does_nothing_and_is_quick(whole: tuple[Path, dict[str, Any]], cache: Path) -> None:
    out, _ = whole
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    began = time.monotonic()
    child = demo(out, cache)
    text, _ = child.communicate(timeout=100)
    assert time.monotonic() - began < 20  # 2 s on an idle machine, 30 to 140 where anything is done again
    assert json.loads(text)["ran"] == []
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before


def test_a_finished_run_loads_no_torch(whole: tuple[Path, dict[str, Any]], cache: Path) -> None:
    out, _ = whole
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "codefit", "demo", "--out", str(out), "--json"],
        env={**os.environ, "CODEFIT_CACHE": str(cache)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["ran"] == []
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "codefit.pipeline" in loaded
    assert not {"torch", "transformers"} & loaded


def test_the_merged_model_loads_with_plain_transformers(whole: tuple[Path, dict[str, Any]]) -> None:
    out, _ = whole
    code = (
        "import sys\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "m = AutoModelForCausalLM.from_pretrained(sys.argv[1]); t = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "p = t.apply_chat_template([{'role': 'user', 'content': sys.argv[2]}], add_generation_prompt=True,"
        " return_tensors='pt', return_dict=True)\n"
        "o = m.generate(**p, max_new_tokens=96, do_sample=False)\n"
        "print(t.decode(o[0, p['input_ids'].shape[1]:], skip_special_tokens=True))"
    )
    line = json.loads((out / "completions" / "micro.jsonl").read_text().splitlines()[-1])
    tasks = [json.loads(x) for x in (out / "tasks" / "micro.jsonl").read_text().splitlines()]
    task = tasks[0]
    expected = next(
        x["text"]
        for x in map(json.loads, (out / "completions" / "micro.jsonl").read_text().splitlines())
        if x["arm"] == "curated" and x["task_id"] == task["task_id"]
    )
    assert line
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", code, str(out / "train" / "model"), task["prompt"]],
                           capture_output=True, text=True, check=True, env=env)  # fmt: skip
    assert found.stdout.rstrip("\n") == expected.rstrip("\n")


def test_the_models_of_a_run_can_be_compared_and_gated(whole: tuple[Path, dict[str, Any]], cli: Cli) -> None:
    out, _ = whole
    arms = out / "arms"
    better = cli(
        "compare", arms / "start" / "micro", arms / "curated" / "micro", "--out", "a", "--gate", "--json"
    )
    assert better.returncode == 0
    assert json.loads(better.stdout)["comparisons"][0]["points"] > 30
    worse = cli("compare", arms / "curated" / "micro", arms / "start" / "micro", "--out", "b", "--gate")
    assert worse.returncode == 4
    assert "bound" in worse.stderr.splitlines()[-1]


def test_preview_and_card_show_what_the_model_saw(whole: tuple[Path, dict[str, Any]], cli: Cli) -> None:
    out, _ = whole
    assert "alike" in cli("data", "preview", out).stdout
    assert "licence" in cli("data", "card", out).stdout.lower()
    assert cli("report", out, "--lang", "zh").stdout.startswith("#")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Run a small demo once without a break."""
    out = tmp_path_factory.mktemp("small") / "run"
    child = demo(out, cache, *SMALL)
    _, errors = child.communicate(timeout=600)
    assert child.returncode == 0, errors
    return out


def test_traits_and_memorised_answers_are_in_the_findings_and_can_be_asked_for_later(
    small: Path, tmp_path: Path, cli: Cli
) -> None:
    found = json.loads((small / "findings.json").read_text())
    assert {r["group"] for pair in found["traits"] for r in pair["rows"]} == {"readability"}
    asked = found["memorised"]["rows"]["trained"]
    assert asked == 6
    start, curated = (found["memorised"]["arms"][arm]["trained"]["finished"] for arm in ("start", "curated"))
    assert start[1] == curated[1] == asked
    asked = {
        (s["prompts"], s["decoding"], s["extraction"])
        for s in json.loads((small / "scores.json").read_text())["scores"]
    }
    ((prompts, decoding, _),) = asked  # every model was asked alike
    assert prompts
    assert decoding.startswith("greedy")
    out = tmp_path / "run"
    shutil.copytree(small, out)
    again = cli("analyse", out, "--traits", "security", "--json")
    assert again.returncode == 0, again.stderr
    later = json.loads(again.stdout)
    assert {r["group"] for pair in later["traits"] for r in pair["rows"]} == {"security"}
    assert {**later, "traits": None} == {**found, "traits": None}
    redone = [line.split(":")[0] for line in again.stderr.splitlines() if not line.endswith("already done")]
    assert not [stage for stage in redone if stage in ("curate", "score") or stage.startswith("train")]


def stages_done(out: Path) -> int:
    manifest = out / "manifest.json"
    return len(json.loads(manifest.read_text())["stages"]) if manifest.exists() else 0


def test_sigkill_anywhere_and_again_gives_the_same_report(small: Path, tmp_path: Path) -> None:
    out, own_cache = tmp_path / "run", tmp_path / "cache"
    rng = random.Random(5)
    killed = []
    for stages in (0, 0, 3, 4, 6):  # twice while curating, in both trainings, while answering
        child = demo(out, own_cache, *SMALL)
        while child.poll() is None and stages_done(out) < stages:
            time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(rng.uniform(0.1, 1.0) + (4.0 if stages == 0 else 0.0))
        child.kill()
        child.communicate()
        killed.append(child.returncode == -signal.SIGKILL)
    assert sum(killed) >= 4
    child = demo(out, own_cache, *SMALL)
    child.communicate()
    assert child.returncode == 0
    assert pages(out) == pages(small)
    assert not list(out.rglob("*.part"))


def test_lost_files_are_made_again_and_nothing_else_changes(small: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(small, out)
    shutil.rmtree(out / "arms" / "start" / "micro")
    for name in ("scores.json", "train/model/config.json", "report/report.md", "data/hits.jsonl"):
        (out / name).unlink()
    child = demo(out, cache, *SMALL)
    text, errors = child.communicate(timeout=600)
    assert child.returncode == 0, errors
    assert "train:curated" in json.loads(text)["ran"]
    assert "train:raw" not in json.loads(text)["ran"]
    assert pages(out) == pages(small)


def test_stopping_after_training_trains_every_arm(tmp_path: Path, cli: Cli) -> None:
    result = cli("train", "micro-demo", "--out", "run", "--set", "sources.0.limit=150", "--set", "train.epochs=0.2",
                 "--set", "arms=[{name: raw-0, rows: raw}, {name: raw, rows: raw}]", "--json")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "arms" / "raw" / "train" / "summary.json").exists()
    assert not (tmp_path / "run" / "report").exists()


def test_ctrl_c_says_how_to_go_on_and_twice_ends_at_once(tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "run"
    child = demo(out, cache, *SMALL)
    deadline = time.monotonic() + 60
    while not (out / "manifest.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == "codefit: interrupted; run the same command again to go on"
    again = demo(out, cache, *SMALL)
    time.sleep(1.5)
    again.send_signal(signal.SIGINT)
    again.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = again.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert again.returncode == 130
    assert "Traceback" not in errors


def test_the_summary_says_whether_the_gate_is_passed_and_what_keeps_it_shut(small: Path, cli: Cli) -> None:
    gate = json.loads((small / "scores.json").read_text())["gate"]
    shown = cli("demo", "--out", small, *SMALL)
    assert shown.returncode == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("Gate: ")]
    assert (line == "Gate: passed") is gate["passed"]
    if not gate["passed"]:
        assert f"lower bound is {gate['suites'][0]['lower_bound']:+.1f} points, not above 0" in line


def test_another_recipe_in_the_folder_is_refused(small: Path, cli: Cli) -> None:
    result = cli("demo", "--out", small, "--set", "train.epochs=7")
    assert result.returncode == 2
    assert "another recipe or other settings" in one_line(result)


def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    script = 'mkdir -p "$1" && mount -t tmpfs -o size=700k tmpfs "$1" || exit 99; shift; exec "$@"'
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path / "probe"), "true"])
    if probe.returncode != 0:
        pytest.skip("needs user namespaces")
    out = tmp_path / "disk"
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(out), sys.executable, "-m", "codefit", "demo",
         "--out", str(out / "run"), *SMALL],
        capture_output=True, text=True, timeout=300, env={**os.environ, "CODEFIT_CACHE": str(tmp_path / "c")},
    )  # fmt: skip
    assert result.returncode == 3
    assert "no space left" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
