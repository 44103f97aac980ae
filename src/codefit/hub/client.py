"""The hub's client: its settings from the environment, and a session that the rest of codefit cannot disturb."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.paths import expanded

DEFAULT_ENDPOINT = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the hub is and how it is asked.

    `token` comes from the environment only and is never printed, stored or logged.
    """

    endpoint: str
    cache: Path
    offline: bool
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Hub:
        """Return what HF_ENDPOINT, HF_HUB_OFFLINE, HF_HUB_CACHE, HF_HOME and HF_TOKEN say.

        Raises `InputError` for an endpoint that is no web address.
        """
        env = os.environ if environ is None else environ
        endpoint = (env.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).strip().rstrip("/")
        if not endpoint.startswith(("https://", "http://")):
            raise InputError(
                f"'{endpoint}' is no web address", where="HF_ENDPOINT", todo=f"write https://{endpoint}"
            )
        offline = (env.get("HF_HUB_OFFLINE") or env.get("TRANSFORMERS_OFFLINE") or "").upper() in _TRUE
        token = (env.get("HF_TOKEN") or env.get("HUGGING_FACE_HUB_TOKEN") or "").strip()
        return cls(endpoint, _cache(env), offline, token or None)

    @property
    def credentials(self) -> str | bool:
        """What the client takes as `token`: False keeps it from looking for one in files."""
        return self.token or False

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Yield a `huggingface_hub.HfApi` of this hub; raises `MissingPrerequisite` where there is no client.

        The client's switches are set for the time of the session and put back: the model's libraries are kept
        off the network for good (see `models.load.quiet_libraries`), which must not hold here.
        """
        require_client()
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from huggingface_hub import HfApi, constants
        from huggingface_hub.utils import disable_progress_bars
        from huggingface_hub.utils import logging as verbosity

        verbosity.set_verbosity_error()
        disable_progress_bars()
        before = constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY
        constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY = self.offline, True
        try:
            yield HfApi(endpoint=self.endpoint, token=self.credentials, library_name="codefit")
        finally:
            constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY = before


def _cache(env: Mapping[str, str]) -> Path:
    """Return the hub's own cache, by the client's rules, so that other programs' downloads count too."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if env.get(name):
            return expanded(os.path.expandvars(env[name]), name)
    if env.get("HF_HOME"):
        return expanded(os.path.expandvars(env["HF_HOME"]), "HF_HOME") / "hub"
    base = env.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(base, "XDG_CACHE_HOME") / "huggingface" / "hub"


def require_client() -> None:
    """Raise `MissingPrerequisite` where huggingface_hub is not installed."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingPrerequisite(
            "needs huggingface_hub", where="the hub", todo="pip install 'codefit[hub]', or name local files"
        )
