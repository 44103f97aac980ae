"""The page in a real browser: Chromium of the system, without a network, through Playwright."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.report.fixture_run import HOSTILE, default_outcomes

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")
CHROMIUM = next(
    filter(
        None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text(encoding="utf-8")
BEFORE, AFTER = (default_outcomes()[arm] for arm in ("start", "curated"))


@pytest.fixture(scope="module")
def browser():
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Reader:
    """A page of the report, with everything that a browser complains of or asks for."""

    def __init__(self, browser, run, viewport=DESKTOP, scheme="light", fragment="", script="", **more):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, **more)
        self.address = (run / "report" / "index.html").as_uri()
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda m: self.said.append(m.text))
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        self.page.on("dialog", lambda d: (self.said.append(d.message), d.dismiss()))
        self.page.on("request", lambda r: self.asked.append(r.url.partition("#")[0]))
        if script:
            self.page.add_init_script(script)
        self.page.goto(self.address + fragment)

    def ready(self):
        self.page.wait_for_selector("html[data-tasks=ready]")
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.said == []
            assert set(self.asked) == {self.address}


@pytest.fixture
def reader(browser, run):
    with Reader(browser, run) as reader:
        yield reader.ready().page


def test_the_language_switch_changes_all_that_is_read(reader):
    heading, tick = reader.locator("#h-verdict"), reader.locator("svg tspan:visible")
    assert heading.inner_text() == "Verdict: Better"
    assert "optimizer step" in tick.all_text_contents()
    reader.get_by_role("button", name="中文").click()
    assert heading.inner_text() == "结论: 更好"
    assert "优化器更新" in tick.all_text_contents()
    assert "optimizer step" not in tick.all_text_contents()
    assert reader.title().startswith("codefit 报告")
    assert reader.locator("html").get_attribute("lang") == "zh-CN"
    assert reader.locator("#task-cell option").first.inner_text() == "全部"
    assert reader.get_by_role("button", name="中文").get_attribute("aria-pressed") == "true"
    left = reader.locator("h2:visible, h3:visible, label:visible, th[scope=col]:visible").all_inner_texts()
    names = r"pass@1|start|curated|raw|micro|taco|alpaca|KL|nat|Python|p10|p90|CI|McNemar"
    assert {t for t in left if re.search("[A-Za-z]{2}", re.sub(names, "", t))} == set()
    reader.reload()
    reader.wait_for_selector("html[data-tasks=ready]")
    assert heading.inner_text() == "结论: 更好", "the choice is remembered"


def rows(page):
    return page.locator("#task-table tbody tr:not(.detail) button").all_inner_texts()


def test_tasks_are_searched_and_filtered(reader):
    assert len(rows(reader)) == 40
    reader.get_by_label("Search").fill("ADDS micro/7")
    assert rows(reader) == ["micro/7"]
    assert reader.get_by_role("status").inner_text() == "1 of 1 tasks found are shown, of 40 in all."
    reader.get_by_label("Search").fill("TypeError unsupported")
    raised = [t for t in BEFORE if "runtime_error" in (BEFORE[t], AFTER[t])]
    assert rows(reader) == raised
    assert raised
    reader.get_by_label("Search").fill("")
    reader.get_by_label("Change").select_option("broken")
    assert rows(reader) == [t for t in BEFORE if BEFORE[t] == "passed" != AFTER[t]]
    reader.get_by_label("Change").select_option("")
    reader.get_by_label("Class before").select_option("timeout")
    assert rows(reader) == [t for t in BEFORE if BEFORE[t] == "timeout"]
    reader.get_by_label("Search").fill("no such word")
    assert rows(reader) == []
    assert reader.get_by_role("status").inner_text().startswith("0 of 0")


def test_a_task_opens_by_the_keyboard_and_by_its_address(browser, run):
    task = next(t for t in BEFORE if BEFORE[t] == "wrong_answer" and AFTER[t] == "passed")
    with Reader(browser, run) as reader:
        page = reader.ready().page
        button = page.get_by_role("button", name=task, exact=True)
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-expanded") == "true"
        text = page.locator("tr.detail").inner_text()
        assert "start: wrong answer" in text
        assert "curated: passed" in text
        assert "First failing test: input (1,), expected" in text
        assert HOSTILE in text
        assert text.index("Difference of the programs") < text.index("Reference solution")
        assert page.locator("tr.detail .added").count() > 0
        address = page.evaluate("location.hash")
        page.keyboard.press("Space")
        assert page.locator("tr.detail").count() == 0
        assert button.get_attribute("aria-expanded") == "false"
    with Reader(browser, run, fragment=address) as reader:
        page = reader.ready().page
        assert page.locator("tr.detail").count() == 1
        assert page.evaluate("document.activeElement.textContent") == task


def test_the_keyboard_reaches_and_shows_everything(reader):
    reader.keyboard.press("Tab")
    assert reader.locator(":focus").get_attribute("href") == "#verdict"
    assert reader.locator(":focus").bounding_box()["x"] >= 0, (
        "the link to skip is shown when it has the focus"
    )
    outline = (
        "(e => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth)(document.activeElement)"
    )
    kinds = set()
    for _ in range(60):
        reader.keyboard.press("Tab")
        kinds.add(reader.evaluate("document.activeElement.tagName"))
        assert reader.evaluate(outline) == "solid3px"
    assert kinds >= {"A", "BUTTON", "SUMMARY", "DIV", "PRE"}
    question = reader.locator("#q12")
    question.locator("summary").focus()
    reader.keyboard.press("Space")
    assert question.get_attribute("open") is not None
    assert "minimum detectable" in question.inner_text()


def test_an_address_opens_the_question_that_it_names(browser, run):
    with Reader(browser, run, fragment="#q10") as reader:
        assert reader.ready().page.locator("#q10").get_attribute("open") is not None
        assert reader.page.locator("#q11").get_attribute("open") is None


def test_print_shows_the_evidence_without_the_controls(reader):
    reader.emulate_media(media="print")
    reader.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert not reader.locator("nav").is_visible()
    assert not reader.locator(".filters").is_visible()
    assert reader.locator("#q1").get_attribute("open") is not None
    assert reader.locator("details.unprinted[open]").count() == 0
    assert reader.locator("details.unprinted").count() > 0
    assert reader.pdf().startswith(b"%PDF")
    reader.set_viewport_size({"width": 688, "height": 1000})  # A4 between its margins
    wide = "() => [...document.querySelectorAll('table')].filter(t => t.getBoundingClientRect().right > innerWidth + 1)"
    assert reader.evaluate(f"({wide})().map(t => t.innerText.slice(0, 60))") == []
    reader.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert reader.locator("#q1").get_attribute("open") is None


@pytest.mark.parametrize(
    ("viewport", "scheme", "language"), [(DESKTOP, "light", "English"), (PHONE, "dark", "中文")]
)
def test_no_serious_fault_of_accessibility(browser, run, viewport, scheme, language):
    with Reader(browser, run, viewport, scheme) as reader:
        page = reader.ready().page
        page.get_by_role("button", name=language).click()
        page.locator("button.task").first.click()
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert page.evaluate(ACCESSIBILITY) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")


def test_faults_of_accessibility_are_found(reader):
    """The check above can fail: each planted fault is one of its findings."""
    reader.evaluate("""() => {
        document.querySelector("#h-verdict").outerHTML = "<h4>far too deep</h4>";
        document.querySelector("label[for=task-words]").remove();
        document.querySelector("#verdict .note").style.color = "#cccccc";
        document.querySelector("svg").removeAttribute("aria-hidden");
        document.querySelector("table caption").remove();
    }""")
    found = " ".join(reader.evaluate(ACCESSIBILITY))
    for fault in ("heading from 2 to 4", "no name: <input", "contrast 1.6", "not hidden", "no caption"):
        assert fault in found, found


def test_without_script_and_in_an_old_browser_the_page_still_says_all_but_the_list(browser, run):
    with Reader(browser, run, java_script_enabled=False) as reader:
        # Chromium keeps <noscript> unseen where only this tool forbids scripts; that it is there is all we can see.
        assert "The list of tasks needs JavaScript" in reader.page.locator("#tasks noscript").text_content()
        assert reader.page.locator("#verdict .lead").first.is_visible()
        assert not reader.page.locator("#task-list").is_visible()
    with Reader(browser, run, script="delete window.DecompressionStream;") as reader:
        assert reader.page.get_by_text("This browser cannot unpack the list").is_visible()
