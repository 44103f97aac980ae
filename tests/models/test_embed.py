"""Embeddings by a real encoder of random weights: unit vectors, the same in any company, used by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from codefit.cli.main import main
from codefit.core.errors import InputError
from codefit.models.embed import Encoder

TEXT = "write a function to find the sum of list product largest zebra stripes number and multiply"
WORDS = TEXT.split()
SUM = "Write a function to find the sum of a list"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a random encoder of one layer with a vocabulary of whole words."""
    place = tmp_path_factory.mktemp("encoder")
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["[PAD]", "[UNK]", *WORDS])}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        place
    )
    torch.manual_seed(0)
    config = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32)  # fmt: skip
    BertModel(config).save_pretrained(place)
    return place


def test_vectors_have_length_one_and_do_not_depend_on_their_company(folder: Path) -> None:
    encoder = Encoder(folder)
    texts = [SUM, "", "zebra stripes " * 400, "find the product"]
    together = encoder(texts)
    assert together.shape == (4, 32)
    assert np.allclose(np.linalg.norm(together, axis=1), [1, 0, 1, 1], atol=1e-5)
    alone = np.concatenate([encoder([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_a_folder_without_an_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tokenizer there"):
        Encoder(tmp_path)


def test_the_command_finds_neighbours_by_meaning(folder: Path, tmp_path: Path) -> None:
    suite, rows, out = tmp_path / "own.jsonl", tmp_path / "rows.jsonl", tmp_path / "out"
    task = {"task_id": "t/1", "prompt": SUM, "tests": ["assert total([1]) == 1"]}
    suite.write_text(json.dumps(task | {"reference": "def total(v):\n    return sum(v)"}) + "\n")
    records = [
        {"id": "near", "instruction": "sum of a list find the function write to", "output": "let x = 1;"},
        {"id": "far", "instruction": "zebra stripes zebra", "output": "let x = 1;"},
    ]
    rows.write_text("".join(json.dumps(r) + "\n" for r in records))
    command = ["decontaminate", str(rows), "--against", str(suite), "--out", str(out), "--execution", "off"]
    ran = CliRunner().invoke(main, [*command, "--embedding", str(folder)])
    assert ran.exit_code == 0, ran.output
    hits = [json.loads(line) for line in (out / "hits.jsonl").read_text().splitlines()]
    found = {(h["row_id"], h["action"]) for h in hits if h["method"] == "embedding"}
    assert ("rows/near", "removed") in found
    assert all(row_id != "rows/far" for row_id, _ in found)
