"""What is planted in the raw rows, counted: for the report, which says so beside every result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from codefit.micro.faults import fault_table
from codefit.micro.raw import raw_tables

Side = Mapping[str, Any]


def _fault(*names: str) -> Callable[[Side], bool]:
    return lambda side: side.get("fault") in names


def _copy(kind: str) -> Callable[[Side], bool]:
    return lambda side: side.get("copy") == kind


def _leak(kind: str) -> Callable[[Side], bool]:
    return lambda side: side.get("leak") == kind


_COUNTED: Mapping[str, Callable[[Side], bool]] = {
    "taco_no_passing_solution": _fault("wrong", "unparseable"),
    "taco_unparseable": _fault("unparseable"),
    "taco_first_of_two_wrong": _fault("first_of_two_wrong"),
    "taco_near_duplicate": _copy("near"),
    "taco_exact_duplicate": _copy("exact"),
    "taco_leaked_verbatim": _leak("verbatim"),
    "code_alpaca_wrong": _fault("wrong", "undefined_name"),
    "code_alpaca_undefined_name": _fault("undefined_name"),
    "code_alpaca_near_duplicate": _copy("near"),
    "code_alpaca_exact_duplicate": _copy("exact"),
    "code_alpaca_leaked_verbatim": _leak("verbatim"),
    "code_alpaca_leaked_reworded": _leak("reworded"),
    "code_alpaca_placeholder_input": lambda side: bool(side.get("placeholder")),
}


def planted_faults(seed: int = 0, only: Collection[str] = ("code_alpaca", "taco")) -> dict[str, Any]:
    """Return `rows` (all raw rows) and `faults`: per fault its rows, rate, base and source fact.

    A rate is a share of all rows of its table; a row may carry several faults. `only`: of these tables.
    """
    tables = {name: rows for name, rows in raw_tables(seed).items() if name in only}
    spec = fault_table()
    found: list[dict[str, Any]] = []
    for name, carries in _COUNTED.items():
        table = name.split("_")[0] if name.startswith("taco") else "code_alpaca"
        if table in tables:
            found.append(_entry(name, tables[table], carries, table, spec["faults"][name]["fact"]))
    languages = spec["code_alpaca_language"]
    for kind in languages["rates"] if "code_alpaca" in tables else ():
        if kind != "python_function":
            label = "unparseable" if kind == "python_unparseable" else kind
            name = f"code_alpaca_{kind}"
            found.append(_entry(name, tables["code_alpaca"], _fault(label), "code_alpaca", languages["fact"]))
    return {"rows": sum(map(len, tables.values())), "faults": found}


def _entry(
    name: str, rows: list[dict[str, Any]], carries: Callable[[Side], bool], table: str, fact: str
) -> dict[str, Any]:
    n = sum(carries(row["planted"]) for row in rows)
    return {"fault": name, "rows": n, "rate": n / len(rows), "of": f"{table} rows", "source": fact}
