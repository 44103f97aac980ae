"""Rows for the benchmark of near-duplicate removal: generated ones with planted copies, or real ones.

A generated row is a request and lines in one of four dialects (Python, JavaScript, SQL, prose and
mark-up), put together from frames and names at random (seeded); some names are frequent, so rows
share boilerplate as real ones do. Lengths follow a log-normal law up to 4,000 characters with a mean
near 540. Copies are planted at random places:

- exact: the text as it is;
- near: 1, 2 or 3 edits of one kind: words replaced, inserted or deleted; single characters changed;
  an identifier renamed at up to so many places.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
from dataclasses import dataclass
from pathlib import Path

_TABLE = json.loads(Path(__file__).with_name("dedup_words.json").read_text("utf-8"))
NOUNS, VERBS, ADJECTIVES = (" ".join(_TABLE[k]).split() for k in ("nouns", "verbs", "adjectives"))
OPENERS, CORES, CLOSERS = (_TABLE[k] for k in ("openers", "cores", "closers"))
DIALECTS = [_TABLE["dialects"][k] for k in ("python", "javascript", "sql", "prose")]
SHARES = (50, 25, 10, 15)
IDENTIFIER = re.compile(r"[A-Za-z_]{3,}")
WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Corpus:
    """Texts; exact and near: place of the copy -> place of the row that it was made from."""

    texts: list[str]
    exact: dict[int, int]
    near: dict[int, int]


def generated(rows: int, seed: int, exact: float = 0.02, near: float = 0.05) -> Corpus:
    """Return so many rows of which these shares are planted copies of others."""
    rng = random.Random(seed)
    copies = int(rows * exact), int(rows * near)
    return planted([_row(rng) for _ in range(rows - sum(copies))], copies, rng)


def real(folder: Path, rows: int, seed: int, near: float = 0.05) -> Corpus:
    """Return real rows (Code Alpaca, then contest statements) with planted copies, shuffled."""
    texts = []
    for name in ("code_alpaca_20k", "taco_schema_stdin", "taco_schema_function"):
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as f:
            for record in map(json.loads, f):
                fields = (record.get(k) for k in ("instruction", "input", "output", "question"))
                texts.append("\n".join(x for x in fields if x))
    rng = random.Random(seed)
    copies = int(rows * near / 2.5), int(rows * near)
    rng.shuffle(texts)
    return planted(texts[: rows - sum(copies)], copies, rng)


def planted(originals: list[str], copies: tuple[int, int], rng: random.Random) -> Corpus:
    """Add (exact, near) copies of different originals to them, and shuffle."""
    chosen = rng.sample(range(len(originals)), sum(copies))
    texts = originals + [
        originals[i] if c < copies[0] else edited(originals[i], rng) for c, i in enumerate(chosen)
    ]
    order = list(range(len(texts)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    pairs = [(place[len(originals) + c], place[i]) for c, i in enumerate(chosen)]
    return Corpus([texts[i] for i in order], dict(pairs[: copies[0]]), dict(pairs[copies[0] :]))


def edited(text: str, rng: random.Random) -> str:
    """Make 1 to 3 edits of one kind; the text always changes."""
    count = rng.randint(1, 3)
    changed = rng.choice((_words, _characters, _renamed))(text, count, rng)
    return changed if changed != text else _words(text, count, rng)


def _words(text: str, count: int, rng: random.Random) -> str:
    for _ in range(count):
        found = list(WORD.finditer(text))
        if not found:
            return text + " " + _name(rng)
        at, new, kind = rng.choice(found), f"{rng.choice(ADJECTIVES)}{rng.randrange(9)}", rng.randrange(3)
        if kind == 1:
            new = f"{new} {at.group()}"
        text = text[: at.start()] + ("" if kind == 2 else new) + text[at.end() :]
    return text


def _characters(text: str, count: int, rng: random.Random) -> str:
    letters = list(text)
    for place in rng.sample(range(len(letters)), min(count, len(letters))):
        letters[place] = rng.choice("abcdefghijklmnopqrstuvwxyz0123456789")
    return "".join(letters)


def _renamed(text: str, count: int, rng: random.Random) -> str:
    names = IDENTIFIER.findall(text)
    if not names:
        return text
    name = rng.choice(names)
    return re.sub(rf"\b{name}\b", f"{rng.choice(NOUNS)}_{rng.choice(VERBS)}", text, count=count)


def _name(rng: random.Random) -> str:
    """Return a noun; the first ones of the list are the frequent ones."""
    return NOUNS[int(len(NOUNS) * rng.random() ** 1.5)]


def _row(rng: random.Random) -> str:
    length = max(60, min(4_000, int(math.exp(rng.gauss(5.95, 0.78)))))
    opener, core, closer = (rng.choice(part) for part in (OPENERS, CORES, CLOSERS))
    if length < 130:
        opener, closer = rng.choice(VERBS), "."
    dialect = rng.choices(DIALECTS, SHARES)[0]
    lines = [_filled(f"{opener} {core}{closer if closer[0] in '.,;' else ' ' + closer}", rng)]
    lines.append(_filled(rng.choice(dialect), rng))
    size = sum(map(len, lines)) + 1
    while size < length:
        lines.append(_filled(rng.choice(dialect), rng))
        size += len(lines[-1]) + 1
    return "\n".join(lines)


def _filled(frame: str, rng: random.Random) -> str:
    n, m, o = _name(rng), _name(rng), _name(rng)
    v, w = rng.choice(VERBS), rng.choice(VERBS)
    return frame.format(
        n=n, m=m, o=o, v=v, w=w, a=rng.choice(ADJECTIVES), b=rng.choice(ADJECTIVES), k=int(1_000 ** rng.random()),
        f=f"{v}_{n}" if rng.random() < 0.7 else f"{v}{m.title()}", N=n.title(), M=m.title(), V=v.title(),
    )  # fmt: skip
