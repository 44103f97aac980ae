"""Servers that codefit starts: with the flags of the real ones, stopped whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.engines import PatienceSettings
from codefit.core.errors import InputError, MissingPrerequisite
from codefit.generate.gguf import format_in_name, read_gguf
from codefit.generate.remote import ServerSettings, remote
from codefit.generate.server_memory import ServerMemory
from codefit.generate.types import Decoding, Request

STAND_IN = Path(__file__).with_name("model_server.py")


def gguf(path: Path, entries: Mapping[str, tuple[int, bytes]] | None = None, version: int = 3) -> Path:
    """Write the head of a GGUF file, with a tokenizer's table in it."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    tokens = struct.pack("<IQ", 8, 3) + b"".join(text(t) for t in ("a", "b", "é"))
    scores = struct.pack("<IQ", 6, 3) + struct.pack("<fff", 0, 1, 2)
    found = {"general.architecture": (8, text("qwen2")), "tokenizer.ggml.tokens": (9, tokens),
             "tokenizer.ggml.scores": (9, scores), "general.file_type": (4, struct.pack("<I", 15)),
             **(entries or {})}  # fmt: skip
    body = b"".join(text(k) + struct.pack("<I", kind) + value for k, (kind, value) in found.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", version, 0, len(found)) + body)
    return path


def program(folder: Path, name: str) -> str:
    return shlex.join([sys.executable, str(STAND_IN), name])


def model_folder(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"dtype": "bfloat16", **config}))
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "STAND_IN": str(folder / "notes.json"), "CODEFIT_VLLM": program(folder, "vllm"),
            "CODEFIT_LLAMA_SERVER": program(folder, "llama-server"), **more}  # fmt: skip


def notes(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "notes.json").read_text())
    return found


def gone(pids: list[int], within_s: float = 15.0) -> bool:
    until = time.monotonic() + within_s
    while any(alive(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def ask(
    what: ServerSettings, folder: Path, environ: Mapping[str, str], **options: Any
) -> tuple[list[str], Any]:
    requests = [Request(f"t/{i}", (), (("user", f"task {i}"),)) for i in range(3)]
    with remote(what, Decoding(64), folder / "replay", environ, **options) as found:
        batches = list(found.engine.complete(requests))
    return [a.text for batch in batches for a in sorted(batch, key=lambda a: a.index)], found.told


def test_vllm_is_started_asked_and_stopped_with_all_of_its_processes(tmp_path: Path) -> None:
    model, adapter = model_folder(tmp_path / "model"), tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 12}')
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "nvidia-smi").write_text("#!/bin/sh\necho 8192\n")
    (fake / "nvidia-smi").chmod(0o755)
    environ = environment(tmp_path, PATH=f"{fake}:{os.environ['PATH']}")
    what = ServerSettings("vllm", model, tmp_path / "vllm.log", adapter, context=2048, memory=6 * 2**30,
                          patience=PatienceSettings(concurrency=2))  # fmt: skip
    texts, told = ask(what, tmp_path, environ)
    assert sorted(texts) == [f"codefit: task {i}" for i in range(3)]
    assert told == {"engine": "vllm", "model": "adapter", "weights": "bfloat16"}
    flags, pids = notes(tmp_path)["flags"], notes(tmp_path)["pids"]
    assert gone(pids, 0)
    assert (flags["host"], flags["model"], flags["generation_config"]) == ("127.0.0.1", str(model), "vllm")
    assert (flags["max_model_len"], flags["max_num_seqs"]) == ("2048", "2")
    assert (flags["gpu_memory_utilization"], flags["max_lora_rank"]) == ("0.750", "16")
    assert flags["lora_modules"] == f"codefit={adapter}"
    (tmp_path / "notes.json").unlink()
    again, _ = ask(what, tmp_path, environ, replay_only=True)  # nothing is started for what is known
    assert sorted(again) == sorted(texts)
    assert not (tmp_path / "notes.json").exists()


def test_llama_cpp_serves_a_gguf_file_and_the_score_names_its_format(tmp_path: Path) -> None:
    file = gguf(tmp_path / "tiny.gguf")
    what = ServerSettings("llama.cpp", file, tmp_path / "log", patience=PatienceSettings(concurrency=3))
    texts, told = ask(what, tmp_path, environment(tmp_path))
    assert len(texts) == 3
    assert told == {"engine": "llama.cpp", "model": "tiny.gguf", "weights": "Q4_K_M"}
    flags = notes(tmp_path)["flags"]
    assert (flags["ctx_size"], flags["parallel"], flags["repeat_penalty"]) == (str(3 * 4096), "3", "1.0")
    assert (flags["jinja"], flags["top_k"], flags["min_p"]) == (True, "0", "0.0")
    assert gone(notes(tmp_path)["pids"], 0)


def test_memory_is_that_of_the_servers_own_processes(tmp_path: Path) -> None:
    holds = "x = bytearray(60 << 20); print(flush=True); input()"
    starts = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {holds!r}])"
    server = subprocess.Popen(
        [sys.executable, "-c", f"{starts}; print(p.pid, flush=True); p.wait()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    # the number from the parent, and from the child an empty line once it holds its memory
    child = int(server.stdout.readline() + server.stdout.readline())
    environ = {**os.environ, "PATH": str(tmp_path)}
    resident = ServerMemory(server.pid, environ).peak_mb()
    assert resident is not None
    assert 60 < resident < 400
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho '{child}, 4321'\necho '1, 999'\necho '{child}, [N/A]'\n")
    smi.chmod(0o755)
    assert ServerMemory(server.pid, environ).peak_mb() == 4321
    server.communicate("\n")
    assert ServerMemory(server.pid, environ).peak_mb() is None


WORKER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
import os, sys
from pathlib import Path
from codefit.generate.remote import ServerSettings, remote
from codefit.generate.types import Decoding, Request
what = ServerSettings("vllm", Path(sys.argv[1]), Path(sys.argv[1], "log"))
with remote(what, Decoding(64), Path(sys.argv[1], "replay"), os.environ) as found:
    list(found.engine.complete([Request("t", (), (("user", "x"),))]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path, number: int) -> None:
    model_folder(tmp_path / "model")
    environ = environment(
        tmp_path,
        STAND_IN_SLOW="60",
        STAND_IN_STUBBORN="1" if number == signal.SIGKILL else "",
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    work = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "model")], env=environ,
                            stderr=subprocess.DEVNULL)  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and not (tmp_path / "notes.json").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    pids = notes(tmp_path)["pids"]
    assert all(alive(pid) for pid in pids)
    work.send_signal(number)
    work.wait(40)
    assert gone(pids)


def test_what_is_not_installed_or_does_not_start_is_told_in_one_line(tmp_path: Path) -> None:
    what = ServerSettings("vllm", model_folder(tmp_path / "model"), tmp_path / "vllm.log")
    with pytest.raises(
        MissingPrerequisite, match=r"vLLM is not installed; install vllm into .* CODEFIT_VLLM"
    ):
        ask(what, tmp_path, environment(tmp_path, CODEFIT_VLLM="no-such-vllm"))
    with pytest.raises(MissingPrerequisite) as caught:
        ask(what, tmp_path, environment(tmp_path, STAND_IN_FAILS="1"))
    assert caught.value.line() == (
        "vLLM ended while starting: RuntimeError: CUDA out of memory. Tried to allocate 3.1 GiB; "
        f"see {tmp_path / 'vllm.log'}"
    )
    with pytest.raises(InputError, match="not a command line"):
        ask(what, tmp_path, environment(tmp_path, CODEFIT_VLLM="vllm 'oops"))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it does not begin with GGUF"),
        (b"PK\x03\x04 a zip", "it does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1, known are 2 and 3"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "entries"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 5), "it is cut off"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50), "a text of"),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 6, 2**40),
            "it is cut off",
        ),
    ],
)
def test_what_is_no_gguf_file_is_told_in_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(InputError, match=f"x.gguf: not a usable GGUF file: .*{line}"):
        read_gguf(tmp_path / "x.gguf")


def test_the_format_comes_from_the_head_and_else_from_the_name(tmp_path: Path) -> None:
    stated = gguf(tmp_path / "model-Q8_0.gguf")
    assert (read_gguf(stated).weights, read_gguf(stated).architecture) == ("Q4_K_M", "qwen2")
    other = gguf(
        tmp_path / "Qwen2.5-Coder-7B-UD-Q5_K_XL.gguf", {"general.file_type": (4, struct.pack("<I", 999))}
    )
    assert read_gguf(other).weights == "Q5_K_XL"
    names = {"qwen2.5-coder:7b-instruct-q4_K_M": "Q4_K_M", "Qwen2.5-7B-Instruct-AWQ": "AWQ", "gpt-4o-mini": None,
             "llama3-iq4_xs": "IQ4_XS", "model.f16.gguf": "F16", "Q-tip": None}  # fmt: skip
    assert {n: format_in_name(n) for n in names} == names


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_breaks_the_reader(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = gguf(Path(folder) / "x.gguf")
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
        with contextlib.suppress(InputError):
            read_gguf(path)
