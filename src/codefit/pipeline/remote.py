"""Let what answers over HTTP answer requests: an endpoint, or a server that is started for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.progress import Event, Listener
from codefit.core.types import Completion, Task

if TYPE_CHECKING:
    from codefit.core.engines import EndpointSettings
    from codefit.generate.remote import ServerSettings
    from codefit.generate.types import Decoding
    from codefit.suites.flavours import Flavour, Form

REPLAY_ONLY = "CODEFIT_REPLAY_ONLY"


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """What answers; `replay` is the folder of answers that are never asked for again.

    `weights` states their format where no file tells; `replay_only`, or the environment variable
    CODEFIT_REPLAY_ONLY=1, forbids new requests.
    """

    what: EndpointSettings | ServerSettings
    replay: Path
    weights: str | None = None
    replay_only: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def form(self) -> Form:
        """The form of prompts that it takes: who starts a server knows that it goes on with an answer's words."""
        from codefit.core.engines import EndpointSettings

        if not isinstance(self.what, EndpointSettings):
            return "begun"
        return "text" if self.what.api == "completions" else "chat"


@dataclass(frozen=True, slots=True)
class Question:
    """What a suite's tasks are put as."""

    tasks: Iterable[Task]
    flavour: Flavour
    system: str | None
    samples: int


def ask_remote(
    model: RemoteModel, question: Question, decoding: Decoding, ledger: Path, stage: str, listen: Listener
) -> tuple[list[Completion], dict[str, Any]]:
    """Return completions as the judge gets them, and what they took; needs no torch.

    The ledger and the replay store hold what the model wrote, uncut.
    """
    from codefit.generate.ask import messages_of, stated
    from codefit.generate.cache import complete, spent
    from codefit.generate.remote import remote

    flavour, form = question.flavour, model.form
    requests = messages_of(question.tasks, flavour, form, question.system, question.samples)
    forbidden = model.replay_only or model.environ.get(REPLAY_ONLY, "") not in ("", "0")
    with remote(
        model.what, decoding, model.replay, model.environ, weights=model.weights, stops=flavour.stops(form),
        replay_only=forbidden, notice=lambda text: listen(Event(stage, text, finished=True)),
    ) as found:  # fmt: skip
        completions = complete(
            requests, lambda: found.engine, ledger, setting=found.identity, stage=stage, listen=listen
        )
        told = found.told
    completions = stated(completions, requests, decoding)
    return [replace(c, text=flavour.answer(c.text, form)) for c in completions], {
        **told,
        "form": flavour.form(form),
        "dtype": None,
        "device": None,
        "decoding": decoding.words(),
        "max_new_tokens": decoding.max_new_tokens,
        "samples": question.samples,
        **spent(requests, ledger, found.identity),
    }
