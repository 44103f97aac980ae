"""Models and adapters that are not whole, or not each other's: one line each, and never made-up weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from codefit.core.errors import InputError
from codefit.core.origins import ModelSettings
from codefit.format.chat import ChatFormat
from codefit.generate.engine import TransformersEngine
from codefit.generate.types import Decoding, Request
from codefit.micro import model_path
from codefit.models.load import load_model, load_tokenizer
from codefit.models.start import check_model
from codefit.pipeline.answer import find_model

DOWN = "model.layers.1.mlp.down_proj.weight"
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in caught.value.line()


def load(folder: Path, adapter: Path | None = None) -> Any:
    return load_model(folder, dtype="float32", device="cpu", adapter=adapter)


def edited(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change tensors of a safetensors file, or fields of a JSON file, in place."""
    if file.suffix == ".json":
        found = json.loads(file.read_text())
        change(found)
        file.write_text(json.dumps(found))
    else:
        tensors = load_file(file)
        change(tensors)
        save_file({name: t.contiguous() for name, t in tensors.items()}, file, metadata={"format": "pt"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_path(), tmp_path / "model"))


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    place = tmp_path / "adapter"
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    get_peft_model(load(folder), config).save_pretrained(str(place))
    return place


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("model.safetensors", lambda t: t.pop(DOWN), f"lack '{DOWN}', which config.json asks for"),
        (
            "model.safetensors",
            lambda t: t.update({DOWN: t[DOWN][:, :100]}),
            "has shape 96 x 100, .* 96 x 256",
        ),
        (
            "config.json",
            lambda c: [c.pop("num_hidden_layers"), c.pop("layer_types")],
            "lack '.*' and 347 more",
        ),
    ],
)
def test_weights_that_a_model_lacks_are_refused_and_never_made_up(
    folder: Path, file: str, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edited(folder / file, change)
    refused(lambda: load(folder), message)


def test_an_adapter_that_is_not_whole_or_not_the_models_is_refused(folder: Path, adapter: Path) -> None:
    load(folder, adapter)
    file = adapter / "adapter_model.safetensors"
    whole = file.read_bytes()
    edited(file, lambda t: t.pop(FIRST))
    refused(lambda: load(folder, adapter), f"the adapter lacks '{FIRST}'; name the model")
    file.write_bytes(whole)
    edited(file, lambda t: t.update({FIRST.replace("layers.0", "layers.7"): t[FIRST].clone()}))
    refused(lambda: load(folder, adapter), "holds, for layers that the model has not, '.*layers.7")
    file.write_bytes(whole)
    edited(file, lambda t: t.update({FIRST: t[FIRST][:2]}))
    refused(lambda: load(folder, adapter), "cannot load the adapter: .*size mismatch for .*q_proj")
    file.write_bytes(whole[: len(whole) // 2])
    refused(lambda: load(folder, adapter), "adapter_model.safetensors: cut off")
    file.unlink()
    refused(lambda: load(folder, adapter), "no adapter_model.safetensors there")


def test_an_adapter_for_the_cpu_touches_no_card(
    folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT loads onto whatever card it finds unless it is told where, and fails where that is full."""
    monkeypatch.setattr("peft.peft_model.infer_device", lambda: pytest.fail("asked for a card"))
    assert load(folder, adapter).device.type == "cpu"


def test_the_base_of_an_adapter_is_checked_like_any_model(folder: Path, adapter: Path) -> None:
    found = find_model(str(adapter))
    assert (found.path, found.adapter) == (folder, adapter)
    (folder / "model.safetensors").write_bytes(b"\x10")
    refused(lambda: find_model(str(adapter)), "model.safetensors: no safetensors file")
    (adapter / "adapter_config.json").write_text("[1]")
    refused(lambda: find_model(str(adapter)), "adapter_config.json: names no base model")


@pytest.mark.parametrize(
    ("content", "message"),
    [("no", "not JSON"), ("[]", "no token ids"), ('{"eos_token_id": "a"}', "no token ids")],
)
def test_a_generation_config_that_cannot_be_read_is_not_passed_over(
    folder: Path, content: str, message: str
) -> None:
    (folder / "generation_config.json").write_text(content)
    refused(lambda: check_model(ModelSettings(name=str(folder))), f"generation_config.json: {message}")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% for m in messages %}{{ m.content }}",
            "the chat template cannot be used: .*; repair chat_template",
        ),
        ("{{ raise_exception('no such role') }}", "the chat template cannot be used: no such role"),
        ("<|im_start|>{{ messages[0].content }}<|im_end|>", "the chat template leaves out the answer"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_one_line(folder: Path, template: str, message: str) -> None:
    (folder / "chat_template.jinja").write_text(template)
    refused(lambda: ChatFormat(load_tokenizer(folder), system=None, fence=True), message)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_weights_that_are_not_numbers_answer_nothing(folder: Path, temperature: float) -> None:
    edited(folder / "model.safetensors", lambda t: t.update({DOWN: torch.full_like(t[DOWN], torch.nan)}))
    decoding = Decoding(4, temperature=temperature, top_p=0.9 if temperature else 1.0)
    engine = TransformersEngine(load(folder), load_tokenizer(folder), end_id=2, decoding=decoding)
    refused(lambda: list(engine.complete([Request("t", (5, 6))])), "no probability .not a number.")
