"""Section on training: curves with the chosen weights, summaries, looks, choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.blocks import Bullets, Chart, Paragraph, Section, Table
from codefit.report.lookup import Evidence
from codefit.report.messages import code, msg, words
from codefit.report.numbers import score_text
from codefit.report.page_data import absent

_LOOKS_SHOWN = 20


def training_section(evidence: Evidence) -> Section:
    """Loss curves and the summary of every trained arm."""
    found = evidence["training"]
    if not found:
        return Section("training", [absent("training", evidence)])
    blocks = _curves({arm: t for arm, t in found.items() if t["curve"]})
    rows = [_summary_row(arm, t["summary"] or {}) for arm, t in found.items()]
    names = (
        "arm",
        "method",
        "steps",
        "epochs",
        "trained_tokens",
        "trainable",
        "first_loss",
        "last_loss",
        "val_loss",
        "seed",
    )
    columns = [msg(f"column.{n}") for n in names]
    source = (f"{next(iter(found.values()))['folder']}/summary.json", "")
    blocks.append(Table(msg("table.training"), columns, rows, frozenset(range(2, 10)), source))
    for arm, t in found.items():
        blocks += [*_looks(arm, t), *_choice(arm, t)]
    kinds = ("log.jsonl", "summary.json", "choice.json")
    return Section("training", blocks, [f"{t['folder']}/{n}" for t in found.values() for n in kinds])


def _curves(found: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Return the drawing of all arms' curves, and a line an arm on the weights that were chosen."""
    if not found:
        return []
    arms = {arm: {"points": t["curve"], "looks": t["looks"], "chosen": _marks(t)} for arm, t in found.items()}
    legend = [(i + 1, code(arm)) for i, arm in enumerate(arms)]
    names = words(*(f"axis.{n}" for n in ("loss", "develop", "kl_to_start", "grad_norm", "lr", "tokens")))
    source = (f"{next(iter(found.values()))['folder']}/log.jsonl", "")
    chart = Chart("curves", msg("chart.curves"), {"arms": arms}, legend, source, names)
    chosen = [_chosen(arm, t) for arm, t in found.items() if t["kept"]["steps"]]
    return [chart, Paragraph(msg("training.lines"), "note"), *([Bullets(chosen)] if chosen else [])]


def _marks(training: Mapping[str, Any]) -> list[Any]:
    """Return the trained tokens at the steps of the weights that were kept."""
    at = {p["step"]: p.get("trained_tokens", p["step"]) for p in (*training["looks"], *training["curve"])}
    return [at[step] for step in training["kept"]["steps"] if step in at]


def _chosen(arm: str, training: Mapping[str, Any]) -> Any:
    kept = training["kept"]
    last = (training["summary"] or {}).get("steps")
    name = code(kept["name"]) if kept["name"] else msg("as_trained")
    return msg("training.kept", arm=code(arm), name=name, steps=list(kept["steps"]), last=last)


def _looks(arm: str, training: Mapping[str, Any]) -> list[Any]:
    """Return a table of what was seen while an arm trained, where that was more than its end."""
    looks: Sequence[Mapping[str, Any]] = training["looks"]
    if len(looks) < 2:
        return []
    stride = -(-len(looks) // _LOOKS_SHOWN)
    shown = [p for i, p in enumerate(looks) if i % stride == 0 or i == len(looks) - 1]
    rows = [
        [
            p["step"],
            *(None if p[k] is None else f"{p[k]:.4f}" for k in ("val_loss", "kl_to_start")),
            score_text(p["develop"]) if p["develop"] else None,
        ]
        for p in shown
    ]
    columns = [msg(f"column.{n}") for n in ("step", "val_loss", "kl_to_start", "development")]
    source = (f"{training['folder']}/log.jsonl", "")
    return [Table(msg("table.looks", arm=code(arm)), columns, rows, frozenset({0, 1, 2}), source)]


def _choice(arm: str, training: Mapping[str, Any]) -> list[Any]:
    """Return a drawing and a table of the weights that an arm's were chosen from."""
    choice = training["choice"]
    if choice is None:
        return []
    rows = [
        [
            code(c["name"]),
            score_text(c),
            f"{c['against_trained']['fixed']} / {c['against_trained']['broken']}",
            f"{c['against_trained']['p_value']:.2g}",
        ]
        for c in choice["candidates"]
    ]
    columns = [msg(f"column.{n}") for n in ("candidate", "development", "fixed_broken", "p")]
    caption = msg("table.choice", arm=code(arm), suite=code(choice["suite"]), chosen=code(choice["chosen"]))
    source = (f"{training['folder']}/choice.json", "candidates")
    drawn = {"candidates": choice["candidates"], "chosen": choice["chosen"]}
    legend = [("chosen", msg("training.chosen"))]
    chart = Chart(
        "candidates", msg("chart.candidates", arm=code(arm)), drawn, legend, source, words("axis.pass")
    )
    return [chart, Table(caption, columns, rows, source=source), Paragraph(msg("training.choice"), "note")]


def _summary_row(arm: str, s: Mapping[str, Any]) -> list[Any]:
    trainable, total = s.get("trainable_parameters"), s.get("parameters")
    share = (
        f"{100 * trainable / total:.2f} % ({trainable:,}/{total:,})"
        if trainable is not None and total
        else None
    )
    losses = [None if s.get(k) is None else f"{s[k]:.3f}" for k in ("first_loss", "last_loss", "val_loss")]
    return [
        code(arm),
        code(s.get("method")),
        s.get("steps"),
        s.get("epochs"),
        s.get("trained_tokens"),
        share,
        *losses,
        code(s.get("seed")),
    ]
