"""The written report: complete, safe, deterministic, honest about gaps."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import zlib
from html.parser import HTMLParser

import pytest

from codefit.core.errors import InputError
from codefit.report import build, charts, drawings, render_html, render_markdown, write_report
from codefit.report.blocks import Chart, Fold, Table
from codefit.report.html_page import diff_lines
from codefit.report.markdown_page import code_span, fenced, quote
from codefit.report.page import sections
from codefit.report.tasks import packed
from tests.report.fixture_run import HOSTILE, SUITE

FILES = ("index.html", "report.md", "report.zh.md", "report.json")


@pytest.fixture(scope="module")
def page(run):
    return (run / "report" / "index.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collects (tag, attributes) and fails on unbalanced tags."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_two_reports_of_equal_runs_have_equal_bytes(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "elsewhere")
    shutil.rmtree(copy / "report")
    write_report(copy)
    for name in FILES:
        assert (copy / "report" / name).read_bytes() == (run / "report" / name).read_bytes(), name


def test_clock_times_durations_and_speeds_do_not_enter(run):
    for name in FILES:
        text = (run / "report" / name).read_text(encoding="utf-8")
        assert "2001-02-03" not in text, name
        assert "tokens_per_s" not in text, name
        assert '"hours"' not in text, name


def test_the_page_asks_for_nothing_from_anywhere(page):
    assert not re.search(r"https?:|//[a-z]+\.", page)
    loading = [
        (t, a) for t, a in Elements(page).found if t in ("link", "img", "iframe", "object") or "src" in a
    ]
    assert loading == []
    assert "url(" not in re.sub(r"url\(#", "", page)


def test_hostile_text_is_shown_and_never_markup(page, run):
    assert HOSTILE not in page
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "Fixture &lt;b&gt;run&lt;/b&gt;" in page
    elements = Elements(page).found
    assert not [a for _, a in elements if any(k.startswith("on") for k in a)]
    scripts = [a for tag, a in elements if tag == "script"]
    assert [a.get("type") for a in scripts] == ["text/plain", None], "one of data, one of ours"
    assert not re.search(r"[<>&]", page.partition('id="task-data">')[2].partition("</script>")[0])


def test_only_our_own_script_may_run(page):
    policy = next(a["content"] for t, a in Elements(page).found if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy


def test_ids_are_unique_and_references_meet_them(page):
    attributes = [a for _, a in Elements(page).found]
    ids = [a["id"] for a in attributes if "id" in a]
    assert len(ids) == len(set(ids))
    wanted = {a["aria-labelledby"] for a in attributes if "aria-labelledby" in a}
    wanted |= {a["href"][1:] for a in attributes if (a.get("href") or "").startswith("#")}
    assert wanted - set(ids) == set()


def test_tables_have_headers_with_scope_and_a_caption(page):
    elements = Elements(page).found
    assert all("scope" in a for t, a in elements if t == "th")
    assert sum(t == "caption" for t, _ in elements) == sum(t == "table" for t, _ in elements) > 10


def test_both_languages_are_in_the_page_and_in_two_markdown_files(page, run):
    assert '<span lang="en">Verdict</span><span lang="zh-CN">结论</span>' in page
    assert "## Verdict: Better" in (run / "report/report.md").read_text()
    assert "## 结论: 更好" in (run / "report/report.zh.md").read_text()


def test_the_page_is_small_and_has_all_drawings(page):
    assert len(page.encode()) < 3_000_000
    assert page.count("<svg") == 6


def test_markdown_figures_carry_counts_and_intervals(run):
    text = (run / "report/report.md").read_text()
    assert re.search(r"\d+\.\d % \(\d+/40\) \[\d+\.\d, \d+\.\d\]", text)
    assert re.search(r"95 % CI \[\+\d+\.\d, \+\d+\.\d\], p [<=] 0\.\d+ \(exact McNemar\)", text)


def test_markdown_tables_have_equal_columns(run):
    text = (run / "report/report.md").read_text()
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) > 10
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_every_page_says_that_the_model_is_a_stand_in(page, run):
    assert "The model of this run is a stand-in" in page
    assert "The model of this run is a stand-in" in (run / "report/report.md").read_text()
    assert "本次运行的模型是替身" in (run / "report/report.zh.md").read_text()
    assert json.loads((run / "report/report.json").read_text())["run"]["stand_in"] is True


def test_planted_faults_stand_with_their_rates(page):
    assert "no passing solution" in page
    assert "49.3 % of taco rows" in page


def test_the_data_card_stands_in_the_page_in_both_languages(page, run):
    assert "What the licences mean for you" in page
    assert "许可证对你意味着什么" in page
    text = (run / "report/report.md").read_text()
    assert "You may not use the rows where a commercial advantage is the main purpose" in text
    assert re.search(r"\| `alpaca` in `taco` \| 30 \|", text)
    zh = (run / "report/report.zh.md").read_text()
    assert re.search(r"\| `alpaca` 在 `taco` 中 \| 30 \|", zh)


def test_questions_on_selection_and_sources_are_answered_from_the_card(run):
    from codefit.report.messages import plain

    found = {q["number"]: [plain("en").render(m) for m in q["answer"]] for q in build(run)["questions"]}
    assert any(line.startswith("micro: 4 rows were removed") for line in found[5])
    assert any("CC BY-NC 4.0" in line and "30 rows read" in line for line in found[6])
    overlap = [line for line in found[6] if "by the largest measure" in line]
    assert len(overlap) == 1
    assert "nearly disjoint" in overlap[0]


def test_a_run_without_a_card_still_names_its_sources(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "data/card.json").unlink()
    evidence = build(copy)
    assert evidence["data"]["card"] is None
    assert next(q for q in evidence["questions"] if q["number"] == 6)["answer"]
    assert "alpaca" in render_html(evidence)


def test_sampled_rows_of_every_step_are_folded_into_the_page(page):
    folds = re.findall(r"<details[^>]*><summary>.*?</summary>", page)
    for step in ("normalise", "syntax", "verify by tests", "decontaminate"):
        assert any(f"{step}: 2 dropped rows and 3 kept rows" in fold for fold in folds), step


def test_leaks_that_were_not_looked_for_are_not_said_to_be_absent(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    funnel = json.loads((copy / "data/funnel.json").read_text())
    funnel["steps"] = [s for s in funnel["steps"] if s["step"] != "decontaminate"]
    (copy / "data/funnel.json").write_text(json.dumps(funnel))
    (copy / "data/hits.jsonl").write_text("")
    assert build(copy)["data"]["leaks"] is None
    assert "No row touches a test set" not in render_markdown(build(copy), "en")


def test_rows_that_the_format_drops_are_the_last_step_of_the_funnel(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    form = json.loads((copy / "format.json").read_text())
    form["arms"]["curated"] |= {"rows": 34, "too_long": 2, "sources": {"taco": {"in": 36, "kept": 34}}}
    (copy / "format.json").write_text(json.dumps(form))
    last = build(copy)["data"]["steps"][-1]
    assert (last["step"], last["in"], last["out"], last["reasons"]) == ("format", 36, 34, {"too long": 2})
    assert "prompt format" in render_markdown(build(copy), "en")


def test_rows_that_a_step_adds_are_shown_where_there_are_any(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    assert "| Step | In | Out | Dropped |" in render_markdown(build(copy), "en")
    funnel = json.loads((copy / "data/funnel.json").read_text())
    funnel["added"] = funnel["steps"][2]["added"] = 8
    funnel["steps"][2]["dropped"] = 20
    (copy / "data/funnel.json").write_text(json.dumps(funnel))
    evidence = build(copy)
    step = evidence["data"]["steps"][2]
    assert (evidence["data"]["added"], step["in"], step["added"], step["out"], step["dropped"]) == (
        8,
        52,
        8,
        40,
        20,
    )
    shown = render_markdown(evidence, "en")
    assert "| Step | In | Added | Out | Dropped |" in shown
    assert "33.3 % (20/60)" in shown
    assert "8 rows added, functions beside the programs they are made of." in shown
    assert "20 of 60 rows dropped." in shown
    assert "新增 8 行" in render_markdown(evidence, "zh")


def test_all_questions_are_answered_or_name_the_command(run):
    questions = build(run)["questions"]
    assert [q["number"] for q in questions] == list(range(1, 20))
    assert all(q["answer"] or q["missing"] for q in questions)
    assert {q["number"] for q in questions if q["status"] == "answered"} >= {7, 12, 15}
    assert all(m["command"].startswith("codefit ") for q in questions for m in q["missing"])


def test_commands_that_do_not_exist_yet_are_marked(run):
    def exists(verbs):
        return {m["id"]: m["exists"] for m in build(run, frozenset(verbs))["not_measured"]}

    assert exists({"models"})["reference_scores"] is True
    assert exists(())["reference_scores"] is False
    assert exists({"run"})["source_arms"] is True


@pytest.mark.parametrize(
    ("missing", "measure"),
    [
        ("scores.json", "scores"),
        ("findings.json", "findings"),
        ("data/funnel.json", "funnel"),
        ("data/hits.jsonl", "leaks"),
        ("format.json", "format"),
        ("plan.json", "plan"),
        ("train/summary.json", "training"),
        ("recipe.resolved.yaml", None),
        ("manifest.json", None),
        ("data/planted.json", None),
    ],
)
def test_a_missing_file_is_not_measured_instead_of_a_crash(run, tmp_path, missing, measure):
    copy = shutil.copytree(run, tmp_path / "run")
    whole = {m["id"] for m in build(copy)["not_measured"]}
    (copy / missing).unlink()
    evidence = build(copy)
    for text in (render_html(evidence), render_markdown(evidence, "en"), render_markdown(evidence, "zh")):
        assert text
    wanted = {m["id"] for m in evidence["not_measured"]}
    assert measure is None or (measure in wanted and measure not in whole)


def test_an_empty_run_gives_a_whole_report_that_measured_nothing(tmp_path):
    evidence = build(tmp_path)
    assert evidence["verdict"]["kind"] == "not_measured"
    text = render_markdown(evidence, "en")
    assert "No paired comparison was measured" in text
    assert text.count("Not measured: ") >= 6
    Elements(render_html(evidence))


def test_a_missing_folder_and_a_damaged_file_are_refused_by_name(run, tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        build(tmp_path / "nothing")
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "scores.json").write_text("{")
    with pytest.raises(InputError, match=r"scores\.json"):
        build(copy)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("findings.json", {"layout": 1, "suites": {}}, "layout"),
        ("findings.json", {"layout": 2, "suites": {SUITE: {}}}, f"suites.{SUITE}"),
        ("data/funnel.json", {"steps": [5]}, "steps.0"),
        ("data/card.json", {"sources": {}}, "mixture"),
        ("data/planted.json", {"faults": 3}, "faults"),
        ("plan.json", {"peak_mb": "much"}, "peak_mb"),
        ("format.json", {"parity": 3}, "parity"),
        ("train/summary.json", {"overfit": 1}, "overfit"),
        ("recipe.resolved.yaml", {"arms": 5}, "arms"),
        ("manifest.json", {"environment": 4}, "environment"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_the_place_in_it(run, tmp_path, name, text, place):
    for part in ("scores.json", name):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(run / part, tmp_path / part)
    build(tmp_path)
    (tmp_path / name).write_text(json.dumps(text))
    with pytest.raises(InputError, match=rf"{re.escape(name)}: {re.escape(place)}.*: .*; "):
        build(tmp_path)


def test_without_matplotlib_the_report_is_complete_and_names_the_extra(run, monkeypatch):
    monkeypatch.setattr(charts, "available", lambda: False)
    page = render_html(build(run))
    assert "codefit[report]" in page
    assert "<svg" not in page
    assert page.count("<table") > 10


def test_tuned_models_that_saw_the_test_and_tasks_that_could_not_be_judged_are_limits(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    scores = json.loads((copy / "scores.json").read_text())
    for score in scores["scores"]:
        score["excluded"] = ["micro/40", "micro/41"]
    (copy / "scores.json").write_text(json.dumps(scores))
    limits = render_markdown(build(copy), "en").partition("## What this does not show")[2].partition("## ")[0]
    assert f"- `{SUITE}`: 2 tasks could not be judged here" in limits
    assert "- 2 tuned models of this run were judged on the test tasks; the verdict is on `curated`" in limits


def test_limited_runs_say_so(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    scores = json.loads((copy / "scores.json").read_text())
    for score in scores["scores"]:
        score["limit"] = 40
    (copy / "scores.json").write_text(json.dumps(scores))
    assert f"{SUITE}`, `start`: only the first 40 tasks" in render_markdown(build(copy), "en")


def test_untrusted_text_cannot_leave_a_fence_a_code_span_or_a_cell():
    assert fenced("a\n```\n<b>").startswith("````\n")
    assert code_span("a`b|c") == "``a`b¦c``"
    assert quote("p < 1 <b>|[x](y)\nz") == "p < 1 \\<b>\\|[x]\\(y) z"


def test_diff_lines_keep_their_signs():
    kinds = list(diff_lines("--- a\n+++ b\n@@ 1 @@\n same\n-old\n+new"))
    assert [k for k, _ in kinds] == ["place", "place", "place", "same", "removed", "added"]
    assert [line for _, line in kinds][-2:] == ["-old", "+new"]


def assert_sources_exist(run):
    """Every table and chart names a file of the run and a place in it; return how many there are."""
    evidence = build(run)
    found = [b for s in sections(evidence) for b in flat(s.blocks) if isinstance(b, Table | Chart)]
    for block in found:
        file, place = block.source
        assert file in evidence["files"], (block.kind, block.source)
        value = json.loads((run / file).read_text()) if place and not file.startswith("report/") else evidence
        for key in filter(None, place.split("/")):
            value = value[int(key) if isinstance(value, list) else key]
    return len(found)


def test_every_table_and_chart_leads_to_a_place_that_exists(run):
    assert assert_sources_exist(run) > 25


def flat(blocks):
    for block in blocks:
        yield block
        yield from flat(block.blocks) if isinstance(block, Fold) else ()


def test_links_lead_to_files_that_exist(page, run):
    wanted = {
        a["href"].partition("#")[0] for _, a in Elements(page).found if a.get("href", "").startswith("../")
    }
    assert len(wanted) > 12
    assert {name for name in wanted if not (run / "report" / name).exists()} == set()
    text = (run / "report/report.md").read_text()
    assert set(re.findall(r"\]\((\.\./[^)]*)\)", text)) == wanted


def test_memory_is_drawn_by_phase_with_the_budget_and_the_measured_peak(run):
    evidence = build(run)
    page = render_html(evidence)
    assert '<span class="swatch budget">' in page
    assert '<span class="swatch measured">' in page
    assert '<tspan lang="en">optimizer step</tspan><tspan lang="zh-CN">优化器更新</tspan>' in page
    assert "far to the right" not in page
    evidence["plan"]["budget_mb"] = 7000.0
    assert '<span class="swatch budget">' not in render_html(evidence)
    assert "The budget of 7,000 MiB lies far to the right" in render_html(evidence)
    assert re.search(r"\| Sum \| 60\.4 MiB \| 45\.0 MiB \|", render_markdown(evidence, "en"))


def test_the_weights_that_were_kept_are_named_and_marked(run):
    evidence = build(run)
    text = render_markdown(evidence, "en")
    assert "`curated`: the weights kept are `scale 0.5`, of step 30 of 40." in text
    assert "`raw`: the weights kept are those as trained, of step 30 of 40." in text
    chart = next(b for s in sections(evidence) for b in s.blocks if getattr(b, "drawing", "") == "curves")
    assert {arm: c["chosen"] for arm, c in chart.data["arms"].items()} == {"curated": [3000], "raw": [3000]}
    assert drawings.curve_panels(chart.data) == ["loss", "develop", "kl_to_start", "grad_norm", "lr"]


def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def test_all_tasks_are_in_the_page_with_both_answers(run):
    evidence = build(run)
    text, cut = packed(run, evidence["tasks"])
    assert cut is None
    found = unpacked(text)["suites"][0]
    assert (found["suite"], found["arms"], len(found["tasks"])) == (SUITE, ["start", "curated"], 40)
    churn = next(p for p in evidence["findings"]["suites"][SUITE]["pairs"] if p["after"] == "curated")[
        "churn"
    ]
    cells = {cell: [t[0] for t in found["tasks"] if t[1] == cell] for cell in churn}
    assert cells == {cell: c["tasks"] for cell, c in churn.items()}
    _, _, before, after, prompt, sides, diff, reference = next(t for t in found["tasks"] if t[1] == "fixed")
    assert prompt.startswith("Write f(x) that adds")
    assert reference.startswith("def f(x)")
    assert after == "passed" != before
    assert sides[1]["outcome"] == "passed"
    assert HOSTILE in sides[1]["program"]
    assert diff is None or diff.startswith("--- start\n+++ curated")


def test_long_texts_are_cut_until_the_page_is_small_and_the_page_says_so(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    path = copy / "completions" / f"{SUITE}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    noise = random.Random(0)
    for line in lines:
        line["program"] = "".join(noise.choices("abcdefghijklmnop", k=5000))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    evidence = build(copy)
    text, cut = packed(copy, evidence["tasks"], limit=60_000)
    assert len(text) <= 60_000
    assert cut == 700
    longest = max(len(s["program"]) for t in unpacked(text)["suites"][0]["tasks"] for s in t[5])
    assert 700 < longest < 750
    assert "stop after 700 characters" in render_html(evidence, (text, cut))
