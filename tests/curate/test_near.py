"""The engine of near-duplicates: any text, any order, any number of workers; planted copies found."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.curation import NearDupSettings
from codefit.curate.near import (
    Rule,
    Texts,
    candidate_pairs,
    drop_order,
    find,
    plausible,
    sketch,
    verified_pairs,
)
from codefit.curate.near import engine as engine_module
from codefit.curate.near.rule import bands_for
from codefit.curate.near.sketch import shingle_hashes

RULE = Rule()
NAMES = [
    f"{a}{b}" for a in ("ba", "co", "di", "fu", "le", "mo", "zu") for b in ("rin", "tel", "van", "sor", "pim")
]
SIGNS = ["(", ")", ":", " = ", ", ", ".", "[", "]", " + ", "\n    "]
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates too


def _texts(*documents: str) -> Texts:
    return Texts.of((d,) for d in documents)


def _dropped(documents: list[str], rule: Rule = RULE, workers: int = 1) -> set[int]:
    found = find(_texts(*documents), np.arange(len(documents)), rule, workers)
    return set(np.flatnonzero(found.keeper_D >= 0).tolist())


def _code(rng: random.Random, length: int) -> str:
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        parts += [rng.choice(NAMES) + rng.choice(("", "_" + rng.choice(NAMES), str(rng.randrange(99))))]
        parts += [rng.choice(SIGNS)]
    return "".join(parts)


def _edited(text: str, rng: random.Random) -> str:
    """One to three edits: words replaced, inserted or deleted, or characters changed, or a name renamed."""
    count, kind = rng.randint(1, 3), rng.randrange(5)
    for _ in range(count):
        names = [n for n in NAMES if n in text]
        name = rng.choice(names)
        if kind == 0:
            text = text.replace(name, rng.choice("qxyz") + "other", 1)
        elif kind == 1:
            text = text.replace(name, name + " extra", 1)
        elif kind == 2:
            text = text.replace(name, "", 1)
        elif kind == 3:
            place = rng.randrange(len(text))
            text = text[:place] + rng.choice("abcxyz0") + text[place + 1 :]
        else:
            text = text.replace(name, "renamed_" + name, 1)
    return text


@pytest.mark.parametrize(("length", "least"), [(80, 0.93), (250, 0.99), (540, 0.99)])
def test_planted_copies_of_one_to_three_edits_are_found(length: int, least: float) -> None:
    rng = random.Random(11)
    originals = [_code(rng, length) for _ in range(1_500)]
    copies = [_edited(text, rng) for text in originals]
    found = find(_texts(*originals, *copies), np.arange(3_000), RULE)
    assert (found.keeper_D[:1_500] < 0).all()
    assert np.mean(found.keeper_D[1_500:] == np.arange(1_500)) >= least
    near = found.similarity_D[1_500:][found.keeper_D[1_500:] >= 0]
    assert ((near >= RULE.floor) & (near <= 1)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(NAMES + SIGNS), min_size=4, max_size=60), st.integers(0, 40), st.randoms())
def test_the_same_text_is_always_found_whatever_case_and_spacing(
    parts: list[str], others: int, rng: random.Random
) -> None:
    text = "x" + " ".join(parts)
    spaced = text.replace(" ", " \t\n  ").upper()
    documents = [text, *(_code(rng, 90) for _ in range(others)), spaced, text]
    assert {len(documents) - 2, len(documents) - 1} <= _dropped(documents)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_TEXT, max_size=12), st.randoms())
def test_order_does_not_change_what_is_dropped_and_no_row_vanishes(
    texts: list[str], rng: random.Random
) -> None:
    documents = texts + [t + "é" for t in texts[:4]] + [_code(rng, 60)] * 2
    found = find(_texts(*documents), np.arange(len(documents)), RULE)
    order = list(range(len(documents)))
    rng.shuffle(order)
    other = find(_texts(*(documents[i] for i in order)), np.array(order), RULE)
    assert [(-1 if k < 0 else order[k]) for k in other.keeper_D] == [int(found.keeper_D[i]) for i in order]
    kept = set(np.flatnonzero(found.keeper_D < 0).tolist())
    assert {int(k) for k in found.keeper_D if k >= 0} <= kept
    assert len(found.keeper_D) == len(documents)


def test_any_number_of_workers_gives_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = random.Random(2)
    documents = [_code(rng, rng.choice((40, 300, 900))) for _ in range(400)]
    documents += [_edited(d, rng) for d in documents[:150]] + ["", "a", "é" * 400]
    texts, ranks = _texts(*documents), np.array(rng.sample(range(10_000), len(documents)))
    one = find(texts, ranks, RULE)
    monkeypatch.setattr(engine_module, "_PROCESSES_FROM_BYTES", 0)
    monkeypatch.setattr(engine_module, "_TASK_BYTES", 20_000)
    two = find(texts, ranks, RULE, workers=2)
    path = tmp_path / "text"
    texts.buffer.tofile(path)
    three = find(Texts.of_file(path, texts.offsets), ranks, RULE, workers=3)
    for other in (two, three):
        assert (other.keeper_D == one.keeper_D).all()
        assert (other.similarity_D == one.similarity_D).all()
    assert np.count_nonzero(one.keeper_D >= 0) >= 120


def test_documents_are_sketched_alike_whatever_lies_around_them() -> None:
    rng = random.Random(3)
    documents = [_code(rng, 100), "", "\u4e2d\u6587" * 30, "_" * 20, "x" * 200, "\udc80 lone", "tail"]
    alone = [sketch(_texts(d), RULE) for d in documents]
    together = sketch(_texts(*documents), RULE)
    for i, made in enumerate(alone):
        assert (together.keys_DB[i] == made.keys_DB[0]).all()
        assert (together.minima_DP[i] == made.minima_DP[0]).all()
    assert not together.keys_DB[[1, 3]].any()


def test_long_tokens_differ_by_any_byte_and_long_gaps_by_none() -> None:
    long = "a" * 500
    assert _dropped([long, long[:-1] + "b", long + "c", "d" + long[1:]]) == set()
    wide = " " * 5_000
    assert _dropped([f"if x{wide}: return y + 1", "if x : return y + 1"]) == {1}


def test_a_row_of_ten_megabytes_among_small_ones() -> None:
    rng = random.Random(5)
    large = " ".join(rng.choice(NAMES) + str(rng.randrange(10**6)) for _ in range(800_000))
    assert len(large) > 8_000_000
    documents = ["print(1)", large, "print(2, 3, 4)", large.replace(large[1_000:1_020], "another")]
    assert _dropped(documents) == {3}


def test_boilerplate_with_another_task_is_kept() -> None:
    frame = "def {f}({a}, {b}):\n    # {c}\n    result = {d}\n    for item in {a}:\n        {e}\n    return result"
    rng = random.Random(7)
    documents = []
    for _ in range(500):
        words = {key: rng.choice(NAMES) + rng.choice(NAMES) for key in "abf"}
        lines = {key: " ".join(rng.choice(NAMES) + str(rng.randrange(50)) for _ in range(6)) for key in "cde"}
        documents.append(frame.format(**words, **lines))
    assert _dropped(documents) == set()


def test_every_pair_that_is_named_has_its_true_jaccard() -> None:
    rng = random.Random(8)
    originals = [_code(rng, 200) for _ in range(150)]
    documents = originals + [_edited(d, rng) for d in originals]
    texts = _texts(*documents)
    pairs, similarity = verified_pairs(texts, np.array([(i, i + 150) for i in range(150)]), RULE)
    assert len(pairs) > 140
    for (a, b), value in zip(pairs.tolist(), similarity.tolist(), strict=True):
        left, right = (set(shingle_hashes(texts, i, i + 1, 2)[0].tolist()) for i in (a, b))
        assert value == len(left & right) / len(left | right)


def test_shingles_do_not_span_fields() -> None:
    apart, joined = Texts.of([("a b", "c d")]), Texts.of([("a b c d", "")])
    left, right = (set(shingle_hashes(t, 0, 1, 2)[0].tolist()) for t in (apart, joined))
    assert len(left & right) == 2  # (a b), (c d)


def test_a_dropped_document_resembles_a_kept_one_and_chains_do_not_vanish() -> None:
    ranks = np.array([0, 1, 2, 3])
    chain = np.array([[0, 1], [1, 2], [2, 3]])
    assert drop_order(chain, ranks).tolist() == [-1, 0, -1, 2]
    assert drop_order(chain[:, ::-1], ranks).tolist() == [-1, 0, -1, 2]
    assert drop_order(chain, ranks[::-1]).tolist() == [1, -1, 3, -1]
    assert drop_order(chain, ranks, lambda better, worse: (better, worse) == (0, 1)).tolist() == [
        -1,
        -1,
        1,
        -1,
    ]


def test_candidates_are_pairs_once_better_first_without_unmarked_keys() -> None:
    keys = np.array([[0, 7, 5], [0, 7, 5], [0, 9, 5], [0, 0, 0], [0, 0, 0]], np.uint64)
    assert candidate_pairs(keys).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert candidate_pairs(keys, np.array([2, 1, 0, 3, 4])).tolist() == [[2, 1], [2, 0], [1, 0]]
    same = np.array([[4, 1, 1], [4, 1, 1], [4, 1, 1]], np.uint64)
    assert candidate_pairs(same).tolist() == [[0, 1], [0, 2]]


def test_thousands_of_copies_cost_no_quadratic_number_of_pairs() -> None:
    rng = random.Random(9)
    base = _code(rng, 400)
    documents = [base] * 2_000 + [base.replace(NAMES[i % 35], f"v{i}", 1) for i in range(3_000)]
    texts, ranks = _texts(*documents), np.arange(5_000)
    made = sketch(texts, RULE)
    pairs = candidate_pairs(made.keys_DB, ranks, partial(plausible, made, RULE))
    assert len(pairs) < 5_000 * 60
    assert np.count_nonzero(find(texts, ranks, RULE).keeper_D < 0) == 1


def test_arrow_columns_are_taken_as_they_lie_and_slices_too(tmp_path: Path) -> None:
    values = ["def f(): pass", None, "", "naïve 中文", "x = 1"]
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(values, kind)
        texts = Texts.of_arrow(column)
        assert texts.buffer.ctypes.data == column.buffers()[2].address
        spooled = Texts.spooled([column[:2], column[2:], column[5:], column[3:4]], tmp_path / "text")
        shown = [
            bytes(spooled.buffer[a:b]).decode()
            for a, b in zip(spooled.offsets, spooled.offsets[1:], strict=False)
        ]
        assert shown == [v or "" for v in values] + ["naïve 中文"]
        part = Texts.of_arrow(column.slice(3))
        assert bytes(part.buffer[part.offsets[0] : part.offsets[1]]).decode() == "naïve 中文"
    assert find(Texts.spooled([], tmp_path / "none"), np.zeros(0, np.int64), RULE).keeper_D.tolist() == []


def test_bands_find_pairs_at_their_similarity() -> None:
    for similarity, found in ((0.5, 0.9), (0.75, 0.98), (1.0, 0.98)):
        bands = bands_for(similarity, 64, found)
        assert bands.found(similarity) >= found
        assert bands.bands * bands.rows <= 64


FRAME = "for {} in range({}):\n    total += {}[{}] * weight\nprint(total)"
A = FRAME.format("row", "size", "table", "row")
B = FRAME.format("line", "size", "table", "line")
SETTINGS = [
    ({"edits": 0}, [A, B], set()),
    ({"floor": 0.95}, [A, B], set()),
    ({"shingle": 8, "edits": 1}, [A, B], set()),
    ({"threshold": 0.4, "edits": 0}, [A, B], {1}),
]


@pytest.mark.parametrize(("changed", "documents", "dropped"), SETTINGS)
def test_every_setting_changes_what_is_dropped(
    changed: dict[str, float], documents: list[str], dropped: set[int]
) -> None:
    assert _dropped(documents, Rule(**NearDupSettings().model_dump())) == {1}
    if "threshold" in changed:
        assert _dropped(documents, Rule(**NearDupSettings(edits=0).model_dump())) == set()
    assert _dropped(documents, Rule(**NearDupSettings(**changed).model_dump())) == dropped


def test_every_setting_is_covered_above() -> None:
    covered = {name for changed, _, _ in SETTINGS for name in changed} | {"permutations"}
    assert covered == set(NearDupSettings.model_fields)
    texts = _texts(A)
    assert sketch(texts, Rule(permutations=128)).keys_DB.shape != sketch(texts, RULE).keys_DB.shape
    assert NearDupSettings().model_dump() == vars(Rule())
