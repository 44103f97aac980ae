"""A generated corpus of instruction rows for the benchmark of scale: any row can be made again from its number.

Most rows ask for a small Python function and answer with one that parses; some answers are in other
languages, broken or empty. Planted at seeded numbers: exact copies of other rows (2 %), near copies
(5 %: 1 to 3 edits of the request's words or of a name in the code), and rows that give away a test
task (0.1 %: the task's prompt, its reference solution, or its asserts).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOUNS = """account alarm angle archive area batch bill block board bucket budget buffer cache card cart cell
chain channel chart city client clock column config cookie corner cost course cursor cycle deck
delay depth device digit edge email entry event factor field filter flag folder font frame game
gauge grid group guest header heap height hour house image invoice item job key label lake layer
ledger letter level library limit link lock map mask matrix member menu message meter metric mode
module month movie network node note offset option order owner packet page pair parcel parent part
path pattern phase photo pixel player point policy poll port price prime product profile proxy query
queue quota radius rank rate ratio record region report request ring road role room root route rule
sample scale schema score seat segment seller sensor series server session shape shelf signal size
slot song source span stack station step stock store stream student suffix switch symbol table tag
target task tax team tenant ticket tile timer title token topic track trade tree trip unit user
vector vertex view visit vote wallet week weight width window worker year zone""".split()  # noqa: SIM905
VERBS = """add apply balance build check clean collect compare compress compute convert count create decode
delete detect divide draw encode estimate expand export extract fetch fill find flatten format
generate hide insert invert join load locate mark match measure merge move order pack paint plan
predict prune pull push rank read reduce remove rename render repeat replace reset resize reverse
rotate round save scan score search select send shift show shuffle skip solve sort split store swap
sync test trace transform trim update validate verify visit weigh wrap write""".split()  # noqa: SIM905
ADJECTIVES = """active annual average blank broken busy central closed cold common current daily double empty
external fast final free full global hidden idle inner invalid large late linear local main missing
nested new next odd old open outer paid pending plain primary private public random recent remote
safe secondary shared simple slow small special stale static strict total unique unpaid upper valid
visible weekly wide wrong""".split()  # noqa: SIM905
REQUESTS = (
    "Write a function that takes a {a} {n} and a {m} and returns the {b} {o} after you {v} it",
    "Given the {n} of every {m}, {v} the {a} entries and {w} what is left by {o}",
    "I need Python code to {v} each {a} {n} whose {m} is larger than the {o}",
    "Build a helper that can {v} and {w} the {m} of a {n} without touching the {b} {o}",
    "Implement a routine to find how many {n} values have a {b} {m}, and {v} the {o}",
    "Create a program which reads a {n}, turns it into a {a} {m} and then {v}s the {o}",
)
TAILS = (
    "; ignore those without {o}", ". The {m} is always {a}", ", ordered by {o} and {m}", ". Do not {w} the {n}",
    " and return nothing if the {b} {m} is missing", ", keeping every {a} {n} as it is", ". Use the {o} of the {m}",
)  # fmt: skip
BLOCKS = (
    "    {n} = [{o} for {o} in {m} if {o} != {k}]", "    {o}_{n} = sorted({m})[:{k}]",
    "    for {o} in {m}:\n        {n}.append({o} * {k})", "    if not {m}:\n        return {k}",
    "    while len({n}) > {k}:\n        {n}.pop()", "    {o} = sum(x + {k} for x in {m})",
    "    {o} = {{x: x % {k} for x in {m}}}", "    # {v} the {a} {o} of each {m}",
    "    if {k} in {n}:\n        raise ValueError('{a} {o}')", "    {m} = list(reversed({n})) + [{k}]",
    "    {o} = max({n}, default={k})\n    {n} = [x - {o} for x in {m}]",
    "    with open('{o}_{b}.txt') as {o}:\n        {n} = {o}.read().split('{a}')",
    "    try:\n        {o} = {n}[{k}]\n    except IndexError:\n        {o} = None",
    "    print('{v} {a} {o}', {n}, {m})", "    {n}, {m} = {m}, {n}",
)  # fmt: skip
OTHER = (
    "SELECT {n}, COUNT({m}) FROM {a}_{n} WHERE {o} > {k} GROUP BY {n} HAVING SUM({m}) < {k} ORDER BY {o};",
    "const {n} = {m}.filter(({o}) => {o}.{b} > {k});\nconsole.log({n}.map(x => x.{v} + {k}));\nlet {m}2 = [];",
    "First {v} the {a} {m}; then {w} what is left of the {b} {n}, and keep the {o} for {k} days.",
    "def {v}_{n}({m}:\n    return {m} +",
    "",
)
EXACT, NEAR, LEAK, OTHERS = 0.02, 0.05, 0.001, 0.12
LEAKS = ("prompt", "code", "asserts")


@dataclass(frozen=True)
class Plan:
    """What row number i is: an original, a copy (`base`), or a leak of `task` by `way`."""

    kind: str
    base: int = -1
    task: int = -1
    way: str = ""


@dataclass(frozen=True)
class Corpus:
    """So many rows; `tasks` hold prompt, code and asserts of the test tasks that are given away."""

    rows: int
    seed: int
    tasks: Sequence[Mapping[str, Any]]

    def plan(self, number: int) -> Plan:
        """Return what a row is; copies are of originals only."""
        rng = self._rng("plan", number)
        draw = rng.random()
        if draw < LEAK and self.tasks:
            return Plan("leak", task=rng.randrange(len(self.tasks)), way=rng.choice(LEAKS))
        if draw < LEAK + EXACT + NEAR:
            base = self._original(rng)
            return Plan("exact" if draw < LEAK + EXACT else "near", base=base)
        return Plan("other" if draw < LEAK + EXACT + NEAR + OTHERS else "python")

    def _original(self, rng: random.Random) -> int:
        while True:
            number = rng.randrange(self.rows)
            if self._rng("plan", number).random() >= LEAK + EXACT + NEAR + OTHERS:
                return number

    def row(self, number: int) -> dict[str, str]:
        """Return a row: id, instruction, output."""
        plan, rng = self.plan(number), self._rng("row", number)
        if plan.kind == "leak":
            request, answer = _leak(self.tasks[plan.task], plan.way, rng)
        elif plan.kind in ("exact", "near"):
            base = self.row(plan.base)
            request, answer = base["instruction"], base["output"]
            if plan.kind == "near":
                request, answer = _edited(request, answer, rng)
        else:
            request, answer = _request(rng), _answer(rng, plan.kind)
        return {"id": f"g{number}", "instruction": request, "output": answer}

    def lines(self) -> Iterator[str]:
        """Yield all rows as JSON Lines."""
        for number in range(self.rows):
            yield json.dumps(self.row(number), ensure_ascii=False) + "\n"

    def _rng(self, *what: object) -> random.Random:
        return random.Random(f"{self.seed}/{what}")


def _nouns(rng: random.Random, count: int) -> list[str]:
    return [NOUNS[int(len(NOUNS) * rng.random() ** 1.4)] for _ in range(count)]


def _filled(frame: str, rng: random.Random, names: Sequence[str] = ()) -> str:
    n, m, o = (rng.choice(names) for _ in range(3)) if names else _nouns(rng, 3)
    v, w, a, b = rng.choice(VERBS), rng.choice(VERBS), rng.choice(ADJECTIVES), rng.choice(ADJECTIVES)
    return frame.format(n=n, m=m, o=o, v=v, w=w, a=a, b=b, k=rng.randrange(2, 900))


def _request(rng: random.Random) -> str:
    return _filled(rng.choice(REQUESTS) + "".join(rng.sample(TAILS, rng.randint(1, 3))) + ".", rng)


def _answer(rng: random.Random, kind: str) -> str:
    if kind == "other":
        return _filled(rng.choice(OTHER), rng)
    # Blocks use the function's own arguments, as a program with undefined names would be dropped.
    names = list(dict.fromkeys(_nouns(rng, 6)))
    count = max(2, min(25, int(rng.lognormvariate(1.95, 0.5))))
    head = f"{_filled('def {v}_{a}_{n}', rng)}({', '.join(names)}):"
    body = [_filled(rng.choice(BLOCKS), rng, names) for _ in range(count)]
    return "\n".join([head, *body, _filled("    return {n}, {m}", rng, names)])


def _edited(request: str, answer: str, rng: random.Random) -> tuple[str, str]:
    """Make 1 to 3 edits: of the request's words, or of numbers in the code."""
    count = rng.randint(1, 3)
    if rng.random() < 0.5:
        words = request.split(" ")
        for _ in range(count):
            at, new = rng.randrange(len(words)), rng.choice(ADJECTIVES)
            words[at : at + 1] = rng.choice(([new], [new, words[at]], []))
        return " ".join(words), answer
    if not re.search(r"\b\d+\b", answer):
        return f"{rng.choice(ADJECTIVES)} {request}", answer
    return request, re.sub(r"\b\d+\b", lambda _: str(rng.randrange(900, 9999)), answer, count=count)


def _leak(task: Mapping[str, Any], way: str, rng: random.Random) -> tuple[str, str]:
    """Give a task away by its prompt with another answer, its code, or its asserts under another request."""
    if way == "prompt":
        return task["prompt"], _answer(rng, "python")
    if way == "code":
        return _request(rng), task["code"]
    return _request(rng) + "\n" + "\n".join(task["asserts"]), _answer(rng, "python")
