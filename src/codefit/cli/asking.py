"""Options of the verbs that let a model answer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codefit.core.errors import InputError
from codefit.core.generation import MOST_SAMPLES, GenerateSettings, greedy_fault
from codefit.core.paths import expanded
from codefit.core.units import parse_bytes

if TYPE_CHECKING:
    from codefit.pipeline.answer import Wish

F = TypeVar("F", bound=Callable[..., Any])
_DEVICES = r"auto|cpu|cuda(:\d+)?"


def _device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(_DEVICES, value):
        raise click.BadParameter("choose auto, cpu, cuda or cuda:N")
    return value


def _model(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        expanded(value, "--model")
    return value


def _memory(ctx: click.Context, param: click.Parameter, value: str) -> int:
    try:
        return parse_bytes(value)
    except ValueError as e:
        raise click.BadParameter(str(e)) from e


def _number(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if math.isnan(value):  # no range keeps it out
        raise click.BadParameter("nan is no number")
    return value


def model_options(f: F) -> F:
    """Add the options that say which model answers, and how."""
    for option in (
        click.option("--device", default="auto", show_default=True, callback=_device,
                     help="auto, cpu, cuda or cuda:N."),
        click.option("--quantise", type=click.Choice(["nf4", "int8"]),
                     help="Read the weights in 4 or 8 bits (extra gpu); named in the score."),
        click.option("--memory", default="7000MiB", show_default=True, callback=_memory,
                     help="Device memory to use; how many sequences are decoded at once follows from it."),
        click.option("--batch-size", type=click.IntRange(1),
                     help="Sequences decoded at once, at most; default as many as fit."),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of what is drawn; default 0."),
        click.option("--samples", type=click.IntRange(1, MOST_SAMPLES), default=1, show_default=True,
                     help="Answers to each task, for pass@k."),
        click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
                     callback=_number, help="Draw among the likeliest tokens up to this share."),
        click.option("--temperature", type=click.FloatRange(0, 10), default=0.0, show_default=True,
                     callback=_number, help="0 takes the likeliest token."),
        click.option("--max-new-tokens", type=click.IntRange(1), default=512, show_default=True,
                     help="Longest answer."),
        click.option("--only", multiple=True, metavar="TASK", help="Ask this task only; may be given again."),
        click.option("--system", help="System prompt; left to the chat template where not given."),
        click.option("--model", callback=_model, help="A folder, owner/name[@revision], or micro."),
    ):  # fmt: skip
        f = option(f)
    return f


def wish_of(asked: dict[str, Any]) -> Wish:
    """Return what the options of `model_options` ask for; raises `InputError` for what cannot be."""
    from codefit.pipeline.answer import Wish

    names = ("max_new_tokens", "batch_size", "temperature", "top_p", "samples", "seed")
    drawn = [asked[name] for name in ("temperature", "top_p", "samples", "seed")]
    if fault := greedy_fault(*drawn):
        raise InputError(fault, where="--temperature")
    settings = GenerateSettings(**{name: asked[name] for name in names})
    return Wish(
        asked["system"], settings, asked["memory"], asked["device"], asked["quantise"] or "plain",
        asked["only"] or None, asked["flavour"] or "plain",
    )  # fmt: skip
