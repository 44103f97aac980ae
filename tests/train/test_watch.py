"""Watching changes no weight; stopping early is exact; what is no number stops a training."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from codefit.core.progress import Event, silent
from codefit.core.recipe import TrainSettings
from codefit.core.watches import ChooseSettings, DevelopSettings
from codefit.train import loop
from codefit.train.diverged import LossDiverged
from codefit.train.loop import train
from codefit.train.steps import LoraSteps
from tests.train.test_trajectory import assert_same, make_job, weights
from tests.train.tiny import random_examples, tiny_model

HELD = random_examples(6, seed=99)
DEVELOP = DevelopSettings(suite="micro-dev", every=3)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "start")


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def answers(model: Any) -> dict[str, Any]:
    """Let the model write something, as a development set does."""
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    assert not model.training
    out = model.generate(input_ids=ids, attention_mask=ids > 0, max_new_tokens=4, do_sample=False)
    return {"suite": "tiny", "passed": int(out.sum()) % 3, "n": 2, "value": None, "ci95": None}


@pytest.mark.parametrize(
    "ways", [{"method": "full"}, {"method": "lora"}, {"optimizer": "adamw8"}, {"lean": True}]
)
def test_watching_leaves_every_byte_of_the_trajectory(
    model: Path, tmp_path: Path, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if ways.pop("lean", False):
        ways = {"method": "lora"}
        monkeypatch.setattr(loop, "make_steps", lambda t, s, examples, *rest: LoraSteps(t, s, examples))
    train(make_job(model, **ways), tmp_path / "a", "x", silent)
    watched = {"validation": HELD, "validation_rows": 6, "validate_every": 2, "develop": DEVELOP}
    train(make_job(model, **ways, **watched), tmp_path / "b", "x", silent, answers)
    assert_same(tmp_path / "a", tmp_path / "b", exact=True)
    log = entries(tmp_path / "b")
    assert [e["step"] for e in log if "develop" in e] == [
        s for s in range(1, len(log) + 1) if s % 3 == 0 or s == len(log)
    ]


def test_progress_says_what_was_seen_last(model: Path, tmp_path: Path) -> None:
    said: list[Event] = []
    watched = {"validation": HELD, "validation_rows": 6, "validate_every": 2, "develop": DEVELOP}
    train(make_job(model, method="lora", **watched), tmp_path / "a", "x", said.append, answers)
    line = next(e.message for e in said if e.message.startswith("step 3,"))
    assert re.fullmatch(
        r"step 3, loss [\d.]+, [\d,]+ tokens/s, validation [\d.]+, KL [\d.]+, tiny \d/2", line
    )
    assert said[-1].finished
    assert "over-fitted" in said[-1].message


def stopping(model: Path, **changes: Any) -> loop.Job:
    """Return a job whose validation loss soon rises: random rows, learnt by heart."""
    ways = {"learning_rate": 0.03, "budget": 6000, "validation": HELD, "validation_rows": 6, "validate_every": 2,
            "early_stop": 2, "save_every": 5}  # fmt: skip
    return make_job(model, **{**ways, **changes})


@pytest.mark.parametrize("method", ["full", "lora"])
def test_early_stopping_keeps_the_best_weights(model: Path, tmp_path: Path, method: str) -> None:
    summary = train(stopping(model, method=method), tmp_path / "a", "x", silent)
    log = entries(tmp_path / "a")
    seen = {e["step"]: e["val_loss"] for e in log if "val_loss" in e}
    best = min(seen, key=lambda s: (seen[s], s))
    assert summary["early_stop"] == {"patience": 2, "stopped": True}
    assert summary["kept_step"] == best
    assert summary["val_loss"] == seen[best]
    assert sum(s > best for s in seen) == 2
    assert summary["trained_tokens"] < 6000
    assert summary["overfit"]["best_step"] == best
    names = [p.name for p in (tmp_path / "a" / "checkpoints").iterdir()]
    assert f"step-{best:07d}.pt" in names
    assert len(names) <= 3
    # The weights that were written are those of the best step, not of the last one.
    state = torch.load(tmp_path / "a" / "checkpoints" / f"step-{best:07d}.pt", weights_only=True)
    found = weights(tmp_path / "a")
    kept = {n.replace(".default", ""): v for n, v in state["weights"].items()}
    assert found.keys() <= kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in found.items())


def test_a_run_that_is_never_stopped_still_keeps_its_best(model: Path, tmp_path: Path) -> None:
    summary = train(stopping(model, early_stop=1000), tmp_path / "a", "x", silent)
    assert summary["early_stop"]["stopped"] is False
    assert summary["kept_step"] < summary["steps"]
    assert summary["val_loss"] == min(e["val_loss"] for e in entries(tmp_path / "a") if "val_loss" in e)


@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_killed_and_resumed_an_early_stop_is_exact(model: Path, tmp_path: Path, at: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    wanted = train(stopping(model), whole, "x", silent)

    class Killed(Exception):
        pass

    steps = iter(range(1000))

    def stop(event: object) -> None:
        if next(steps) == at:
            raise Killed

    with pytest.raises(Killed):
        train(stopping(model), broken, "x", stop)
    found = train(stopping(model), broken, "x", silent)
    assert {k: v for k, v in found.items() if k != "speed"} == {
        k: v for k, v in wanted.items() if k != "speed"
    }
    assert_same(whole, broken, exact=True)
    again = train(stopping(model), broken, "x", silent)  # a finished one trains no further
    assert again["steps"] == wanted["steps"]
    assert_same(whole, broken, exact=True)


_SCRIPT = """
import sys
from pathlib import Path
from codefit.core.progress import silent
from codefit.train.loop import train
from tests.train.test_watch import stopping
train(stopping(Path(sys.argv[1])), Path(sys.argv[2]), "x", silent)
"""


@pytest.mark.release
def test_sigkill_while_watching_loses_nothing(model: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(stopping(model), whole, "x", silent)
    command = [sys.executable, "-c", _SCRIPT, str(model), str(broken)]
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    child = subprocess.Popen(command, cwd=root, env=env)
    deadline = time.monotonic() + 120
    while not list((broken / "checkpoints").glob("step-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    subprocess.run(command, cwd=root, env=env, check=True)
    assert_same(whole, broken, exact=True)


def test_a_step_that_is_no_number_saves_its_batch_and_nothing_else(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    job = make_job(model, save_every=2)
    with pytest.raises(LossDiverged, match=r"loss is not finite at step 6; its rows are in diverged.json"):
        train(job, out, "x", poisoned_at(5))
    saved = json.loads((out / "diverged.json").read_text())
    assert (saved["step"], saved["what"], saved["figures"]["loss"]) == (6, "loss", "nan")
    by_id = {e.row_id: e for e in job.examples}
    batch = [row for members in saved["bins"] for row in members]
    assert saved["rows"] == [row["row_id"] for row in batch]
    assert batch
    for row in batch:
        assert tuple(row["token_ids"]) == by_id[row["row_id"]].token_ids
        assert tuple(row["labels"]) == by_id[row["row_id"]].labels
    assert [e["step"] for e in entries(out)] == [1, 2, 3, 4, 5]
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-0000002.pt", "step-0000004.pt"]
    assert not (out / "model").exists()
    assert not (out / "summary.json").exists()
    assert not list(out.rglob("*.part"))
    # The same command goes on from the last checkpoint, and the file goes with the fault.
    train(job, out, "x", silent)
    train(job, tmp_path / "b", "x", silent)
    assert_same(out, tmp_path / "b", exact=True)
    assert not (out / "diverged.json").exists()


def test_a_learning_rate_that_blows_up_is_stopped(model: Path, tmp_path: Path) -> None:
    weights_file = model / "model.safetensors"
    from safetensors.torch import load_file, save_file

    values = load_file(str(weights_file))
    values["model.norm.weight"] = torch.full_like(values["model.norm.weight"], 1e38)
    save_file(values, str(weights_file), metadata={"format": "pt"})
    with pytest.raises(LossDiverged, match="not finite at step 1"):
        train(make_job(model, learning_rate=0.99), tmp_path / "a", "x", silent)
    assert entries(tmp_path / "a") == []


def test_a_validation_that_is_no_number_stops_too(model: Path, tmp_path: Path) -> None:
    class Breaking(loop.Watch):
        def look(self, steps: Any, step: int, ends: bool) -> dict[str, Any]:
            if step == 4:
                with torch.no_grad():
                    steps.head_VD.fill_(float("inf"))
            return super().look(steps, step, ends)

    job = make_job(model, validation=HELD, validation_rows=6, validate_every=2, save_every=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Watch", Breaking)
        with pytest.raises(LossDiverged, match="validation loss is not finite at step 4"):
            train(job, tmp_path / "a", "x", silent)
    saved = json.loads((tmp_path / "a" / "diverged.json").read_text())
    assert saved["rows"] == [e.row_id for e in HELD]
    assert [e["step"] for e in entries(tmp_path / "a")] == [1, 2, 3]


def poisoned_at(step: int) -> Any:
    """Return a listener that spoils the weights after a step, as an overflow would."""
    found: list[Any] = []
    original = loop.prepare

    def listen(event: Event) -> None:
        if event.message.startswith(f"step {step},"):
            with torch.no_grad():
                found[-1].head_VD.fill_(float("inf"))

    def prepare(*args: Any) -> Any:
        found.append(original(*args))
        return found[-1]

    loop.prepare = prepare  # type: ignore[assignment]
    return listen


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "prepare", loop.prepare)


_CHANGED: dict[str, Any] = {
    "method": "lora", "learning_rate": 1e-3, "epochs": 2.0, "batch_size": 2, "micro_batch": 2, "warmup": 0.2,
    "weight_decay": 0.1, "max_grad_norm": 0.5, "optimizer": "adamw8", "lora_rank": 8, "lora_alpha": 8,
    "rslora": True, "recompute": True, "offload": True, "host_embedding": True, "cuda_graphs": True, "engine": "trl",
    "processes": 2, "shard": True, "dtype": "bfloat16", "device": "cpu", "threads": 2,
    "seed": 3, "validation_rows": 6, "validate_every": 5, "early_stop": 2, "develop": DEVELOP,
    "choose": ChooseSettings(scales=(0.5,)), "report_to": ("tensorboard",), "save_every": 7,
}  # fmt: skip


def documented() -> dict[str, str]:
    """Return, by field, what docs/training.md says of changing it when a run is resumed."""
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_.]+)` \| (yes|no)\b", text, re.MULTILINE)
    return {name: word for name, word in rows if "." not in name}


@pytest.mark.parametrize("name", sorted(TrainSettings.model_fields))
def test_what_the_table_says_of_resuming_is_so(model: Path, name: str) -> None:
    job = make_job(model)
    other = replace(job, settings=job.settings.model_copy(update={name: _CHANGED[name]}))
    assert job.settings != other.settings
    assert documented()[name] == ("yes" if other.key() == job.key() else "no")


def test_steps_between_validations_decide_where_a_run_may_stop_early(model: Path) -> None:
    job = stopping(model)
    assert stopping(model, validate_every=3).key() != job.key()
    watched = stopping(model, early_stop=None)
    assert stopping(model, early_stop=None, validate_every=3).key() == watched.key()


def test_checkpoints_to_average_are_where_they_were(model: Path) -> None:
    ways = {"method": "lora", "choose": ChooseSettings(average_last=2), "develop": DEVELOP}
    assert make_job(model, **ways).key() != make_job(model, **ways, save_every=9).key()


def test_a_run_resumed_with_other_watches_ends_the_same(model: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(make_job(model, validation=HELD), whole, "x", silent)

    class Killed(Exception):
        pass

    steps = iter(range(100))

    def stop(event: object) -> None:
        if next(steps) == 6:
            raise Killed

    with pytest.raises(Killed):
        train(make_job(model, validation=HELD), broken, "x", stop)
    other = make_job(model, validation=HELD, validate_every=2, develop=DEVELOP, save_every=1)
    train(other, broken, "x", silent, answers)
    assert_same(whole, broken, exact=True)
