"""The lean decoder computes what transformers and PEFT compute, and keeps less."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from codefit.core.errors import InputError
from codefit.core.progress import silent
from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.train import loop
from codefit.train.batch import Packed, Size, concatenate, padded
from codefit.train.divergence import token_losses
from codefit.train.lean import FlatAdapters, LeanModel, full_layers
from codefit.train.loop import Job, train
from codefit.train.steps import LoraSteps
from tests.train.tiny import PAD, random_examples, tiny_model

EXAMPLES = random_examples(12)
BINS = [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, attn_implementation="sdpa")


def tiny_llama(folder: Path) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=128, tie_word_embeddings=False, pad_token_id=PAD,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


@pytest.fixture(params=["tied qwen2", "untied qwen2", "llama"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "llama":
        return load(tiny_llama(tmp_path / "m"))
    return load(tiny_model(tmp_path / "m", tied=request.param == "tied qwen2"))


def adapted(model: Any) -> Any:
    torch.manual_seed(1)
    outer = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    for name, parameter in outer.named_parameters():
        if "lora_B" in name:  # zeros would hide what goes through them
            parameter.data.normal_(0, 0.1)
    return outer


def reference_loss(model: Any) -> Tensor:
    """Sum the loss of documents one by one by the library's own forward pass."""
    total = torch.zeros(())
    for i in (i for b in BINS for i in b):
        logits = model(torch.tensor([EXAMPLES[i].token_ids])).logits[0, :-1]
        labels = torch.tensor(EXAMPLES[i].labels[1:])
        total = total + F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    return total


def batch() -> Packed:
    return concatenate(EXAMPLES, BINS, "cpu")


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).norm() <= 2e-6 * expected.norm() + 1e-9


@pytest.mark.parametrize("recompute", [0, 1, 2])
def test_full_tuning_has_the_loss_and_gradients_of_transformers(model: Any, recompute: int) -> None:
    other = copy.deepcopy(model)
    loss = reference_loss(model)
    (loss * 0.1).backward()
    lean = LeanModel(other, full_layers(other), recompute=recompute, chunk=7)
    result = lean.forward_backward(batch(), 0.1)
    assert result.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert forward_loss(lean, other, batch()) == pytest.approx(loss.item(), rel=1e-6)
    theirs = dict(model.named_parameters())
    checked = [n for n, p in other.named_parameters() if p.grad is not None]
    assert len(checked) == len(theirs) - (1 if model.config.tie_word_embeddings else 2)  # tables are deferred
    for name in checked:
        assert_close(other.get_parameter(name).grad, theirs[name].grad)


@pytest.mark.parametrize("recompute", [0, 1, 2])
def test_lora_has_the_loss_and_gradients_of_peft(model: Any, recompute: int) -> None:
    theirs = adapted(model)
    ours = copy.deepcopy(theirs)
    loss = reference_loss(theirs)
    (loss * 0.1).backward()
    adapters = FlatAdapters(ours.get_base_model())
    lean = LeanModel(ours.get_base_model(), adapters.layers, recompute=recompute, chunk=5)
    halves = [concatenate(EXAMPLES, part, "cpu") for part in (BINS[:1], BINS[1:])]
    total = sum(lean.forward_backward(b, 0.1).loss.item() for b in halves)
    adapters.complete()
    assert total == pytest.approx(loss.item(), rel=1e-6)
    gradients = adapters.values.grad
    assert gradients is not None
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            at = (parameter.data_ptr() - adapters.values.data_ptr()) // 4
            found = gradients[at : at + parameter.numel()].view(parameter.shape)
            assert_close(found, theirs.get_parameter(name).grad)


def forward_loss(lean: LeanModel, model: Any, packed: Any) -> float:
    """Return the summed loss of a forward pass alone."""
    return token_losses(lean.scored(packed), model.lm_head.weight, packed.targets_N, chunk=7).sum().item()


def test_packed_documents_score_as_if_each_were_alone(model: Any) -> None:
    lean = LeanModel(model, full_layers(model), recompute=0)
    alone = sum(forward_loss(lean, model, concatenate(EXAMPLES, [[i]], "cpu")) for b in BINS for i in b)
    assert forward_loss(lean, model, batch()) == pytest.approx(alone, rel=1e-6)


def test_a_document_of_one_token_and_a_batch_without_a_target_are_no_trouble(model: Any) -> None:
    prompt = replace(EXAMPLES[0], labels=tuple([-100] * len(EXAMPLES[0].labels)))
    single = replace(EXAMPLES[1], token_ids=(5,), labels=(-100,))
    lean = LeanModel(model, full_layers(model), recompute=1)
    result = lean.forward_backward(concatenate([prompt, single], [[0, 1]], "cpu"), 1.0)
    assert result.loss.item() == 0.0
    assert all(p.grad is None or p.grad.abs().sum() == 0 for p in model.parameters())


def test_another_family_is_refused_by_name(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "m"))
    model.config.model_type = "gpt2"
    with pytest.raises(InputError, match="cannot train a 'gpt2' model"):
        full_layers(model)


def test_the_lean_step_follows_the_plain_one_and_peft_loads_what_it_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tiny_model(tmp_path / "start")
    settings = TrainSettings(learning_rate=1e-2, batch_size=4, micro_batch=2, warmup=0.1, threads=1)
    job = Job(start, random_examples(24), random_examples(4, seed=9), settings, 48, 2000, 7, PAD)
    plain = train(job, tmp_path / "plain", "x", silent)

    def lean_steps(trainee: Any, settings: Any, examples: Any, *rest: int) -> LoraSteps:
        return LoraSteps(trainee, settings, examples)

    monkeypatch.setattr(loop, "make_steps", lean_steps)
    lean = train(job, tmp_path / "lean", "x", silent)
    assert lean["last_loss"] == pytest.approx(plain["last_loss"], rel=1e-4)
    assert lean["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)
    assert lean["trainable_parameters"] == plain["trainable_parameters"]
    ids = torch.tensor([EXAMPLES[0].token_ids])
    a, b = (PeftModel.from_pretrained(load(start), str(tmp_path / n / "adapter"))(ids).logits
            for n in ("plain", "lean"))  # fmt: skip
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(a, load(start)(ids).logits, atol=1e-2)


@pytest.mark.parametrize("recompute", [0, 2])
def test_padding_a_micro_batch_to_a_size_changes_neither_loss_nor_gradients(
    tmp_path: Path, recompute: int
) -> None:
    batches = [concatenate(EXAMPLES, BINS, "cpu")]
    tokens, documents = len(batches[0].ids_T), len(batches[0].documents.lengths)
    size = Size(tokens + 7, documents + 5, max(len(e.token_ids) for e in EXAMPLES))
    found = padded(batches[0], size, PAD)
    assert found is not None
    assert sum(found.documents.lengths) == len(found.ids_T) == len(found.positions_T) == size.tokens
    assert len(found.documents.starts) == size.documents + 1
    results = []
    for batch in (*batches, found):
        outer = adapted(load(tiny_model(tmp_path / "m")))
        adapters = FlatAdapters(outer.get_base_model())
        lean = LeanModel(outer.get_base_model(), adapters.layers, recompute=recompute)
        results.append((lean.forward_backward(batch, 0.5).loss, adapters.values.grad))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-6, atol=0)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-7)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), tokens=st.integers(1, 60),
    documents=st.integers(1, 12), longest=st.integers(1, 9),
)  # fmt: skip
def test_a_padded_micro_batch_has_the_size_or_there_is_none(
    lengths: list[int], tokens: int, documents: int, longest: int
) -> None:
    rows = [Example(tuple(range(1, n + 1)), (-100,) * n, str(i)) for i, n in enumerate(lengths)]
    batch = concatenate(rows, [list(range(len(rows)))], "cpu")
    found = padded(batch, Size(tokens, documents, longest), PAD)
    more = tokens - sum(lengths)
    fits = more >= 0 and max(lengths) <= longest and len(lengths) + -(-more // longest) <= documents
    assert (found is not None) == fits
    if found is not None:
        assert found.ids_T[: sum(lengths)].tolist() == batch.ids_T.tolist()
        assert (len(found.ids_T), len(found.positions_T)) == (tokens, tokens)
        starts = found.documents.starts.tolist()
        assert len(starts) == documents + 1
        assert starts == sorted(starts)
        assert starts[-1] == tokens
        assert max(b - a for a, b in pairwise(starts)) <= longest
        assert [found.positions_T[s].item() for s in starts if s < tokens] == [0] * sum(
            s < tokens for s in starts
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_recorded_layers_follow_those_that_are_launched_one_by_one(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    weights = []
    for graphs in (False, True):
        settings = TrainSettings(
            learning_rate=1e-2, batch_size=4, micro_batch=2, warmup=0.1, device="cuda", cuda_graphs=graphs
        )
        job = Job(folder, random_examples(24), random_examples(4, seed=9), settings, 48, 2000, 7, PAD)
        train(job, tmp_path / str(graphs), "x", silent)
        weights.append(load_file(tmp_path / str(graphs) / "adapter" / "adapter_model.safetensors"))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0.05, atol=0.01)
