"""What a card can do at most, by its name."""

from __future__ import annotations

import re
from importlib.resources import files

from codefit.core.files import parse_json

_LEFT_OUT = re.compile(r"NVIDIA|GeForce|\d+GB|HBM\w+|SXM\d?")


def peak_tflops(card: str) -> float | None:
    """Return the bf16 peak of a card as torch names it, in TFLOPS; None for one that is not in the table."""
    words = [w for w in re.split(r"[\s-]+", card) if w and not _LEFT_OUT.fullmatch(w)]
    text = files("codefit.plan").joinpath("cards.json").read_text(encoding="utf-8")
    found: float | None = parse_json(text)["tflops"].get(" ".join(words))
    return found
