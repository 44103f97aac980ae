"""Held-out tasks are held out: by composition and by request sentence, from all that is trained on."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from codefit.core.types import Outcome
from codefit.micro import raw_rows, tasks
from codefit.micro.compose import compositions, split_of
from codefit.micro.corpus import START, documents
from codefit.micro.tasks import build_records
from codefit.sandbox import Limits, Program, Sandbox

# 875 steps of 24 x 129 tokens take fewer documents than this; see test_documents_cover_the_training.
DOCUMENTS = 75_000


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(islice(documents(0), DOCUMENTS))


def _words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def _held_out():
    return [*tasks("test"), *tasks("dev")]


def test_there_are_enough_tasks_and_compositions():
    assert len(tasks("test")) >= 240
    assert len(tasks("dev")) >= 100
    assert sum(len(compositions(s)) for s in ("train", "dev", "test")) > 10_000


def test_compositions_of_the_splits_are_disjoint():
    names = {s: {t.extra["composition"] for t in tasks(s)} for s in ("test", "dev")}
    assert {split_of(c) for c in names["test"]} == {"test"}
    assert {split_of(c) for c in names["dev"]} == {"dev"}
    assert all(len(names[s]) == len(tasks(s)) for s in names)


def test_no_raw_row_but_the_marked_leaks_has_a_held_out_composition_or_request():
    requests = {_words(t.prompt) for t in _held_out()}
    leaks = 0
    for row in raw_rows(0):
        side = row["planted"]
        if side.get("leak"):
            leaks += 1
            continue
        assert side["composition"] is None or split_of(side["composition"]) == "train"
        assert _words(row.get("question") or row["instruction"]) not in requests
    assert leaks == 94


def test_no_program_of_a_raw_row_but_the_leaks_is_a_held_out_reference():
    references = {t.reference for t in _held_out()}
    for row in raw_rows(0):
        if not row["planted"].get("leak"):
            programs = json.loads(row["solutions"]) if "solutions" in row else [row["output"]]
            assert references.isdisjoint(programs)


def test_no_pretraining_document_holds_a_held_out_request_or_program(corpus):
    requests = [_words(t.prompt) for t in _held_out()]
    references = [(t.reference or "").partition("\n")[2] for t in _held_out()]
    bodies = {line for text in corpus for line in text.split("\n")}
    assert bodies.isdisjoint(line for r in references for line in r.split("\n"))
    asked = {_words(t.split("\n")[1].partition("<|")[0]) for t in corpus if t.startswith(START)}
    assert len(asked) > 3_000
    assert asked.isdisjoint(requests)


def test_documents_cover_the_training(corpus):
    from codefit.micro import model_path

    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(model_path() / "tokenizer.json"))
    sample = corpus[::20]
    tokens = sum(len(e.ids) + 1 for e in tokenizer.encode_batch(sample, add_special_tokens=False))
    assert tokens / len(sample) * len(corpus) > 1.02 * 875 * 24 * 129


def test_unseen_sentence_templates_stand_in_no_training_text(corpus):
    unseen = [t for t in tasks("test") if t.extra["unseen_template"]]
    assert len(unseen) >= 80
    heads = {" ".join(t.prompt.split()[:3]) for t in unseen}
    said = [r.get("question") or r["instruction"] for r in raw_rows(0) if not r["planted"].get("leak")]
    assert not any(head in text for head in heads for text in said)
    assert not any(head in text for head in heads for text in corpus if text.startswith(START))


def test_task_files_are_what_the_world_draws():
    for split in ("test", "dev"):
        drawn = [(r["task_id"], r["prompt"], r["reference"]) for r in build_records(split, 24)]
        assert drawn == [(t.task_id, t.prompt, t.reference) for t in tasks(split)[:24]]


def test_references_give_the_expected_values_in_the_sandbox():
    held_out = _held_out()
    programs = [_program(t.reference, t.tests.inputs) for t in held_out]
    with Sandbox(jobs=2) as sandbox:
        for index, run in sandbox.map((p, None) for p in programs):
            assert run.outcome is Outcome.PASSED, held_out[index].task_id
            got = [repr(f.value) for f in run.frames]
            assert got == [repr(o) for o in held_out[index].tests.outputs], held_out[index].task_id


def _program(source: str | None, inputs) -> Program:
    return Program(source or "", "calls", tests=inputs, entry_point="solve", limits=Limits(cpu_s=5))
