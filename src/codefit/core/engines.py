"""Settings of engines that answer over HTTP: an endpoint, and how patiently it is asked."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator

from codefit.core.settings import Settings

ENVIRONMENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class PatienceSettings(Settings):
    """How an endpoint is asked: how much at once, and how often again."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = Field(4, description="requests at the same time")
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="never more than this; null: no limit of our own"
    )
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = Field(
        600.0, description="seconds that one answer may take in all"
    )
    attempts: Annotated[int, Field(ge=1, le=50)] = Field(
        6, description="tries of one request before the run stops"
    )
    backoff_s: Annotated[float, Field(ge=0, le=600)] = Field(
        1.0, description="wait before the second try; it doubles with every further one"
    )


class EndpointSettings(PatienceSettings):
    """An OpenAI-compatible endpoint. The key itself stands in the environment only."""

    base_url: str = Field(description="address up to its version, such as http://127.0.0.1:11434/v1")
    model: Annotated[str, Field(min_length=1)] = Field(description="the model's name at the endpoint")
    api: Literal["chat", "completions"] = Field(
        "chat", description="`chat`: messages; `completions`: plain text, for base models"
    )
    api_key_env: Annotated[str, Field(pattern=ENVIRONMENT_NAME)] | None = Field(
        None, description="name of the environment variable that holds the key"
    )

    @field_validator("base_url")
    @classmethod
    def _usable(cls, value: str) -> str:
        return base_address(value)


def base_address(value: str) -> str:
    """Return an endpoint's address without a slash at its end; a bare host gets `/v1`.

    Raises `ValueError` for what is no http(s) address, and for one with a key in it.
    """
    try:
        parts = urlsplit(value.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as e:
        raise ValueError("is no address") from e
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or key; name an environment variable with api_key_env")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is no http:// or https:// address")
    if parts.query or parts.fragment:
        raise ValueError("has a query or fragment; give the address up to /v1 only")
    path = parts.path.rstrip("/") or "/v1"
    for ending in ("/chat/completions", "/completions"):
        path = path.removesuffix(ending)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
