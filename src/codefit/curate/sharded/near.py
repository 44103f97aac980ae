"""Near-duplicates over shards."""

from __future__ import annotations

from pathlib import Path

from codefit.core.files import digest
from codefit.core.types import Row
from codefit.curate.minhash import tokens
from codefit.scale.pieces import Done, Runner


def request_key(row: Row) -> str:
    """Hash the request's words: rows with one key have the same request, case and spacing aside."""
    return digest(" ".join(tokens(row.instruction)))


def near_losers(runner: Runner, work: Path, job: Path, shards: list[Done], copies: list[Path]) -> list[Path]:
    raise NotImplementedError
