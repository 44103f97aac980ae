"""The command line with engines that answer over HTTP, against servers on loopback."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from codefit.cli.doctor import findings
from codefit.cli.main import main
from codefit.core.errors import CodefitError
from codefit.micro import tasks
from tests.cli.conftest import Cli
from tests.generate.endpoint import Asked, Say, completion, endpoint, error
from tests.generate.test_server import STAND_IN, gguf

REFERENCES = {t.prompt: t.reference or "" for t in tasks("test")}


def solve(asked: Asked) -> bytes:
    """Answer the first two tasks well and the others badly."""
    first = [t.prompt for t in tasks("test")[:2]]
    good = asked.text in first
    program = REFERENCES[asked.text] if good else "def nothing():\n    pass"
    return completion(f"Here it is:\n```python\n{program}\n```", logprobs=[-0.1, -0.3], tokens=20)


def scores(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "scores.json").read_text())
    return found


def test_an_endpoint_is_evaluated_and_a_second_folder_costs_nothing(cli: Cli, tmp_path: Path) -> None:
    with endpoint(solve) as e:
        asked = ("evaluate", "micro", "--limit", "3", "--base-url", e.url, "--api-model", "tiny-q4_k_m",
                 "--replay", "kept")  # fmt: skip
        first = cli(*asked, "--out", "a", "--json")
        assert first.returncode == 0, first.stderr
        took = json.loads(first.stdout)["generation"]
        assert (took["engine"], took["weights"], took["tokens"]) == ("openai", "Q4_K_M", 60)
        (score,) = scores(tmp_path / "a")
        assert (score["passed"], score["n"]) == (2, 3)
        marks = {k: score[k] for k in ("engine", "weights", "decoding", "flavour", "form")}
        assert marks == {"engine": "openai", "weights": "Q4_K_M", "decoding": took["decoding"], "flavour": "plain",
                         "form": "chat"}  # fmt: skip
        lines = [json.loads(x) for x in (tmp_path / "a" / "completions.jsonl").read_text().splitlines()]
        assert {(x["tokens"], x["mean_logprob"], x["min_logprob"]) for x in lines} == {(20, -0.2, -0.3)}
        assert len(e.asked) == 3
        again = cli(*asked, "--out", "b", "--replay-only", "--json")
        assert again.returncode == 0, again.stderr
        assert len(e.asked) == 3
        replayed = json.loads(again.stdout)["generation"]
        assert replayed["seconds"] == pytest.approx(took["seconds"], abs=0.002)  # what they took when asked
        assert scores(tmp_path / "b") == [{**score, "details": scores(tmp_path / "b")[0]["details"]}]


def test_a_fault_of_an_endpoint_is_one_line_and_the_same_command_goes_on(cli: Cli, tmp_path: Path) -> None:
    healed: list[bool] = []

    def script(asked: Asked) -> bytes | Say:
        bad = asked.text == tasks("test")[2].prompt and not healed
        return Say(error("server on fire"), 500) if bad else solve(asked)

    with endpoint(script) as e:
        asked = ("generate", "micro", "--limit", "4", "--base-url", e.url, "--api-model", "m", "--out", "c.jsonl",
                 "--attempts", "2", "--backoff", "0.01", "--concurrency", "1")  # fmt: skip
        broken = cli(*asked)
        assert broken.returncode == 3  # the endpoint's trouble, not the user's input
        fault = broken.stderr.strip().splitlines()[-1]
        assert fault.endswith(
            "HTTP 500: server on fire (tried 2 times); the same command goes on where it was"
        )
        assert not (tmp_path / "c.jsonl").exists()
        healed.append(True)
        asked_before = len(e.asked)
        mended = cli(*asked)
        assert mended.returncode == 0, mended.stderr
        assert len(e.asked) - asked_before == 2  # the two that had no answer
        assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        (("--base-url", "http://h"), 2, "--engine: engine openai needs --api-model; add --api-model"),
        ((), 2, "--engine: engine transformers needs --model; add --model"),
        (("--engine", "llama.cpp"), 2, "--engine: engine llama.cpp needs --gguf; add --gguf"),
        (("--gguf", "no.gguf"), 2, "no.gguf: no such file or folder; check the path"),
        (("--base-url", "ftp://h", "--api-model", "m"), 2, "--base-url: is no http:// or https:// address"),
        (("--base-url", "http://h", "--api-model", "m", "--api-key-env", "sk-secret-1"), 2,
         "--api-key-env: is not the name of a variable; the key itself belongs into the environment"),
        (("--base-url", "http://h", "--api-model", "m", "--concurrency", "0"), 2,
         "--concurrency: Input should be greater than or equal to 1"),
        (("--base-url", "http://h", "--api-model", "m", "--device", "cpu"), 2,
         "--device: is of engine transformers, not of openai"),
        (("--model", "micro", "--concurrency", "2"), 2,
         "--concurrency: is of engine openai and vllm and llama.cpp, not of transformers"),
        (("--base-url", "http://127.0.0.1:9/v1", "--api-model", "m", "--api-key-env", "NO_SUCH_KEY"), 3,
         "http://127.0.0.1:9/v1: the environment variable NO_SUCH_KEY holds no key; export NO_SUCH_KEY=…"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEFIT_CACHE", str(tmp_path / "cache"))
    words = ["generate", "micro", "--limit", "1", "--out", "c.jsonl", *options]
    with pytest.raises(CodefitError) as caught:
        main.main(words, standalone_mode=False)
    assert (caught.value.exit_code, caught.value.line()) == (code, line)
    assert "secret" not in line
    assert not (tmp_path / "c.jsonl").exists()


def test_the_doctor_checks_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEFIT_VLLM", "/no/such/vllm")
    with endpoint(solve, models=("a", "b")) as e:
        found = {f.name: f for f in findings(e.url)}
        assert (found["endpoint"].ok, found["endpoint"].detail) == (True, f"{e.url}: 2 models: a, b")
        assert (found["vLLM"].ok, found["vLLM"].fix) == (
            None,
            "install it, or export CODEFIT_VLLM=/path/to/vllm",
        )
        assert e.asked == []
    gone = findings("http://127.0.0.1:9/v1")[-1]
    assert (gone.ok, gone.detail) == (
        False, "http://127.0.0.1:9/v1: connection refused: nothing listens there",
    )  # fmt: skip
    assert findings("http://h", "sk-1")[-1].detail.startswith("--api-key-env: ")


def test_a_gguf_file_is_served_for_one_command(cli: Cli, tmp_path: Path) -> None:
    gguf(tmp_path / "tiny.gguf")
    command = shlex.join([sys.executable, str(STAND_IN), "llama-server"])
    result = cli("evaluate", "micro", "--limit", "1", "--gguf", "tiny.gguf", "--out", "out", "--context", "512",
                 CODEFIT_LLAMA_SERVER=command, STAND_IN=str(tmp_path / "notes"))  # fmt: skip
    assert result.returncode == 0, result.stderr
    (score,) = scores(tmp_path / "out")
    assert (score["engine"], score["weights"]) == ("llama.cpp", "Q4_K_M")
    assert (tmp_path / "out" / "server.log").read_text().startswith("ready soon")
    served = cli("generate", "micro", "--limit", "1", "--engine", "vllm", "--model", "micro", "--out", "v.jsonl",
                 "--json", "--server-command", shlex.join([sys.executable, str(STAND_IN), "vllm"]),
                 STAND_IN=str(tmp_path / "notes"))  # fmt: skip
    assert served.returncode == 0, served.stderr
    took = json.loads(served.stdout)["took"]
    assert (took["engine"], took["weights"], took["form"]) == ("vllm", "bfloat16", "chat")
    missing = cli(
        "evaluate", "micro", "--gguf", "tiny.gguf", "--out", "no", "--server-command", "no-such-server"
    )
    assert missing.returncode == 3
    last = missing.stderr.strip().splitlines()[-1]
    assert last.startswith("codefit: no-such-server: llama.cpp's server is not installed; install")
