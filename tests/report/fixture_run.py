"""A small run folder of true shape, written by us: 40 tasks, three arms, no model involved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from codefit.analyse import findings
from codefit.core.curation import CurateSettings
from codefit.core.files import digest, write_json, write_jsonl, write_text
from codefit.core.types import Dropped, Row, Task, Tests
from codefit.curate.card import data_card
from codefit.curate.step import Context
from codefit.score.compare import Side, compare
from codefit.score.tally import pass_figures

SUITE = "micro"
ARMS = ("start", "curated", "raw")
TASKS = 40
HOSTILE = "</script><img src=x onerror=alert(1)>"
REVISION, HARNESS = "micro-1:5f2c", "codefit-0.1.0:9a1e"
PASS_RATES = {"start": 18, "curated": 78, "raw": 48}

Outcomes = Mapping[str, Mapping[str, str]]
_FAULTS = (
    ("taco_no_passing_solution", 300, 0.493, "taco rows", "share of problems without a passing solution"),
    ("code_alpaca_leaked_reworded", 24, 0.02, "code_alpaca rows", "rows that solve a test task"),
)


def task_id(i: int) -> str:
    """Return the id of a task."""
    return f"micro/{i}"


def default_outcomes(rates: Mapping[str, int] = PASS_RATES) -> dict[str, dict[str, str]]:
    """Return an outcome for every arm and task: about `rates` per cent pass, failures vary."""
    failures = ("wrong_answer", "wrong_answer", "runtime_error", "syntax_error", "no_code", "timeout")
    outcomes: dict[str, dict[str, str]] = {}
    for arm, rate in rates.items():
        outcomes[arm] = {}
        for i in range(TASKS):
            draw = int(digest(arm, str(i)), 16)
            fails = failures[draw // 100 % len(failures)]
            outcomes[arm][task_id(i)] = "passed" if draw % 100 < rate else fails
    return outcomes


def exactly(passing: Mapping[str, range]) -> dict[str, dict[str, str]]:
    """Return outcomes in which exactly the tasks of a range pass, by arm."""
    return {
        arm: {task_id(i): "passed" if i in numbers else "wrong_answer" for i in range(TASKS)}
        for arm, numbers in passing.items()
    }


def write_run(run: Path, outcomes: Outcomes | None = None, *, hostile: str = HOSTILE) -> Path:
    """Write the whole run folder, findings included, and return it."""
    outcomes = outcomes or default_outcomes()
    _about(run)
    _data(run, hostile)
    _training(run, tuple(outcomes))
    _completions(run, outcomes, hostile)
    _verdicts(run, outcomes)
    _tasks(run)
    write_json(run / "scores.json", scores(outcomes))
    write_json(run / "findings.json", findings(run, tasks=tasks()))
    return run


def _about(run: Path) -> None:
    recipe = {
        "name": "fixture",
        "title": "Fixture <b>run</b>",
        "note": "made by a test, no model involved",
        "stand_in": True,
        "seed": 0,
    }
    write_text(run / "recipe.resolved.yaml", yaml.safe_dump(recipe))
    environment = {"python": "3.11.9", "platform": "Linux", "cpus": "2"}
    stage = {"key": "k", "inputs": [], "outputs": [], "finished": "2001-02-03T04:05:06", "seconds": 12.5}
    manifest = {"codefit": "0.1.0", "recipe": "fixture", "recipe_hash": "abcdef0123456789"}
    write_json(
        run / "manifest.json",
        {**manifest, "environment": environment, "stages": {"curate": stage}, "complete": True},
    )


def _row(i: int, source: str, hostile: str = "") -> dict[str, Any]:
    return {
        "id": f"{source}/{i}",
        "source": source,
        "instruction": f"Write f(x) that adds {i} to x.{hostile}",
        "response": f"def f(x):\n    return x + {i}{'  # ' + hostile if hostile else ''}",
    }


def _data(run: Path, hostile: str) -> None:
    rows = [_row(i, "alpaca" if i % 2 else "taco", hostile if i == 3 else "") for i in range(60)]
    pq_write(run / "data" / "raw.parquet", rows)
    pq_write(run / "data" / "kept.parquet", rows[:36])
    dropped = [{"row_id": r["id"], "step": "verify", "reason": "wrong_answer"} for r in rows[36:]]
    pq_write(run / "data" / "dropped.parquet", dropped)
    steps = []
    plan = (
        ("normalise", 60, {"empty": 2}),
        ("syntax", 58, {"does not parse": 6}),
        ("verify", 52, {"wrong_answer": 12}),
        ("decontaminate", 40, {f"leak:{SUITE}:execution": 4}),
    )
    for name, into, reasons in plan:
        kept = into - sum(reasons.values())
        shown = [
            {"row_id": r["id"], **{k: r[k] for k in ("source", "instruction", "response")}} for r in rows
        ]
        steps.append(
            {
                "step": name,
                "in": into,
                "kept": kept,
                "dropped": into - kept,
                "reasons": reasons,
                "sources": {s: {"in": into // 2, "kept": kept // 2} for s in ("alpaca", "taco")},
                "report": {"suites": {SUITE: {"rows_removed": 4, "tasks_touched": 4}}}
                if name == "decontaminate"
                else {},
                "sample_kept": shown[:3],
                "sample_dropped": [{**r, "reason": next(iter(reasons))} for r in shown[3:5]],
            }
        )
    sources = [
        {"name": s, "kind": s, "revision": "1", "licence": "ours", "about": "written here"}
        for s in ("alpaca", "taco")
    ]
    funnel = {"read": 60, "kept": 36, "kept_tokens": 900, "seed": 0, "steps": steps, "sources": sources}
    write_json(run / "data" / "funnel.json", {**funnel, "suites": {SUITE: TASKS}, "arms": {}, "settings": {}})
    _card(run, rows, funnel)
    faults = [dict(zip(("fault", "rows", "rate", "of", "source"), f, strict=True)) for f in _FAULTS]
    write_json(run / "data" / "planted.json", {"faults": faults, "rows": 1200})
    hits = [{"row_id": f"taco/{i}", "suite": SUITE, "task_id": task_id(i)} for i in range(4)]
    write_jsonl(
        run / "data" / "hits.jsonl",
        ({**h, "method": "execution", "score": 1.0, "action": "removed"} for h in hits),
    )


def _card(run: Path, rows: list[dict[str, Any]], funnel: dict[str, Any]) -> None:
    """Write the data card of the rows, as curation makes it; one source is non-commercial."""
    licences = {"alpaca": "CC BY-NC 4.0", "taco": "Apache-2.0"}
    read = [
        Row(r["id"], r["source"], r["instruction"], r["response"], licence=licences[r["source"]])
        for r in rows
    ]
    ctx = Context(CurateSettings(), tasks(), None, 0)
    dropped = [Dropped(row.id, "verify", "wrong_answer") for row in read[36:]]
    for row in read[:36]:
        ctx.note(row.id, verdict="loads")
    write_json(run / "data" / "card.json", data_card(read, read[:36], dropped, funnel, ctx))


def pq_write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def _training(run: Path, arms: tuple[str, ...]) -> None:
    tuned = arms[1:]
    formatted = {"rows": 36, "too_long": 1, "tokens": 2000, "trained_tokens": 900, "bins": 5}
    pieces = [
        {"text": "<|im_start|>user\nAdd 1 to x.<|im_end|>\n<|im_start|>assistant\n", "trained": False},
        {"text": "def f(x):\n    return x + 1<|im_end|>", "trained": True},
    ]
    previews = [
        {"kind": "row", "source": "taco", "id": "taco/1", "pieces": pieces},
        {"kind": "evaluation", "suite": SUITE, "id": task_id(0), "pieces": pieces[:1]},
    ]
    parity = {"ok": True, "prefix_tokens": 14, "checked": TASKS, "suites": [SUITE]}
    write_json(
        run / "format.json",
        {
            "template_hash": "t0t0",
            "parity": parity,
            "max_length": 256,
            "arms": {arm: {**formatted, "packing_efficiency": 0.93} for arm in tuned},
            "previews": previews,
        },
    )
    settings = {"method": "full", "micro_batch": 4, "recompute": False, "weights": "float32"}
    rejected = [{**settings, "micro_batch": 8, "peak_mb": 90.5, "why": "fits, same speed, more memory"}]
    parts = {"weights": 20.0, "optimizer": 16.0, "gradients": 8.0, "activations": 16.4}
    step = {**parts, "activations": 0.0, "gradients": 9.0}
    plan = {
        "fits": True,
        "units": "MiB",
        "device": "cpu",
        "budget_mb": 70.0,
        "peak_mb": 60.4,
        "phase": "loss",
        "components_mb": parts,
        "phases_mb": {"loss": parts, "optimizer": step},
        "settings": settings,
        "rejected": rejected,
        "tokens_per_s": 1234,
        "hours": 0.01,
    }
    write_json(run / "plan.json", {**plan, "arms": dict.fromkeys(tuned, plan)})
    for n, arm in enumerate(tuned):
        folder = run / "train" if n == 0 else run / "arms" / arm / "train"
        write_jsonl(folder / "log.jsonl", (_log_line(step, n) for step in range(1, 41)))
        write_json(folder / "summary.json", _summary(arm, n))
    write_json(run / "train" / "choice.json", _choice(tuned[0]))


def _choice(arm: str) -> dict[str, Any]:
    """Return choice.json of two candidates, of which the scaled one was chosen."""
    figures = [("as trained", 1.0, 24), ("scale 0.5", 0.5, 27)]
    candidates = [
        {
            "name": name,
            "scale": scale,
            "steps": None,
            **pass_figures([(1, int(i < passed)) for i in range(TASKS)]),
            "against_trained": {"fixed": passed - 24, "broken": 0, "p_value": 0.25},
        }
        for name, scale, passed in figures
    ]
    return {"arm": arm, "suite": "micro-dev", "chosen": "scale 0.5", "candidates": candidates}


def _log_line(step: int, arm: int) -> dict[str, Any]:
    loss = 0.4 + 2 * math.exp(-step / (8 + 4 * arm))
    line = {"step": step, "trained_tokens": 100 * step, "loss": round(loss, 4), "lr": 1e-3, "grad_norm": 1.0}
    if step % 10:
        return {**line, "tokens_per_s": 999.0}
    develop = {"suite": "micro-dev", **pass_figures([(1, int(i < step // 2)) for i in range(TASKS)])}
    looks = {"val_loss": round(loss + 0.1, 4), "kl_to_start": step / 100, "develop": develop}
    return {**line, "tokens_per_s": 999.0, **looks}


def _summary(arm: str, n: int) -> dict[str, Any]:
    return {
        "arm": arm,
        "method": "full",
        "rows": 36,
        "steps": 40,
        "epochs": 2.0,
        "trained_tokens": 4000,
        "parameters": 400_000,
        "trainable_parameters": 400_000,
        "first_loss": 2.2,
        "last_loss": 0.41 + n / 10,
        "val_loss": 0.51,
        "kept_step": 30,
        "overfit": {
            "verdict": "not over-fitted",
            "best": 0.51,
            "best_step": 40,
            "last": 0.51,
            "last_step": 40,
        },
        "seed": 0,
        "peak_mb": 58.0,
        "model_path": "model",
    }


def tasks() -> dict[str, list[Task]]:
    """Return the tasks of the run's suite."""
    tests = Tests("calls", "f", inputs=((1,),), outputs=(1,))
    return {SUITE: [Task(task_id(i), f"Write f(x) that adds {i} to x.", "f", tests) for i in range(TASKS)]}


def _completions(run: Path, outcomes: Outcomes, hostile: str) -> None:
    lines = []
    for arm, by_task in outcomes.items():
        for i, (task, outcome) in enumerate(by_task.items()):
            right = f"def f(x):\n    # {hostile}\n    return x + {i}"
            wrong = f"def f(x):\n    y = x - {i}\n    return y"
            program = None if outcome == "no_code" else right if outcome == "passed" else wrong
            lines.append(
                {
                    "arm": arm,
                    "task_id": task,
                    "sample": 0,
                    "text": f"```python\n{program}\n```" if program else "I cannot.",
                    "program": program,
                    "extraction": "fenced" if program else "none",
                    "tokens": 20 + i % 7,
                    "mean_logprob": -0.2,
                    "min_logprob": -1.1,
                    "finish_reason": "length" if outcome == "no_code" and i % 2 else "stop",
                }
            )
    write_jsonl(run / "completions" / f"{SUITE}.jsonl", lines)


def _tasks(run: Path) -> None:
    lines = [
        {
            "task_id": t.task_id,
            "prompt": t.prompt,
            "entry_point": t.entry_point,
            "reference": f"def f(x):\n    return x + {i}",
        }
        for i, t in enumerate(tasks()[SUITE])
    ]
    write_jsonl(run / "tasks" / f"{SUITE}.jsonl", lines)


def _verdicts(run: Path, outcomes: Outcomes) -> None:
    errors = {
        "runtime_error": "TypeError: unsupported operand",
        "syntax_error": "SyntaxError: invalid syntax",
    }
    lines = []
    for arm, by_task in outcomes.items():
        for i, (task, outcome) in enumerate(by_task.items()):
            failed = {"input": "(1,)", "expected": str(1 + i), "got": str(1 - i)}
            lines.append(
                {
                    "arm": arm,
                    "task_id": task,
                    "sample": 0,
                    "outcome": outcome,
                    "base_outcome": outcome,
                    "plus_outcome": None,
                    "error": errors.get(outcome),
                    "failed_test": failed if outcome == "wrong_answer" else None,
                    "seconds": 0.01,
                    "peak_mb": 9.0,
                }
            )
    write_jsonl(run / "verdicts" / f"{SUITE}.jsonl", lines)


def scores(outcomes: Outcomes) -> dict[str, Any]:
    """Return scores.json of outcomes: every arm's score, and the three kinds of comparison."""
    sides = {
        arm: Side(SUITE, REVISION, HARNESS, {t: [o == "passed"] for t, o in by.items()})
        for arm, by in outcomes.items()
    }
    shared = {
        "suite": SUITE,
        "revision": REVISION,
        "harness": HARNESS,
        "excluded": [],
        "limit": None,
        "stand_in": True,
    }
    rows = [
        {
            "arm": arm,
            **shared,
            **pass_figures([(1, int(s.passed[t][0])) for t in s.passed]),
            "isolation": "namespaces",
        }
        for arm, s in sides.items()
    ]
    start, main, *others = outcomes
    pairs = [(start, main), *((start, o) for o in others), *((o, main) for o in others)]
    found = [{"before_arm": b, "after_arm": a, **compare(sides[b], sides[a])} for b, a in pairs]
    return {"scores": rows, "comparisons": found}
