"""Every task of the main pair with what each side answered, packed for the page to search and open.

The texts of 1,500 tasks would make a page of many megabytes; deflated, in base64, they are a fifth. The
page inflates them in the browser (`DecompressionStream`, without a request). Where they are still too
much, long texts are cut further; the page says so, and the run's files have them whole.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codefit.analyse.churn import as_text, cell, clip, natural, unified_diff
from codefit.core.files import read_jsonl
from codefit.report.messages import HTML_LANG, LANGUAGES, catalogue, keys_of

PACKED_LIMIT = 2_000_000
"""Characters of base64, so that the page stays below 3 MB with its other sections."""
_TEXT_LIMITS = (6000, 3000, 1500, 700, 300, 0)
_VALUE_LIMIT = 400
_LABELS = ("class", "cell", "tasks")
Record = dict[str, Any]


def task_lists(findings: Mapping[str, Any] | None, main: tuple[str, str]) -> list[Record]:
    """Return per suite the tasks that both sides of the main pair answered, with class and churn cell."""
    found = []
    for suite, facts in sorted(((findings or {}).get("suites") or {}).items()):
        before, after = (facts.get("classes", {}).get(arm, {}) for arm in main)
        ids = sorted(set(before) & set(after), key=natural)
        if ids:
            tasks = [[t, cell(before[t], after[t]) or "not_measured", before[t], after[t]] for t in ids]
            found.append({"suite": suite, "arms": list(main), "tasks": tasks})
    return found


def packed(run: Path, lists: list[Record], limit: int = PACKED_LIMIT) -> tuple[str, int | None]:
    """Return all tasks with their texts as base64 of deflated JSON, and the length that texts were cut to.

    The length is None where nothing was cut.
    """
    details = {found["suite"]: _details(run, found) for found in lists}
    longest = max((len(t) for d in details.values() for text in d.values() for t in _texts(text)), default=0)
    for cut in _TEXT_LIMITS:
        whole = {
            "suites": [_suite(found, details[found["suite"]], cut) for found in lists],
            "labels": labels(),
        }
        text = _pack(whole)
        if len(text) <= limit:
            break
    return text, cut if longest > cut else None


def labels() -> dict[str, dict[str, str]]:
    """Return the list's messages by the language's tag and key, with their placeholders."""
    keys = [key for group in _LABELS for key in keys_of(group)]
    return {HTML_LANG[lang]: {key: catalogue(lang)[key] for key in keys} for lang in LANGUAGES}


def _pack(value: Any) -> str:
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _details(run: Path, found: Record) -> dict[str, Record]:
    """Return per task its prompt and, by arm, what was answered and how it failed."""
    suite, arms = found["suite"], found["arms"]
    details: dict[str, Record] = {task[0]: {"sides": [{}, {}]} for task in found["tasks"]}
    for line in _lines(run / "tasks" / f"{suite}.jsonl"):
        if (d := details.get(str(line.get("task_id")))) is not None:
            d["prompt"], d["reference"] = line.get("prompt"), line.get("reference")
    for folder, read in (("completions", _answer), ("verdicts", _judgement)):
        for line in _lines(run / folder / f"{suite}.jsonl"):
            d = details.get(str(line.get("task_id")))
            if d is not None and line.get("arm") in arms and line.get("sample", 0) == 0:
                d["sides"][arms.index(line["arm"])] |= read(line)
    for d in details.values():
        programs = [side.get("program") for side in d["sides"]]
        d["diff"] = unified_diff(programs[0], programs[1], tuple(arms)) if all(programs) else None
    return details


def _lines(path: Path) -> list[Record]:
    return [line for _, line in read_jsonl(path)] if path.exists() else []


def _answer(line: Record) -> Record:
    program = line.get("program")
    return {
        "program": program,
        "text": None if program else line.get("text"),
        "extraction": line.get("extraction"),
        "finish": line.get("finish_reason"),
        "tokens": line.get("tokens"),
        "logprob": line.get("mean_logprob"),
    }


def _judgement(line: Record) -> Record:
    failed = line.get("failed_test")
    values = (
        [clip(as_text(failed.get(k)), _VALUE_LIMIT) for k in ("input", "expected", "got")] if failed else None
    )
    return {"outcome": line.get("outcome"), "error": clip(line.get("error"), _VALUE_LIMIT), "failed": values}


def _texts(detail: Record) -> list[str]:
    sides = [side.get(k) for side in detail["sides"] for k in ("program", "text")]
    return [t for t in (detail.get("prompt"), detail.get("reference"), detail["diff"], *sides) if t]


def _suite(found: Record, details: Mapping[str, Record], cut: int) -> Record:
    """Return a suite's list, each task with its texts cut to a number of characters."""

    def short(text: Any) -> Any:
        return clip(text, cut) if cut else None

    tasks = []
    for row in found["tasks"]:
        d = details[row[0]]
        sides = [{**s, "program": short(s.get("program")), "text": short(s.get("text"))} for s in d["sides"]]
        tasks.append([*row, short(d.get("prompt")), sides, short(d["diff"]), short(d.get("reference"))])
    return {"suite": found["suite"], "arms": found["arms"], "tasks": tasks}
