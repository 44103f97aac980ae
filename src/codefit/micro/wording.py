"""Requests: a problem in one English sentence that names the entry point."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from codefit.micro.compose import Part, Problem


@cache
def templates() -> dict[str, Any]:
    """Return the sentence templates."""
    text = files("codefit.micro").joinpath("data/templates.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def request(problem: Problem, rng: Random, *, unseen: bool = False) -> str:
    """Return a request; `unseen` takes a sentence template that no training row or document has."""
    if problem.family.name == "branch":
        what = _branch(problem, rng)
    else:
        keep, change, reduce = problem.parts
        kept = _filtered(problem, keep, rng)
        if change.prim.verb and not unseen and rng.random() < 0.25:
            template = rng.choice(templates()["imperative"])
            verb = change.prim.say(change.prim.verb, change.constant)
            what = _say(reduce, rng, "the results")
            return str(template.format(sig=problem.family.signature, F=kept, verb=verb, R=what))
        what = _say(reduce, rng, _say(change, rng, kept))
    template = rng.choice(templates()["unseen" if unseen else "noun"])
    return str(template.format(sig=problem.family.signature, R=what))


def _say(part: Part, rng: Random, F: str) -> str:
    return part.prim.say(rng.choice(part.prim.phrases), part.constant, F)


def _filtered(problem: Problem, keep: Part, rng: Random) -> str:
    family = problem.family
    lead, _, clause = rng.choice(keep.prim.phrases).partition("|")
    noun = lead[1:] if lead.startswith("=") else f"{lead} {family.noun}".strip()
    return f"the {noun} {family.where} {keep.prim.say(clause, keep.constant)}".rstrip()


def _branch(problem: Problem, rng: Random) -> str:
    test, then, other = (p.prim.say(rng.choice(p.prim.single), p.constant) for p in problem.parts)
    return str(templates()["branch"].format(then=_subject(then), test=test, other=_subject(other)))


def _subject(phrase: str) -> str:
    """Put n for the pronoun of a value phrase: `its square` becomes `the square of n`."""
    if phrase == "itself":
        return "n"
    if phrase.startswith("its "):
        noun = phrase.removeprefix("its ")
        head, space, rest = noun.partition(
            " by " if " by " in noun else " from " if " from " in noun else " modulo "
        )
        return f"the {head} of n{space}{rest}"
    return " ".join("n" if w == "it" else w for w in phrase.split(" "))


def terse(problem: Problem) -> str:
    """Return the short note that code comments of the pre-training corpus carry."""
    said = (f"{p.prim.name} {p.constant}" if p.constant is not None else p.prim.name for p in problem.parts)
    return ", ".join(said)
