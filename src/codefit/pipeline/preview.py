"""What the model would see, straight from a recipe: no model is loaded and nothing is run."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.progress import Listener
from codefit.core.recipe import Recipe
from codefit.core.seeds import rng
from codefit.core.types import Row
from codefit.pipeline.context import Context

_READ = 500
RANDOM = "random:"


def preview_recipe(recipe: Recipe, cache: Path, listen: Listener) -> dict[str, Any]:
    """Return template hash, parity and previews as `format.json` holds them, from uncurated rows.

    Of each source one row is drawn by the recipe's seed among the first 500 that the step
    `normalise` keeps; curation may still drop it. Raises `InputError` where a file is missing or
    the template breaks parity.
    """
    from codefit.format.chat import ChatFormat
    from codefit.format.preview import row_preview, task_preview

    context = Context(recipe, Path(), cache, listen, frozenset())
    try:
        f = recipe.format
        chat = ChatFormat(_tokenizer(context), system=f.system, fence=f.fence)
        rows = _first_rows(context)
        suites = [suite for _, suite in context.suites]
        parity = check_parity(chat, suites, rows)
        drawn = [rng(recipe.seed, "preview", name).choice(members) for name, members in sorted(rows.items())]
        shown = [row_preview(chat, row) for row in drawn]
        shown += [task_preview(chat, s.info.name, s.tasks[0].task_id, s.tasks[0].prompt) for s in suites]
    finally:
        context.close()
    return {
        "template_hash": chat.revision,
        "max_length": f.max_length,
        "parity": parity,
        "previews": shown,
        "curated": False,
    }


def check_parity(chat: Any, suites: list[Any], rows: dict[str, list[Row]]) -> dict[str, Any]:
    """Check prompt parity on every task of every suite and on rows by source; return what was checked.

    Raises `InputError` at the first prompt that training and evaluation would see differently.
    """
    prefix = 0
    for suite in suites:
        for task in suite.tasks:
            prefix = chat.check_parity(task.prompt, "def answer():\n    return 1")
    return {
        "ok": True,
        "checked": sum(len(suite.tasks) for suite in suites),
        "prefix_tokens": prefix,
        "suites": [suite.info.name for suite in suites],
        "rows": {source: chat.check_rows(members) for source, members in sorted(rows.items())},
    }


def _tokenizer(context: Context) -> Any:
    """Return the tokenizer; a random model is not made for it."""
    from codefit.models.load import load_tokenizer, require_torch

    model = context.recipe.model
    if model.name.startswith(RANDOM) and model.tokenizer:
        require_torch()
        return load_tokenizer(context.located(Path(model.tokenizer)))
    return context.tokenizer


def _first_rows(context: Context) -> dict[str, list[Row]]:
    """Return every source's first rows as `normalise` leaves them, by the rows' source."""
    from codefit.curate.normalise import Normalise
    from codefit.curate.step import Context as Curation

    curation = Curation(context.recipe.curate, {}, None, context.recipe.seed)
    found: dict[str, list[Row]] = {}
    for source in context.sources:
        rows = list(itertools.islice(source.rows(None if context.recipe.strict else _ignore), _READ))
        for row in Normalise().run(rows, curation).kept:
            if row.response:
                found.setdefault(row.source, []).append(row)
    return found


def _ignore(error: InputError) -> None:
    """Leave malformed records out; the run counts and names them."""
