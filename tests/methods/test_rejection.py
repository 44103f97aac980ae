"""Rejection sampling with a scripted model and the real sandbox: what passes, what is kept, what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from codefit.core.curation import CurateSettings
from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl
from codefit.core.sampling import SampleSettings
from codefit.core.types import Dropped, Row, Tests
from codefit.curate.rows_io import read_rows
from codefit.methods.failed import failed_rows
from codefit.methods.mix import mixed
from codefit.methods.rejection import OWN, REPLAY, Answered, sample_rows
from codefit.sandbox import Sandbox
from tests.curate.conftest import row, task
from tests.methods.conftest import Scripted, job

ADD = "def add(a, b):\n    return a + b"
ADD_RENAMED = "def add(left, right):\n    return left + right"
ADD_SUM = "def add(a, b):\n    return sum([a, b])"
ADD_LONG = "def add(a, b):\n    total = a\n    if b:\n        total = total + b\n    return total"
WRONG = "def add(a, b):\n    return a - b"


def calls(name: str, *pairs: tuple[tuple[Any, ...], Any]) -> Tests:
    return Tests("calls", name, inputs=tuple(list(a) for a, _ in pairs), outputs=tuple(v for _, v in pairs))


def adding(row_id: str, **more: Any) -> Row:
    tests = calls("add", ((1, 2), 3), ((-4, 1), -3))
    return row(row_id, f"Add two numbers ({row_id}).", ADD, tests=tests, licence="MIT", **more)


def fenced(*programs: str) -> list[str]:
    return [p if p.endswith("|raw") else f"Here it is.\n```python\n{p}\n```" for p in programs]


@pytest.fixture(scope="module")
def sampled(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Answered]]:
    """Sample four answers of five rows."""
    out = tmp_path_factory.mktemp("sampled")
    script = {
        "some": [*fenced(ADD_LONG, ADD_RENAMED, WRONG), "I cannot."],
        "three": fenced(ADD_LONG, ADD, ADD_SUM, WRONG),
        "easy": fenced(ADD, ADD, ADD, ADD),
        "easy2": fenced(ADD, ADD, ADD, ADD),
        "hard": fenced(
            WRONG, "def add(a, b):\n    raise ValueError", "def add(a, b) return", "def other(): pass"
        ),
        "cut": [*fenced(WRONG, WRONG, WRONG), f"```python\n{ADD}\n```|cut"],
    }
    lost = row("lost", "Add.", WRONG, tests=calls("add", ((1, 2), 3)))
    prose = row("prose", "Explain sorting.", "Sorting puts things in order.", language="text")
    rows = [*(adding(name) for name in script), lost, prose]
    return out, sample_rows(rows, job(sandbox, out / "cache", Scripted(script), all_pass_share=0.34), out)


def fates(out: Path, row_id: str) -> list[str | None]:
    return [line["fate"] for _, line in read_jsonl(out / "samples.jsonl") if line["row_id"] == row_id]


def test_two_different_answers_of_a_row_are_kept_and_the_simpler_ones(
    sampled: tuple[Path, list[Answered]],
) -> None:
    out, _ = sampled
    assert fates(out, "some") == ["kept", "kept", None, None]
    assert fates(out, "three") == ["over sample.keep", "kept", "kept", None]


def test_rows_that_every_answer_passed_are_thinned_and_copies_counted_once(
    sampled: tuple[Path, list[Answered]],
) -> None:
    out, kept = sampled
    both = [fates(out, "easy"), fates(out, "easy2")]
    copies = ["same code as another"] * 3
    assert sorted(both) == [["every answer passed", *copies], ["kept", *copies]]
    assert sum(a.prompt_id.startswith("easy") for a in kept) == 1


def test_failing_and_cut_answers_are_recorded_and_not_kept(sampled: tuple[Path, list[Answered]]) -> None:
    out, kept = sampled
    lines = {(v["row_id"], v["sample"]): v for _, v in read_jsonl(out / "samples.jsonl")}
    assert [lines["hard", n]["outcome"] for n in range(4)] == [
        "wrong_answer", "runtime_error", "syntax_error", "runtime_error",
    ]  # fmt: skip
    assert lines["some", 3]["outcome"] == "no_code"
    assert lines["cut", 3]["outcome"] == "cut"
    assert not {"hard", "cut"} & {a.prompt_id for a in kept}
    prompts = {v["row_id"]: v for _, v in read_jsonl(out / "prompts.jsonl")}
    assert prompts["hard"]["status"] == "none pass"
    assert prompts["lost"]["status"] == "not asked"
    assert "its own answer fails its tests" in prompts["lost"]["reason"]
    assert "prose" not in prompts


def test_a_kept_answer_is_a_row_that_says_where_it_comes_from(sampled: tuple[Path, list[Answered]]) -> None:
    out, kept = sampled
    rows = list(read_rows(out / "rows.parquet"))
    assert [r.id for r in rows] == [a.row.id for a in kept]
    found = next(r for r in rows if r.id == "some~1.1")
    assert (found.source, found.licence, found.response) == (OWN, "MIT", ADD_RENAMED)
    assert found.instruction == "Add two numbers (some)."
    assert found.tests is not None
    assert len(found.tests) == 8
    origin = {
        k: found.extra[k] for k in ("prompt_row", "sampler", "model", "round", "sample", "outcome", "passing")
    }
    assert origin == {
        "prompt_row": "some", "sampler": "start", "model": "m0", "round": 1, "sample": 1, "outcome": "passed",
        "passing": "2 of 4",
    }  # fmt: skip
    assert found.extra["min_logprob"] == -1.5


def test_the_summary_counts_every_row_and_every_answer(sampled: tuple[Path, list[Answered]]) -> None:
    found = read_json(sampled[0] / "summary.json")
    assert found["rows"]["candidates"] == 7
    assert found["rows"]["reached"] == 6
    assert found["prompts"] == {"none pass": 2, "some pass": 2, "all pass": 2, "kept": 3}
    assert sum(found["samples"]["outcomes"].values()) == found["samples"]["n"] == 24
    assert sum(found["passing"].values()) == found["samples"]["passed"] == 13
    first = found["pass_at_k"][0]
    assert (first["metric"], first["value"]) == ("pass@1", pytest.approx(13 / 24))
    assert [f["metric"] for f in found["pass_at_k"]] == ["pass@1", "pass@2", "pass@4"]


def test_tests_are_made_of_the_reference_and_catch_what_its_own_let_pass(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    good = "def down(xs):\n    return sorted(xs, reverse=True)"
    lucky = "def down(xs):\n    return xs[::-1]"
    sorting = row("s", "Sort downwards.", good, tests=calls("down", (([1, 2, 3],), [3, 2, 1])))
    script = {"s": fenced(lucky, good, lucky, lucky)}
    sample_rows([sorting], job(sandbox, tmp_path / "a", Scripted(script)), tmp_path)
    assert [v["outcome"] for _, v in read_jsonl(tmp_path / "samples.jsonl")].count("passed") == 1
    assert [v["made_tests"] for _, v in read_jsonl(tmp_path / "prompts.jsonl")] == [7]
    own = job(sandbox, tmp_path / "b", Scripted(script), least_tests=0, all_pass_share=1)
    sample_rows([sorting], own, tmp_path)
    assert [v["outcome"] for _, v in read_jsonl(tmp_path / "samples.jsonl")].count("passed") == 4


def test_rows_without_tests_are_asked_where_their_answer_keeps_an_example(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    rows = [
        row("shown", "Add two numbers. add(1, 2) returns 3.", ADD),
        row("unshown", "Add two numbers.", ADD),
        row("refuted", "Add two numbers. add(1, 2) returns 4.", ADD),
    ]
    engine = Scripted({"shown": fenced(ADD, WRONG, WRONG, WRONG)})
    kept = sample_rows(rows, job(sandbox, tmp_path / "c", engine, rows=["tests", "examples"]), tmp_path)
    assert [a.prompt_id for a in kept] == ["shown"]
    with pytest.raises(InputError, match="no curated row can be asked"):
        sample_rows(rows, job(sandbox, tmp_path / "d", engine, rows=["tests"]), tmp_path)


def test_an_answer_that_gives_away_a_test_task_goes_though_its_request_does_not(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    prompt = "Write a function to find the longest chain which can be formed from the given set of pairs."
    reference = "def add(a, b):\n    return a * max(range(b))"
    leaking = f'def add(a, b):\n    """{prompt}"""\n    return a + b'
    engine = Scripted({"some": fenced(leaking, ADD_SUM, WRONG, WRONG)})
    tasks = {"held": [task("held/1", prompt, reference, [((1, 2), 0)], "add")]}
    kept = sample_rows([adding("some")], job(sandbox, tmp_path / "c", engine, tasks=tasks), tmp_path)
    assert fates(tmp_path, "some") == ["leak", "kept", None, None]
    assert [a.row.response for a in kept] == [ADD_SUM]


def test_replay_is_own_answers_with_cheap_evidence_and_says_so(sandbox: Sandbox, tmp_path: Path) -> None:
    general = [row(f"g{n}", f"Write script {n}.", "print(1)") for n in range(4)]
    script = {
        "some": fenced(ADD, ADD_SUM, WRONG, WRONG),
        "g0": fenced("print(0)"), "g1": fenced("print(unknown)"), "g2": ["```python\nprint(2)\n```|cut"],
        "g3": fenced("print(3)"),
    }  # fmt: skip
    kept = sample_rows(
        [adding("some"), *general], job(sandbox, tmp_path / "c", Scripted(script), replay=0.5), tmp_path
    )
    replay = [a.row for a in kept if a.row.source == REPLAY]
    assert {r.id for r in replay} == {"g0~1.0", "g3~1.0"}
    assert all("unverified" in r.tags and r.tests is None for r in replay)
    assert all(r.extra["outcome"].startswith("unverified: ") for r in replay)


def test_nothing_that_passes_is_one_line_and_the_answers_are_there_to_see(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    engine = Scripted({"some": fenced(WRONG, WRONG, WRONG, WRONG)})
    with pytest.raises(InputError, match="none of 4 answers is kept"):
        sample_rows([adding("some")], job(sandbox, tmp_path / "c", engine), tmp_path)
    assert len(list(read_jsonl(tmp_path / "samples.jsonl"))) == 4
    assert not (tmp_path / "summary.json").exists()


def test_hours_end_a_sampling_between_chunks_and_more_hours_go_on(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [adding(f"r{n}") for n in range(7)]
    engine = Scripted({r.id: fenced(ADD, ADD_SUM, WRONG, WRONG) for r in rows})
    first = sample_rows(rows, job(sandbox, tmp_path / "c", engine, hours=1e-9), tmp_path)
    found = read_json(tmp_path / "summary.json")
    assert (len(engine.asked), found["complete"], found["rows"]["reached"]) == (4, False, 1)
    statuses = [v["status"] for _, v in read_jsonl(tmp_path / "prompts.jsonl")]
    assert statuses == ["some pass", *["not reached"] * 6]
    more = sample_rows(rows, job(sandbox, tmp_path / "c", engine, hours=9), tmp_path)
    assert len(engine.asked) == len(set(engine.asked)) == 28
    assert [a.row.id for a in more][: len(first)] == [a.row.id for a in first]


@pytest.mark.parametrize(
    ("settings", "left"),
    [({}, ["b", "c", "own"]), ({"curated": "all"}, ["a", "b", "c", "own"]), ({"curated_share": 0.5}, None)],
)
def test_curated_rows_stand_beside_own_answers_in_the_recipes_shares(
    settings: dict[str, Any], left: list[str] | None
) -> None:
    curated = [row("a"), row("b"), row("c")]
    found = [r.id for r in mixed(curated, [Answered(row("own"), "a")], SampleSettings(**settings), 0)]
    if left is not None:
        assert found == left
    else:
        assert len(found) == 2
        assert found[0] in ("b", "c")


def test_rows_that_import_a_library_fill_the_curated_part_first() -> None:
    code = [f"import json\ndef f{n}(x):\n    return json.dumps(x)" if n < 3 else "" for n in range(12)]
    curated = [row(f"c{n}", response=c) if c else row(f"c{n}") for n, c in enumerate(code)]
    own = [Answered(row(f"own{n}"), "none") for n in range(6)]

    def kept(share: float) -> list[str]:
        settings = SampleSettings(curated_share=0.4, library_share=share)
        return [r.id for r in mixed(curated, own, settings, 0)]

    assert len(kept(0.2)) == len(kept(0.9)) == 10
    for share, wanted in ((0.2, 2), (0.9, 3)):  # of 10 rows; there are three
        assert sum(name in kept(share) for name in ("c0", "c1", "c2")) >= wanted
    with pytest.raises(ValidationError, match="curated_share leaves"):
        SampleSettings(library_share=0.2)


def test_a_row_that_no_solution_passed_is_asked_and_its_answer_searched_for_leaks(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    tests = calls("add", ((1, 2), 3), ((-4, 1), -3), ((5, 5), 10))
    asked = {
        "new": "Join a pair of values by adding.",
        "leak": "Combine the given couple of integers into one total.",
    }
    lost = [row(name, text, WRONG, tests=tests) for name, text in asked.items()]
    script = {name: fenced(ADD, WRONG, WRONG, WRONG) for name in asked}
    times = "def add(a, b):\n    return a * b"
    held = task("held/1", asked["leak"], times, [((1, 2), 2), ((2, 3), 6)], "add")
    own = job(sandbox, tmp_path / "c", Scripted(script), tasks={"held": [held]})
    kept = sample_rows([], own, tmp_path, lost)
    assert [(a.prompt_id, a.row.extra["tests_proven"]) for a in kept] == [("new", False)]
    assert fates(tmp_path, "leak")[0] == "leak"
    found = read_json(tmp_path / "summary.json")
    assert found["unproven"] == {"prompts": 2, "solved": 2, "kept": 1}


def test_failed_rows_have_telling_tests_and_resemble_no_curated_row() -> None:
    three = calls("add", ((1, 2), 3), ((-4, 1), -3), ((5, 5), 10))
    raw = [
        row("new", "Join a pair of values by adding.", WRONG, tests=three),
        row("again", "Join a pair of values by adding.", WRONG, tests=three),
        row("known", "Add two  numbers.", WRONG, tests=three),
        row("few", "Subtract.", WRONG, tests=calls("f", ((1,), 3))),
        row("dull", "Give one.", WRONG, tests=calls("f", ((1,), 1), ((2,), 1), ((3,), 1))),
        row("open", "Any order of the parts.", WRONG, tests=three),
        row("syntax", "Count all the vowels.", "def f(", tests=three),
    ]
    why = {"open": "needs a checker: two answers", "syntax": "syntax_error: invalid"}
    dropped = [Dropped(r.id, "verify", why.get(r.id, "wrong_answer: input 1")) for r in raw]
    dropped.append(Dropped("other", "language", "wrong_answer in words"))
    found = failed_rows(raw, dropped, [row("kept", "Add two numbers.", ADD)], CurateSettings(), 0)
    assert [r.id for r in found] == ["new", "syntax"]
