"""The table of `execute.py`: what was asked for, the bar, what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

Row = tuple[str, str, str]
MODELS = ("base_model", "tuned_model")


def _agreement_rows(r: dict[str, Any]) -> list[Row]:
    rows = []
    for name in MODELS:
        beside, older = r[name]["with_evalplus_beside"], r[name]["oracle_0.2_with_official"]
        rows.append((f"MBPP+ {name}, evalplus beside", "all base, all but 5 plus", _agree(beside)))
        rows.append((f"MBPP+ {name}, --oracle 0.2, official", "likewise", _agree(older)))
    return [*rows, ("HumanEval base, official", ">= 99 %", _agree(r["humaneval"]))]


def _load_rows(r: dict[str, Any]) -> list[Row]:
    flips = {name: r[name]["flips"] for name in MODELS}
    return [(f"flips in {r['runs']} runs beside {r['busy_loops']} busy loops", "0", str(flips))]


def _real_rows(r: dict[str, Any]) -> list[Row]:
    rows = []
    for name in MODELS:
        share = 100 * r[name]["base"]["agree"] / r[name]["base"]["of"]
        rows.append((f"BigCodeBench {name}, official", ">= 98.5 %", f"{share:.2f} % {_agree(r[name])}"))
        rows.append((f"  called tampering, {name}", "0", str(r[name]["tampering"])))
    return rows


def _speed_rows(r: dict[str, Any]) -> list[Row]:
    one = r["ordinary"]
    rate = f"{one['codefit_per_s']} / {one['evalplus_per_s']}; {one['codefit_per_s_without_start']} warm"
    return [
        ("MBPP+ warm / evalplus", "<= .5 wall, <= .5 CPU", str(r["all"]["ratio"])),
        ("samples/s of all of MBPP+, evalplus", "", str(r["all"]["evalplus_per_s"])),
        ("ordinary samples/s, codefit / evalplus", ">= 20x evalplus' own rate", rate),
        ("evaluator beside the samples' own", "<= 300 MB", f"{r['all']['codefit'][0]['evaluator_mb']} MB"),
    ]


def _one_rows(r: dict[str, Any]) -> list[Row]:
    over = f"{statistics.median(r['hung_over_limit_s'])} s over"
    return [
        ("one sample, end to end", "<= 1.5 s", f"{statistics.median(r['wall_s'])} s"),
        ("one that hangs", "<= its limit + .5 s", over),
    ]


def _whole_rows(r: dict[str, Any]) -> list[Row]:
    left = f"{r['codefit']['left']} / {r['bigcodebench']['left']}"
    return [
        ("BigCodeBench, 1,140 real outputs / its evaluator", "", str(r["ratio"])),
        ("  processes left running, codefit / its evaluator", "0", left),
    ]


def _many_rows(r: dict[str, Any]) -> list[Row]:
    first, last = r["at"][0], r["at"][-1]
    grew = f"{first['rss_mb']} -> {last['rss_mb']} MB, {first['descriptors']} -> {last['descriptors']} descriptors"
    return [("10,000 programs in a row", "flat", grew)]


ROWS: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "agreement": _agreement_rows,
    "under_load": _load_rows,
    "bigcodebench_real": _real_rows,
    "hostile": lambda r: [
        ("hostile programs", ">= 100, 0 fooled", f"{sum(r['programs'].values())}: {r['tests']}")
    ],
    "speed": _speed_rows,
    "one_sample": _one_rows,
    "bigcodebench": lambda r: [
        ("BigCodeBench, 60 tasks / its evaluator", "<= .4 CPU", str(r["ratio"])),
        ("  overhead of a sample", "median <= 40 ms", f"{r['overhead']['median_ms']} ms"),
    ],
    "bigcodebench_whole": _whole_rows,
    "isolation": lambda r: [("isolation over a bare fork", "<= 8 ms", f"{r['over_ms']} ms")],
    "many": _many_rows,
    "imports": lambda r: [("heavy libraries that judging imports", "none", r["loaded"])],
}


def table(results: dict[str, Any]) -> list[Row]:
    """Return (what, bar, measured) of every section that has results."""
    return [row for name, rows in ROWS.items() if name in results for row in rows(results[name])]


def _agree(found: dict[str, Any]) -> str:
    parts = [
        f"{k} {found[k]['agree']}/{found[k]['of']} {found[k]['differ']}"
        for k in ("base", "plus")
        if k in found
    ]
    return ", ".join(parts)
