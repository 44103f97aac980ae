"""The development set and the choice of weights through the command line, in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from codefit.core.errors import InputError
from codefit.core.progress import silent
from codefit.core.recipe import load_recipe
from codefit.pipeline.choose import _Candidate
from codefit.pipeline.context import Context
from codefit.pipeline.develop import check_watches, development
from codefit.score.interval import wilson
from tests.shared_data import shared_data

SMALL = ("sources.0.limit=200", "train.epochs=2", "train.validation_rows=20", "train.validate_every=4",
         "train.develop.every=6", "train.develop.limit=16", "train.save_every=4", "evaluate.0.limit=6",
         "train.choose.scales=[0, 0.5]", "train.choose.average_last=2", "curate.steps=[normalise, syntax]")  # fmt: skip


def command(out: Path, *more: str) -> list[str]:
    settings = [part for text in (*SMALL, *more) for part in ("--set", text)]
    return [sys.executable, "-m", "codefit", "run", "micro-watched", "--out", str(out), "--json", *settings]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**os.environ, "CODEFIT_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(out), env=env, check=True, capture_output=True, timeout=900)
    return out


def choice(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "train" / "choice.json").read_text()))


def test_every_candidate_is_answered_counted_and_the_best_one_published(whole: Path) -> None:
    found = choice(whole)
    assert [c["name"] for c in found["candidates"]] == ["scale 0", "scale 0.5", "as trained", "average of 2"]
    for c in found["candidates"]:
        assert c["n"] == 16
        assert c["value"] == c["passed"] / 16
        assert c["ci95"] == pytest.approx(wilson(c["passed"], 16))
    best = max(c["passed"] for c in found["candidates"])
    chosen = next(c for c in found["candidates"] if c["name"] == found["chosen"])
    assert chosen["passed"] == best
    # The figure while training is that of the same weights on the same tasks.
    log = [json.loads(line) for line in (whole / "train" / "log.jsonl").read_text().splitlines()]
    trained = next(c for c in found["candidates"] if c["name"] == "as trained")
    assert log[-1]["develop"]["passed"] == trained["passed"]
    assert [e["step"] for e in log if "develop" in e] == [*range(6, len(log), 6), len(log)]
    chosen_folder = whole / "train" / "chosen"
    base = json.loads((chosen_folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(chosen_folder))
    published = AutoModelForCausalLM.from_pretrained(str(whole / "train" / "model")).state_dict()
    for name, value in model.merge_and_unload().state_dict().items():
        torch.testing.assert_close(value, published[name])
    assert not list((whole / "train" / "choose").glob("*/weights"))


@pytest.mark.release
def test_a_killed_choice_goes_on_with_the_candidate_at_which_it_stood(
    whole: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    out = tmp_path / "run"
    ledger = out / "train" / "choose" / "candidates.jsonl"
    child = subprocess.Popen(command(out), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 600
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (out / "train" / "choice.json").exists()
    before = ledger.read_bytes()
    done = subprocess.run(command(out), env=env, check=True, capture_output=True, text=True, timeout=900)
    assert "train:curated" not in json.loads(done.stdout)["ran"]
    assert ledger.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    assert choice(out) == choice(whole)
    weights = Path("train", "chosen", "adapter_model.safetensors")
    assert (out / weights).read_bytes() == (whole / weights).read_bytes()
    for page in ("report.json", "report.md"):
        assert (out / "report" / page).read_bytes() == (whole / "report" / page).read_bytes()


def test_a_finished_run_does_nothing_and_may_be_watched_otherwise(whole: Path, env: dict[str, str]) -> None:
    for more in ((), ("train.save_every=4", "train.validate_every=9", "train.develop.every=3")):
        done = subprocess.run(command(whole, *more), env=env, check=True, capture_output=True, text=True)
        assert json.loads(done.stdout)["ran"] == []
    refused = subprocess.run(
        command(whole, "train.choose.scales=[1]"), env=env, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "other settings" in refused.stderr


RECIPE = """\
name: mine
model: {name: micro}
sources:
  - {kind: micro}
train: {develop: DEVELOP}
evaluate:
  - EVALUATE
"""


def context(tmp_path: Path, develop: str, evaluate: str) -> Context:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("DEVELOP", develop).replace("EVALUATE", evaluate), encoding="utf-8")
    return Context(load_recipe(path), tmp_path / "out", tmp_path / "cache", silent, frozenset())


@pytest.mark.parametrize(
    ("develop", "evaluate"),
    [("{suite: micro}", "{name: micro}"), ("{suite: mbpp+, data: x}", "{name: mbpp, data: x}")],
)
def test_a_suite_that_is_evaluated_is_no_development_set(tmp_path: Path, develop: str, evaluate: str) -> None:
    with pytest.raises(
        InputError, match="is evaluated, and what chose the weights cannot test them"
    ) as caught:
        context(tmp_path, develop, evaluate)
    assert "\n" not in caught.value.line()


def own(tmp_path: Path, *tasks: tuple[str, str, str]) -> Path:
    path = tmp_path / "own.jsonl"
    lines = [
        {"task_id": i, "prompt": prompt, "entry_point": "f", "reference": code, "tests": ["assert f(1) == 1"]}
        for i, prompt, code in tasks
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_copy_of_a_test_task_is_refused_or_left_out(tmp_path: Path) -> None:
    from codefit import micro

    tested = micro.tasks("test")[7]
    path = own(tmp_path, ("a", f"  {tested.prompt.upper()}\n", "def f(x):\n    return x"),
               ("b", "Return x.", "def f(x):\n    return x * 1"))  # fmt: skip
    with pytest.raises(
        InputError, match="1 of 2 development tasks are tasks of a test set too, such as a of micro"
    ):
        check_watches(context(tmp_path, f"{{suite: {path}}}", "{name: micro, limit: 3}"))
    where = context(tmp_path, f"{{suite: {path}, skip_overlap: true}}", "{name: micro}")
    found = development(where, where.recipe.arms[0])
    assert found is not None
    assert [t.task_id for t in found.tasks] == ["b"]


def test_a_development_set_that_is_all_tested_is_refused(tmp_path: Path) -> None:
    from codefit import micro

    path = own(tmp_path, ("a", micro.tasks("test")[0].prompt, "def f(x):\n    return x"))
    with pytest.raises(InputError, match="every task is a task of a test set too"):
        check_watches(context(tmp_path, f"{{suite: {path}, skip_overlap: true}}", "{name: micro}"))


def test_the_two_splits_of_the_micro_world_share_nothing(tmp_path: Path) -> None:
    where = context(tmp_path, "{suite: micro-dev}", "{name: micro}")
    found = development(where, where.recipe.arms[0])
    assert found is not None
    assert len(found.tasks) == 120


def test_mbpp_validation_tasks_that_mbpp_plus_asks_are_found(tmp_path: Path) -> None:
    mbpp, plus = shared_data("mbpp.jsonl.gz"), shared_data("mbpp_plus_v0.2.0.jsonl.gz")
    develop = f"{{suite: mbpp-dev, data: {mbpp}}}"
    where = context(tmp_path, develop, f"{{name: mbpp, data: {mbpp}}}")
    found = development(where, where.recipe.arms[0])
    assert found is not None
    ids = [int(t.task_id.removeprefix("Mbpp/")) for t in found.tasks]
    assert ids == list(range(511, 601))
    with pytest.raises(InputError, match=r"39 of 90 development tasks .*; .*skip_overlap"):
        check_watches(context(tmp_path, develop, f"{{name: mbpp+, data: {plus}}}"))
    where = context(tmp_path, develop.replace("}", ", skip_overlap: true}"), f"{{name: mbpp+, data: {plus}}}")
    left = development(where, where.recipe.arms[0])
    assert left is not None
    assert len(left.tasks) == 51


def test_an_equal_count_goes_to_the_weights_as_trained_then_to_the_nearest_scale() -> None:
    def candidate(scale: float, *steps: int) -> _Candidate:
        return _Candidate("", scale, steps, "", None)

    order = [
        candidate(1.0),
        candidate(1.25),
        candidate(0.75),
        candidate(0.5),
        candidate(0.0),
        candidate(1.0, 3, 4),
    ]
    assert sorted(reversed(order), key=lambda c: c.rank) == order


def test_a_tracker_that_is_missing_is_told_before_anything_runs(tmp_path: Path, env: dict[str, str]) -> None:
    blocked = tmp_path / "blocked" / "sitecustomize.py"
    blocked.parent.mkdir()
    blocked.write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'wandb' else real(name, *rest)\n"
    )
    path = f"{blocked.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        command(tmp_path / "run", "train.report_to=[wandb]"), env={**env, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3
    (line,) = done.stderr.strip().splitlines()
    assert "train.report_to names wandb, which is not installed; pip install 'wandb'" in line
    assert not (tmp_path / "run" / "data").exists()
