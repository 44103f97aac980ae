"""From completion files to verdicts and scores, in the real sandbox."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import CodefitError, InputError, InputErrors
from codefit.core.types import Completion, Outcome
from codefit.sandbox import Run, Sandbox
from codefit.score.compare import compare, read_sides
from codefit.score.tally import pass_figures
from codefit.suites.base import TaskSuite
from codefit.suites.execute import ExecuteResult, execute
from codefit.suites.load import load_suite

RIGHT = "def twice(x):\n    return 2 * x\n"
BASE_ONLY = "def twice(x):\n    return 2 * x if x < 5 else 0\n"
WRONG = "def twice(x):\n    return x\n"
HANGS = "def twice(x):\n    while True: pass\n"
SCORE_KEYS = {"suite", "revision", "harness", "metric", "value", "passed", "n", "ci95", "excluded"}
VERDICT_KEYS = {
    "task_id", "sample", "outcome", "base_outcome", "plus_outcome", "error", "failed_test", "seconds", "peak_mb",
}  # fmt: skip


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def a_suite(folder: Path, tasks: int = 4, name: str = "mbpp+") -> TaskSuite:
    task = {"prompt": '"""Double it."""\n', "entry_point": "twice", "atol": 0, "canonical_solution": RIGHT}
    rows = [
        {**task, "task_id": f"Mbpp/100{i}", "base_input": [[1], [2]], "plus_input": [[7], [i + 9]]}
        for i in range(tasks)
    ]
    return load_suite(name, written(folder / "data.jsonl", rows))


def samples(folder: Path, *solutions: str) -> Path:
    return written(
        folder / "samples.jsonl",
        [{"task_id": f"Mbpp/100{i}", "solution": s} for i, s in enumerate(solutions)],
    )


def lines(result: ExecuteResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (result.out / "verdicts.jsonl").read_text().splitlines()]


def test_verdicts_scores_and_evalplus_results_are_written(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = a_suite(tmp_path)
    found = execute(
        suite, samples(tmp_path, RIGHT, BASE_ONLY, WRONG, HANGS), tmp_path / "out", sandbox, pass_figures
    )
    verdicts = lines(found)
    assert all(set(v) == VERDICT_KEYS for v in verdicts)
    assert [(v["base_outcome"], v["plus_outcome"], v["outcome"]) for v in verdicts] == [
        ("passed", "passed", "passed"),
        ("passed", "wrong_answer", "wrong_answer"),
        ("wrong_answer", "not_run", "wrong_answer"),
        ("timeout", "not_run", "timeout"),
    ]
    assert verdicts[1]["failed_test"] == {"input": "(7,)", "expected": "14", "got": "0"}
    base, plus = json.loads((found.out / "scores.json").read_text())
    assert set(base) >= SCORE_KEYS
    assert (base["suite"], base["passed"], base["n"], base["value"]) == ("mbpp", 2, 4, 0.5)
    assert (plus["suite"], plus["passed"], plus["n"], plus["value"]) == ("mbpp+", 1, 4, 0.25)
    assert plus["ci95"][0] < 0.25 < plus["ci95"][1]
    assert plus["isolation"] == sandbox.level
    assert base["revision"] == load_suite("mbpp", tmp_path / "data.jsonl").info.revision
    theirs = json.loads((found.out / "eval_results.json").read_text())["eval"]
    assert theirs["Mbpp/1001"][0]["plus_status"] == "fail"
    assert theirs["Mbpp/1001"][0]["plus_fail_tests"] == [[7]]
    assert (theirs["Mbpp/1002"][0]["base_status"], theirs["Mbpp/1002"][0]["plus_status"]) == (
        "fail",
        "not_run",
    )
    assert theirs["Mbpp/1003"][0]["base_status"] == "timeout"
    assert json.loads((found.out / "manifest.json").read_text())["complete"] is True


def test_the_same_call_again_does_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = a_suite(tmp_path)
    path = samples(tmp_path, RIGHT)
    execute(suite, path, tmp_path / "out", sandbox, pass_figures)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    again = execute(suite, path, tmp_path / "out", sandbox, pass_figures)
    assert again.did_nothing
    assert again.scores[0]["passed"] == 1
    assert before == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}


def test_a_damaged_result_is_made_anew(tmp_path: Path, sandbox: Sandbox) -> None:
    suite, path = a_suite(tmp_path), samples(tmp_path, RIGHT)
    whole = execute(suite, path, tmp_path / "out", sandbox, pass_figures)
    text = (whole.out / "verdicts.jsonl").read_text()
    (whole.out / "verdicts.jsonl").write_text(text[:20])
    assert not execute(suite, path, tmp_path / "out", sandbox, pass_figures).did_nothing
    assert (whole.out / "verdicts.jsonl").read_text() == text


def test_a_folder_with_other_results_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = a_suite(tmp_path)
    execute(suite, samples(tmp_path, RIGHT), tmp_path / "out", sandbox, pass_figures)
    with pytest.raises(InputError, match="other completions"):
        execute(suite, samples(tmp_path, WRONG), tmp_path / "out", sandbox, pass_figures)
    fresh = execute(suite, samples(tmp_path, WRONG), tmp_path / "out", sandbox, pass_figures, fresh=True)
    assert fresh.scores[0]["passed"] == 0


def test_missing_tasks_are_named_and_left_out(tmp_path: Path, sandbox: Sandbox) -> None:
    found = execute(
        a_suite(tmp_path), samples(tmp_path, RIGHT, RIGHT), tmp_path / "out", sandbox, pass_figures
    )
    assert found.missing == ("Mbpp/1002", "Mbpp/1003")
    assert found.scores[1]["n"] == 2
    assert found.scores[1]["excluded"] == ["Mbpp/1002", "Mbpp/1003"]
    assert any("2 tasks without a completion" in n for n in found.notes)


def test_several_samples_a_task_give_an_unbiased_estimate(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [
        {"task_id": f"Mbpp/100{i}", "solution": RIGHT if j <= i else WRONG}
        for i in range(2)
        for j in range(10)
    ]
    found = execute(
        a_suite(tmp_path, 2), written(tmp_path / "s.jsonl", rows), tmp_path / "out", sandbox, pass_figures
    )
    metrics = {(s["suite"], s["metric"]): s["value"] for s in found.scores}
    assert metrics["mbpp+", "pass@1"] == pytest.approx((0.1 + 0.2) / 2)
    assert metrics["mbpp+", "pass@10"] == pytest.approx(1.0)
    assert len(lines(found)) == 20
    judged = (found.out / "judged.jsonl").read_text().splitlines()
    assert len(judged) == 2 * 2 + 2, "identical programs are judged once"


def test_completions_of_a_model_are_extracted(tmp_path: Path, sandbox: Sandbox) -> None:
    texts = [f"Sure:\n```python\n{RIGHT}```", f"{RIGHT}\nHope this helps!", "I cannot.", "    return 2 * x\n"]
    completions = [Completion(f"Mbpp/100{i}", 0, t) for i, t in enumerate(texts)]
    found = execute(a_suite(tmp_path), completions, tmp_path / "out", sandbox, pass_figures)
    assert [v["outcome"] for v in lines(found)] == ["passed", "passed", "no_code", "no_code"]


def test_a_body_alone_continues_the_prompt(tmp_path: Path, sandbox: Sandbox) -> None:
    task = {
        "task_id": "HumanEval/0", "prompt": "import math\n\ndef twice(x):\n    '''Double.'''\n", "entry_point": "twice",
        "canonical_solution": "    return 2 * x\n", "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    }  # fmt: skip
    suite = load_suite("humaneval", written(tmp_path / "d.jsonl", [task]))
    for i, kind in enumerate(("completion", "text")):
        path = written(
            tmp_path / "s.jsonl", [{"task_id": "HumanEval/0", kind: "    return int(math.ceil(2 * x))\n"}]
        )
        found = execute(suite, path, tmp_path / f"out{i}", sandbox, pass_figures)
        assert found.scores[0]["passed"] == 1


def test_all_tests_goes_on_behind_failures(tmp_path: Path, sandbox: Sandbox) -> None:
    found = execute(
        a_suite(tmp_path), samples(tmp_path, WRONG), tmp_path / "out", sandbox, pass_figures, all_tests=True
    )
    assert lines(found)[0]["plus_outcome"] == "wrong_answer"
    theirs = json.loads((found.out / "eval_results.json").read_text())["eval"]["Mbpp/1000"][0]
    assert theirs["base_fail_tests"] == [[1], [2]]
    assert theirs["plus_fail_tests"] == [[7], [9]]


def test_only_some_tasks_can_be_judged(tmp_path: Path, sandbox: Sandbox) -> None:
    suite, path = a_suite(tmp_path), samples(tmp_path, RIGHT, RIGHT, RIGHT)
    found = execute(suite, path, tmp_path / "out", sandbox, pass_figures, only=["Mbpp/1001"])
    assert f"only 1 of {len(suite.tasks)} tasks, those that were named" in found.scores[0]["details"]["notes"]
    assert [v["task_id"] for v in lines(found)] == ["Mbpp/1001"]
    with pytest.raises(InputError, match="Mbpp/77"):
        execute(suite, path, tmp_path / "o2", sandbox, pass_figures, only=["Mbpp/77"])


def test_a_reference_that_fails_takes_its_task_out_by_name(tmp_path: Path, sandbox: Sandbox) -> None:
    row = {"prompt": "", "entry_point": "twice", "atol": 0, "base_input": [[1]], "plus_input": [[2]]}
    broken = {**row, "task_id": "Mbpp/1001", "canonical_solution": "def twice(x): return 1 / 0"}
    fine = {**row, "task_id": "Mbpp/1000", "canonical_solution": RIGHT}
    suite = load_suite("mbpp+", written(tmp_path / "d.jsonl", [fine, broken]))
    cache = tmp_path / "cache"
    found = execute(
        suite, samples(tmp_path, RIGHT, RIGHT), tmp_path / "out", sandbox, pass_figures, cache=cache
    )
    assert found.scores[1]["n"] == 1
    assert found.scores[1]["excluded"] == ["Mbpp/1001"]
    assert b"ZeroDivision" not in b"".join(gzip.decompress(p.read_bytes()) for p in cache.glob("reference-*"))
    assert any("Mbpp/1001" in n and "ZeroDivisionError" in n for n in found.notes)


def test_expected_values_are_cached_and_a_damaged_cache_is_made_anew(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    cache = tmp_path / "cache"
    suite = a_suite(tmp_path)
    suite.prepare(sandbox, cache)
    (file,) = cache.glob("reference-*")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    a_suite(tmp_path).prepare(sandbox, cache)
    assert [p.name for p in cache.glob("reference-*")] == [file.name]
    found = execute(suite, samples(tmp_path, RIGHT), tmp_path / "out", sandbox, pass_figures, cache=cache)
    assert found.scores[1]["passed"] == 1


def test_large_expected_values_are_kept_as_digests(tmp_path: Path, sandbox: Sandbox) -> None:
    row = {
        "task_id": "Mbpp/1000",
        "prompt": "",
        "entry_point": "f",
        "atol": 0,
        "base_input": [[60_000]],
        "plus_input": [],
    }
    row["canonical_solution"] = "def f(n): return [str(i) for i in range(n)]"
    suite = load_suite("mbpp", written(tmp_path / "d.jsonl", [row]))
    right = "def f(n): return list(map(str, range(n)))"
    wrong = "def f(n): return [str(i) for i in range(n - 1)] + ['x']"
    path = written(tmp_path / "s.jsonl", [{"task_id": "Mbpp/1000", "solution": s} for s in (right, wrong)])
    found = execute(suite, path, tmp_path / "out", sandbox, pass_figures, cache=tmp_path / "cache")
    assert [v["outcome"] for v in lines(found)] == ["passed", "wrong_answer"]
    assert sum(p.stat().st_size for p in (tmp_path / "cache").iterdir()) < 2_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{bad", "not JSON"),
        ('{"task_id": "Mbpp/1001"}', "none of the fields"),
        ('{"solution": "x"}', "'task_id' is missing"),
        ('{"task_id": "Mbpp/1001", "solution": 3}', "not a text"),
    ],
)
def test_bad_completion_lines_are_named_or_refused(
    tmp_path: Path, sandbox: Sandbox, line: str, said: str
) -> None:
    suite, path = a_suite(tmp_path), samples(tmp_path, RIGHT)
    path.write_text(path.read_text() + line + "\n")
    found = execute(suite, path, tmp_path / "out", sandbox, pass_figures)
    assert any(f"{path}:2: " in n and said in n for n in found.notes)
    with pytest.raises(InputErrors):
        execute(suite, path, tmp_path / "o2", sandbox, pass_figures, strict=True)


def test_completions_of_another_suite_are_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    path = written(tmp_path / "s.jsonl", [{"task_id": "HumanEval/0", "solution": RIGHT}])
    with pytest.raises(InputError, match="HumanEval/0"):
        execute(a_suite(tmp_path), path, tmp_path / "out", sandbox, pass_figures)
    assert not (tmp_path / "out").exists()


def test_two_runs_can_be_compared(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = a_suite(tmp_path)
    first = execute(suite, samples(tmp_path, WRONG, RIGHT, BASE_ONLY), tmp_path / "a", sandbox, pass_figures)
    second = execute(suite, samples(tmp_path, RIGHT, RIGHT, RIGHT), tmp_path / "b", sandbox, pass_figures)
    before, after = read_sides(first.out), read_sides(second.out)
    assert compare(before["mbpp"], after["mbpp"])["fixed"] == 1
    assert compare(before["mbpp+"], after["mbpp+"])["fixed"] == 2


def test_a_reference_the_sandbox_cannot_run_is_an_error_of_ours(tmp_path: Path) -> None:
    broken: Any = _Failing()
    with pytest.raises(CodefitError, match="no space left"):
        a_suite(tmp_path).prepare(broken, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


class _Failing:
    """A sandbox whose machine gives out: every run is our own failure."""

    level = description = "failing"
    jobs = 1

    def run(self, *_: Any) -> Run:
        return Run(Outcome.SANDBOX_FAILED, (), "no space left", 0.0, 0.0, None, False)

    def map(self, jobs: Any) -> Any:
        return ((i, self.run()) for i, _ in enumerate(jobs))


def test_our_own_failure_is_never_the_programs_fault(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = load_suite("micro", limit=2)
    tasks = {t.task_id: t for t in suite.tasks}
    completions = [Completion(t, 0, tasks[t].reference or "") for t in tasks]
    broken: Any = _Failing()
    found = execute(suite, completions, tmp_path / "out", broken, pass_figures)
    assert found.sandbox_failed == 2
    assert (found.scores[0]["n"], found.scores[0]["value"]) == (0, None)
    assert json.loads((found.out / "manifest.json").read_text())["complete"] is False
    healed = execute(suite, completions, tmp_path / "out", sandbox, pass_figures)
    assert not healed.did_nothing
    assert (healed.scores[0]["passed"], healed.sandbox_failed) == (2, 0)


def test_a_lone_surrogate_in_a_completion_is_judged_like_other_text(tmp_path: Path, sandbox: Sandbox) -> None:
    done = samples(tmp_path, f"{RIGHT}# \ud83d", 'def twice(x):\n    raise ValueError("\\ud83d")\n')
    found = execute(a_suite(tmp_path), done, tmp_path / "out", sandbox, pass_figures)
    assert [v["outcome"] for v in lines(found)] == ["passed", "runtime_error"]


def test_every_reference_of_the_micro_world_passes(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = load_suite("micro")
    completions = [Completion(t.task_id, 0, t.reference or "") for t in suite.tasks]
    found = execute(suite, completions, tmp_path / "out", sandbox, pass_figures)
    assert found.scores[0]["value"] == 1.0


KILLED = """
import sys
from pathlib import Path
from codefit.sandbox import Sandbox
from codefit.score.tally import pass_figures
from codefit.suites.execute import execute
from codefit.suites.load import load_suite

data, samples, out = (Path(a) for a in sys.argv[1:4])
with Sandbox(jobs=1) as sandbox:
    execute(load_suite("mbpp+", data), samples, out, sandbox, pass_figures)
"""


def test_kill_9_loses_nothing_and_changes_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    suite = a_suite(tmp_path, 30)
    slow = "def twice(x):\n    s = sum(range(2_000_000))\n    return 2 * x + s - s\n"
    path = samples(tmp_path, *(slow + f"# {i}\n" for i in range(30)))
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data.jsonl"), str(path), str(out)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    ledger = out / "judged.jsonl"
    while not (ledger.exists() and len(ledger.read_bytes().splitlines()) >= 5):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = ledger.read_bytes().rpartition(b"\n")[0]
    assert not (out / "manifest.json").exists()
    assert not (out / "verdicts.jsonl").exists()
    resumed = execute(suite, path, out, sandbox, pass_figures)
    assert ledger.read_bytes().startswith(kept)
    unbroken = execute(suite, path, tmp_path / "other", sandbox, pass_figures)
    without = [{k: v for k, v in line.items() if k not in ("seconds", "peak_mb")} for line in lines(resumed)]
    assert without == [
        {k: v for k, v in line.items() if k not in ("seconds", "peak_mb")} for line in lines(unbroken)
    ]
    for row in (*resumed.scores, *unbroken.scores):
        row["details"]["notes"] = []  # how far a busy machine stretched the time limits
    assert resumed.scores == unbroken.scores
    assert len(ledger.read_bytes().splitlines()) == 60
