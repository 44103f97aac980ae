"""Tasks whose tests are unittest classes: a row's function that passes them is a leak, whatever its words and names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codefit.cli.main import main
from codefit.core.errors import CodefitError, InputError
from codefit.core.types import Outcome, Row
from codefit.curate import CurateSettings, DecontaminateSettings, curate, decontaminate
from codefit.curate.decontaminate import Separation
from codefit.curate.step import UnittestJudges
from codefit.sandbox import Run, Sandbox
from codefit.suites.base import Suite
from codefit.suites.bigcodebench import Options
from codefit.suites.load import load_suite
from tests.curate.conftest import row
from tests.suites.unittest_tasks import task, write_lines

TEST = """
import unittest
class TestCases(unittest.TestCase):
    def test_counts(self):
        self.assertEqual(task_func("a b a"), {"a": 2, "b": 1})
    def test_least(self):
        self.assertEqual(task_func("a b a", least=2), {"a": 2})
    def test_nothing(self):
        self.assertEqual(task_func(""), {})
"""
HEAD = "from collections import Counter\nLEAST = 1\ndef task_func(text, least=LEAST):\n"
REFERENCE = "    return {w: n for w, n in Counter(text.split()).items() if n >= least}\n"
ASK = "Count how often each word of a text occurs, and keep the words that occur at least so many times."
LIKE = "Write code that counts the words of a text; words that occur less than a least number of times are left out."
RIGHT = """def tally(sentence, minimum=1):
    seen = {}
    for word in sentence.split():
        seen[word] = seen.get(word, 0) + 1
    return {word: seen[word] for word in seen if seen[word] >= minimum}

print(tally(input()))
"""
WRONG = RIGHT.replace(">= minimum", "> minimum")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = task(1, TEST, HEAD, REFERENCE) | {"instruct_prompt": ASK}
    return write_lines(tmp_path_factory.mktemp("suite") / "bcb.jsonl", [task(0), made])


@pytest.fixture(scope="module")
def suite(data: Path) -> Suite:
    return load_suite("bigcodebench", data, options=Options(environment="current"))


@pytest.fixture(scope="module")
def box(suite: Suite, sandbox: Sandbox) -> Iterator[Sandbox]:
    with Sandbox(level=sandbox.level, jobs=2, runtime=suite.runtime) as found:
        yield found


def against(suite: Suite, box: Any, *rows: Row, cache: Path | None = None, **settings: Any) -> Separation:
    chosen = DecontaminateSettings.model_validate({"execution_match": "off", **settings})
    judges = UnittestJudges({"bigcodebench": suite}, lambda _: box, cache)
    return decontaminate(rows, {"bigcodebench": suite.all_tasks}, settings=chosen, cache=cache, judges=judges)


def test_a_function_that_passes_a_tasks_tests_is_a_leak(suite: Suite, box: Sandbox) -> None:
    in_class = "class Solution:\n    def f(self, s, least):\n        return task_func(s, least)\n"
    lent = RIGHT.replace("tally", "task_func").partition("print")[0] + in_class
    rows = [
        row("leak", LIKE, RIGHT),
        row("method", LIKE, lent),
        row("wrong", LIKE, WRONG),
        row("needs more", LIKE, RIGHT.replace("minimum=1", "minimum, much, more")),
        row("no default", LIKE, RIGHT.replace("minimum=1", "minimum")),
        row("ignores", LIKE, RIGHT.replace(", minimum=1", "").replace(">= minimum", ">= 1")),
        row("unlike", "Draw a circle.", RIGHT),
        row("script", LIKE, "print(len(input().split()))"),
    ]
    found = against(suite, box, *rows)
    hits = [(h.row_id, h.task_id, h.method, h.score) for h in found.hits if h.action == "removed"]
    task_id = "BigCodeBench/1"
    assert hits == [(i, task_id, "execution", 1.0) for i in ("leak", "method", "no default")]
    assert [d.reason for d in found.dropped] == [f"leak:bigcodebench:{task_id}:execution"] * 3
    assert against(suite, box, *rows, candidate=0.99).kept == rows


class _Counts:
    """The real sandbox, and how many programs it ran."""

    def __init__(self, box: Sandbox) -> None:
        self._box, self.ran = box, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._box, name)

    def map(self, jobs: Any) -> Iterator[tuple[int, Run]]:
        for result in self._box.map(jobs):
            self.ran += 1
            yield result


def test_verdicts_are_kept(suite: Suite, box: Sandbox, tmp_path: Path) -> None:
    rows = [row("leak", LIKE, RIGHT), row("wrong", LIKE, WRONG)]
    once, again = _Counts(box), _Counts(box)
    first = against(suite, once, *rows, cache=tmp_path)
    assert [r.id for r in first.kept] == ["wrong"]
    assert against(suite, again, *rows, cache=tmp_path) == first
    assert once.ran >= 4  # the reference, two programs and the probe of the one that passes
    assert again.ran == 0


def test_a_sandbox_that_fails_decides_nothing(suite: Suite, box: Sandbox, tmp_path: Path) -> None:
    class Fails(_Counts):
        def map(self, jobs: Any) -> Iterator[tuple[int, Run]]:
            for i, (program, on_frame) in enumerate(jobs):
                if "tally" in program.source:
                    yield i, Run(Outcome.SANDBOX_FAILED, (), "no space left", 0.0, 0.0, None, False)
                else:
                    yield i, box.run(program, on_frame)

    with pytest.raises(CodefitError, match="1 programs could not be judged"):
        against(suite, Fails(box), row("leak", LIKE, RIGHT), cache=tmp_path)


def test_the_recipe_asks_for_it_and_is_refused_where_it_cannot_be_had(
    suite: Suite, box: Sandbox, tmp_path: Path
) -> None:
    def run(out: str, judges: UnittestJudges | None, **settings: Any) -> list[str]:
        chosen = CurateSettings(steps=("decontaminate",), decontaminate={"execution_match": "off"} | settings)
        tasks = {"bigcodebench": suite.all_tasks}
        rows = [row("leak", LIKE, RIGHT), row("q")]
        found = curate(rows, chosen, tmp_path / out, tasks=tasks, sandbox=None, seed=0, judges=judges)
        return [r.id for r in found.kept]

    judges = UnittestJudges({"bigcodebench": suite}, lambda _: box)
    assert run("a", judges) == ["leak", "q"]
    assert run("b", judges, unittests=True) == ["q"]
    with pytest.raises(InputError, match="unittest tests cannot be run here"):
        run("c", None, unittests=True)


def test_the_command_runs_unittest_tests_where_asked(
    data: Path, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEFIT_CACHE", str(tmp_path / "cache"))
    rows = write_lines(tmp_path / "rows.jsonl", [{"id": "a", "instruction": LIKE, "output": RIGHT}])
    common = ["decontaminate", str(rows), "--against", f"bigcodebench={data}", "--env", "current"]
    for more, dropped in ([], 0), (["--unittests"], 1):
        out = str(tmp_path / f"out{dropped}")
        done = CliRunner().invoke(main, [*common, "--out", out, "--json", *more])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["dropped"] == dropped
    done = CliRunner().invoke(
        main, ["decontaminate", str(rows), "--against", "micro", "--out", out, "--unittests"]
    )
    assert isinstance(done.exception, InputError)
    assert "no test set has unittest tests" in str(done.exception)
