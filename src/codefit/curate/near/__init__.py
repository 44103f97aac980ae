"""Near-duplicates of many texts: sketch, candidate_pairs, verified_pairs, drop_order; `find` runs all four.

For a collection in shards: sketch each shard, bring equal keys of a column together, and give them to
`column_pairs` in the order of rank. docs/dedup.md has the method and its figures.
"""

from codefit.curate.near.check import plausible, verified_pairs
from codefit.curate.near.engine import Found, find, sketch
from codefit.curate.near.pairs import WINDOW, candidate_pairs, column_pairs, drop_order
from codefit.curate.near.rule import Rule
from codefit.curate.near.sketch import Sketch
from codefit.curate.near.text import Texts

__all__ = [
    "WINDOW",
    "Found",
    "Rule",
    "Sketch",
    "Texts",
    "candidate_pairs",
    "column_pairs",
    "drop_order",
    "find",
    "plausible",
    "sketch",
    "verified_pairs",
]
