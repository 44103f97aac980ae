"""axe-core on a written report, every fold and a task open: wide and light in English, narrow and dark in Chinese.

Usage: python benchmarks/accessibility.py RUN/report/index.html [--out results/accessibility.json]

Needs Chromium, and the packages playwright and axe-playwright-python, whose copy of axe-core (MPL 2.0) is used;
the project carries none. The page's content security policy is put aside, or axe-core could not be loaded.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from codefit.core.files import write_json
from measure import machine

VIEWS = (("light", 1280, "English"), ("dark", 360, "中文"))


def findings(
    browser: Browser, page: Path, scheme: str, width: int, language: str, axe: str
) -> dict[str, Any]:
    """Return what axe-core finds in one view of a page."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True, offline=True
    )
    tab = context.new_page()
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-tasks=ready]")
    tab.get_by_role("button", name=language).click()
    tab.locator("button.task").first.click()
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    tab.evaluate(axe)
    found = tab.evaluate("axe.run()")
    context.close()
    return {
        "scheme": scheme,
        "width": width,
        "language": language,
        "axe_core": found["testEngine"]["version"],
        "rules_passed": len(found["passes"]),
        "violations": [
            {"rule": v["id"], "impact": v["impact"], "nodes": len(v["nodes"])} for v in found["violations"]
        ],
        "undecided": {i["id"]: len(i["nodes"]) for i in found["incomplete"]},
    }


def main() -> None:
    """Look at every view, print and write the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "accessibility.json")
    args = parser.parse_args()
    axe = (
        importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    )
    with sync_playwright() as p:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        views = [findings(browser, args.page, *view, axe) for view in VIEWS]
        browser.close()
    result = {"machine": machine(), "views": views}
    write_json(args.out, result)
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
