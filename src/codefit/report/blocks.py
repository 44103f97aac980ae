"""The parts a report page is made of; renderers only know these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

Text = Any
"""A message, a code argument, a plain text, a number, or a list of these."""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `tone` is `plain`, `note`, `warn` or `lead`."""

    kind: ClassVar[str] = "paragraph"
    text: Text
    tone: str = "plain"


@dataclass(frozen=True)
class Bullets:
    """A list of statements."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[Text]


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: Text


@dataclass(frozen=True)
class Table:
    """A table: the first cell of a row is its header. `numeric` are the columns set to the right."""

    kind: ClassVar[str] = "table"
    caption: Text
    columns: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Chart:
    """A drawing of data that also stands in a table; `legend` pairs a series number with its name."""

    kind: ClassVar[str] = "chart"
    drawing: str
    title: Text
    data: Mapping[str, Any]
    legend: Sequence[tuple[int, Text]] = ()


@dataclass(frozen=True)
class Code:
    """A block of untrusted text, kept as it is; `style` is `plain` or `diff`."""

    kind: ClassVar[str] = "code"
    text: str
    caption: Text = None
    style: str = "plain"


@dataclass(frozen=True)
class Masked:
    """A rendered example whose pieces are marked as trained or not."""

    kind: ClassVar[str] = "masked"
    caption: Text
    pieces: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Fold:
    """Blocks behind a summary."""

    kind: ClassVar[str] = "fold"
    summary: Text
    blocks: Sequence[Any]


@dataclass(frozen=True)
class Section:
    """One section with an anchor and the run's files its figures come from."""

    id: str
    blocks: Sequence[Any]
    files: Sequence[str] = field(default_factory=tuple)
