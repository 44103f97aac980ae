"""Topics: what a row is about, by a small table of words, phrases, libraries and tags that a person can read."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from codefit.core.types import Row
from codefit.curate.code import parse
from codefit.curate.imports import imported
from codefit.curate.leaks.words import canonical, request, request_text

OTHER = "other"
_MOST = 3
_LONG_STEMS = 40
"""A long statement tells a story: one word of a topic is chance there, two are a sign."""


@dataclass(frozen=True)
class _Table:
    words: Mapping[str, tuple[str, ...]]
    libraries: Mapping[str, tuple[str, ...]]
    tags: Mapping[str, tuple[str, ...]]
    phrases: tuple[tuple[re.Pattern[str], str], ...]
    order: Mapping[str, int]


@cache
def _table() -> _Table:
    raw = json.loads(resources.files(__package__).joinpath("topics.json").read_text("utf-8"))
    phrases = [
        (re.compile(p, re.IGNORECASE), topic) for topic, t in raw.items() for p in t.get("phrases", ())
    ]
    return _Table(
        words=_inverted((canonical(w), topic) for topic, t in raw.items() for w in t["words"]),
        libraries=_inverted((name, topic) for topic, t in raw.items() for name in t.get("libraries", ())),
        tags=_inverted((tag.lower(), topic) for topic, t in raw.items() for tag in t.get("tags", ())),
        phrases=tuple(phrases),
        order={topic: i for i, topic in enumerate(raw)},
    )


def _inverted(pairs: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, topic in pairs:
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), topic)))
    return found


def topic_names() -> tuple[str, ...]:
    """Return all topics in the order of the table, `other` last."""
    return (*_table().order, OTHER)


def topics(row: Row, tree: ast.Module | None = None) -> tuple[str, ...]:
    """Return one to three topics of a row, the clearest first; `("other",)` where nothing speaks for one.

    Each word of the request, phrase, imported library and tag of the source speaks for its topics;
    a class that is not the usual `Solution` speaks for `classes`. In a request of more than 40
    meaningful words one word alone does not count. `tree` saves parsing the answer once more.
    """
    table, found = _table(), Counter[str]()
    stems = request(row.instruction).stems
    for stem in stems:
        found.update(table.words.get(stem, ()))
    if len(stems) > _LONG_STEMS:
        found = Counter({topic: n - 1 for topic, n in found.items() if n > 1})
    text = request_text(row.instruction)
    for topic in {topic for pattern, topic in table.phrases if pattern.search(text)}:
        found[topic] += 2
    tree = tree or _tree(row)
    for name in imported(tree):
        found.update(dict.fromkeys(table.libraries.get(name, ()), 2))
    for topic in {topic for tag in row.tags for topic in table.tags.get(tag.lower(), ())}:
        found[topic] += 3
    if tree and any(isinstance(n, ast.ClassDef) and n.name != "Solution" for n in tree.body):
        found["classes"] += 2
    ranked = sorted(found, key=lambda topic: (-found[topic], table.order[topic]))
    return tuple(ranked[:_MOST]) or (OTHER,)


def libraries(row: Row, tree: ast.Module | None = None) -> tuple[str, ...]:
    """Return the top-level modules that a Python answer imports, by name."""
    return imported(tree or _tree(row))


def _tree(row: Row) -> ast.Module | None:
    return parse(row.response) if row.language in (None, "python") else None
