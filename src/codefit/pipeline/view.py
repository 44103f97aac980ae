"""The start model's view of rows, for curation: how odd it finds them, or how often it solves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.core.files import digest
from codefit.core.generation import Weights
from codefit.core.types import Row
from codefit.core.units import parse_bytes
from codefit.curate.step import ModelView
from codefit.pipeline.context import START, Context


def view_settings(context: Context) -> dict[str, Any] | None:
    """Return what decides the view, beside the rows and what `curate` says."""
    recipe = context.recipe
    if recipe.curate.model_view == "off":
        return None
    train = recipe.train_of(context.main_arm)
    found: dict[str, Any] = {
        "format": recipe.format.model_dump(mode="json"),
        "device": train.device,
        "dtype": train.dtype,
        **({"weights": "nf4"} if train.method == "qlora" else {}),
    }
    if recipe.curate.model_view == "pass_rate":
        s = recipe.sample
        found["drawn"] = [s.temperature, s.top_p, s.max_new_tokens or recipe.generate.max_new_tokens]
        found["sandbox"] = recipe.sandbox.level
    return found


def view_of(context: Context) -> ModelView | None:
    """Return how curation asks the start model about rows, None where the recipe does not want it."""
    view = context.recipe.curate.model_view
    if view == "off":
        return None
    return _reader(context) if view == "ifd" else _solver(context)


def _reader(context: Context) -> ModelView:
    from codefit.generate.view import model_view
    from codefit.models.card import hold_to, release
    from codefit.models.load import load_model, resolve_device, resolve_dtype
    from codefit.train.device import one_line_for_memory

    train = context.recipe.train_of(context.main_arm)
    device = resolve_device(train.device)
    dtype = resolve_dtype(train.dtype, device)
    memory = parse_bytes(context.recipe.memory)
    weights: Weights = "nf4" if train.method == "qlora" else "plain"

    def load() -> Any:
        release(device)
        hold_to(memory, device)
        return load_model(context.start_model, dtype=dtype, device=device, weights=weights)

    numbers = [dtype] if weights == "plain" else [weights, dtype]

    def view(rows: Sequence[Row]) -> Mapping[str, Mapping[str, float]]:
        with one_line_for_memory(memory, context.out / "data"):
            return model_view(
                rows,
                context.chat,
                load,
                context.out / "data" / "cache" / "model_view.jsonl",
                setting=digest(context.start_digest, *numbers, context.chat.revision),
                max_length=context.recipe.format.max_length,
                listen=context.listen,
            )

    return view


def _solver(context: Context) -> ModelView:
    from codefit.methods.rejection import pass_rates
    from codefit.pipeline.generate import model_of
    from codefit.pipeline.sampling import sampling

    # no more tests are made here: it is the row's own that say how hard it is
    changed = {"samples": context.recipe.curate.view_samples, "rows": ("tests",), "least_tests": 0}
    settings = context.recipe.sample.model_copy(update={**changed, "prompts": None, "hours": None})

    def view(rows: Sequence[Row]) -> Mapping[str, Mapping[str, float]]:
        job = sampling(
            context, "curate", settings, model_of(context, None, None), sampler=START, round=0,
            cache=context.out / "data" / "cache", tasks={},
        )  # fmt: skip
        return {row_id: {"pass_rate": round(rate, 4)} for row_id, rate in pass_rates(rows, job).items()}

    return view
