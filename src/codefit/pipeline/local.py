"""A model on this machine's disk, and how it is made to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.files import digest, file_digest
from codefit.core.generation import Weights
from codefit.core.progress import Listener
from codefit.core.types import Completion

if TYPE_CHECKING:
    from codefit.format.chat import ChatFormat
    from codefit.generate.engine import TransformersEngine
    from codefit.generate.types import Decoding, Request


@dataclass(frozen=True)
class LocalModel:
    """A model folder and the adapter on it, in the numbers that it answers in."""

    path: Path
    adapter: Path | None
    device: str
    dtype: str
    weights: Weights = "plain"

    @property
    def format(self) -> str:
        """What a score says of the weights: the quantised format, else the dtype."""
        return self.dtype if self.weights == "plain" else self.weights

    @cached_property
    def digest(self) -> str:
        """Hash over everything that decides what it answers to tokens."""
        adapter = file_digest(self.adapter) if self.adapter else ""
        numbers = self.dtype if self.weights == "plain" else f"{self.weights}, {self.dtype}"
        return digest(file_digest(self.path), adapter, numbers)

    def engine(
        self, tokenizer: Any, chat: ChatFormat, decoding: Decoding, batch_size: int | None, memory: int
    ) -> TransformersEngine:
        """Load it."""
        from codefit.generate.engine import TransformersEngine
        from codefit.generate.usage import forget_peak
        from codefit.models.card import hold_to
        from codefit.models.load import load_model

        forget_peak(self.device)
        hold_to(memory, self.device)
        model = load_model(
            self.path, dtype=self.dtype, device=self.device, adapter=self.adapter, weights=self.weights
        )
        return TransformersEngine(
            model, tokenizer, end_id=chat.end_id, decoding=decoding, batch_size=batch_size, memory=memory
        )


@dataclass(frozen=True)
class Asking:
    """How a model is asked, and where its answers are kept."""

    chat: ChatFormat
    tokenizer: Any
    decoding: Decoding
    batch_size: int | None
    memory: int
    ledger: Path
    listen: Listener


def ask(
    model: LocalModel, requests: Sequence[Request], asking: Asking, stage: str
) -> tuple[list[Completion], dict[str, Any]]:
    """Return completions, and what they took as data; what stands in the ledger is not asked again."""
    from codefit.generate.ask import stated
    from codefit.generate.cache import complete, spent

    setting = digest(model.digest, asking.decoding.key(), str(asking.chat.end_id))
    load: Callable[[], TransformersEngine] = lambda: model.engine(  # noqa: E731
        asking.tokenizer, asking.chat, asking.decoding, asking.batch_size, asking.memory
    )
    found = complete(requests, load, asking.ledger, setting=setting, stage=stage, listen=asking.listen)
    return stated(found, requests, asking.decoding), {
        "engine": "transformers",
        "weights": model.format,
        "dtype": model.dtype,
        "device": model.device,
        "decoding": asking.decoding.words(),
        "max_new_tokens": asking.decoding.max_new_tokens,
        "samples": 1 + max((r.sample for r in requests), default=0),
        **spent(requests, asking.ledger, setting),
    }
