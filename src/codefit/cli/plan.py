"""`codefit plan`: the memory of a training, before it runs."""

from __future__ import annotations

import math
from typing import Any

import click
from rich.table import Table

from codefit.cli import show
from codefit.cli.recipe import resolve_recipe
from codefit.core.errors import InputError
from codefit.core.recipe import TrainSettings, load_recipe
from codefit.core.units import parse_bytes
from codefit.models.load import resolve_dtype
from codefit.models.start import shape_file
from codefit.plan.search import RTX_4060_TFLOPS, Wish, refuse
from codefit.plan.search import plan as make_plan
from codefit.plan.shape import read_shape


class _Tflops(click.FloatRange):
    """A speed that a card can have: a range alone lets NaN pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("nan is not a speed", param, ctx)
        return number


@click.command()
@click.argument("recipe", required=False)
@click.option("--model", help="Model shape: a folder with config.json, or a name such as qwen2.5-coder-1.5b.")
@click.option("--memory", help="Budget with its unit, such as 7000MiB or 8GB.")
@click.option("--method", type=click.Choice(["lora", "full"]), help="Default lora.")
@click.option(
    "--optimizer",
    type=click.Choice(["adamw", "adamw8", "adamw4"]),
    help="Bits of the moments; default adamw.",
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
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def plan(
    recipe: str | None, model: str | None, memory: str | None, method: str | None,
    optimizer: str | None, offload: bool, max_length: int | None,
    batch_size: int | None, rank: int | None, tflops: float, tokens: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Predict the peak memory of RECIPE, or of --model, on a GPU.

    Weights are bfloat16, or float32 for full tuning with the classic optimizer. Prints the components, the phase
    that sets the peak, and why other settings were not chosen. Checked against an H100 whose allocator was
    capped to an 8 GB card; not yet seen on such a card. Exit 2 where nothing fits.
    """
    base = load_recipe(resolve_recipe(recipe)) if recipe else None
    name = model or (base.model.name.removeprefix("random:") if base else None)
    if name is None:
        raise InputError("nothing to plan", where="plan", todo="give a recipe or --model")
    if name == "micro":
        from codefit.micro import model_path

        name = str(model_path())
    t = base.train if base else None
    chosen = method or (t.method if t else "lora")
    chosen_optimizer = optimizer or (t.optimizer if t and t.method == chosen else "adamw")
    if chosen == "lora" and chosen_optimizer != "adamw":
        raise InputError(
            f"{chosen_optimizer} is for full tuning", where="--optimizer", todo="add --method full"
        )
    bits = TrainSettings(method=chosen, optimizer=chosen_optimizer).bits
    wish = Wish(
        method=chosen,
        max_length=max_length or (base.format.max_length if base else 1024),
        batch_size=batch_size or (t.share_of_batch if t else 16),
        rank=rank or (t.lora_rank if t else 16),
        element=2 if resolve_dtype("auto", "cuda", chosen, bits) == "bfloat16" else 4,
        device="cuda",
        micro_batch=t.micro_batch if t else None,
        recompute=t.recompute if t else None,
        bits=bits,
        offload=offload or bool(t and t.offload),
        engine=t.engine if t else "codefit",
    )
    try:
        budget = parse_bytes(memory or (base.memory if base else "7000MiB"))
    except ValueError as e:
        raise InputError(str(e), where="--memory") from e
    found = make_plan(read_shape(shape_file(name)), wish, budget, tflops)
    result = found.to_json(tokens)
    if as_json:
        show.print_json(result)
    else:
        _print(result)
    if not found.fits:
        raise refuse(found, f"--memory {memory}" if memory else "memory")


def _seen(p: dict[str, Any]) -> str:
    if p["seen_on_gpu"]:
        return "predicted; checked on an H100 capped to 8 GB, not yet on an 8 GB card"
    return "predicted, not yet seen on a GPU"


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
    s = p["settings"]
    chosen = ", ".join(f"{k} {v}" for k, v in s.items() if v not in (None, False))
    console.print(f"{'fits' if p['fits'] else 'DOES NOT FIT'}: {chosen}", soft_wrap=True)
    if p["tokens_per_s"]:
        hours = f", {p['hours']} hours" if p["hours"] else ""
        console.print(f"about {p['tokens_per_s']:,} tokens/s at an assumed 45 % MFU{hours}", soft_wrap=True)
    console.print("Not chosen:")
    others = Table()
    for column in ("micro-batch", "recompute", "peak MiB", "why"):
        others.add_column(column)
    for r in p["rejected"]:
        others.add_row(str(r["micro_batch"]), str(r["recompute"]), f"{r['peak_mb']:,.0f}", r["why"])
    console.print(others)
