"""The data card: what went in, what is left, and what is known about it, as data and as text."""

from codefit.curate.card.data import data_card
from codefit.curate.card.text import card_text

__all__ = ["card_text", "data_card"]
