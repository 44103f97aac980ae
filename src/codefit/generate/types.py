"""What goes into an engine and what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from codefit.core.generation import GenerateSettings


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the next token is chosen: temperature 0 is greedy, and then `top_p` and `seed` mean nothing.

    `top_p` keeps the likeliest tokens up to that share (Holtzman et al. 2020, nucleus sampling).
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    @classmethod
    def of(cls, settings: GenerateSettings, seed: int) -> Decoding:
        """Return the decoding of a recipe whose own seed is `seed`."""
        return cls(
            settings.max_new_tokens, settings.temperature, settings.top_p,
            seed if settings.seed is None else settings.seed,
        )  # fmt: skip

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken every time."""
        return self.temperature == 0

    def key(self) -> str:
        """Return a text that names everything an answer depends on."""
        if self.greedy:
            return f"greedy, {self.max_new_tokens}"
        return f"t={self.temperature!r}, p={self.top_p!r}, seed={self.seed}, {self.max_new_tokens}"

    def words(self) -> str:
        """Return the text that stands in a score."""
        if self.greedy:
            return "greedy"
        return f"temperature {self.temperature:g}, top_p {self.top_p:g}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt: token ids for an engine that takes tokens, (role, content) pairs for one that takes text.

    `sample` counts the answers wanted for one prompt.
    """

    task_id: str
    ids: tuple[int, ...]
    messages: tuple[tuple[str, str], ...] = ()
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request; `index` points into the requests.

    Log-probabilities are natural logs, of the model's own distribution whatever the temperature, over
    the new tokens and the end that was chosen. None where the engine does not tell.
    """

    index: int
    text: str
    tokens: int | None
    mean_logprob: float | None
    min_logprob: float | None
    finish_reason: str


class Engine(Protocol):
    """Whatever answers requests."""

    def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield answers batch by batch, in an order of the engine's choosing."""
        ...
