"""Trackers: TensorBoard's own reader finds what the log holds; what is not installed is one line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from codefit.core.errors import MissingPrerequisite
from codefit.core.progress import silent
from codefit.train.loop import train
from codefit.train.track import require_trackers
from tests.train.test_trajectory import make_job
from tests.train.tiny import random_examples, tiny_model


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_a_tracker_that_is_not_installed_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingPrerequisite, match=rf"report_to names {name}, .*; pip install") as caught:
        require_trackers((name,))
    assert "\n" not in caught.value.line()


def test_tensorboard_holds_the_figures_of_the_log_also_after_a_kill(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "a"
    job = make_job(
        tiny_model(tmp_path / "start"), method="lora", validation=random_examples(4, seed=9), validation_rows=4,
        validate_every=2, report_to=("tensorboard",),
    )  # fmt: skip

    class Killed(Exception):
        pass

    steps = iter(range(100))

    def stop(event: object) -> None:
        if next(steps) == 7:
            raise Killed

    with pytest.raises(Killed):
        train(job, out, "x", stop)
    train(job, out, "x", silent)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    found = EventAccumulator(str(out / "tensorboard"))
    found.Reload()
    for name in ("loss", "grad_norm", "lr", "val_loss", "kl_to_start", "trained_tokens"):
        wanted = [(e["step"], e[name]) for e in log if e.get(name) is not None]
        seen = [(s.step, s.value) for s in found.Scalars(name)]
        assert [s for s, _ in seen] == [s for s, _ in wanted]
        assert [v for _, v in seen] == pytest.approx([v for _, v in wanted], rel=1e-5)
    assert "val_loss_by_source/all/loss" in found.Tags()["scalars"]
    assert "mfu" not in found.Tags()["scalars"]


def test_no_tracker_writes_no_events(tmp_path: Path) -> None:
    train(make_job(tiny_model(tmp_path / "start")), tmp_path / "a", "x", silent)
    assert not (tmp_path / "a" / "tensorboard").exists()
