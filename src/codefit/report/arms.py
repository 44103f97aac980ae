"""What sets the arms of a run apart, from its recipe, and which of them answer a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.lookup import Evidence, other_comparisons
from codefit.report.messages import Message, code, msg
from codefit.report.numbers import percent
from codefit.report.verdict import line_arguments

Record = dict[str, Any]
_OF_ROWS = ("rows", "sources", "share", "sampled_from", "objective", "budget")
_SHOWN = ("rows", "sources", "share", "budget", "method", "lora_rank", "learning_rate", "batch_size")
_ADAPTER = ("lora_rank", "lora_alpha", "rslora")
_METHOD = frozenset({"method", *_ADAPTER})
_LENGTH = frozenset({"budget", "epochs"})
_FAMILIES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "rows": (frozenset({"rows"}), frozenset({*_LENGTH, "sampled_from"})),
    "source_arms": (frozenset({"sources"}), _LENGTH),
    "learning_curve": (frozenset({"share"}), _LENGTH),
    "rates": (frozenset({"learning_rate", "batch_size"}), frozenset()),
    "ranks": (_METHOD, frozenset({"learning_rate", "dtype", "optimizer"})),
}
"""Per family: an arm of it differs from the main arm in one of the first settings, else in the second at most."""


def arm_settings(recipe: Mapping[str, Any]) -> dict[str, Record]:
    """Return by arm what decides it: its rows, its budget and its training settings, None where one has no say."""
    found = {}
    for arm in recipe.get("arms") or []:
        merged = {**(recipe.get("train") or {}), **(arm.get("train") or {})}
        if merged.get("seed") is None:
            merged["seed"] = recipe.get("seed")
        if merged.get("method") == "full":
            merged |= dict.fromkeys(_ADAPTER)
        found[str(arm["name"])] = {**{k: arm.get(k) for k in _OF_ROWS}, **merged}
    return found


def set_apart(settings: Mapping[str, Record]) -> list[str]:
    """Return the settings by which arms are told apart in a table: those that are not the same for all."""
    return [key for key in _SHOWN if len({str(one.get(key)) for one in settings.values()}) > 1]


def family(evidence: Evidence, name: str) -> list[Mapping[str, Any]]:
    """Return the arms that differ from the main arm in what a family varies, and in nothing that clouds it."""
    by_name = {a["arm"]: a for a in evidence["arms"]}
    main = (by_name.get(evidence["main"][1]) or {}).get("settings")
    wanted, allowed = _FAMILIES[name]
    found = []
    for arm in evidence["arms"]:
        if not main or not arm["settings"]:
            continue
        changed = changed_settings(arm["settings"], main)
        if changed & wanted and changed <= wanted | allowed:
            found.append(arm)
    return found


def changed_settings(settings: Mapping[str, Any], main: Mapping[str, Any]) -> set[str]:
    """Return the settings in which two arms differ; the seed is not one of them."""
    return {k for k in {*settings, *main} - {"seed"} if settings.get(k) != main.get(k)}


def one_source(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the arms that learn from one source only."""
    return [a for a in family(evidence, "source_arms") if len(a["settings"]["sources"] or ()) == 1]


def varied(evidence: Evidence, arms: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Return a line per arm and suite: what the arm does otherwise, its score, and the main arm's beside it."""
    by_name = {a["arm"]: a for a in evidence["arms"]}
    main = by_name[evidence["main"][1]] if arms else {}
    said = []
    for arm in arms:
        changed = changed_settings(arm["settings"], main["settings"])
        settings = [code(f"{k} = {_text(arm['settings'].get(k))}") for k in arm["settings"] if k in changed]
        learned = arm["training"] or arm["rows"] or {}
        for c in other_comparisons(evidence):
            if (c.get("before_arm"), c.get("after_arm")) == (arm["arm"], main["arm"]):
                facts = {
                    "settings": settings,
                    "rows": learned.get("rows"),
                    "tokens": learned.get("trained_tokens"),
                }
                said.append(msg("answer.varied", **line_arguments(c), **facts))
    return said


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def columns(keys: Sequence[str]) -> list[Message]:
    """Return the headings of the settings that set arms apart."""
    return [msg(f"column.arm_{key}") for key in keys]


def cells(settings: Mapping[str, Any] | None, keys: Sequence[str]) -> list[Any]:
    """Return an arm's settings as cells; a model that was not trained has none."""
    if settings is None:
        return ["—"] * len(keys)
    return [_cell(key, settings.get(key)) for key in keys]


def _cell(key: str, value: Any) -> Any:
    if key == "sources":
        return [code(name) for name in value] if value else msg("all_sources")
    if value is None:
        return "—"
    if key == "share":
        return percent(value, 0) if round(100 * value) == 100 * value else percent(value)
    if isinstance(value, float):
        return f"{value:g}"
    return code(value) if isinstance(value, str) else value
