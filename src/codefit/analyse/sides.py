"""The two sides of `compare`: judged folders or published result files, read and laid out as a run.

What `compare` writes has a run's layout (scores.json, tasks/, completions/, verdicts/), so that
analysis and report work on it as they do on a run. The sides are called `start` and `tuned` there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codefit.analyse.published import published_about, read_published
from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl, write_json, write_jsonl
from codefit.score.compare import Side, compare, named_once, side
from codefit.score.several import as_family, gate
from codefit.score.tally import pass_figures
from codefit.suites.variants import variant_of

ARMS = ("start", "tuned")
UNKNOWN = "not stated"
_SUITES = {"Mbpp": "mbpp", "HumanEval": "humaneval", "BigCodeBench": "bigcodebench"}
_HARD = 148  # tasks of BigCodeBench-Hard

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one side has of one benchmark: its scores by suite name, and the lines behind them."""

    sides: Mapping[str, Side]
    scores: Sequence[Record]
    verdicts: Sequence[Record]
    answers: Sequence[Record]
    tasks: Sequence[Record]

    @property
    def name(self) -> str:
        """The suite that the verdict lines are of: with its plus tests where there are any."""
        return max(self.sides, key=len)


def read_side(path: Path) -> dict[str, Judged]:
    """Return what a path holds, by the name of the verdicts' suite.

    A path is a folder that `execute` or `evaluate` wrote, a folder of such folders (as a run's
    `arms/NAME`), or a result file as evalplus and BigCodeBench publish it. Raises `InputError`.
    """
    if path.is_file():
        found = [_published(path)]
    elif (path / "scores.json").exists():
        found = [_folder(path)]
    else:
        inner = sorted(p.parent for p in path.glob("*/scores.json")) if path.is_dir() else []
        if not inner:
            todo = "name a folder with scores.json, or a published result file"
            raise InputError("no results of codefit execute", where=str(path), todo=todo)
        found = [_folder(p) for p in inner]
    return {j.name: j for j in found}


def _folder(path: Path) -> Judged:
    scores = read_json(path / "scores.json")
    if isinstance(scores, dict):
        arms = [str(p) for p in sorted((path / "arms").glob("*")) if any(p.glob("*/scores.json"))]
        todo = f"name one of {', '.join(arms)}" if arms else "name what `execute` or `evaluate` wrote"
        raise InputError("holds several models, not the results of one", where=str(path), todo=todo)
    verdicts = [row for _, row in read_jsonl(path / "verdicts.jsonl")]
    try:
        firsts = [s for s in scores if s["metric"] == "pass@1"]
        sides = {s["suite"]: side(s, verdicts, name=str(path)) for s in firsts}
    except (KeyError, TypeError, AttributeError) as e:
        raise InputError("not the results of codefit execute", where=str(path)) from e
    if not sides:
        raise InputError("no score in it", where=str(path))
    return Judged(sides, firsts, verdicts, _lines(path / "answers.jsonl"), _lines(path / "tasks.jsonl"))


def _lines(path: Path) -> list[Record]:
    return [row for _, row in read_jsonl(path)] if path.exists() else []


def _published(path: Path) -> Judged:
    lines = list(read_published(path))
    family = _SUITES.get(str(lines[0]["task_id"]).split("/")[0]) if lines else None
    if family is None:
        raise InputError("no results of a benchmark that codefit knows", where=str(path))
    if family == "bigcodebench" and len({v["task_id"] for v in lines}) <= _HARD:
        family += "-hard"
    about = published_about(path)
    plus = any(v["plus_outcome"] is not None for v in lines)
    scores = [
        _published_score(name, path, about, lines) for name in (family, *([f"{family}+"] if plus else []))
    ]
    sides = {s["suite"]: side(s, lines, name=str(path)) for s in scores}
    answers = [{**v, "text": None, "extraction": "published", "finish_reason": None} for v in lines]
    return Judged(sides, scores, lines, answers, [])


def _published_score(suite: str, path: Path, about: Mapping[str, Any], lines: Sequence[Record]) -> Record:
    """Return the score row of a published file, whose harness nobody can check."""
    made = side({"suite": suite, "revision": "", "harness": ""}, lines)
    counts = [(len(p), sum(p)) for p in made.passed.values()]
    return {
        "suite": suite,
        "revision": about["hash"] or UNKNOWN,
        # the file's name and date: two of them never count as one harness
        "harness": f"published, harness {UNKNOWN} ({path.parent.name}/{path.name} of {about['date'] or UNKNOWN})",
        **pass_figures(counts),
        "excluded": [],
        "limit": None,
        "extraction": None,
        "prompts": None,
        "decoding": None,
    }


def compare_all(
    before: Mapping[str, Judged], after: Mapping[str, Judged],
    *, guards: Sequence[str] = (), seed: int = 0, allow_different_harness: bool = False,
) -> list[Record]:  # fmt: skip
    """Return the comparisons of every suite that both sides have, corrected as one family.

    Variants of suites are guards. Raises `InputError` where no suite is on both sides, a guard is not
    among them, or sides were not judged alike and that is not allowed.
    """
    pairs = _pairs(before, after)
    shared = [b.suite for b, _ in pairs]
    missing = [g for g in guards if g not in shared]
    if missing:
        raise InputError(
            f"guard suite '{missing[0]}' is not on both sides",
            where="--guard",
            todo=f"there are {', '.join(shared)}",
        )
    found = [compare(b, a, seed=seed, allow_different_harness=allow_different_harness) for b, a in pairs]
    variants = [name for name in shared if variant_of(name)]
    family = [{"before_arm": ARMS[0], "after_arm": ARMS[1], **c} for c in found]
    return as_family(family, [*guards, *variants])


def _pairs(before: Mapping[str, Judged], after: Mapping[str, Judged]) -> list[tuple[Side, Side]]:
    """Return the sides of every suite that both have; base tests are paired within the folder they lie in."""
    both = before.keys() & after.keys()
    pairs = [
        (first, after[name].sides[suite])
        for name, j in before.items()
        if name in both
        for suite, first in named_once(j.sides, name, both).items()
        if suite in after[name].sides
    ]
    if not pairs:
        flat = [{name: s for j in part.values() for name, s in j.sides.items()} for part in (before, after)]
        pairs = [(flat[0][name], flat[1][name]) for name in flat[0] if name in flat[1]]
        if not pairs:
            raise InputError(f"no suite in both: {', '.join(flat[0])} and {', '.join(flat[1])}")
    return pairs


def write_as_run(
    out: Path, before: Mapping[str, Judged], after: Mapping[str, Judged], comparisons: Sequence[Record]
) -> None:
    """Write both sides into `out` as two arms of a run, as far as both sides have the tasks."""
    scores: list[Record] = []
    compared = {c["suite"] for c in comparisons}
    names = sorted(set(before) & set(after))
    if (out / "comparison.json").exists():
        _forget(out, names)
    for name in names:
        pair = (before[name], after[name])
        shared = set.intersection(*({v["task_id"] for v in j.verdicts} for j in pair))
        tasks = {t["task_id"]: t for j in pair for t in j.tasks if t.get("task_id") in shared}
        write_jsonl(out / "tasks" / f"{name}.jsonl", tasks.values())
        for folder, field in (("completions", "answers"), ("verdicts", "verdicts")):
            lines = (
                {"arm": arm, **line}
                for arm, j in zip(ARMS, pair, strict=True)
                for line in getattr(j, field)
                if line.get("task_id") in shared
            )
            write_jsonl(out / folder / f"{name}.jsonl", lines)
        for arm, j in zip(ARMS, pair, strict=True):
            scores += [
                _score(arm, s, j.sides[s["suite"]], shared) for s in j.scores if s["suite"] in compared
            ]
    write_json(out / "scores.json", {"scores": scores, "comparisons": comparisons, "gate": gate(comparisons)})


def _forget(out: Path, names: Sequence[str]) -> None:
    """Remove what a former comparison in this folder left of other suites."""
    for folder in ("tasks", "completions", "verdicts"):
        for path in (out / folder).glob("*.jsonl"):
            if path.stem not in names:
                path.unlink()


def _score(arm: str, score: Record, made: Side, shared: set[str]) -> Record:
    """Return a score row of the tasks that both sides have."""
    kept = replace(made, passed={t: p for t, p in made.passed.items() if t in shared})
    left_out = len(made.passed) - len(kept.passed)
    if left_out:
        score = {**score, **pass_figures([(len(p), sum(p)) for p in kept.passed.values()])}
    return {"arm": arm, **score, "left_out": left_out, "stand_in": False}
