"""Quotas: what of the budget is left, overall and per source, topic, library and level of difficulty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codefit.core.curation import SelectSettings
from codefit.core.types import Row
from codefit.curate.code import parse
from codefit.curate.difficulty import difficulty, level_of
from codefit.curate.step import Context
from codefit.curate.topics import libraries, topics

OVER_LEVEL = "over the part of level"
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Where a row counts: its source, first topic, libraries and level, and what it costs."""

    source: str
    topic: str
    libraries: tuple[str, ...]
    level: str
    tokens: int


def stratum(row: Row, ctx: Context) -> Stratum:
    """Return a row's stratum: as the quality step noted it, else found again."""
    level, subjects = ctx.fact(row.id, "level"), ctx.fact(row.id, "topics")
    used = ctx.fact(row.id, "libraries")
    if level is None:
        level = level_of(difficulty(row, parse(row.response)))
    return Stratum(
        source=row.source,
        topic=(subjects or topics(row))[0],
        libraries=tuple(libraries(row) if used is None else used),
        level=level,
        tokens=ctx.row_tokens(row),
    )


class Purse:
    """The budget in rows and tokens; shares are of tokens where a token budget is set, else of rows.

    Shares are of what can be had at all: where the sources' own limits leave less than the budget,
    the budget shrinks until every source is within its share of it.
    """

    def __init__(self, settings: SelectSettings, strata: Sequence[Stratum]) -> None:
        self._settings = settings
        self._in_tokens = settings.tokens is not None
        self._rows = min(settings.rows or len(strata), len(strata))
        all_tokens = sum(s.tokens for s in strata)
        self._tokens = min(settings.tokens or all_tokens, all_tokens)
        self.total = self._attainable(strata)
        self._taken: Counter[str] = Counter()
        self._cheapest = min((s.tokens for s in strata), default=0)

    def _cost(self, s: Stratum) -> int:
        return s.tokens if self._in_tokens else 1

    def _attainable(self, strata: Sequence[Stratum]) -> float:
        """Return the largest total of which no source holds more than its share."""
        held: Counter[str] = Counter()
        for s in strata:
            held[s.source] += self._cost(s)
        total = float(self._tokens if self._in_tokens else self._rows)
        shares = self._settings.max_share
        if not set(shares) & set(held) or (set(held) <= set(shares) and sum(shares[n] for n in held) < 1):
            return total  # shares that cannot fill a whole are shares of the budget
        while True:
            fits = min(total, sum(min(n, shares.get(name, 1.0) * total) for name, n in held.items()))
            if total - fits < 0.5:
                return fits
            total = fits

    @property
    def full(self) -> bool:
        """Return True where no row fits any more."""
        return (
            self._taken["rows"] >= self._rows
            or self._taken["tokens"] + self._cheapest > self._tokens
            or (not self._in_tokens and self._taken["rows"] + 1 > self.total + 0.5)
        )

    def refuse(self, s: Stratum, *, by_level: bool) -> str | None:
        """Take a row and return None, or say why it does not fit; `by_level` holds to the difficulty mix."""
        if self.full or self._taken["tokens"] + s.tokens > self._tokens:
            return "over the budget"
        cost = self._cost(s)
        for key, name, share in self._limits(s, by_level):
            if self._taken[key] + cost > share * self.total + 1e-6:
                return name
        self._taken["rows"] += 1
        self._taken["tokens"] += s.tokens
        for key in (f"source:{s.source}", f"topic:{s.topic}", f"level:{s.level}"):
            self._taken[key] += cost
        for library in s.libraries:
            self._taken[f"library:{library}"] += cost
        return None

    def _limits(self, s: Stratum, by_level: bool) -> Iterator[tuple[str, str, float]]:
        """Yield (counter, reason, share) of what bounds a row."""
        settings = self._settings
        if (share := settings.max_share.get(s.source)) is not None:
            yield f"source:{s.source}", f"over the share of {s.source}", share
        if (share := _share(settings.topics, s.topic)) is not None:
            yield f"topic:{s.topic}", f"over the share of topic {s.topic}", share
        for library in s.libraries:
            if (share := _share(settings.libraries, library)) is not None:
                yield f"library:{library}", f"over the share of library {library}", share
        if by_level and settings.difficulty:
            yield f"level:{s.level}", f"{OVER_LEVEL} {s.level}", settings.difficulty.get(s.level, 0.0)


def _share(shares: Mapping[str, float], name: str) -> float | None:
    return shares.get(name, shares.get(_ANY))
