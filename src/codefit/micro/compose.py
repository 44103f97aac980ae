"""Compositions: filter x map x reduction (or a condition and two values) as code, meaning and mistakes.

A composition is the three names without constants; a problem is a composition with constants.
Expected values are computed by the primitives' closures, never by running source text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Literal

from codefit.core.files import digest
from codefit.micro.families import BY_NAME, FAMILIES, Arguments, Family
from codefit.micro.prims import Bug, Constant, Prim, draw_constant

Split = Literal["train", "test", "dev"]
Style = Literal["line", "named", "loop"]
SIZES = (0, 1, 3, 4, 6, 8)
FAILED = "an exception"
_TWINS = {"ge": "gt", "le": "lt"}
_OPPOSITES = {"odd": "even", "lt": "gt", "notmult": "mult"}


@dataclass(frozen=True, slots=True)
class Part:
    """A primitive with its constant, and perhaps a planted bug in place of its own code."""

    prim: Prim
    constant: Constant | None
    bug: Bug | None = None

    def code(self, x: str) -> str:
        """Return the source of the part over variable or list `x`."""
        return self.prim.render(self.bug.code if self.bug else self.prim.code, x, self.constant)

    def value(self, x: Any) -> Any:
        """Return the part's value, bug included."""
        return (self.bug.fn if self.bug else self.prim.fn)(x, self.constant)


@dataclass(frozen=True, slots=True)
class Problem:
    """One small task: a family and its three parts (for `branch`: condition, then, else)."""

    family: Family
    parts: tuple[Part, Part, Part]
    range_bug: bool = False

    @property
    def composition(self) -> str:
        """Return the composition's name, constants left out."""
        return "/".join([self.family.name, *(p.prim.name for p in self.parts)])

    @property
    def identity(self) -> str:
        """Return composition and constants: two problems with one identity are the same task."""
        return "/".join([self.composition, *(str(p.constant) for p in self.parts)])

    def source(self, style: Style = "line") -> str:
        """Return the program text in one of three styles."""
        head = f"def {self.family.signature}:\n"
        if self.family.name == "branch":
            return head + self._branch(style)
        keep, change, reduce = self.parts
        target, over = self.family.target, self._iterable()
        test, value = keep.code("x"), change.code("x")
        if style == "loop":
            indent = "        "
            lines = ["    out = []", f"    for {target} in {over}:"]
            if test:
                lines.append(f"{indent}if {test}:")
                indent += "    "
            lines.append(f"{indent}out.append({value})")
            return head + "\n".join([*lines, f"    return {reduce.code('out')}"])
        listed = f"[{value} for {target} in {over}{f' if {test}' if test else ''}]"
        if style == "named":
            return f"{head}    out = {listed}\n    return {reduce.code('out')}"
        return f"{head}    return {reduce.code(listed)}"

    def _branch(self, style: Style) -> str:
        test, then, other = (p.code("n") for p in self.parts)
        if style == "line":
            return f"    return {then} if {test} else {other}"
        return f"    if {test}:\n        return {then}\n    return {other}"

    def _iterable(self) -> str:
        bug = self.family.range_bug
        return bug.code if self.range_bug and bug else self.family.iterable

    def value(self, arguments: Arguments) -> Any:
        """Return the value of the function for the arguments; raises what the program would raise."""
        if self.family.name == "branch":
            test, then, other = self.parts
            return (then if test.value(arguments[0]) else other).value(arguments[0])
        keep, change, reduce = self.parts
        bug = self.family.range_bug
        elements = bug.fn(arguments, None) if self.range_bug and bug else self.family.elements(arguments)
        return reduce.value([change.value(e) for e in elements if keep.value(e)])

    def outcome(self, arguments: Arguments) -> str:
        """Return the value as text, the same for equal numbers (2.0 and 2), or a mark for an exception."""
        try:
            return repr(_exact(self.value(arguments)))
        except (ValueError, TypeError, ArithmeticError, IndexError):
            return FAILED

    def mutants(self) -> Iterator[Problem]:
        """Yield the problem with each single mistake that the world knows."""
        for i, part in enumerate(self.parts):
            for bug in part.prim.bugs:
                yield self.with_bugs({i: bug})
        if self.family.range_bug:
            yield replace(self, range_bug=True)

    def with_bugs(self, bugs: dict[int, Bug], *, range_bug: bool = False) -> Problem:
        """Return the problem with bugs planted in the numbered parts."""
        parts = [replace(p, bug=bugs.get(i)) for i, p in enumerate(self.parts)]
        return Problem(self.family, (parts[0], parts[1], parts[2]), range_bug)

    def inputs(self, rng: Random, sizes: tuple[int, ...] = SIZES) -> list[Arguments]:
        """Draw arguments without repeats, one tuple per size where that many exist, edges first."""
        near = [p.constant for p in self.parts if isinstance(p.constant, int)]
        drawn: dict[str, Arguments] = {}
        for size in sizes:
            for _ in range(8):
                arguments = self.family.draw(rng, size, near)
                if repr(arguments) not in drawn:
                    drawn[repr(arguments)] = arguments
                    break
        return list(drawn.values())


def _exact(value: Any) -> Any:
    """Write whole floats as integers, inside lists and tuples too: tests compare with `==`."""
    if isinstance(value, list | tuple):
        return type(value)(_exact(v) for v in value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def split_of(composition: str) -> Split:
    """Return the split of a composition by its hash: 2/16 test, 1/16 development, the rest train.

    Twins that another constant or swapped branches make the same function share a split: `x > 4` and
    `x >= 5`; `a if even else b` and `b if odd else a`.
    """
    family, first, second, third = composition.split("/")
    first = _TWINS.get(first, first)
    if family == "branch" and first in _OPPOSITES:
        first, second, third = _OPPOSITES[first], third, second
    bucket = int(digest("codefit micro world 2", family, first, second, third), 16) % 16
    return "test" if bucket < 2 else "dev" if bucket == 2 else "train"


@cache
def compositions(split: Split) -> tuple[tuple[str, str, str, str], ...]:
    """Return all compositions of a split as (family, filter, map, reduction) names."""
    return tuple(c for c in _all() if split_of("/".join(c)) == split)


@cache
def _all() -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (f.name, a.name, b.name, c.name)
        for f in FAMILIES
        for a in f.filters
        for b in f.maps
        for c in f.reductions
        if (b.name != c.name if f.name == "branch" else b.gives in c.takes)
        and not (a.name == "all" and c.name == "list" and b.name in ("same", "pair"))
    )


@cache
def _by_family(split: Split) -> dict[str, tuple[tuple[str, str, str, str], ...]]:
    return {f.name: tuple(c for c in compositions(split) if c[0] == f.name) for f in FAMILIES}


def draw_problem(rng: Random, split: Split) -> Problem:
    """Draw a family, one of its compositions in the split, and constants."""
    return fill(rng, rng.choice(_by_family(split)[rng.choice(FAMILIES).name]))


def fill(rng: Random, names: tuple[str, str, str, str]) -> Problem:
    """Return the composition with drawn constants."""
    family = BY_NAME[names[0]]
    parts = [
        Part(p, draw_constant(p.const, rng))
        for table, name in zip((family.filters, family.maps, family.reductions), names[1:], strict=True)
        for p in table
        if p.name == name
    ]
    return Problem(family, (parts[0], parts[1], parts[2]))


def kills(problem: Problem, rival: Problem, inputs: list[Arguments]) -> bool:
    """Return whether some input tells the rival from the problem."""
    return any(problem.outcome(i) != rival.outcome(i) for i in inputs)
