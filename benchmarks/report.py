"""Time and size of the report of a full-sized run: 378 MBPP-like and 1,140 BigCodeBench-like tasks, two models.

Usage: python benchmarks/report.py --base RUN --work EMPTY_FOLDER [--out results/report.json]

RUN is a finished run folder, such as `codefit demo --out RUN` makes: its data, plan and training are taken as
they are. Tasks, answers, verdicts and 10,000 training rows are made by seed, in the sizes of the real ones (prompts
of 15 and 150 words, programs of 6 to 60 lines, three in ten and seven in ten failing). Analysis (without traits)
and report are timed apart, each in a process of its own; with Playwright, so is the page until its list can be used.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.files import write_json, write_jsonl
from codefit.score.compare import Side, compare
from codefit.score.tally import pass_figures
from measure import machine, measured

SUITES = {"mbpp": (378, 15, (3, 9), 0.31), "bigcodebench": (1140, 150, (12, 45), 0.74)}
ARMS = ("start", "tuned")
ROWS = 10_000
WORDS = " ".join(
    (
        "given list string number return sum of elements sorted index matrix dictionary key value first last prime",
        "even odd tuple count remove duplicate reverse find check longest common substring frame column plot file",
        "path read write json parse date time random seed mean median group filter merge label axis title request",
    )
).split()
ERRORS = (
    "TypeError: unsupported operand type(s)",
    "ValueError: invalid literal",
    "KeyError: 'total'",
    "AttributeError: no 'group'",
)
STATEMENTS = (
    "{a} = [{b} for {b} in {c} if {b}]", "{a} = sorted({c}, key=lambda {b}: ({b} is None, {b}))",
    "assert {c}, '{b} {a} is empty'", "{a}.append(len(str({b})))",
    "for {a}, {b} in enumerate({c}): {b} = {a} + {n}", "{a} = {{str({b}): {n} for {b} in range({n})}}",
    "{c} = {a}.get('{b}', {n})", "{a} = ' '.join(str({b}) for {b} in {c})[:{n}]",
)  # fmt: skip
TIMED = {
    "analysis": "from codefit.analyse import findings; from codefit.core.files import write_json; import sys;"
    "from pathlib import Path; run = Path(sys.argv[1]); write_json(run / 'findings.json', findings(run))",
    "report": "from codefit.report import write_report; import sys; from pathlib import Path;"
    "write_report(Path(sys.argv[1]))",
}


def words(draw: random.Random, n: int) -> str:
    """Return a sentence of `n` words."""
    return " ".join(draw.choices(WORDS, k=n)).capitalize() + "."


def program(draw: random.Random, lines: int) -> str:
    """Return a function of about that many lines."""
    body = [
        draw.choice(STATEMENTS).format(
            a=draw.choice(WORDS), b=draw.choice(WORDS), c="values", n=draw.randrange(99)
        )
        for _ in range(lines)
    ]
    return "def task_func(values):\n    " + "\n    ".join([f'"""{words(draw, 6)}"""', *body, "return values"])


def changed(draw: random.Random, text: str) -> str:
    """Return a program of which every fifth line is another."""
    fresh = iter(program(draw, 60).splitlines()[2:])
    return "\n".join(
        next(fresh) if i and draw.random() < 0.2 else line for i, line in enumerate(text.splitlines())
    )


def answers(
    suite: str, draw: random.Random
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]:
    """Yield (task, completions, verdicts) of every task of a suite."""
    tasks, prompt_words, lines, failing = SUITES[suite]
    for i in range(tasks):
        name = f"{suite}/{i}"
        reference = program(draw, draw.randint(*lines))
        task = {
            "task_id": name,
            "prompt": words(draw, prompt_words),
            "entry_point": "task_func",
            "reference": reference,
        }
        written, judged = [], []
        text = changed(draw, reference)
        for arm in ARMS:
            text = changed(draw, text)
            fails = draw.random() < failing
            outcome = draw.choice(("wrong_answer", "runtime_error")) if fails else "passed"
            facts = {"arm": arm, "task_id": name, "sample": 0}
            written.append(
                {
                    **facts,
                    "text": f"```python\n{text}\n```",
                    "program": text,
                    "extraction": "fenced",
                    "tokens": len(text) // 3,
                    "mean_logprob": -draw.random(),
                    "finish_reason": "stop",
                }
            )
            judged.append({**facts, **verdict(outcome, draw)})
        yield task, written, judged


def verdict(outcome: str, draw: random.Random) -> dict[str, Any]:
    """Return a verdict line of an outcome, without its names."""
    wrong = {"input": repr([draw.randrange(99)] * 9), "expected": "12", "got": "13"}
    return {
        "outcome": outcome,
        "base_outcome": outcome,
        "plus_outcome": None,
        "error": draw.choice(ERRORS) if outcome == "runtime_error" else None,
        "failed_test": wrong if outcome == "wrong_answer" else None,
        "seconds": 0.1,
        "peak_mb": 40.0,
    }


def make(base: Path, run: Path) -> None:
    """Write the run folder."""
    for name in ("data", "train"):
        shutil.copytree(
            base / name, run / name, ignore=shutil.ignore_patterns("model", "adapter", "checkpoints", "cache")
        )
    for name in ("plan.json", "format.json", "manifest.json", "recipe.resolved.yaml"):
        shutil.copy(base / name, run / name)
    draw, scores, comparisons = random.Random(0), [], []
    for suite in SUITES:
        made = list(answers(suite, draw))
        write_jsonl(run / "tasks" / f"{suite}.jsonl", (task for task, _, _ in made))
        write_jsonl(run / "completions" / f"{suite}.jsonl", (line for _, lines, _ in made for line in lines))
        verdicts = [line for _, _, lines in made for line in lines]
        write_jsonl(run / "verdicts" / f"{suite}.jsonl", verdicts)
        passed = {
            arm: {v["task_id"]: [v["outcome"] == "passed"] for v in verdicts if v["arm"] == arm}
            for arm in ARMS
        }
        sides = {arm: Side(suite, "made", "made", found) for arm, found in passed.items()}
        about = {
            "suite": suite,
            "revision": "made",
            "harness": "made",
            "excluded": [],
            "limit": None,
            "stand_in": True,
        }
        scores += [
            {"arm": a, **about, **pass_figures([(1, int(p[0])) for p in found.values()])}
            for a, found in passed.items()
        ]
        comparisons.append(
            {"before_arm": ARMS[0], "after_arm": ARMS[1], **compare(sides[ARMS[0]], sides[ARMS[1]])}
        )
    write_json(run / "scores.json", {"scores": scores, "comparisons": comparisons})
    rows = [
        {"id": f"made/{i}", "source": "made", "instruction": words(draw, 30), "response": program(draw, 8)}
        for i in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), run / "data" / "kept.parquet")


def browser_seconds(page: Path) -> float | None:
    """Return seconds from opening the page until its list of tasks can be used; None without a browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-tasks=ready]")
        spent: float = tab.evaluate("performance.now()")
        browser.close()
    return round(spent / 1000, 2)


def main() -> None:
    """Make the run, time analysis and report, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "report.json")
    args = parser.parse_args()
    run = args.work / "run"
    make(args.base, run)
    result: dict[str, Any] = {
        "machine": machine(),
        "tasks": {suite: n for suite, (n, *_) in SUITES.items()},
        "models": len(ARMS),
        "training_rows": ROWS,
    }
    for name, source in TIMED.items():
        usage = measured([sys.executable, "-c", source, str(run)])
        if usage.code:
            raise SystemExit(f"{name} ended with {usage.code}: {usage.output[-800:]}")
        result[name] = {
            "wall_s": round(usage.wall_s, 1),
            "cpu_s": round(usage.cpu_s, 1),
            "peak_mb": usage.peak_mb,
        }
    report = run / "report"
    result["bytes"] = {p.name: p.stat().st_size for p in sorted(report.iterdir())}
    result["page_ready_s"] = browser_seconds(report / "index.html")
    write_json(args.out, result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
