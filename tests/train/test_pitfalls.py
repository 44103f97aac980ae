"""Known pitfalls of tuning that no other test looks at; docs/pitfalls.md lists all of them with their tests."""

from __future__ import annotations

import json
import math
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

from codefit.core.progress import silent
from codefit.core.recipe import TrainSettings
from codefit.core.units import MIB
from codefit.models.load import load_model
from codefit.models.start import shape_file
from codefit.plan.memory import estimate
from codefit.plan.setting import Setting
from codefit.plan.shape import read_shape
from codefit.publish.merge import export_merged
from codefit.train import divergence, loop, schedule
from codefit.train.batch import concatenate
from codefit.train.held_out import look
from codefit.train.lean import LeanModel, full_layers
from codefit.train.loop import train
from codefit.train.loss import chunked_cross_entropy
from codefit.train.lowbit import LowBitAdam
from codefit.train.model import prepare
from codefit.train.steps import make_steps
from tests.format.words import byte_tokenizer
from tests.train.test_trajectory import make_job, plain_steps
from tests.train.tiny import PAD, random_examples, tiny_model


def test_every_test_that_the_page_of_pitfalls_names_exists() -> None:
    root = Path(__file__).parents[2]
    rows = [x for x in (root / "docs" / "pitfalls.md").read_text().splitlines() if re.match(r"\| \d+ ", x)]
    assert [int(x.split("|")[1]) for x in rows] == list(range(1, 25))
    for line in rows:
        files: list[str] = []
        for name in re.findall(r"`([a-z_/]+/test_\w+\.py|test_\w+)`", line):
            if name.endswith(".py"):
                files.append((root / "tests" / name).read_text())
            else:
                assert any(f"def {name}(" in text for text in files) or "Not done" in line, name
        assert files or "Not done" in line


class Largest(TorchDispatchMode):
    """Notes the number of values of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.values = max(self.values, tensor.untyped_storage().nbytes() // tensor.element_size())
        return out


def test_the_heads_gradient_in_bfloat16_gets_no_worse_with_more_chunks() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(1024, 32).bfloat16()
    head = (torch.randn(50, 32) * 0.2).bfloat16()
    labels = torch.randint(0, 50, (1024,))
    exact = head.float().requires_grad_()
    F.cross_entropy(hidden.float() @ exact.T, labels, reduction="sum").backward()
    assert exact.grad is not None
    errors = []
    for chunk in (1024, 64, 1):
        own = head.clone().requires_grad_()
        chunked_cross_entropy(hidden, own, labels, chunk).backward()
        assert own.grad is not None
        errors.append(float((own.grad.float() - exact.grad).norm() / exact.grad.norm()))
    assert max(errors) < 0.01
    assert errors[2] < 1.5 * errors[0]  # sums over chunks are float32


@pytest.mark.parametrize("bits", [8, 4])
def test_a_thousand_tiny_decays_shrink_a_bfloat16_weight_as_they_shrink_a_float32_one(bits: int) -> None:
    lost = {}
    for dtype in (torch.float32, torch.bfloat16):
        weight = torch.ones(4096, dtype=dtype)
        adam = LowBitAdam({"w": weight}, bits=bits, weight_decay=0.01)
        for _ in range(1000):
            adam.begin(1e-4)
            adam.update("w", torch.zeros(4096, dtype=dtype))
        lost[dtype] = 1 - weight.double().mean().item()
    assert lost[torch.float32] == pytest.approx(1e-3, rel=0.03)
    assert lost[torch.bfloat16] == pytest.approx(1e-3, rel=0.15)


@pytest.mark.parametrize(("optimizer", "most"), [("adamw8", 2.05), ("adamw4", 1.1)])
def test_every_moment_has_few_bits_the_embeddings_too(tmp_path: Path, optimizer: Any, most: float) -> None:
    job = make_job(tiny_model(tmp_path / "m", vocab=1000), optimizer=optimizer)
    steps = make_steps(prepare(job.model, job.settings, 0), job.settings, job.examples, PAD, 0)
    moments = steps.optimizer.moments  # type: ignore[attr-defined]
    assert "model.embed_tokens.weight" in moments
    for name, parameter in steps.trainable.items():
        tensors = moments[name].tensors()
        assert tensors["first"].dtype == tensors["second"].dtype == torch.uint8
        if parameter.numel() % 256 == 0:
            assert sum(t.nbytes for t in tensors.values()) <= most * parameter.numel()


def test_no_step_and_no_evaluation_makes_logits_of_more_rows_than_a_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codefit.train.plain.CHUNK", 16)
    vocab, rows = 5000, random_examples(24, shortest=20, longest=20)
    job = make_job(tiny_model(tmp_path / "m", vocab=vocab), method="lora", examples=rows, validation=rows)
    steps = plain_steps(job)
    step = next(schedule.steps(rows, capacity=48, per_step=4, budget=10**6, seed=0, start=loop.Cursor()))
    with Largest() as training:
        steps.step(step, 1e-3)
    with Largest() as evaluation:
        look(steps, job.validation, len(rows))
    scored = sum(rows[i].trained_tokens for b in step.bins for i in b)
    assert scored > 64
    weights = vocab * 32  # the embedding is the largest tensor there is
    assert 16 * vocab <= training.values <= weights
    assert sum(r.trained_tokens for r in rows) > 2 * divergence.CHUNK
    assert evaluation.values <= divergence.CHUNK * vocab


def test_packed_documents_of_the_lean_decoder_never_make_a_square_of_their_tokens(tmp_path: Path) -> None:
    rows = random_examples(40, shortest=20, longest=20)
    model = AutoModelForCausalLM.from_pretrained(str(tiny_model(tmp_path / "m")), dtype=torch.float32)
    lean = LeanModel(model, full_layers(model), recompute=0, chunk=16)
    batch = concatenate(rows, [list(range(40))], "cpu")
    with Largest() as seen:
        lean.forward_backward(batch, 1.0)
    assert seen.values < len(batch.ids_T) ** 2 / 4


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_base_has_the_dtype_asked_for_and_adapters_are_float32(tmp_path: Path, dtype: Any) -> None:
    settings = TrainSettings(method="lora", dtype=dtype, device="cpu")
    trainee = prepare(tiny_model(tmp_path / "m"), settings, 0)
    kinds: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    for parameter in trainee.outer.parameters():
        kinds[parameter.requires_grad].add(parameter.dtype)
    assert kinds == {False: {getattr(torch, dtype)}, True: {torch.float32}}
    assert trainee.head_VD.data_ptr() == trainee.model.get_input_embeddings().weight.data_ptr()


_LOAD = """
import gc, sys
from pathlib import Path
import torch, transformers
from codefit.models.load import load_model
load_model(Path(sys.argv[1]), dtype="bfloat16", device="cpu")  # all that loading imports
print("ready", flush=True)
for line in sys.stdin:
    kept = [load_model(Path(sys.argv[2]), dtype="bfloat16", device="cpu") for _ in range(int(line))]
    del kept
    gc.collect()
    print("done", flush=True)
"""


def anonymous_mib(pid: int) -> float:
    """Return the memory of a process that no file stands behind: a mapped file of weights is not in it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("RssAnon")).split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_makes_no_second_copy_of_the_weights(tmp_path: Path) -> None:
    """Two copies on purpose show that the measure sees them."""
    small, large = tiny_model(tmp_path / "small"), tiny_model(tmp_path / "large", vocab=600_000)
    weights_mib = 600_000 * 32 * 2 / 2**20
    command = [sys.executable, "-c", _LOAD, str(small), str(large)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()
        for copies in (1, 2):
            before = peak = anonymous_mib(child.pid)
            child.stdin.write(f"{copies}\n")
            child.stdin.flush()
            while not select.select([child.stdout], [], [], 0.001)[0]:
                peak = max(peak, anonymous_mib(child.pid))
            assert child.stdout.readline() == "done\n"
            assert copies * weights_mib * 0.9 < peak - before < (copies + 0.5) * weights_mib
        child.stdin.close()


_RELOAD = """
import json, sys
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
with torch.no_grad():
    logits = model(torch.tensor([[5, 9, 11, 40]])).logits
tied = model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
print(json.dumps({"logits": logits.flatten().tolist(), "tied": tied, "flag": model.config.tie_word_embeddings}))
"""


def test_a_merged_model_gives_the_adapters_logits_in_a_fresh_process_and_stays_tied(tmp_path: Path) -> None:
    start = tiny_model(tmp_path / "start", vocab=260)
    train(make_job(start, method="lora", learning_rate=0.02), tmp_path / "run", "x", silent)
    export_merged(start, tmp_path / "run" / "adapter", byte_tokenizer(), tmp_path / "out")
    command = [sys.executable, "-c", _RELOAD, str(tmp_path / "out")]
    found = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    )
    adapted = load_model(start, dtype="float32", device="cpu", adapter=tmp_path / "run" / "adapter")
    with torch.no_grad():
        expected = adapted(torch.tensor([[5, 9, 11, 40]])).logits.flatten()
    torch.testing.assert_close(torch.tensor(found["logits"]), expected, rtol=1e-4, atol=1e-4)
    assert found["tied"]
    assert found["flag"] is True


@trials(max_examples=100, deadline=None)
@given(peak=st.floats(1e-6, 0.9), warmup=st.floats(0, 0.5), steps=st.integers(4, 400))
def test_warm_up_ends_and_the_rate_ends_near_zero_whatever_the_number_of_steps(
    peak: float, warmup: float, steps: int
) -> None:
    rates = [schedule.learning_rate(peak, (n + 0.5) / steps, warmup) for n in range(steps)]
    top = rates.index(max(rates))
    assert all(0 <= r <= peak for r in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= warmup * steps + 1  # the warm-up is a share of the training, so that it always ends
    assert rates[-1] <= peak * 0.5 * (1 + math.cos(math.pi * (1 - 1 / steps))) * (1 + 1e-9)
    assert schedule.learning_rate(peak, 1.0, warmup) == pytest.approx(0, abs=1e-12)


def test_tokens_a_second_count_no_padding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(ticks)))
    job = make_job(tiny_model(tmp_path / "m"), budget=400)
    train(job, tmp_path / "a", "x", silent)
    found = [
        json.loads(line)["tokens_per_s"] for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()
    ]
    steps = schedule.steps(
        job.examples, capacity=job.capacity, per_step=4, budget=400, seed=job.seed, start=loop.Cursor()
    )
    expected = [sum(len(job.examples[i].token_ids) for b in s.bins for i in b) for s in steps]
    assert found == expected  # every step takes one second of this clock


def test_the_plan_of_the_second_engine_is_near_what_a_gpu_allocated() -> None:
    """TRL 1.16 on an H100 capped to 8 GB: 3,763.8 MiB with all layers recomputed, out of memory with none."""
    shape = read_shape(shape_file("qwen2.5-coder-1.5b"))
    found = [estimate(shape, Setting("lora", 1, 2048, r, 16, 2, "cuda", engine="trl")) for r in (28, 0)]
    beside = [e.components["slack"] + e.components["context"] for e in found]
    assert (found[0].peak - beside[0]) / MIB == pytest.approx(3763.8, rel=0.01)
    assert found[1].peak > 8188 * MIB
