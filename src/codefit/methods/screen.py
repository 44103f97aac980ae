"""Own answers against the test sets once more: the request was searched in curation, the answer is new.

The cheap detectors of `curate.decontaminate` only: what the answer's code and calls give away, and what its
docstrings and comments say. A hit that the curated row has as well is no news: curation has decided on it.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from codefit.core.curation import DecontaminateSettings
from codefit.core.types import Row, Task
from codefit.curate.code import docstrings, parse
from codefit.curate.decontaminate import decontaminate, task_index
from codefit.sandbox import Sandbox

_WORDS = 6  # fewer say nothing
Place = tuple[str, str]


def leaks(
    pairs: Sequence[tuple[Row, Row]], tasks: Mapping[str, Sequence[Task]], settings: DecontaminateSettings
) -> set[str]:
    """Return the ids of the answers that give away a test task; `pairs` are (answer, curated row)."""
    if not tasks or not pairs:
        return set()
    settings = settings.model_copy(update={"execution_match": "off", "embedding": None})
    index = task_index(tasks, settings, None)
    origin = {own.id: old.id for own, old in pairs}

    def removed(rows: Iterable[Row]) -> Iterator[tuple[str, Place]]:
        for hit in decontaminate(rows, tasks, settings=settings, index=index).hits:
            if hit.action == "removed":
                yield hit.row_id, (hit.suite, hit.task_id)

    known = set(removed({old.id: old for _, old in pairs}.values()))
    said = [
        replace(own, instruction=text, response="", tests=None) for own, _ in pairs if (text := words_of(own))
    ]
    found = [*removed([own for own, _ in pairs]), *removed(said)]
    return {row_id for row_id, place in found if (origin[row_id], place) not in known}


def searched(
    rows: Sequence[Row],
    tasks: Mapping[str, Sequence[Task]],
    settings: DecontaminateSettings,
    sandbox: Sandbox,
    cache: Path,
) -> set[str]:
    """Return the ids of answers that give away a test task, to requests that curation never searched.

    The whole search but for the encoder, with execution as the recipe wants it.
    """
    if not tasks or not rows:
        return set()
    found = decontaminate(
        rows, tasks, settings=settings.model_copy(update={"embedding": None}), sandbox=sandbox, cache=cache,
        verified=[row.id for row in rows],
    )  # fmt: skip
    return {dropped.row_id for dropped in found.dropped}


def words_of(row: Row) -> str:
    """Return what the docstrings and comments of a row's answer say, empty where that is next to nothing."""
    tree = parse(row.response)
    texts = [*(docstrings(tree) if tree else ()), *_comments(row.response)]
    text = "\n".join(texts)
    return text if len(text.split()) >= _WORDS else ""


def _comments(source: str) -> Iterator[str]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.string.lstrip("#! ")
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
