"""The embedded model loads with plain transformers, is small, and has one tokenizer and template."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from codefit.micro import model_path, raw_rows, tasks
from codefit.micro.corpus import chat, documents

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(model_path())


def test_the_folder_is_small_and_weights_are_bf16():
    assert sum(p.stat().st_size for p in model_path().iterdir()) <= 4_000_000
    assert json.loads((model_path() / "config.json").read_text())["dtype"] == "bfloat16"
    assert not list(model_path().glob("*.bin"))


def test_specials_and_end_tokens(tokenizer):
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    stops = json.loads((model_path() / "generation_config.json").read_text())
    assert sorted(stops["eos_token_id"]) == [0, 2]
    assert stops["pad_token_id"] == 0


def test_any_text_comes_back_from_its_tokens(tokenizer):
    texts = [*islice(documents(5), 200), *(str(r) for r in raw_rows(0)[:200]), "naïve 漢字 \t\r\n 1234567 λ"]
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_auto_tokenizer_agrees_with_the_tokenizer_file(tokenizer):
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(model_path() / "tokenizer.json"))
    for text in [*islice(documents(6), 300), *(t.prompt for t in tasks("dev"))]:
        assert (
            tokenizer.encode(text, add_special_tokens=False)
            == plain.encode(text, add_special_tokens=False).ids
        )


def test_digits_are_single_tokens(tokenizer):
    assert len(tokenizer.encode("2048", add_special_tokens=False)) == 4


def test_the_template_is_chatml_without_a_system_turn(tokenizer):
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == chat("Q", "A")
    prompt = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"


def test_prompts_are_short(tokenizer):
    longest = max(len(tokenizer.encode(t.prompt)) for t in [*tasks("test"), *tasks("dev")])
    assert longest <= 80


def test_the_model_loads_and_answers_the_same_alone_and_in_a_left_padded_batch():
    torch = pytest.importorskip("torch")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_path(), padding_side="left")
    model = transformers.AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32).eval()
    assert sum(p.numel() for p in model.parameters()) == 403_680
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": t.prompt}], tokenize=False, add_generation_prompt=True
        )
        for t in tasks("dev")[:4]
    ]

    def answers(batch: list[str]) -> list[str]:
        inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
        out = model.generate(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=48
        )
        return tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    together = answers(prompts)
    assert all(a.startswith("def solve(") for a in together)
    assert together == [answers([p])[0] for p in prompts]
