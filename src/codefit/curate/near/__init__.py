"""Near-duplicates of many texts: sketch, candidate_pairs, verified_pairs, drop_order; `find` runs all four.

For a collection in shards: sketch each shard, bring equal keys of a column together, and give each
group to `candidate_pairs` with the ranks of its documents. docs/dedup.md has the method and its figures.
"""

from codefit.curate.near.check import plausible, verified_pairs
from codefit.curate.near.engine import Found, find, sketch
from codefit.curate.near.pairs import WINDOW, candidate_pairs, column_pairs, drop_order
from codefit.curate.near.sketch import Rule, Sketch
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
