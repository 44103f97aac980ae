"""The parts a report page is made of; renderers only know these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

Text = Any
"""A message, a code argument, a plain text, a number, or a list of these."""
Source = tuple[str, str]
"""Where figures come from: a file of the run, and the place in it as a path of keys (`a/b`), or nothing."""


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
    """A table: the first cell of a row is its header. `numeric` are the columns set to the right.

    `source` is the file that its figures stand in; a `stacked` one has its cells one below the other on a
    narrow screen.
    """

    kind: ClassVar[str] = "table"
    caption: Text
    columns: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    numeric: frozenset[int] = frozenset()
    source: Source | None = None
    stacked: bool = False


@dataclass(frozen=True)
class Chart:
    """A drawing of data that also stands in a table; `source` is the file that it stands in.

    `legend` pairs a series number, or the name of a line, with its text; `words` are the drawing's own
    texts (names of axes, bars) with what they read as.
    """

    kind: ClassVar[str] = "chart"
    drawing: str
    title: Text
    data: Mapping[str, Any]
    legend: Sequence[tuple[int | str, Text]] = ()
    source: Source | None = None
    words: Mapping[str, Text] = field(default_factory=dict)


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
    """Blocks behind a summary; `anchor` names it in the page, `printed` opens it on paper."""

    kind: ClassVar[str] = "fold"
    summary: Text
    blocks: Sequence[Any]
    anchor: str | None = None
    printed: bool = True


@dataclass(frozen=True)
class Tasks:
    """The place of the list of tasks: searched, filtered and opened in the HTML page alone."""

    kind: ClassVar[str] = "tasks"
    suites: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Section:
    """One section with an anchor and the run's files its figures come from."""

    id: str
    blocks: Sequence[Any]
    files: Sequence[str] = field(default_factory=tuple)
