"""Sections on what a run measures only where it was asked for."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache

import pytest

from codefit.report import build, render_html, render_markdown
from codefit.report.messages import LANGUAGES, msg, plain
from codefit.report.verdict import reading
from tests.report.fixture_evidence import GUARD, enrich
from tests.report.fixture_run import SUITE
from tests.report.test_report import assert_sources_exist

build_once = cache(build)


@pytest.fixture(scope="module")
def rich(run, tmp_path_factory):
    return enrich(shutil.copytree(run, tmp_path_factory.mktemp("rich") / "run"))


@pytest.fixture(scope="module")
def text(rich):
    return render_markdown(build(rich), "en")


def test_every_added_figure_leads_to_its_place(rich):
    assert assert_sources_exist(rich) > 32


def test_traits_that_got_worse_are_told_on_the_first_screen_and_first_in_their_table(rich, text):
    worse = [m for m in build(rich)["worse"] if m["msg"] == "worse.trait"]
    assert len(worse) == 1, "only those of the main pair"
    line = "Linter findings (ruff) per 100 lines: 6.25 → 9.5 (95 % CI of the change +1.5 to +5; 38 tasks, all tasks)."
    assert line in text.partition("## Arms")[0]
    table = text.partition("## Traits of the programs")[2]
    assert (
        table.index("| Linter findings") < table.index("| Lines of code") < table.index("| Security findings")
    )
    assert "of the measured traits 1 got worse, 0 better, 1 changed" in table
    assert "Not measured: efficiency (not asked for)" in table


def test_holm_decides_the_reading_and_stands_beside_the_plain_p(rich, text):
    comparison = json.loads((rich / "scores.json").read_text())["comparisons"][1]
    assert (comparison["suite"], comparison["p_value"], comparison["p_holm"]) == (GUARD, 0.04, 0.08)
    assert reading({**comparison, "ci95": [-9.0, -1.0]}) == "not_shown"
    assert reading({**comparison, "ci95": [-9.0, -1.0], "p_holm": 0.03}) == "worse"
    assert "p = 0.040; by Holm p = 0.080" in text
    assert f"| `{GUARD}` (guard): `start` → `curated` |" in text


def test_what_was_not_measured_alike_is_never_a_gain(rich, tmp_path):
    copy = shutil.copytree(rich, tmp_path / "run")
    scores = json.loads((copy / "scores.json").read_text())
    different = [{"what": "prompts", "before": "a1", "after": "b2"}]
    stamp = "not like for like"
    scores["comparisons"][0] |= {"stamp": stamp, "differences": different}
    scores["gate"]["suites"][0] |= {"stamp": stamp, "passed": False}
    (copy / "scores.json").write_text(json.dumps(scores))
    evidence = build(copy)
    assert build(rich)["verdict"]["kind"] == "better"
    assert evidence["verdict"]["kind"] == "not_shown"
    text = render_markdown(evidence, "en")
    assert f"> `{SUITE}`: the two sides were not measured alike" in text
    assert "`prompts` (`a1` against `b2`)" in text
    line = f"`{SUITE}`: the two sides were not measured alike; nothing is concluded from their difference."
    assert f"> {line}" in text.partition("## Other models")[2].partition("### ")[0]
    assert f"- {line}" in text.partition("## What this does not show")[2].partition("## ")[0]
    for question in ("#### 12.", "#### 14."):
        assert f"- {line}" in text.partition(question)[2].partition("####")[0]
    assert (
        f"- `{SUITE}`: not measured alike, so its lower bound of +"
        in text.partition("The gate is not passed")[2]
    )
    row = next(r for r in text.splitlines() if r.startswith(f"| `{SUITE}`: `start` → `curated` |"))
    assert row.endswith("| not measured alike |")


def test_prompts_that_nobody_stated_are_told_on_the_first_screen(rich, tmp_path):
    copy = shutil.copytree(rich, tmp_path / "run")
    scores = json.loads((copy / "scores.json").read_text())
    for score in scores["scores"]:
        score["prompts"] = None if score["arm"] == "curated" else "a1"
    (copy / "scores.json").write_text(json.dumps(scores))
    first, _, rest = render_markdown(build(copy), "en").partition("## Arms")
    assert "> `curated`: nobody stated the prompts." in first
    assert "- `curated`: nobody stated the prompts." in rest
    assert "nobody stated" not in render_markdown(build(rich), "en")


def with_guard(rich, copy, name):
    """Copy a run, with its guard scored under this name."""
    shutil.copytree(rich, copy)
    scores = json.loads((copy / "scores.json").read_text())
    scores["scores"] += [{**s, "suite": name} for s in scores["scores"][:2]]
    text = json.dumps(scores).replace(f'"suite": "{GUARD}"', f'"suite": "{name}"')
    (copy / "scores.json").write_text(text)
    return copy


@pytest.mark.parametrize(
    ("name", "guards"), [(f"{SUITE}+", False), (f"{SUITE}~renamed", False), ("other", True)]
)
def test_only_other_tasks_are_a_guard(rich, tmp_path, name, guards):
    evidence = build(with_guard(rich, tmp_path / "run", name))
    text = render_markdown(evidence, "en")
    assert ("guard_suite" not in {m["id"] for m in evidence["questions"][3]["missing"]}) is guards
    assert ("Only one benchmark was measured" not in text) is guards


def test_the_sides_of_a_bare_comparison_are_not_said_to_be_untrained_and_their_splits_are_listed(
    rich, tmp_path
):
    for name in ("scores.json", "findings.json"):
        shutil.copy(rich / name, tmp_path / name)
    text = render_markdown(build(tmp_path), "en")
    assert text.startswith("# codefit report: two models compared")
    row = next(r for r in text.partition("## Arms")[2].splitlines() if r.startswith("| `start` |"))
    assert row.count("not measured") == 4
    assert "| `train` | 45.0 % (9/20)" in text.partition("## Data")[2].partition("## ")[0]


def test_a_gap_that_no_command_closes_names_none_and_is_in_both_languages(rich, tmp_path):
    copy = shutil.copytree(rich, tmp_path / "run")
    found = json.loads((copy / "findings.json").read_text())
    gap = {
        "group": "efficiency",
        "why": "87 of 196 tasks: too quick or far too slow to time, or other values on larger inputs",
        "command": None,
    }
    found["traits"][0]["not_measured"] = [gap]
    (copy / "findings.json").write_text(json.dumps(found))
    evidence = build(copy)
    english, chinese = (render_markdown(evidence, lang) for lang in LANGUAGES)
    assert f"- Not measured: efficiency ({gap['why']}).\n" in english
    assert "- 未测量：效率（196 题中的 87 题：运行太快" in chinese
    assert evidence["questions"][18]["missing"] == []


def test_published_scores_answer_which_model_to_start_from_and_what_a_larger_one_would_give(rich):
    text = render_markdown(build(rich), "en")
    start = text.partition("#### 3.")[2].partition("####")[0]
    assert "of 1 published models of 0 to 3 thousand million parameters 1 score above 17.5" in start
    assert "the best of them: Other-3B (instruct, 70.0)" in start
    larger = text.partition("#### 18.")[2].partition("####")[0]
    assert "of 1 published models of 6 to 9 thousand million parameters 1 score above 77.5" in larger
    assert "reference_scores" not in {m["id"] for m in build(rich)["not_measured"]}


def test_a_gain_on_bigcodebench_stands_in_its_question_with_the_libraries_that_the_rows_have(rich, tmp_path):
    copy = with_guard(rich, tmp_path / "run", "bigcodebench")
    card = json.loads((copy / "data" / "card.json").read_text())
    (needs,) = card["needs"].values()
    covered = {"libraries_10": 2, "tasks_10": 5}
    needs = {**needs, "libraries": 4, "tasks_with_libraries": 20}
    needs["covered"] = {group: {**found, **covered} for group, found in needs["covered"].items()}
    card["needs"]["bigcodebench"] = needs
    (copy / "data" / "card.json").write_text(json.dumps(card))
    answer = render_markdown(build(copy), "en").partition("#### 13.")[2].partition("####")[0]
    assert "- `bigcodebench`: " in answer
    assert "minimum detectable" in answer
    assert "import 50.0 % (2/4) of its libraries" in answer


def test_the_gate_names_what_holds_it_back(text):
    held = text.partition("The gate is not passed:")[2].partition("\n\n\n")[0]
    assert f"- `{GUARD}` (guard): lower bound -9.0 points, must not be under -2.0." in held
    assert f"`{SUITE}` (target)" not in held


def test_seeds_stand_apart_and_replace_the_limit_of_one_seed(rich, run, text):
    assert f"`{SUITE}`: 2 training seeds, 30.0 points between the best and the worst of them." in text
    assert "One training seed" not in text
    assert "One training seed" in render_markdown(build(run), "en")
    assert "seeds" not in {m["id"] for m in build(rich)["not_measured"]}


def test_published_models_are_counted_by_kind_and_drawn_over_their_size(rich, text):
    part = text.partition("## Other models")[2]
    assert (
        "instruct: of 2 models 0 were below the start model already; 1 are newly passed (1 of them ties)"
        in part
    )
    assert "Changed places: Other-3B (newly passed, a tie)." in part
    order = [
        part.index(f"| {name} |") for name in ("Big-7B \\<b>", "`curated`", "Other-3B", "`start`", "Old-13B")
    ]
    assert order == sorted(order)
    page = render_html(build(rich))
    assert "Big-7B &lt;b&gt;" in page
    assert '<tspan lang="en">parameters (billions)</tspan>' in page


def test_questions_are_answered_by_what_was_added(rich, run):
    def missing(where, number):
        question = next(q for q in build(where)["questions"] if q["number"] == number)
        return {m["id"] for m in question["missing"]}

    for number, measure in ((2, "pass_at_k"), (14, "reference_scores"), (16, "pass_at_k"), (17, "seeds")):
        assert measure in missing(run, number)
        assert measure not in missing(rich, number), number
    assert "memorisation" in missing(run, 10)
    assert "memorisation" not in missing(rich, 10)
    assert missing(rich, 14) == set()
    assert missing(rich, 19) == {"traits"}, "efficiency was not asked for"


def test_answers_finished_from_memory_are_told_beside_those_of_held_out_rows(text):
    outputs, _, questions = text.partition("## Outputs")[2].partition("#### 10.")
    assert "| `curated` | 62.5 % (5/8) [30.6, 86.3] | 50.0 % (2/4) [15.0, 85.0] |" in outputs
    answer = "`curated` finishes 62.5 % (5/8) of the training answers exactly from the prompt and their first 20 tokens"
    assert f"- {answer}; of held-out answers: 50.0 % (2/4)." in questions.partition("####")[0]


def test_copied_runs_wrong_values_splits_and_untouched_tasks_are_told(text):
    assert "| `curated` | 15.0 % (6/40) | 31 | `micro/3` | `taco/4` |" in text
    assert "| off by one | 75.0 % (3/4) | 25.0 % (1/4) | 25.0 % (1/4) |" in text
    assert "on the 36 tasks that no raw row touches" in text
    assert "| `train` | 45.0 % (9/20)" in text
    assert "| `curated` | `micro` | pass@8 | 90.0 % (250/320)" in text


@pytest.mark.parametrize("number", range(1, 20))
def test_every_answer_reads_in_both_languages(rich, number):
    question = build_once(rich)["questions"][number - 1]
    assert question["number"] == number
    said = [
        *question["answer"],
        msg(f"question.q{number}"),
        *(msg(f"measure.{m['id']}") for m in question["missing"]),
    ]
    for message in said:
        english, chinese = (plain(lang).render(message) for lang in LANGUAGES)
        assert english
        assert not re.search(r"[\u4e00-\u9fff]", english), english
        assert re.search(r"[\u4e00-\u9fff]", chinese) or message["msg"] == "measure.bigcodebench", chinese
        figures = [re.findall(r"\d+(?:[.,]\d+)*", text) for text in (english, chinese)]
        assert sorted(figures[0]) == sorted(figures[1]), "the same figures in both"


def test_tasks_asked_differently_stand_in_a_table_and_answer_their_question_in_both_languages(
    rich, run, text
):
    change = "-7.9 (-42.9 %) [-19.0, +4.0] | p = 0.375 | 4 / 1 | 86.8 % |"
    assert f"| other names | `start` | 18.4 % (7/38) | 10.5 % (4/38) | {change}" in text
    assert "[-19.0, +4.0] (not like for like)" in text
    assert "it is no translation" in text
    told = "the tuned model's change differs by +5.3 points, 95 % CI [-4.0, +15.0]"
    assert text.count(told) == 2  # below the table and in the answer; the other arm's is not
    assert "differs by +1.0" not in text
    chinese = render_markdown(build(rich), "zh")
    assert "| 改名 | `start` |" in chinese
    assert "微调模型的变化相差 +5.3 个百分点" in chinese
    wanted = [{m["id"] for m in build(where)["questions"][3]["missing"]} for where in (run, rich)]
    assert ["robustness" in w for w in wanted] == [True, False]
