"""The second engine in real processes: the same training, killed and resumed, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import AutoModelForCausalLM

from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.progress import Event, silent
from codefit.core.recipe import TrainSettings, load_recipe
from codefit.pipeline import RunResult, run_recipe
from codefit.train import loop
from codefit.train.trl import launch, saved
from codefit.train.trl.job_file import Order, read_order, write_order
from codefit.train.trl.layout import Layout
from codefit.train.trl.messages import as_error, heard, say_error
from codefit.train.trl.worker import all_steps
from tests.format.words import byte_tokenizer
from tests.train.test_trajectory import assert_same, losses, make_job, weights
from tests.train.tiny import random_examples, tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tiny_model(tmp_path / "start", vocab=260)
    byte_tokenizer().save_pretrained(str(folder))
    return folder


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same_course(ours: Path, theirs: Path, *, rel: float = 2e-6) -> None:
    """Check that two trainings took the same steps at the same rates to the same weights."""
    a, b = log_of(ours), log_of(theirs)
    assert len(a) == len(b) > 5
    for x, y in zip(a, b, strict=True):
        assert (x["step"], x["trained_tokens"], x["lr"]) == (y["step"], y["trained_tokens"], y["lr"])
        assert y["loss"] == pytest.approx(x["loss"], rel=rel)
        assert y["grad_norm"] == pytest.approx(x["grad_norm"], rel=10 * rel)
    assert (b[-1].get("val_loss") or 0) == pytest.approx(a[-1].get("val_loss") or 0, rel=rel)
    left, right = weights(ours), weights(theirs)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(right[name], tensor, rtol=1e-3, atol=2e-5)


@pytest.mark.release
@pytest.mark.slow
def test_two_processes_take_the_steps_of_our_loop(model: Path, tmp_path: Path) -> None:
    # 5 bins a step for 2 processes: one of them gets a filler; the last step of an epoch is short.
    ways = {"method": "full", "batch_size": 5, "micro_batch": 2, "validation": random_examples(5, seed=9)}
    ours = loop.train(make_job(model, **ways), tmp_path / "a", "x", silent)
    heard_of: list[Event] = []
    job = make_job(model, engine="trl", processes=2, **ways)
    theirs = launch.train(job, tmp_path / "b", "x", heard_of.append)
    assert_same_course(tmp_path / "a", tmp_path / "b")
    assert theirs.keys() == ours.keys()
    for key in ("steps", "epochs", "trained_tokens", "parameters", "trainable_parameters", "weights", "rows"):
        assert theirs[key] == ours[key]
    assert (theirs["engine"], theirs["processes"]) == ("trl", 2)
    assert [e.done for e in heard_of] == [min(e["trained_tokens"], 1200) for e in log_of(tmp_path / "b")]
    assert not (tmp_path / "b" / "order").exists()
    saved_model = AutoModelForCausalLM.from_pretrained(str(tmp_path / "b" / "model"))
    assert saved_model.lm_head.weight.data_ptr() == saved_model.model.embed_tokens.weight.data_ptr()
    assert saved_model.dtype == torch.float32
    configs = [json.loads((tmp_path / x / "model" / "config.json").read_text()) for x in "ab"]
    assert configs[0] == configs[1]


def run_shards(order: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1",
               "--nproc-per-node", "2", "-m", "tests.train.fsdp_on_cpu", str(order)]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
           "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.release
@pytest.mark.parametrize("method", ["full", "lora"])
def test_shards_of_two_processes_take_the_steps_of_our_loop(model: Path, tmp_path: Path, method: str) -> None:
    """FSDP over gloo. accelerate has it for GPUs only, so these processes pass for such (`fsdp_on_cpu`)."""
    ways = {"method": method, "validation": random_examples(5, seed=9)}
    ours, theirs = tmp_path / "a", tmp_path / "b"
    loop.train(make_job(model, **ways), ours, "x", silent)
    job = make_job(model, engine="trl", processes=2, shard=True, device="cpu", **ways)
    write_order(theirs / "order", Order(job, theirs, "x", "key"))
    run_shards(theirs / "order")
    assert_same_course(ours, theirs)
    if method == "lora":
        shutil.rmtree(theirs / "checkpoints" / "checkpoint-13")  # as if killed after step 12
        shutil.rmtree(theirs / "adapter")
        run_shards(theirs / "order")
        assert_same_course(ours, theirs)


_SCRIPT = """
import sys
from pathlib import Path
from codefit.core.progress import silent
from codefit.train.trl.launch import train
from tests.train.test_trajectory import make_job
if __name__ == "__main__":
    job = make_job(Path(sys.argv[1]), method="lora", engine="trl", processes=2, save_every=2, budget=2500)
    train(job, Path(sys.argv[2]), "x", silent)
"""


def alive(words: str) -> list[int]:
    """Return the processes whose command line holds some words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if words.encode() in line:
                found.append(int(entry.name))
    return found


@pytest.mark.release
def test_a_run_killed_with_its_processes_goes_on_to_the_same_bytes(model: Path, tmp_path: Path) -> None:
    ours, whole, broken = tmp_path / "ours", tmp_path / "whole", tmp_path / "broken"
    ways = {"method": "lora", "save_every": 2, "budget": 2500}
    loop.train(make_job(model, **ways), ours, "x", silent)
    launch.train(make_job(model, engine="trl", processes=2, **ways), whole, "x", silent)
    assert_same_course(ours, whole)
    command = [sys.executable, "-c", _SCRIPT, str(model), str(broken)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    child = subprocess.Popen(command, cwd=ROOT, env=env)
    deadline = time.monotonic() + 120
    while not list((broken / "checkpoints").glob("*/codefit.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 10
    while alive(str(broken)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(str(broken)) == []
    steps = len(losses(whole))
    assert not (broken / "summary.json").exists()
    assert 0 < len(log_of(broken)) < steps
    subprocess.run(command, cwd=ROOT, env=env, check=True)
    assert_same(whole, broken, exact=True)
    assert sorted(p.name for p in (broken / "checkpoints").iterdir()) == sorted(
        p.name for p in (whole / "checkpoints").iterdir()
    )


@pytest.mark.release
def test_a_loss_that_is_not_finite_ends_in_the_one_line_of_our_loop(model: Path, tmp_path: Path) -> None:
    job = make_job(model, engine="trl", learning_rate=0.99, max_grad_norm=1e30, weight_decay=1e30)
    with pytest.raises(loop.LossDiverged, match="loss is not finite at step 2"):
        launch.train(job, tmp_path / "a", "x", silent)
    assert json.loads((tmp_path / "a" / "diverged.json").read_text())["rows"]


@pytest.mark.release
def test_processes_that_end_without_a_word_are_one_line_that_names_the_log(
    model: Path, tmp_path: Path
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()
    with pytest.raises(InputError, match="no tokenizer there"):
        launch.train(make_job(model, engine="trl"), tmp_path / "a", "x", silent)
    (model / "tokenizer.json").write_text("{}")
    (model / "tokenizer_config.json").write_text("[]")
    with pytest.raises(launch.EngineFailed, match=r"trl\.log: engine trl ended with code 1"):
        launch.train(make_job(model, engine="trl"), tmp_path / "b", "x", silent)
    assert "Traceback" in (tmp_path / "b" / "trl.log").read_text()


@pytest.mark.slow
def test_a_recipe_runs_through_the_second_engine_to_its_report(tmp_path: Path) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text(
        "name: two\nmodel: {name: micro}\nsources: [{kind: micro, limit: 60}]\nformat: {max_length: 256}\n"
        "curate: {steps: [normalise, language, syntax]}\n"
        "train: {engine: trl, processes: 2, method: lora, device: cpu, epochs: 2, batch_size: 4, save_every: 2,"
        " validation_rows: 4}\n"
        "generate: {max_new_tokens: 8}\nevaluate: [{name: micro, limit: 3}]\n"
    )

    def run() -> RunResult:
        return run_recipe(
            load_recipe(recipe), tmp_path / "run", cache=tmp_path, listen=silent, verbs=frozenset()
        )

    result = run()
    assert result.complete
    summary = json.loads((tmp_path / "run" / "train" / "summary.json").read_text())
    assert (summary["engine"], summary["processes"]) == ("trl", 2)
    assert summary["val_loss"] > 0
    assert len(result.scores()["scores"]) == 2
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["settings"]["micro_batch"] == 2
    assert run().ran == ()


@settings(max_examples=200, deadline=None)
@given(
    per_step=st.integers(1, 9), processes=st.integers(1, 5), micro=st.none() | st.integers(1, 9),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
)  # fmt: skip
def test_accelerate_deals_every_bin_to_one_process_in_its_own_step(
    per_step: int, processes: int, micro: int | None, counts: list[int]
) -> None:
    from accelerate.data_loader import BatchSamplerShard

    layout = Layout.of(per_step, processes, micro)
    assert layout.micro <= (micro or per_step)
    steps = [[(step, i) for i in range(min(count, per_step))] for step, count in enumerate(counts)]
    rows = [row for bins in steps for row in layout.rows(bins)]
    size = len(layout.rows([]))
    assert size * len(steps) == len(rows)
    batches = BatchSampler(SequentialSampler(rows), layout.micro, drop_last=False)
    shards = [list(BatchSamplerShard(batches, processes, rank)) for rank in range(processes)]
    assert {len(shard) for shard in shards} == {layout.accumulation * len(steps)}
    for step, bins in enumerate(steps):
        part = slice(step * layout.accumulation, (step + 1) * layout.accumulation)
        given_out = [[tuple(rows[i]) for batch in shard[part] for i in batch if rows[i]] for shard in shards]
        assert sorted(b for mine in given_out for b in mine) == bins
        assert max(map(len, given_out)) <= -(-len(bins) // processes) + layout.accumulation


@settings(max_examples=60, deadline=None)
@given(bins=st.integers(0, 20), processes=st.integers(1, 4), micro=st.integers(1, 4))
def test_held_out_rows_are_scored_once_in_as_many_batches_by_each_process(
    bins: int, processes: int, micro: int
) -> None:
    layout = Layout(processes, micro, 1)
    shares = layout.shares([[i] for i in range(bins)])
    assert len({len(share) for share in shares}) == 1
    assert sorted(i for share in shares for batch in share for b in batch for i in b) == list(range(bins))
    assert all(len(batch) == micro for share in shares for batch in share)


def test_an_order_reads_back_as_the_job_that_it_was(model: Path, tmp_path: Path) -> None:
    job = make_job(model, engine="trl", validation=random_examples(3, seed=1), memory=7000 * 2**20)
    write_order(tmp_path / "order", Order(job, tmp_path, "x", job.key()))
    found = read_order(tmp_path / "order")
    assert (found.folder, found.arm, found.key) == (tmp_path, "x", job.key())
    assert found.job.key() == job.key()
    assert [s.bins for s in all_steps(found.job)] == [s.bins for s in all_steps(job)]


def test_half_written_and_foreign_checkpoints_are_removed_and_the_newest_whole_one_is_taken(
    tmp_path: Path,
) -> None:
    for step in (2, 4, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (4, 10):
        saved.mark(tmp_path / f"checkpoint-{step}", "mine", step)
    saved.mark(tmp_path / "checkpoint-2", "other", 2)
    assert saved.discard(tmp_path, "mine")
    assert not saved.discard(tmp_path, "mine")
    assert saved.newest(tmp_path, "mine") == (tmp_path / "checkpoint-10", 10)
    assert saved.newest(tmp_path, "other") == (None, 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-4"]


@pytest.mark.parametrize("error", [
    InputError("a", where="b", todo="c"), MissingPrerequisite("a"), loop.LossDiverged("a", todo="lower it"),
])  # fmt: skip
def test_an_error_comes_through_as_it_was(error: Any, capsys: pytest.CaptureFixture[str]) -> None:
    say_error(error)
    message = heard(capsys.readouterr().out)
    assert message is not None
    found = as_error(message)
    assert (type(found), found.line(), found.exit_code) == (type(error), error.line(), error.exit_code)
    assert heard("Writing model shards: 100%\n") is None


@pytest.mark.parametrize(
    ("given_settings", "reason"),
    [
        ({"processes": 2}, "engine codefit runs on one device"),
        ({"shard": True}, "engine codefit runs on one device"),
        ({"engine": "trl", "method": "full", "optimizer": "adamw8"}, "does not take optimizer adamw8"),
        ({"engine": "trl", "offload": True}, "does not take offload"),
        ({"engine": "trl", "recompute": 3}, "all layers .true. or none"),
        ({"engine": "trl", "device": "cuda:1"}, "a GPU of its own"),
        ({"engine": "trl", "shard": True}, "shard with one process"),
        ({"engine": "trl", "shard": True, "processes": 2, "device": "cpu"}, "shard on a CPU"),
        ({"engine": "trl", "processes": 8, "batch_size": 4}, "batch_size 4 for 8 processes"),
        ({"engine": "trl", "offload": True, "recompute": 3}, "host_embedding or cuda_graphs; recompute 3"),
    ],
)
def test_what_an_engine_cannot_do_is_refused_with_the_reason(
    given_settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        TrainSettings(**given_settings)
    assert TrainSettings(engine="trl", recompute=True, processes=4).share_of_batch == 4


def test_more_processes_than_gpus_and_shards_on_a_cpu_are_refused_before_anything_starts(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingPrerequisite, match="shard needs GPUs"):
        launch.train(make_job(model, engine="trl", processes=2, shard=True), tmp_path / "a", "x", silent)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MissingPrerequisite, match="2 processes need as many GPUs; torch sees 1"):
        launch.train(make_job(model, engine="trl", processes=2), tmp_path / "a", "x", silent)
    assert not (tmp_path / "a").exists()


def test_without_the_extra_a_run_ends_before_its_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    recipe = tmp_path / "two.yaml"
    recipe.write_text("name: two\nmodel: {name: micro}\nsources: [{kind: micro}]\ntrain: {engine: trl}\n"
                      "evaluate: [{name: micro}]\n")  # fmt: skip
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPrerequisite, match=r"needs trl, accelerate, datasets; pip install 'codefit\[trl\]'"
    ):
        run_recipe(load_recipe(recipe), tmp_path / "run", cache=tmp_path, listen=silent, verbs=frozenset())
    assert not (tmp_path / "run").exists()
