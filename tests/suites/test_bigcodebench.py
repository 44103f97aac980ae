"""BigCodeBench's layout through the command line: calibration, references, probes, both rates, resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codefit.suites.load import load_suite
from tests.suites.unittest_tasks import (
    HEAD,
    NAMES,
    REFERENCE,
    RIGHT,
    TEST,
    read_lines,
    solutions,
    task,
    write_lines,
)  # fmt: skip

ONLY_CONSTANT = "def task_func(x):\n    return 2\n"
FORGOT_IMPORT = (
    "def task_func(x):\n    if x < 0:\n        raise ValueError(math.pi)\n    return math.floor(x) + 1\n"
)
SLOW_TEST = TEST.replace(
    "self.assertEqual(task_func(1), 2)", "import time; time.sleep(1); self.assertEqual(task_func(1), 2)"
)


def command(folder: Path, data: Path, completions: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "codefit", "execute", "bigcodebench", "--data", str(data), "--env", "current",
        "--completions", str(completions), "--out", str(folder / "out"), *more,
    ]  # fmt: skip


def execute(folder: Path, data: Path, completions: Path, *more: str, code: int = 0) -> str:
    environment = {**os.environ, "CODEFIT_CACHE": str(folder / "cache")}
    done = subprocess.run(
        command(folder, data, completions, *more), capture_output=True, text=True, env=environment
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def score(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "out" / "scores.json").read_text())
    (first,) = (s for s in found if s["metric"] == "pass@1")
    return dict(first)


def test_verdicts_scores_and_the_benchmarks_own_layout_are_written(tmp_path: Path) -> None:
    data = write_lines(tmp_path / "tasks.jsonl", [task()])
    execute(tmp_path, data, solutions(tmp_path / "s.jsonl", [RIGHT, ONLY_CONSTANT, "def task_func(x:\n"]))
    right, constant, broken = read_lines(tmp_path / "out" / "verdicts.jsonl")
    assert right["outcome"] == "passed"
    assert constant["outcome"] == "wrong_answer"
    assert constant["failed_test"]["input"] == "test_large"
    assert "1000000000001" in constant["failed_test"]["got"]
    assert constant["error"].startswith("4 of 5 tests")
    assert broken["outcome"] == "syntax_error"
    own = json.loads((tmp_path / "out" / "eval_results.json").read_text())["eval"]["BigCodeBench/0"]
    assert [s["status"] for s in own] == ["pass", "fail", "fail"]
    assert own[0]["details"] == {}
    assert set(own[1]["details"]) == set(NAMES) - {"test_small"}
    found = score(tmp_path)
    assert (found["suite"], found["passed"], found["n"]) == ("bigcodebench", 1, 3)
    assert "calibrated" in found["harness"]
    assert "prompt not stated" in found["harness"]


def test_a_calibrated_score_does_not_charge_for_missing_imports(tmp_path: Path) -> None:
    data = write_lines(tmp_path / "tasks.jsonl", [task()])
    samples = solutions(tmp_path / "s.jsonl", [FORGOT_IMPORT])
    execute(tmp_path, data, samples)
    assert score(tmp_path)["passed"] == 1
    execute(tmp_path, data, samples, "--uncalibrated", "--fresh")
    assert score(tmp_path)["passed"] == 0


def test_completions_continue_the_complete_prompt_and_raw_text_is_extracted(tmp_path: Path) -> None:
    data = write_lines(tmp_path / "tasks.jsonl", [task()])
    raw = f"Here it is:\n```python\n{RIGHT}```\nIt adds one."
    rows = [
        {"task_id": "BigCodeBench/0", "completion": REFERENCE},
        {"task_id": "BigCodeBench/0", "text": raw},
    ]
    execute(tmp_path, data, write_lines(tmp_path / "s.jsonl", rows))
    assert score(tmp_path)["passed"] == 2


def test_a_task_whose_reference_fails_is_left_out_by_name_and_both_rates_are_told(tmp_path: Path) -> None:
    no_library = task(1, test="import no_such_library\n" + TEST)
    wrong = task(2, reference="    return 0\n")
    data = write_lines(tmp_path / "tasks.jsonl", [task(0), no_library, wrong])
    rows = [{"task_id": f"BigCodeBench/{i}", "solution": RIGHT} for i in range(3)]
    said = execute(tmp_path, data, write_lines(tmp_path / "s.jsonl", rows))
    found = score(tmp_path)
    assert (found["passed"], found["n"]) == (1, 1)
    assert set(found["excluded"]) == {"BigCodeBench/1", "BigCodeBench/2"}
    assert (found["counting_excluded"]["passed"], found["counting_excluded"]["n"]) == (1, 3)
    assert "a library is not there" in said
    assert "no_such_library" in said
    assert "5 of 5 tests fail with the reference" in said
    assert "33.3 % (1/3)" in said


def test_tests_that_do_not_look_at_the_function_are_no_proof_of_tampering(tmp_path: Path) -> None:
    test = TEST + "    def test_nothing(self):\n        self.assertTrue(True)\n"
    data = write_lines(tmp_path / "tasks.jsonl", [task(test=test)])
    execute(tmp_path, data, solutions(tmp_path / "s.jsonl", [RIGHT]))
    assert score(tmp_path)["passed"] == 1


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("class TestCases:\n    pass\n", "the tests define no class TestCases"),
        ("import unittest\nclass TestCases(unittest.TestCase):\n    pass\n", "no tests"),
        ("raise SystemExit(3)\n", "SystemExit"),
    ],
)
def test_zero_tests_are_never_a_pass(test: str, why: str, tmp_path: Path) -> None:
    data = write_lines(tmp_path / "tasks.jsonl", [task(test=test)])
    said = execute(tmp_path, data, solutions(tmp_path / "s.jsonl", [RIGHT]))
    assert why in said
    assert score(tmp_path)["value"] is None


def test_subtests_class_fixtures_and_coroutines_are_judged(tmp_path: Path) -> None:
    test = """
import unittest
class TestCases(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        TestCases.numbers = [1, 2, 3]
    def setUp(self):
        self.offset = 1
    def test_each(self):
        for n in TestCases.numbers:
            with self.subTest(n=n):
                self.assertEqual(task_func(n), n + self.offset)
    async def test_later(self):
        self.assertEqual(task_func(7), 8)
"""
    data = write_lines(tmp_path / "tasks.jsonl", [task(test=test)])
    almost = "def task_func(x):\n    return x + 1 if x != 2 else 0\n"
    execute(tmp_path, data, solutions(tmp_path / "s.jsonl", [RIGHT, almost]))
    right, wrong = read_lines(tmp_path / "out" / "verdicts.jsonl")
    assert right["outcome"] == "passed"
    assert wrong["outcome"] == "wrong_answer"
    assert wrong["failed_test"]["input"] == "test_each"


@pytest.mark.release
def test_a_pass_killed_before_its_probe_is_probed_on_the_next_run(tmp_path: Path) -> None:
    """A pass that waits for its probe is remembered, and is no verdict yet."""
    tasks = [task(0), *(task(i, test=SLOW_TEST) for i in range(1, 5))]
    data = write_lines(tmp_path / "tasks.jsonl", tasks)
    rows = [{"task_id": t["task_id"], "solution": RIGHT} for t in tasks]
    samples = write_lines(tmp_path / "s.jsonl", rows)
    out = tmp_path / "out"
    environment = {**os.environ, "CODEFIT_CACHE": str(tmp_path / "cache")}
    call = command(tmp_path, data, samples, "--jobs", "1")
    running = subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ledger, deadline = out / "judged.jsonl", time.monotonic() + 60
    while not (ledger.exists() and len(ledger.read_bytes().splitlines()) >= 2):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = [
        json.loads(line) for line in ledger.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
    ]
    assert all(e["pending"] for e in before)
    execute(tmp_path, data, samples)
    assert score(tmp_path)["passed"] == 5
    after = read_lines(ledger)
    assert [e["key"] for e in after[: len(before)]] == [e["key"] for e in before]
    assert len(after) == 10, "each program ran once, and was probed once"


def test_parquet_is_read_like_json_lines(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "tasks.jsonl", [task(i) for i in range(3)])
    pq.write_table(pa.Table.from_pylist([task(i) for i in range(3)]), tmp_path / "tasks.parquet")
    found = [load_suite("bigcodebench", p, judging=False) for p in (lines, tmp_path / "tasks.parquet")]
    assert found[0].info.revision == found[1].info.revision
    assert [t.task_id for t in found[1].tasks] == [f"BigCodeBench/{i}" for i in range(3)]


def test_the_split_chooses_the_prompt_and_stands_in_the_harness(tmp_path: Path) -> None:
    from codefit.suites.bigcodebench import Options

    data = write_lines(tmp_path / "tasks.jsonl", [task()])
    complete, instruct = (
        load_suite("bigcodebench", data, options=Options(s, environment="current"))
        for s in ("complete", "instruct")
    )
    assert complete.tasks[0].prompt.startswith(HEAD)
    assert instruct.tasks[0].prompt.startswith("Write a function")
    assert complete.info.revision == instruct.info.revision
    assert complete.info.harness != instruct.info.harness


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--env", "/nonexistent/place"], 3, "codefit env create bigcodebench"),
        (["--env", "/tmp/somewhere"], 2, "programs have a /tmp of their own"),
        (["--split", "half"], 2, "complete"),
        (["--data", "/nonexistent.jsonl"], 2, "no such file"),
    ],
)
def test_what_is_missing_is_one_line_with_what_to_do(
    arguments: list[str], code: int, said: str, tmp_path: Path
) -> None:
    data = write_lines(tmp_path / "tasks.jsonl", [task()])
    samples = solutions(tmp_path / "s.jsonl", [RIGHT])
    got = execute(tmp_path, data, samples, *arguments, code=code)
    assert said in got
    assert "Traceback" not in got
    assert not (tmp_path / "out").exists()


def test_a_broken_line_is_named_and_a_wrong_file_is_refused(tmp_path: Path) -> None:
    broken = {k: v for k, v in task(1).items() if k != "test"}
    data = write_lines(tmp_path / "tasks.jsonl", [task(0), broken])
    said = execute(tmp_path, data, solutions(tmp_path / "s.jsonl", [RIGHT]))
    assert "tasks.jsonl:2: field 'test' is missing" in said
    other = write_lines(tmp_path / "other.jsonl", [{"a": 1}])
    assert "no usable task" in execute(tmp_path, other, tmp_path / "s.jsonl", code=2)


def test_the_hard_set_says_so_when_it_is_not_whole(tmp_path: Path) -> None:
    data = write_lines(tmp_path / "tasks.jsonl", [task()])
    suite = load_suite("bigcodebench-hard", data, judging=False)
    assert suite.problems == ["1 tasks, the published hard set has 148"]


def test_who_ends_the_probe_early_has_something_to_hide(tmp_path: Path) -> None:
    """A program that notices that its function was replaced, and then ends the process, is no pass."""
    program = RIGHT + (
        "import os, sys, threading\n"
        "mine = task_func\n"
        "def watch():\n"
        "    while getattr(task_func, '__wrapped__', task_func) is mine:\n"
        "        pass\n"
        "    os._exit(0)\n"
        "sys.setswitchinterval(1e-5)\n"
        "threading.Thread(target=watch, daemon=True).start()\n"
    )
    data = write_lines(tmp_path / "tasks.jsonl", [task(test=SLOW_TEST)])
    execute(tmp_path, data, solutions(tmp_path / "s.jsonl", [program]))
    (row,) = read_lines(tmp_path / "out" / "verdicts.jsonl")
    assert row["outcome"] == "tampering", row
    assert "did not come to the end of its probe" in row["error"]
