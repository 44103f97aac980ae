"""Bad input at the command line: one clear line, the right exit code, nothing half-written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, one_line

ROWS = [
    {"instruction": "Write a function add(a, b).", "output": "def add(a, b):\n    return a + b",
     "tests": ["assert add(1, 2) == 3"]},
    {"instruction": "Write a function sub(a, b).", "output": "def sub(a, b):\n    return a + b",
     "tests": ["assert sub(3, 2) == 1"]},
]  # fmt: skip

TASK = {"task_id": "own/1", "prompt": "Write a function triple(x).", "entry_point": "triple",
        "tests": ["assert triple(2) == 6"]}  # fmt: skip


def write_rows(path: Path, *lines: object) -> Path:
    text = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)
    path.write_text(text + "\n", encoding="utf-8")
    return path


RECIPE = """\
name: bad
model: {{name: micro}}
sources:
  - {{kind: {kind}, path: {path}}}
format: {{fence: false, max_length: 256}}
train: {{method: full, epochs: 1, batch_size: 2, device: cpu}}
evaluate:
  - {{name: micro, limit: 2}}
"""


def recipe(folder: Path, path: str, kind: str = "jsonl", extra: str = "") -> Path:
    file = folder / "bad.yaml"
    file.write_text(RECIPE.format(kind=kind, path=path) + extra)
    return file


def test_malformed_rows_are_named_counted_and_skipped(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS[0], "{broken", ROWS[1], "[]")
    result = cli("verify", "rows.jsonl", "--out", "v", "--json")
    found = json.loads(result.stdout)
    assert result.returncode == 0
    assert found["read"] == 2
    assert [line.split(": ")[0] for line in found["malformed"]] == ["rows.jsonl:2", "rows.jsonl:4"]
    verdicts = [json.loads(x) for x in (tmp_path / "v" / "verdicts.jsonl").read_text().splitlines()]
    assert [v["outcome"] for v in verdicts] == ["passed", "wrong_answer"]


def test_malformed_rows_are_refused_when_strict(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS[0], "{broken")
    result = cli("verify", "rows.jsonl", "--out", "v", "--strict")
    assert result.returncode == 2
    assert one_line(result).startswith("codefit: rows.jsonl:2: not JSON")
    assert not (tmp_path / "v").exists()


def test_a_run_counts_malformed_rows_in_the_funnel(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS[0], "{broken")
    result = cli("curate", recipe(tmp_path, "rows.jsonl"), "--out", "run")
    assert result.returncode == 0, result.stderr
    funnel = json.loads((tmp_path / "run" / "data" / "funnel.json").read_text())
    assert len(funnel["sources"][0]["skipped"]) == 1
    strict = cli("curate", recipe(tmp_path, "rows.jsonl", extra="strict: true\n"), "--out", "run2")
    assert strict.returncode == 2
    assert "rows.jsonl:2" in strict.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "no such file"),
        ("empty.jsonl", b"", "no records"),
        ("rows.parquet", b"PAR1 this is no parquet file PAR1", "parquet"),
        ("cut.jsonl.gz", gzip.compress(b'{"instruction": "a", "output": "b"}\n' * 5000, mtime=0)[:50], "damaged"),
        ("bytes.jsonl", b"\xff\xfe\x00\x01\n", "not utf-8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["verify", "curate"])
def test_unusable_files_end_with_2(
    cli: Cli, tmp_path: Path, name: str, content: bytes | None, message: str, verb: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if verb == "verify":
        result = cli("verify", name, "--out", "v")
    else:
        kind = "parquet" if name.endswith("parquet") else "jsonl"
        result = cli("curate", recipe(tmp_path, name, kind), "--out", "run")
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert name in last
    assert message in last.lower()
    assert "Traceback" not in result.stderr


def _taco(question: str | None, solutions: object, tests: str | None) -> dict[str, object]:
    packed = json.dumps(solutions) if isinstance(solutions, list) else solutions
    return {"question": question, "solutions": packed, "starter_code": "", "input_output": tests}


def _horrors(path: Path) -> None:
    """Write rows of several schemas, most of them damaged or hostile."""
    tests, good = json.dumps({"inputs": ["1"], "outputs": ["2"]}), "print(int(input()) + 1)"
    long = "1" + "0" * 5_000
    power = ["def f(x):\n    return 10 ** 5000"]
    rows = [
        _taco("Fine.", [good], tests),
        _taco("Tests that are not JSON.", [good], "{oops"),
        _taco(
            "A number of 5,001 digits.", power, f'{{"fn_name": "f", "inputs": [[1]], "outputs": [{long}]}}'
        ),
        _taco(
            "Too long a number.", power, f'{{"fn_name": "f", "inputs": [[1]], "outputs": [{"1" * 200_001}]}}'
        ),
        _taco("Hangs.", ["while True: pass"], tests),
        _taco("Prints gigabytes.", ["while True: print('x' * 10**6)"], tests),
        _taco("Takes all memory.", ["x = [0] * 10**10\nprint(2)"], tests),
        _taco("Null solutions.", None, tests),
        _taco(None, [good], tests),
        _taco("Null tests.", [good], None),
        _taco("Solutions of numbers.", [1, 2], tests),
        _taco("x" * 10_000_000, [good], tests),
        ROWS[0],
        {"instruction": "Null answer.", "output": None},
        {"unknown": 1},
        [1],
    ]
    lines = [json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join([*lines, b'{"instruction": "caf\xe9", "output": "x = 1"}', lines[0]]) + b"\n")


def test_verify_counts_and_names_every_horror(cli: Cli, tmp_path: Path) -> None:
    _horrors(tmp_path / "rows.jsonl")
    result = cli("verify", "rows.jsonl", "--out", "v", "--json")
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    found = json.loads(result.stdout)
    places = {line.split(": ")[0].rpartition(":")[2] for line in found["malformed"]}
    assert places == {"9", "11", "15", "16", "17"}
    assert any("not UTF-8" in line for line in found["malformed"])
    lines = [json.loads(x) for x in (tmp_path / "v" / "verdicts.jsonl").read_text().splitlines()]
    assert len(lines) == found["read"] == 13
    errors = [v["error"] or "" for v in lines]
    assert errors[1].startswith("no tests: input_output is not JSON")
    assert errors[3] == "no tests: input_output is not JSON: a number of 200001 digits"
    assert [v["outcome"] for v in lines] == [
        *("passed", "not_run", "passed", "not_run", "timeout", "output_limit", "runtime_error", "no_code"),
        *("not_run", "passed", "passed", "not_run", "passed"),
    ]


def test_curate_gets_through_every_horror(cli: Cli, tmp_path: Path) -> None:
    _horrors(tmp_path / "rows.jsonl")
    extra = "curate: {steps: [normalise, language, syntax, verify], verify: {test_cpu_s: 0.5}}\n"
    result = cli("curate", recipe(tmp_path, "rows.jsonl", extra=extra), "--out", "run")
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    funnel = json.loads((tmp_path / "run" / "data" / "funnel.json").read_text())
    assert (funnel["read"], len(funnel["sources"][0]["skipped"])) == (13, 5)
    assert all(step["in"] == step["kept"] + step["dropped"] for step in funnel["steps"])
    reasons = funnel["steps"][-1]["reasons"]
    assert {"timeout", "output_limit", "runtime_error"} <= set(reasons)


def test_an_unknown_source_kind_and_suite_get_hints(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", *ROWS)
    result = cli("curate", recipe(tmp_path, "rows.jsonl", kind="code_alpacca"), "--out", "run")
    assert result.returncode == 2
    assert "did you mean 'code_alpaca'?" in result.stderr
    result = cli("execute", "mbbp+", "--completions", "rows.jsonl", "--out", "o")
    assert result.returncode == 2
    assert "did you mean" in one_line(result)


def test_a_benchmark_without_its_file_says_what_to_pass(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "c.jsonl", {"task_id": "Mbpp/2", "solution": "x = 1"})
    result = cli(
        "execute", "mbpp+", "--completions", "c.jsonl", "--out", "o", HF_HUB_OFFLINE="1", HF_HOME="hf"
    )
    assert result.returncode == 3
    assert "--data FILE" in one_line(result)


def test_no_sandbox_ends_with_3_and_the_line_that_installs_one(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "own.jsonl", TASK)
    write_rows(tmp_path / "c.jsonl", {"task_id": "own/1", "solution": "def triple(x):\n    return 3 * x"})
    result = cli("execute", "own.jsonl", "--completions", "c.jsonl", "--out", "o", "--isolation", "bwrap+namespaces",
                 PATH="/nowhere")  # fmt: skip
    assert result.returncode == 3
    assert "bubblewrap" in one_line(result)
    assert not (tmp_path / "o" / "scores.json").exists()


def test_own_tasks_are_judged_end_to_end(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "own.jsonl", TASK)
    write_rows(tmp_path / "c.jsonl", {"task_id": "own/1", "solution": "def triple(x):\n    return 3 * x"},
               {"task_id": "own/1", "solution": "def triple(x):\n    return x"})  # fmt: skip
    result = cli("execute", "own.jsonl", "--completions", "c.jsonl", "--out", "o", "--json")
    assert result.returncode == 0, result.stderr
    score = json.loads(result.stdout)["scores"][0]
    assert (score["passed"], score["n"]) == (1, 2)
    outcomes = [
        json.loads(x)["outcome"] for x in (tmp_path / "o" / "verdicts.jsonl").read_text().splitlines()
    ]
    assert outcomes == ["passed", "wrong_answer"]


def test_unsafe_execution_stamps_the_score(cli: Cli, tmp_path: Path) -> None:
    write_rows(tmp_path / "own.jsonl", TASK)
    write_rows(tmp_path / "c.jsonl", {"task_id": "own/1", "solution": "def triple(x):\n    return 3 * x"})
    result = cli(
        "execute", "own.jsonl", "--completions", "c.jsonl", "--out", "o", "--unsafe-no-isolation", "--json"
    )
    assert result.returncode == 0, result.stderr
    assert "none" in json.loads(result.stdout)["scores"][0]["isolation"]


def test_runs_of_different_suites_are_not_compared(cli: Cli, tmp_path: Path) -> None:
    solution = {"task_id": "own/1", "solution": "def triple(x):\n    return 3 * x"}
    write_rows(tmp_path / "c.jsonl", solution)
    write_rows(tmp_path / "own.jsonl", TASK)
    assert cli("execute", "own.jsonl", "--completions", "c.jsonl", "--out", "a").returncode == 0
    write_rows(tmp_path / "own.jsonl", {**TASK, "tests": ["assert triple(2) == 6", "assert triple(0) == 0"]})
    assert cli("execute", "own.jsonl", "--completions", "c.jsonl", "--out", "b").returncode == 0
    result = cli("compare", "a", "b", "--out", "cmp")
    assert result.returncode == 2
    assert "revision" in one_line(result)
    assert not (tmp_path / "cmp").exists()


_COUNT = """\
def vowels(text):
    n = 0
    for ch in text:
        if ch in 'aeiou':
            n += 1
    return n
"""


def test_decontaminate_finds_a_leak_and_keeps_the_rest(cli: Cli, tmp_path: Path) -> None:
    task = {
        "task_id": "own/7",
        "prompt": "Write a function to count the vowels that a sentence contains.",
        "entry_point": "count_vowels",
        "tests": ["assert count_vowels('a bee') == 3", "assert count_vowels('xyz') == 0"],
        "reference": "def count_vowels(s):\n    return sum(c in 'aeiou' for c in s)",
    }
    leak = {"instruction": "Given a sentence, tell how many vowels it contains.", "output": _COUNT}
    other = {
        "instruction": "Write a function that adds two matrices given as nested lists.",
        "output": "def add(a, b):\n    return [[x + y for x, y in zip(r, s)] for r, s in zip(a, b)]",
    }
    write_rows(tmp_path / "own.jsonl", task)
    write_rows(tmp_path / "rows.jsonl", leak, other)
    result = cli("decontaminate", "rows.jsonl", "--against", "own.jsonl", "--out", "d", "--json")
    found = json.loads(result.stdout)
    assert (found["read"], found["kept"], found["dropped"]) == (2, 1, 1)
    hits = [json.loads(x) for x in (tmp_path / "d" / "hits.jsonl").read_text().splitlines()]
    assert {h["task_id"] for h in hits} == {"own/7"}
    assert {"row_id", "suite", "task_id", "method", "score", "action"} <= set(hits[0])


def test_rows_in_doubt_are_listed_or_removed_as_one_asks(cli: Cli, tmp_path: Path) -> None:
    task = {
        "task_id": "own/1",
        "prompt": "Write a function to find the area of a square plot.",
        "entry_point": "area",
        "tests": ["assert area(3) == 9", "assert area(5) == 25"],
        "reference": "def area(side):\n    return side * side",
    }
    tiny = {"instruction": "Homework nine, part b.", "output": "def power(n):\n    return n ** 2"}
    write_rows(tmp_path / "own.jsonl", task)
    write_rows(tmp_path / "rows.jsonl", tiny)
    common = ("decontaminate", "rows.jsonl", "--against", "own.jsonl", "--json", "--out")
    for doubtful, kept in (("keep", 1), ("remove", 0)):
        found = json.loads(cli(*common, doubtful, "--doubtful", doubtful).stdout)
        assert (found["kept"], found["dropped"]) == (kept, 1 - kept)
        (hit,) = [json.loads(x) for x in (tmp_path / doubtful / "hits.jsonl").read_text().splitlines()]
        assert hit["action"] == ("listed" if kept else "removed")
        assert hit["reason"]
    refused = cli(*common, "off", "--doubtful", "remove", "--execution", "off")
    assert refused.returncode == 2
    assert "--doubtful" in one_line(refused)
    assert not (tmp_path / "off").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["plan", "--model", "qwen2.5-coder-1.5b", "--tflops", "nan"], "nan is not a speed"),
        (["plan", "--model", "qwen2.5-coder-1.5b", "--tflops", "0"], "--tflops"),
        (
            ["plan", "--model", "qwen2.5-coder-1.5b", "--memory", "9" * 400 + "MB"],
            "more than any machine has",
        ),
        (["plan", "--model", "~nosuch"], "no home folder"),
        (["generate", "micro", "--model", "~nosuch", "--out", "o.jsonl"], "no home folder"),
        (["generate", "micro", "--model", "micro", "--out", "."], "name a file"),
        (["generate", "micro", "--model", "micro", "--out", "o", "--device", "banana"], "cuda:N"),
        (
            ["execute", "micro", "--completions", "c", "--out", "o", "--isolation", "bogus"],
            "landlock+seccomp",
        ),
    ],
)
def test_values_that_make_no_sense_are_one_line(
    cli: Cli, tmp_path: Path, args: list[str], message: str
) -> None:
    result = cli(*args)
    assert result.returncode == 2
    assert message in one_line(result)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"template_hash": 1, "parity": 5, "previews": []}',
        '{"template_hash": 1, "parity": {"checked": 1}, "previews": [{"pieces": [1]}]}',
    ],
)
def test_a_preview_of_a_damaged_run_is_one_line(cli: Cli, tmp_path: Path, content: str) -> None:
    (tmp_path / "format.json").write_text(content)
    result = cli("data", "preview", ".")
    assert result.returncode == 2
    assert one_line(result).startswith("codefit: format.json: not what a run writes")


def test_a_report_of_damaged_scores_is_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "recipe.resolved.yaml").write_text("name: x\n")
    (tmp_path / "scores.json").write_text('{"scores": [{"suite": "a", "arm": "b", "value": "high"}]}')
    result = cli("report", ".")
    assert result.returncode == 2
    assert one_line(result).startswith("codefit: scores.json: scores.0.value: ")
    assert not (tmp_path / "report").exists()


def test_names_in_a_recipe_are_checked_without_the_data(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: r\nmodel: {name: micro}\nsources:\n  - {kind: taco, path: t.parquet}\n  - {kind: code_alpacca}\n"
        "evaluate:\n  - {name: mbbp}\n  - {name: humaneval, data: h.jsonl}\n"
        "curate: {decontaminate: {against: [humaneval, mbpp]}}\n"
    )
    wanted = ["r.yaml:5: sources.1: unknown kind of source 'code_alpacca'; did you mean 'code_alpaca'?",
              "r.yaml:7: evaluate.0: unknown suite 'mbbp'; did you mean 'mbpp'?",
              "r.yaml:9: curate.decontaminate.against: the tasks of suite 'mbpp' are read nowhere"]  # fmt: skip
    for args in (["recipe", "check", "r.yaml"], ["run", "r.yaml", "--dry-run"]):
        result = cli(*args)
        lines = result.stderr.splitlines()
        assert result.returncode == 2
        assert len(lines) == 3
        assert all(w in line for w, line in zip(wanted, lines, strict=True)), result.stderr


def test_a_dry_run_names_every_input_that_is_missing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: r\nmodel: {name: nomodel}\nsources: [{kind: jsonl, path: rows.jsonl}]\n"
        "evaluate: [{name: mbpp, data: m.jsonl}]\n"
    )
    assert cli("recipe", "check", "r.yaml").returncode == 0
    result = cli("run", "r.yaml", "--dry-run")
    assert result.returncode == 2
    for name, line in zip(("rows.jsonl", "m.jsonl", "nomodel"), result.stderr.splitlines(), strict=True):
        assert name in line
    assert not (tmp_path / "runs").exists()
