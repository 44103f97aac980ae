"""Names of repositories: `owner/name`, or `owner/name@revision`."""

from __future__ import annotations

import re

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_REVISION = re.compile(r"[\w./-]{1,200}")


def is_hub_name(name: str) -> bool:
    """Return True for `owner/name` or `owner/name@revision`; a path never looks so, unless it is two words."""
    repo, at, revision = name.partition("@")
    return bool(_REPO.fullmatch(repo)) and (not at or bool(_REVISION.fullmatch(revision)))


def split_name(name: str) -> tuple[str, str | None]:
    """Return (repository, revision or None) of a hub name."""
    repo, _, revision = name.partition("@")
    return repo, revision or None
