"""How well leaks are told from look-alikes, on labelled pairs, and what is left of Code Alpaca.

Usage: python benchmarks/decontaminate.py --data FOLDER --work EMPTY_FOLDER [--audit | --only-blind]

The pairs: `decontamination/planted.jsonl` (rows written for this purpose, without sight of the detector; sets
a, b and e served to set its figures, set c was written afterwards), `decontamination/blind.jsonl` (sets d and f,
written for this purpose without sight of the detector, its description or the other sets; every leak's program,
behind a small adapter, passed its task's tests in the sandbox, and no look-alike's did) and
`decontamination/real.jsonl` (Code Alpaca rows by id, read and labelled by hand; doubtful ones left out). All rows
go through `codefit decontaminate` in one file; a pair counts as found if a hit on that task is `removed`, and
under `rows` if a hit on any task is: a look-alike of one task may be dropped for another. `with_doubtful_removed`
counts a match by execution that was listed with a doubt as removed, as `--doubtful remove` does.
`--audit` also separates the whole of Code Alpaca, `--only-blind` measures the blind sets alone and leaves the other
figures as they are. Writes results/decontaminate.json (the blind sets once more under `blind`) and prints a table.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from codefit.core.types import Row
from codefit.curate.decontaminate import METHODS
from codefit.curate.leaks.index import grams
from codefit.curate.leaks.words import request
from codefit.sources import open_source
from codefit.suites.load import load_suite
from measure import machine, measured

HERE = Path(__file__).parent
ALPACA = "code_alpaca_20k.jsonl.gz"
SUITES = {"mbpp": "mbpp.jsonl.gz", "humaneval": "humaneval.jsonl.gz", "bigcodebench": "bigcodebench.jsonl.gz"}
OTHER_LANGUAGES = ("java_js",)
SETS = {
    "a": "written for this, first set",
    "b": "written for this, second set",
    "c": "written for this, third set",
    "d": "written for this, fourth set, blind",
    "e": "written for this, fifth set",
    "f": "written for this, sixth set, blind",
    "g": "written for this, seventh set, remote forms",
}
BLIND = ("d", "f")
Pair = dict[str, Any]
Found = Callable[[Pair], bool]


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(name: str) -> tuple[list[Pair], dict[str, Row]]:
    """Return the pairs of a file that holds its rows itself, and these rows."""
    read = lines(HERE / "decontamination" / name)
    rows = {p["pair"]: Row(p["pair"], "planted", p["instruction"], p["response"]) for p in read}
    return [{**p, "row_id": p["pair"]} for p in read], rows


def pairs_and_rows(data: Path, only_blind: bool = False) -> tuple[list[Pair], dict[str, Row]]:
    """Return the labelled pairs and the rows they are about, by the id that hits name."""
    pairs, rows = written("blind.jsonl")
    if only_blind:
        return pairs, rows
    planted, planted_rows = written("planted.jsonl")
    real = lines(HERE / "decontamination" / "real.jsonl")
    alpaca = {row.id: row for row in open_source({"kind": "jsonl", "path": data / ALPACA}).rows()}
    rows = planted_rows | rows | {p["row_id"]: alpaca[p["row_id"]] for p in real}
    return planted + pairs + real, rows


def separated(rows: Path, data: Path, out: Path) -> tuple[dict[str, Any], float, float]:
    """Run the command; return its summary, wall and CPU seconds."""
    against = [part for name, file in SUITES.items() for part in ("--against", f"{name}={data / file}")]
    command = [
        "codefit",
        "decontaminate",
        str(rows),
        *against,
        "--out",
        str(out),
        "--execution",
        "all",
        "--json",
    ]
    used = measured(command)
    if used.code:
        raise SystemExit(used.output[-2_000:])
    return json.loads((out / "summary.json").read_text()), round(used.wall_s, 1), round(used.cpu_s, 1)


def rates(pairs: Iterable[Pair], found: Found) -> dict[str, Any]:
    """Return recall and precision with the counts behind them."""
    counts = Counter((p["leak"], found(p)) for p in pairs)
    right, missed, wrong = counts[True, True], counts[True, False], counts[False, True]
    return {
        "leaks": right + missed,
        "others": wrong + counts[False, False],
        "found": right,
        "false": wrong,
        "recall": round(right / max(1, right + missed), 3),
        "precision": round(right / (right + wrong), 3) if right + wrong else None,
    }


def sharing(rows: Mapping[str, Row], data: Path, n: int) -> Found:
    """Return the usual filter: a run of `n` words of row and task in common."""
    tasks = {
        t.task_id: set(grams(request(t.prompt).words, n))
        for name, file in SUITES.items()
        for t in load_suite(name, data / file, judging=False).all_tasks
    }
    words = {i: set(grams(request(row.instruction).words, n)) for i, row in rows.items()}
    return lambda pair: bool(words[pair["row_id"]] & tasks[pair["task_id"]])


def judged(
    pairs: list[Pair], rows: Mapping[str, Row], hits: list[dict[str, Any]], data: Path
) -> dict[str, Any]:
    """Return the rates by set, kind and method, and those of n-gram filters."""
    by_task: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    doubtful: set[tuple[str, str]] = set()
    for hit in hits:
        place = hit["row_id"].partition("/")[2], hit["task_id"]
        if hit["action"] == "removed":
            by_task[place].append(hit)
        elif hit["method"] == "execution":
            doubtful.add(place)

    def found_or_doubtful(pair: Pair) -> bool:
        tasks = [pair["task_id"], *pair.get("also", [])]
        return bool(methods(pair)) or any((pair["row_id"], t) in doubtful for t in tasks)

    def methods(pair: Pair) -> set[str]:
        tasks = [pair["task_id"], *pair.get("also", [])]
        return {h["method"] for t in tasks for h in by_task[pair["row_id"], t]}

    kinds, sets = ({name: [p for p in pairs if p[key] == name] for name in sorted({p[key] for p in pairs})}
                   for key in ("kind", "set"))  # fmt: skip
    python = [p for p in pairs if p["kind"] not in OTHER_LANGUAGES]
    gone = {row for row, _ in by_task}
    return {
        "all": rates(pairs, lambda p: bool(methods(p))),
        "rows": {
            name: rates(group, lambda p: p["row_id"] in gone)
            for name, group in {**sets, "written": [p for p in pairs if p["set"] in SETS]}.items()
            if name != "real"
        },
        "without_planted_java_and_javascript": rates(python, lambda p: bool(methods(p))),
        "sets": {name: rates(group, lambda p: bool(methods(p))) for name, group in sets.items()},
        "with_doubtful_removed": {
            name: rates(group, found_or_doubtful) for name, group in {**sets, "all": pairs}.items()
        },
        "kinds": {name: rates(group, lambda p: bool(methods(p))) for name, group in kinds.items()},
        "methods_alone": {m: rates(pairs, lambda p, m=m: m in methods(p)) for m in METHODS},
        "filters": {f"{n}-gram": rates(pairs, sharing(rows, data, n)) for n in (13, 10, 8)},
    }


def audit(data: Path, work: Path) -> dict[str, Any]:
    """Separate the whole of Code Alpaca and say what passes tests and stays, and why."""
    out = work / "alpaca"
    known = (out / "cache").exists()
    summary, wall_s, cpu_s = separated(data / ALPACA, data, out)
    hits = lines(out / "hits.jsonl")
    gone = {h["row_id"] for h in hits if h["action"] == "removed"}
    ran = [h for h in hits if h["method"] == "execution"]
    stay = [h for h in ran if h["row_id"] not in gone]
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "probes_known_from_before": known,
        **{name: summary[name] for name in ("read", "kept", "dropped", "suites")},
        "rows_that_behave_as_a_task_asks": len({h["row_id"] for h in ran}),
        "of_them_removed": len({h["row_id"] for h in ran} & gone),
        "of_them_listed_and_kept": len({h["row_id"] for h in stay}),
        "reasons_of_kept": dict(Counter(h["reason"].partition(":")[0] for h in stay).most_common()),
        "kept_without_a_reason": sum(not h["reason"] for h in stay),
    }


def measured_pairs(data: Path, work: Path, only_blind: bool) -> dict[str, Any]:
    """Separate the rows of the pairs; return the figures of all pairs and those of set d."""
    pairs, rows = pairs_and_rows(data, only_blind)
    name = "blind" if only_blind else "pairs"
    file = work / f"{name}.jsonl"
    file.write_text("".join(
        json.dumps({"id": row.id, "instruction": row.instruction, "output": row.response}) + "\n"
        for row in rows.values()
    ))  # fmt: skip
    _, wall_s, cpu_s = separated(file, data, work / name)
    hits = lines(work / name / "hits.jsonl")
    blind = judged([p for p in pairs if p["set"] in BLIND], rows, hits, data)
    if only_blind:
        return {"blind": blind | {"wall_s": wall_s, "cpu_s": cpu_s, "machine": machine()}}
    whole = judged(pairs, rows, hits, data) | {"wall_s": wall_s, "cpu_s": cpu_s}
    return {"machine": machine(), "pairs": whole, "blind": blind}


def show(figures: dict[str, Any]) -> None:
    """Print the table of some pairs."""
    for part in ("sets", "rows", "with_doubtful_removed", "kinds", "methods_alone", "filters"):
        for name, r in figures[part].items():
            label = SETS.get(name, name)
            shown = (f"{r['found']}/{r['leaks']}", f"{r['false']}/{r['others']}", r["recall"], r["precision"])
            print(f"| {part} | {label} | " + " | ".join(map(str, shown)) + " |")
    print(figures["all"], figures["without_planted_java_and_javascript"])


def main() -> None:
    """Run the pairs, and the audit where it is asked for, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--audit", action="store_true")
    what.add_argument("--only-blind", action="store_true")
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    result = measured_pairs(chosen.data, chosen.work, chosen.only_blind)
    place = HERE / "results" / "decontaminate.json"
    before = json.loads(place.read_text()) if place.exists() else {}
    if chosen.audit:
        result["code_alpaca"] = audit(chosen.data, chosen.work)
    after = before | result
    place.write_text(json.dumps(after, indent=2) + "\n")
    show(result["blind" if chosen.only_blind else "pairs"])
    if not chosen.only_blind:
        print(json.dumps(after.get("code_alpaca"), indent=2))


if __name__ == "__main__":
    main()
