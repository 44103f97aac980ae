"""`codefit models`: models to start from, with published scores and the memory plan."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from codefit.analyse.candidates import Candidate, Figure, candidates
from codefit.cli import show
from codefit.core.errors import InputError
from codefit.core.units import mib, parse_bytes
from codefit.models.start import known_shapes
from codefit.plan.overview import Way, overview
from codefit.plan.search import RTX_4060_TFLOPS
from codefit.plan.shape import read_shape

_SHOWN = {
    "HumanEval / +": ("humaneval", "humaneval+"),
    "MBPP / +": ("mbpp", "mbpp+"),
    "BCB-I": ("bigcodebench-instruct",),
    "BCB-C": ("bigcodebench-complete",),
}
_APART = 2.0  # points


@click.command()
@click.option("--max-params", type=click.FloatRange(0.1, 1000), default=3.0, show_default=True,
              help="Largest model, in thousand million parameters.")  # fmt: skip
@click.option("--memory", default="7000MiB", show_default=True, help="Budget with its unit.")
@click.option("--max-length", type=click.IntRange(1), default=1024, show_default=True,
              help="Tokens in a packed sequence, for the plan.")  # fmt: skip
@click.option("--kind", type=click.Choice(["base", "instruct"]), help="Only these; default both.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, with the source of every figure.")
def models(max_params: float, memory: str, max_length: int, kind: str | None, as_json: bool) -> None:
    """List models to start from: published scores against size, and what fits the memory.

    Scores are greedy pass@1 in percent, base tests / base and plus tests (zero-shot EvalPlus, MBPP of 378 tasks; `*`
    marks the older 399, `?` a source that does not say); `~` marks a figure that sources print more than 2 points
    apart. Peak memory is predicted, for the shapes that codefit knows; `codefit plan --model FOLDER` does it for any
    other.
    """
    try:
        budget = parse_bytes(memory)
    except ValueError as e:
        raise InputError(str(e), where="--memory") from e
    found = [c for c in candidates(max_params) if kind in (None, c.kind)]
    ways = _ways([c.model for c in found], max_length, budget)
    if as_json:
        show.print_json({"budget_mb": mib(budget), "max_length": max_length, "units": "MiB",
                         "models": [_as_json(c, ways) for c in found]})  # fmt: skip
        return
    table = Table(
        title=f"Up to {max_params:g}B parameters; plan for {mib(budget):,.0f} MiB, {max_length:,} tokens"
    )
    for name in ("model", "kind", "B", *_SHOWN, "LoRA MiB", "QLoRA MiB", "full MiB"):
        left = name in ("model", "kind")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for c in found:
        table.add_row(*_cells(c, ways))
    console = show.console()
    console.print(table)
    console.print(
        "full: the smallest of 32, 8 and 4 bits a moment. -: not published, or the shape is not known here. "
        "(no): more than the budget.", soft_wrap=True, markup=False,
    )  # fmt: skip


def _shape_of(model: str) -> str:
    return model.lower().removesuffix("-instruct")


def _ways(names: list[str], max_length: int, budget: int) -> dict[str, list[Way]]:
    """Return the ways to tune each model whose shape is known, by the shape's name."""
    known = known_shapes()
    wanted = sorted({_shape_of(n) for n in names} & set(known))
    found: dict[str, list[Way]] = {}
    for way in overview([(n, read_shape(known[n])) for n in wanted], max_length, budget, RTX_4060_TFLOPS):
        found.setdefault(way.model, []).append(way)
    return found


def _cells(c: Candidate, ways: dict[str, list[Way]]) -> list[str]:
    cells = [c.model, c.kind, f"{c.params_b:g}"]
    for names in _SHOWN.values():
        figures = [_figure(c.figures.get(name)) for name in names]
        cells.append(" / ".join(figures) if any(f != "-" for f in figures) else "-")
    mine = ways.get(_shape_of(c.model), [])
    for method in ("lora", "qlora", "full"):
        of_method = [w for w in mine if w.method == method]
        best = min(of_method, key=lambda w: w.peak, default=None)
        cells.append("-" if best is None else f"{mib(best.peak):,.0f}{'' if best.fits else ' (no)'}")
    return cells


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    mark = "*" if "399" in figure.flavour else "?" if "unstated" in figure.flavour else ""
    apart = "~" if figure.highest - figure.lowest > _APART else ""
    return f"{figure.score:.1f}{mark}{apart}"


def _as_json(c: Candidate, ways: dict[str, list[Way]]) -> dict[str, Any]:
    figures = {
        name: {
            "score": f.score,
            "lowest": f.lowest,
            "highest": f.highest,
            "flavour": f.flavour,
            "source": f.source,
        }
        for name, f in c.figures.items()
    }
    plan = [
        {"method": w.method, "bits": w.bits, "fits": w.fits, "peak_mb": mib(w.peak), "longest": w.longest}
        for w in ways.get(_shape_of(c.model), ())
    ] or None
    return {"model": c.model, "kind": c.kind, "params_b": c.params_b, "scores": figures, "plan": plan}
