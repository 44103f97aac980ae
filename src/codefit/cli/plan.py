"""`codefit plan`: the memory of a training, before it runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from codefit.cli import show
from codefit.cli.recipe import resolve_recipe
from codefit.core.errors import InputError
from codefit.core.files import read_json
from codefit.core.generation import GenerateSettings
from codefit.core.recipe import Recipe, TrainSettings, load_recipe
from codefit.core.units import mib, parse_bytes
from codefit.models.load import resolve_dtype
from codefit.models.start import known_shapes, shape_file
from codefit.plan.generation import GenerationPlan, footprint, plan_generation
from codefit.plan.lean import estimate
from codefit.plan.overview import overview
from codefit.plan.search import RTX_4060_TFLOPS, Plan, Wish, plan_first, refuse
from codefit.plan.shape import Shape, read_shape


class _Tflops(click.FloatRange):
    """A speed that a card can have: a range alone lets NaN pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("nan is not a speed", param, ctx)
        return number


@click.command()
@click.argument("recipe", required=False)
@click.option(
    "--model", help="A name such as qwen2.5-coder-1.5b, a folder with config.json, or owner/name on the hub."
)
@click.option("--memory", help="Budget with its unit, such as 7000MiB or 8GB.")
@click.option("--method", type=click.Choice(["lora", "qlora", "full"]), help="Default lora.")
@click.option(
    "--optimizer",
    type=click.Choice(["adamw", "adamw8", "adamw4"]),
    help="Bits of the moments; default the most that fit.",
)
@click.option("--offload", is_flag=True, help="Keep the inputs of recomputed layers in the host's memory.")
@click.option("--max-length", type=click.IntRange(1), help="Tokens in a packed sequence.")
@click.option("--batch-size", type=click.IntRange(1), help="Packed sequences in one optimizer step.")
@click.option("--rank", type=click.IntRange(1), help="LoRA rank.")
@click.option(
    "--tflops",
    type=_Tflops(0.001, 1_000_000),
    default=RTX_4060_TFLOPS,
    show_default=True,
    help="bf16 peak of the card.",
)
@click.option("--tokens", type=click.IntRange(1, 10**15), help="Tokens of the whole run, for the hours.")
@click.option(
    "--verify", is_flag=True, help="Trace the chosen step on fake tensors and compare. Needs torch."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def plan(recipe: str | None, as_json: bool, verify: bool, tokens: int | None, **options: Any) -> None:
    """Predict the peak memory of RECIPE, or of --model, on a GPU.

    With --memory alone: every way to tune every known model inside it, side by side.

    Weights are bfloat16, float32 for full tuning with the classic optimizer, 4-bit for qlora. Prints the
    components, the phase that sets the peak, and why other settings were not chosen. Checked against an H100 whose
    allocator was capped to an 8 GB card; not yet seen on such a card. Exit 2 where nothing fits.
    """
    base = load_recipe(resolve_recipe(recipe)) if recipe else None
    memory = options["memory"]
    name = options["model"] or (_model_of(base) if base else None)
    if name is None and memory is None:
        raise InputError("nothing to plan", where="plan", todo="give a recipe, --model or --memory")
    try:
        budget = parse_bytes(memory or (base.memory if base else "7000MiB"))
    except ValueError as e:
        raise InputError(str(e), where="--memory") from e
    if name is None:
        _show_overview(options["max_length"] or 2048, budget, options["tflops"], as_json)
        return
    if name == "micro":
        from codefit.micro import model_path

        name = str(model_path())
    config = shape_file(name)
    found = plan_first(read_shape(config), _wishes(base, options), budget, options["tflops"])
    result = found.to_json(tokens)
    result["generation"] = _answering(base, found, read_shape(config), budget).to_json()
    if base and any(arm.samples for arm in base.arms):
        result["sampling"] = _sampling(base, found, read_shape(config), budget)
    if verify:
        result["traced"] = _traced(found, config)
    if as_json:
        show.print_json(result)
    else:
        _print(result)
    if not found.fits:
        raise refuse(found, f"--memory {memory}" if memory else "memory")


def _model_of(recipe: Recipe) -> str:
    model = recipe.model
    return f"{model.name}@{model.revision}" if model.revision else model.name.removeprefix("random:")


def _wishes(base: Recipe | None, options: dict[str, Any]) -> list[Wish]:
    """Return what to plan, the recipe's settings and the options over them: a wish per optimizer left open."""
    t = base.train if base else TrainSettings()
    method = options["method"] or t.method
    if method != "full" and options["optimizer"] not in (None, "adamw"):
        what = f"{options['optimizer']} is for full tuning"
        raise InputError(what, where="--optimizer", todo="add --method full")
    optimizer = options["optimizer"] or (t.optimizer if t.method == method else None)
    left = t.model_copy(update={"method": method, "optimizer": optimizer}).optimizers
    share = options["batch_size"] or t.share_of_batch
    return [
        _wish(base, t.model_copy(update={"method": method, "optimizer": o}), share, options) for o in left
    ]


def _wish(base: Recipe | None, t: TrainSettings, batch_size: int, options: dict[str, Any]) -> Wish:
    return Wish(
        method=t.method,
        max_length=options["max_length"] or (base.format.max_length if base else 1024),
        batch_size=batch_size,
        rank=options["rank"] or t.lora_rank,
        element=2 if resolve_dtype("auto", "cuda", t.method, t.bits) == "bfloat16" else 4,
        device="cuda",
        micro_batch=t.micro_batch,
        recompute=t.recompute,
        bits=t.bits,
        offload=options["offload"] or t.offload,
        host_embedding=t.movable_embedding,
        graphs=t.cuda_graphs,
        engine=t.engine,
    )


def _answering(base: Recipe | None, found: Plan, shape: Shape, budget: int) -> GenerationPlan:
    """Return how the tuned model answers prompts as long as the rows, on the adapters where it has them."""
    g = base.generate if base else GenerateSettings()
    return _decoding(found, shape, budget, g.max_new_tokens, greedy=g.temperature == 0, most=g.batch_size)


def _decoding(
    found: Plan, shape: Shape, budget: int, new_tokens: int, *, greedy: bool, most: int | None
) -> GenerationPlan:
    s = found.chosen.setting
    model = footprint(shape, "nf4" if s.method == "qlora" else "plain", 2, s.rank if s.adapters else 0)
    return plan_generation(
        model, tokens=s.max_length + new_tokens, budget=budget, device=s.device, greedy=greedy, most=most
    )


def _sampling(base: Recipe, found: Plan, shape: Shape, budget: int) -> dict[str, Any]:
    """Return how rejection sampling fits memory and its budget of hours.

    `answers` is None where `sample.prompts` leaves their number to the rows; `tokens_per_s` is what the hours ask for,
    were every answer as long as it may be. No speed is predicted: the run measures it on the first answers.
    """
    s, g = base.sample, base.generate
    longest = s.max_new_tokens or g.max_new_tokens
    plan = _decoding(found, shape, budget, longest, greedy=False, most=g.batch_size)
    answers = s.prompts and s.prompts * s.samples
    speed = round(answers * longest / (s.hours * 3600)) if answers and s.hours else None
    more = {"answers": answers, "max_new_tokens": longest, "hours": s.hours, "tokens_per_s": speed}
    return {**plan.to_json(), **more}


def _traced(found: Plan, config: Path) -> dict[str, Any]:
    """Trace the chosen step; return its bytes beside those of the closed form, both without slack and context."""
    from codefit.models.load import quiet_libraries, require_torch

    require_torch()
    setting = found.chosen.setting
    if not setting.lean:
        raise InputError(
            "classic full tuning is not traced", where="--verify", todo="add --optimizer adamw8 or adamw4"
        )
    quiet_libraries()
    from codefit.train.trace import trace

    closed = estimate(read_shape(config), setting).peak
    peak = trace(read_json(config), setting).peak
    return {"traced_mb": mib(peak), "closed_form_mb": mib(closed),
            "difference_percent": round(100 * (closed / peak - 1), 2)}  # fmt: skip


def _show_overview(max_length: int, budget: int, tflops: float, as_json: bool) -> None:
    shapes = [(name, read_shape(path)) for name, path in known_shapes().items() if "tiny" not in name]
    shapes.sort(key=lambda item: item[1].parameters)
    ways = overview(shapes, max_length, budget, tflops)
    if as_json:
        show.print_json({"budget_mb": mib(budget), "max_length": max_length, "units": "MiB", "ways": [
            {"model": w.model, "method": w.method, "bits": w.bits, "fits": w.fits, "peak_mb": mib(w.peak),
             "tokens_per_s": w.tokens_per_s and round(w.tokens_per_s), "longest": w.longest} for w in ways
        ]})  # fmt: skip
        return
    table = Table(title=f"Inside {mib(budget):,.0f} MiB, packed to {max_length:,} tokens; predicted")
    for column in ("model", "method", "moments, bits", "peak MiB", "tokens/s", "longest that fits"):
        table.add_column(column, justify="left" if column in ("model", "method") else "right")
    for w in ways:
        speed = f"{w.tokens_per_s:,.0f}" if w.tokens_per_s else "does not fit"
        longest = f"{w.longest:,}" if w.longest else "-"
        cells = (w.model, w.method, str(w.bits), f"{mib(w.peak):,.0f}", speed, longest)
        table.add_row(*cells, style=None if w.fits else "dim")
    show.console().print(table)
    show.console().print(
        "tokens/s: arithmetic at an assumed 45 % MFU of the card's --tflops.", soft_wrap=True
    )


def _seen(p: dict[str, Any]) -> str:
    if p["seen_on_gpu"]:
        return "predicted; checked on an H100 capped to 8 GB, not yet on an 8 GB card"
    return "predicted, not yet seen on a GPU"


def _at_once(g: dict[str, Any]) -> str:
    parts = ", ".join(f"{name} {size:,.0f}" for name, size in g["components_mb"].items())
    first = f"{g['sequences']} sequences of up to {g['columns']:,} tokens at once"
    return f"{first}, {g['peak_mb']:,.0f} MiB at the peak ({parts})"


def _budget_of(s: dict[str, Any]) -> str:
    answers = f"{s['answers']:,} answers" if s["answers"] else "answers to all rows"
    if not s["hours"]:
        return f"{answers} of up to {s['max_new_tokens']:,} tokens, no limit of hours"
    text = f"{answers} of up to {s['max_new_tokens']:,} tokens in at most {s['hours']:g} h"
    return f"{text}: all of them from {s['tokens_per_s']:,} tokens/s on" if s["tokens_per_s"] else text


def _print(p: dict[str, Any]) -> None:
    console = show.console()
    console.print(f"Memory at the peak ({p['phase']}), MiB; {_seen(p)}", soft_wrap=True)
    table = Table()
    table.add_column("component")
    table.add_column("MiB", justify="right")
    for name, size in p["components_mb"].items():
        table.add_row(name, f"{size:,.1f}")
    table.add_section()
    table.add_row("peak", f"{p['peak_mb']:,.1f}")
    table.add_row("budget", f"{p['budget_mb']:,.1f}")
    console.print(table)
    if found := p.get("traced"):
        console.print(
            f"traced on fake tensors: {found['traced_mb']:,.1f} MiB without slack and context, closed form "
            f"{found['closed_form_mb']:,.1f} ({found['difference_percent']:+.2f} %)", soft_wrap=True,
        )  # fmt: skip
    s = p["settings"]
    chosen = ", ".join(f"{k} {v}" for k, v in s.items() if v not in (None, False))
    console.print(f"{'fits' if p['fits'] else 'DOES NOT FIT'}: {chosen}", soft_wrap=True)
    if p["tokens_per_s"]:
        hours = f", {p['hours']} hours" if p["hours"] else ""
        console.print(f"about {p['tokens_per_s']:,} tokens/s at an assumed 45 % MFU{hours}", soft_wrap=True)
    console.print(f"Answering, predicted: {_at_once(p['generation'])}", soft_wrap=True)
    if s := p.get("sampling"):
        console.print(f"Sampling, predicted: {_at_once(s)}; {_budget_of(s)}", soft_wrap=True)
    console.print("Not chosen:")
    others = Table()
    for column in ("micro-batch", "optimizer", "recompute", "on the host", "peak MiB", "why"):
        others.add_column(column)
    for r in p["rejected"]:
        host = [what for what, on in (("inputs", r["offload"]), ("embedding", r["host_embedding"])) if on]
        others.add_row(
            str(r["micro_batch"]),
            r["optimizer"],
            str(r["recompute"]),
            ", ".join(host) or "-",
            f"{r['peak_mb']:,.0f}",
            r["why"],
        )
    console.print(others)
