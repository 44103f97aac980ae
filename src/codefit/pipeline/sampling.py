"""How a run's models are sampled: one job for the stage `sample` and for the start model's pass rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codefit.core.files import digest
from codefit.core.sampling import SampleSettings
from codefit.core.seeds import subseed
from codefit.core.types import Task
from codefit.pipeline.context import Context
from codefit.pipeline.generate import asking_of
from codefit.pipeline.local import LocalModel
from codefit.plan.generation import MOST

if TYPE_CHECKING:
    from codefit.methods.job import Sampling


def sampling(
    context: Context, stage: str, settings: SampleSettings, model: LocalModel, *, sampler: str, round: int,
    cache: Path, tasks: Mapping[str, Sequence[Task]],
) -> Sampling:  # fmt: skip
    """Return the job of sampling a model of the run by its recipe; `cache` is a folder of append-only files."""
    from codefit.generate.types import Decoding
    from codefit.methods.job import Sampling

    recipe = context.recipe
    decoding = Decoding(
        settings.max_new_tokens or recipe.generate.max_new_tokens, settings.temperature, settings.top_p,
        subseed(recipe.seed, "sample") % 2**32,
    )  # fmt: skip
    asking = asking_of(context, decoding)
    return Sampling(
        stage=stage,
        settings=settings,
        curate=recipe.curate,
        chat=context.chat,
        load=lambda: model.engine(
            asking.tokenizer, asking.chat, decoding, recipe.generate.batch_size, asking.memory
        ),
        setting=digest(model.digest, decoding.key(), str(asking.chat.end_id)),
        model=model.digest,
        sampler=sampler,
        round=round,
        batch_size=recipe.generate.batch_size or MOST,
        seed=recipe.seed,
        sandbox=context.sandbox,
        cache=cache,
        tasks=tasks,
        count_tokens=lambda text: len(context.tokenizer.encode(text, add_special_tokens=False)),
        listen=context.listen,
    )
