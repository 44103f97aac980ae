"""Models of the hub and of folders: what is downloaded, what is refused, each in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError
from codefit.core.progress import Event
from codefit.core.recipe import ModelSettings, load_recipe
from codefit.format.chat import ChatFormat
from codefit.models.check import check_weights, settle_pad
from codefit.models.hub import fetch_model
from codefit.models.load import load_model, load_tokenizer
from codefit.models.start import check_model, shape_file, start_model
from codefit.pipeline.answer import find_model
from codefit.pipeline.pins import pinned
from tests.hub.worlds import MODEL, model_files, model_repo
from tests.hub_server import Repo, Server

SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in caught.value.line()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the model as ModelScope's client leaves it: dots as underscores, files of its own beside."""
    home = tmp_path / "modelscope" / "Qwen" / "Qwen2___5-Coder-1___5B-Instruct"
    home.mkdir(parents=True)
    for name, data in model_files().items():
        if "/" not in name:
            (home / name).write_bytes(data)
    for name in (".msc", ".mv", "configuration.json"):
        (home / name).write_text('{"framework": "pytorch"}')
    return home


def test_a_hub_model_loads_and_transformers_asks_nobody(world: Server, tmp_path: Path) -> None:
    home = start_model(ModelSettings(name=MODEL), tmp_path, 0)
    names = {p.relative_to(home).as_posix() for p in home.rglob("*")}
    assert names == {
        *SHARDS, "model.safetensors.index.json", "config.json", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip
    for unwanted in ("pytorch_model.bin", "run_me.py", "onnx", "LICENSE"):
        assert not world.asked(unwanted)
    world.log.clear()
    model = load_model(home, dtype="float32", device="cpu")
    tokenizer = load_tokenizer(home)
    assert model.get_input_embeddings().weight.shape[0] == 1024
    assert ChatFormat(tokenizer, system=None, fence=True).prefix("x")
    assert world.log == []
    # A model's library keeps the process off the network; the hub's own session is not kept off.
    assert fetch_model(MODEL) == home
    assert world.log != []


def test_a_plan_needs_the_config_alone(world: Server) -> None:
    world.repos["models/owner/new"] = model_repo()
    assert json.loads(shape_file("owner/new").read_text())["hidden_size"] == 96
    assert not world.asked("/storage/")
    assert not world.asked("tokenizer.json")


def test_a_check_downloads_nothing(world: Server) -> None:
    check_model(ModelSettings(name=MODEL))
    assert {r.path.split("/")[1] for r in world.log} == {"api"}


def test_a_revision_is_taken_from_either_place(world: Server) -> None:
    repo = world.repos[f"models/{MODEL}"]
    old = repo.head
    repo.push({**repo.commits[old], "generation_config.json": b'{"eos_token_id": [2, 0]}'})
    by_name, by_setting = find_model(f"{MODEL}@{old}"), ModelSettings(name=MODEL, revision=old)
    assert by_name.path == start_model(by_setting, Path(), 0) != find_model(MODEL).path
    refused(
        lambda: start_model(ModelSettings(name=f"{MODEL}@{old}", revision="main"), Path(), 0), "two revisions"
    )


def test_a_recipe_is_pinned_by_the_cache_where_the_hub_is_gone_and_that_is_said(
    world: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        f"name: mine\nmodel: {{name: '{MODEL}@main'}}\nsources: [{{kind: taco}}]\n"
        "train: {develop: {suite: mbpp-dev}}\n"
        "arms: [{name: a}, {name: b, train: {develop: {suite: mbpp-dev, data: x.jsonl}}}]\n"
        "evaluate: [{name: humaneval}, {name: mbpp+, data: local.jsonl}, {name: micro}]\n"
    )
    recipe, heard = load_recipe(file), list[Event]()
    first = pinned(recipe, lambda _, ask: ask(), heard.append)
    heads = {name.split("/")[-1]: repo.head for name, repo in world.repos.items()}
    assert (first.model.name, first.model.revision) == (MODEL, heads["Qwen2.5-Coder-1.5B-Instruct"])
    assert first.sources[0].revision == heads["TACO"]
    assert first.train.develop is not None
    assert first.train.develop.revision == heads["mbpp"]
    assert "revision" not in first.arms[1].train["develop"]
    assert [s.revision for s in first.evaluate] == [heads["openai_humaneval"], None, None]
    assert heard == []
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert pinned(recipe, lambda _, ask: ask(), heard.append) == first
    assert len(heard) == 4
    assert f"{MODEL}: the hub cannot be asked; the cache's commit {first.model.revision}" in heard[0].message
    assert pinned(first, lambda _, ask: ask(), heard.append) == first
    assert len(heard) == 4


def test_an_adapter_of_the_hub_finds_its_base_there(world: Server) -> None:
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": MODEL}).encode()
    files = {"adapter_config.json": config, "adapter_model.safetensors": model_files()[SHARDS[0]]}
    world.repos["models/me/adapter"] = Repo.of(files)
    found = find_model("me/adapter")
    assert (found.path, found.adapter) == (fetch_model(MODEL), fetch_model("me/adapter"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"README.md": b""}, "no model: it has no config.json"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "no weights as safetensors"),
    ],
)
def test_a_repository_that_holds_no_model_is_refused(
    world: Server, files: dict[str, bytes], message: str
) -> None:
    world.repos["models/owner/none"] = Repo.of(files)
    refused(lambda: fetch_model("owner/none"), message)


def test_a_repository_without_a_shard_is_refused(world: Server) -> None:
    files = {k: v for k, v in model_files().items() if k != SHARDS[1]}
    world.repos["models/owner/half"] = Repo.of(files)
    refused(lambda: fetch_model("owner/half"), f"a shard of the weights is missing: {SHARDS[1]}")


def test_a_modelscope_folder_is_a_model(folder: Path) -> None:
    assert start_model(ModelSettings(name=str(folder)), Path(), 0) == folder
    assert load_tokenizer(folder).pad_token == "<|endoftext|>"
    assert load_model(folder, dtype="float32", device="cpu").config.model_type == "qwen2"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / SHARDS[1]).unlink(), f"a shard of the weights is missing: {SHARDS[1]}"),
        (lambda f: _cut(f / SHARDS[0]), r"cut off: [\d,]+ of [\d,]+ bytes"),
        (lambda f: (f / SHARDS[0]).write_bytes(b"\x10"), "no safetensors file"),
        (lambda f: (f / SHARDS[0]).write_bytes(b""), "no safetensors file"),
        (
            lambda f: (f / SHARDS[0]).write_bytes((1 << 60).to_bytes(8, "little") + b"{}"),
            "no safetensors file",
        ),
        (lambda f: shutil.copy(f / SHARDS[0], f / SHARDS[1]), "does not hold 'model.layers"),
        (lambda f: (f / "model.safetensors.index.json").write_text("[]"), "lists no weights"),
        (lambda f: [(f / n).unlink() for n in (*SHARDS, "model.safetensors.index.json")], "in pickle files"),
        (lambda f: (f / "config.json").unlink(), "no model at"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_before_any_work(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    refused(lambda: check_model(ModelSettings(name=str(folder))), message)


def test_a_header_that_lies_about_its_tensors_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    refused(lambda: check_weights(tmp_path), "not what its header says")


def edit(path: Path, **fields: object) -> None:
    found = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in {**found, **fields}.items() if v is not None}))


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(folder: Path) -> None:
    edit(folder / "config.json", vocab_size=1000)
    refused(lambda: load_tokenizer(folder), r"token ids up to 1,023, the model has 1,000 rows")


def test_a_model_without_chat_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    refused(lambda: ChatFormat(load_tokenizer(folder), system=None, fence=True), "no chat template")


def test_pads_never_end_an_answer(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token="<|im_end|>")
    tokenizer = load_tokenizer(folder)
    assert tokenizer.pad_token == "<|endoftext|>"
    tokenizer.pad_token = None
    settle_pad(tokenizer, "x")
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<|endoftext|>", 0)


def test_a_turn_that_ends_otherwise_than_the_text_is_not_padded_with_either(folder: Path) -> None:
    # As in Qwen's base models, which end and pad with <|endoftext|> while their template ends with <|im_end|>.
    edit(folder / "tokenizer_config.json", pad_token="<|endoftext|>", eos_token="<|endoftext|>")
    refused(
        lambda: load_tokenizer(folder), r"pads with '<\|endoftext\|>', which ends an answer; set pad_token"
    )


def test_without_any_safe_token_no_pad_is_made_up(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None, chat_template=None)
    tokenizer = load_tokenizer(folder)
    tokenizer.eos_token, tokenizer.pad_token = "<|endoftext|>", None
    refused(lambda: settle_pad(tokenizer, "x"), "has no pad token; set pad_token")
