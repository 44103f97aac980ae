"""The engine of OpenAI-compatible endpoints, against real HTTP servers on loopback."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.engines import EndpointSettings
from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.generate.openai import OpenAIEngine, endpoint_of
from codefit.generate.openai_reply import Unusable, read_completion
from codefit.generate.patience import asked_wait_s
from codefit.generate.replay import Replay
from codefit.generate.types import Answer, Decoding, Request
from tests.generate.endpoint import Asked, Say, Script, completion, endpoint, error

KEY = "CODEFIT_TEST_KEY"


def engine(
    url: str, folder: Path, *, decoding: Decoding | None = None, environ: dict[str, str] | None = None,
    notices: list[str] | None = None, replay_only: bool = False, stops: tuple[str, ...] = (), **options: Any,
) -> OpenAIEngine:  # fmt: skip
    wanted = EndpointSettings(base_url=url, model="tiny", **{"backoff_s": 0.01, "timeout_s": 5, **options})
    return OpenAIEngine(
        f"{url} tiny", wanted.api, lambda: endpoint_of(wanted, environ or {}), decoding or Decoding(64),
        Replay(folder, f"{url} tiny", "tiny"), replay_only=replay_only, stops=stops,
        notice=(notices if notices is not None else []).append,
    )  # fmt: skip


def requests(n: int, samples: int = 1) -> list[Request]:
    return [Request(f"t/{i}", (), (("user", f"task {i}"),), s) for i in range(n) for s in range(samples)]


def answers(found: Iterator[list[Answer]]) -> dict[int, str]:
    return {a.index: a.text for batch in found for a in batch}


def collect(found: Iterator[list[Answer]], into: dict[int, str]) -> None:
    for batch in found:
        into.update({a.index: a.text for a in batch})


def echo(asked: Asked) -> bytes:
    return completion(f"answer to {asked.text}", logprobs=[-0.5, -1.5])


def failing(script: Script, folder: Path, n: int = 1, **options: Any) -> str:
    """Return the one line that a faulty endpoint ends with."""
    with endpoint(script) as e, pytest.raises(CodefitError) as caught:
        answers(engine(e.url, folder, **options).complete(requests(n)))
    line = caught.value.line()
    assert "\n" not in line
    assert line.startswith(e.url)
    return line.removeprefix(e.url)


def test_answers_come_with_tokens_and_probabilities_and_a_rerun_asks_nothing(tmp_path: Path) -> None:
    with endpoint(echo) as e:
        first = [a for batch in engine(e.url, tmp_path).complete(requests(6)) for a in batch]
        assert sorted(a.index for a in first) == list(range(6))
        assert {(a.tokens, a.mean_logprob, a.min_logprob, a.finish_reason) for a in first} == {
            (5, -1, -1.5, "stop")
        }
        sent = e.asked[0].body
        assert (sent["temperature"], sent["max_tokens"], sent["logprobs"]) == (0.0, 64, True)
        assert "seed" not in sent
        assert "top_p" not in sent
        again = answers(engine(e.url, tmp_path).complete(requests(6)))
        assert again == {i: f"answer to task {i}" for i in range(6)}
        assert len(e.asked) == 6
        other = answers(engine(e.url, tmp_path, decoding=Decoding(65)).complete(requests(1)))
        assert other[0] == "answer to task 0"
        assert len(e.asked) == 7  # another decoding is another question


def test_samples_of_a_prompt_have_seeds_of_their_own_that_a_rerun_repeats(tmp_path: Path) -> None:
    with endpoint(lambda a: completion(str(a.body["seed"]))) as e:
        sampling = Decoding(64, temperature=0.8, top_p=0.95, seed=7)
        first = answers(engine(e.url, tmp_path / "a", decoding=sampling).complete(requests(2, samples=4)))
        second = answers(engine(e.url, tmp_path / "b", decoding=sampling).complete(requests(2, samples=4)))
        assert len(set(first.values())) == 8
        assert first == second
        assert e.asked[0].body["top_p"] == 0.95


def test_no_more_than_the_concurrency_is_asked_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=5)

    def script(asked: Asked) -> bytes:
        together.wait()  # breaks unless three are under way
        return echo(asked)

    with endpoint(script) as e:
        assert len(answers(engine(e.url, tmp_path, concurrency=3).complete(requests(9)))) == 9
        assert e.most_at_once == 3


def test_requests_per_minute_are_kept(tmp_path: Path) -> None:
    with endpoint(echo) as e:
        began = time.monotonic()
        answers(engine(e.url, tmp_path, requests_per_minute=600, concurrency=8).complete(requests(5)))
        assert time.monotonic() - began >= 0.4  # 0.1 s apart


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (Say(error("busy"), 429, {"Retry-After": "0.1"}), 3),
        (Say(error("overloaded"), 503), 3),
        (Say(b"Internal Server Error", 500), 3),
        (Say(b'{"choices": ['), 3),
        (Say(b"<html>not json</html>"), 3),
        (Say(json.dumps({"choices": []}).encode()), 3),
        (Say(completion(None)), 3),
        (Say(b"\xff\xfe\x00garbage"), 3),
        (Say(completion("cut")[:40], 200, {"Content-Length": "5000"}), 3),
        (Say(raw=b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"cho'), 3),
        (Say(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), 2),
        (Say(raw=b""), 2),
    ],
)
def test_a_passing_fault_is_asked_again_and_costs_no_answer(tmp_path: Path, fault: Say, tries: int) -> None:
    with endpoint(lambda a: fault if a.tries < tries else echo(a)) as e:
        found = answers(engine(e.url, tmp_path).complete(requests(2)))
        assert found == {0: "answer to task 0", 1: "answer to task 1"}
        assert len(e.asked) == 2 * tries


def test_what_the_server_asks_to_wait_is_waited_by_all(tmp_path: Path) -> None:
    times: list[float] = []

    def script(asked: Asked) -> bytes | Say:
        times.append(time.monotonic())
        return Say(error("slow down"), 429, {"Retry-After": "0.4"}) if len(times) == 1 else echo(asked)

    with endpoint(script) as e:
        assert len(answers(engine(e.url, tmp_path, concurrency=1).complete(requests(3)))) == 3
    assert times[1] - times[0] >= 0.4


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Say(error("Incorrect API key", "invalid_api_key"), 401),
         ": HTTP 401, the endpoint refuses the key: Incorrect API key; name the key's variable with --api-key-env"),
        (Say(error("quota", "insufficient_quota"), 429), ": HTTP 429, no credit left: quota"),
        (Say(error("later"), 429, {"Retry-After": "4000"}),
         ": HTTP 429, asks to wait 4,000 s; run the same command again then; nothing is lost"),
        (Say(b"", 307, {"Location": "https://elsewhere.example/v1/chat/completions"}),
         ": HTTP 307, sent on to https://elsewhere.example/v1/chat/completions; use that address as the base URL"),
        (Say(error("This model's maximum context length is 512 tokens"), 400),
         ": HTTP 400 to the request for t/0: This model's maximum context length is 512 tokens"),
        (Say(error("top_k must\nbe \x1b[31mred"), 422), ": HTTP 422 to the request for t/0: top_k must be [31mred"),
    ],
)  # fmt: skip
def test_a_fault_that_will_not_pass_is_told_at_once(tmp_path: Path, fault: Say, line: str) -> None:
    seen: list[Asked] = []

    def script(asked: Asked) -> Say:
        seen.append(asked)
        return fault

    assert failing(script, tmp_path) == line
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Say(error("slow down"), 429),
         ": HTTP 429: slow down (tried 3 times); lower --concurrency or set --requests-per-minute; "
         "the same command goes on where it was"),
        (Say(b"oops", 500), ": HTTP 500: oops (tried 3 times); the same command goes on where it was"),
        (Say(b"[1, 2]"), ": an answer that is no JSON object but list (tried 3 times); the same command goes on "
         "where it was"),
        (Say(b"{}"), ": an answer without choices: {} (tried 3 times); the same command goes on where it was"),
        (Say(completion(None)), ": an answer whose content is null (tried 3 times); the same command goes on "
         "where it was"),
        (Say(completion("x")[:-9], headers={"Content-Length": "900"}),
         ": the answer broke off (tried 3 times); the same command goes on where it was"),
        (Say(raw=b"220 mail ESMTP\r\n"),
         ": what came back is not HTTP (BadStatusLine) (tried 2 times); check the base URL, and that the server runs"),
    ],
)  # fmt: skip
def test_a_fault_that_stays_ends_in_one_line_after_bounded_tries(
    tmp_path: Path, fault: Say, line: str
) -> None:
    assert failing(lambda a: fault, tmp_path, attempts=3) == line


def test_a_server_that_drips_is_left_when_the_time_is_up(tmp_path: Path) -> None:
    began = time.monotonic()
    line = failing(lambda a: Say(completion("x" * 500), drip_s=0.05), tmp_path, timeout_s=0.3, attempts=2)
    assert line.startswith(": no whole answer within 0.3 s (tried 2 times)")
    assert time.monotonic() - began < 3


def test_nobody_there_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}/v1"
    with pytest.raises(
        MissingPrerequisite,
        match=r"connection refused: nothing listens there .tried 2 times.; check the base",
    ):
        answers(engine(url, tmp_path).complete(requests(3)))
    with pytest.raises(MissingPrerequisite, match=r"no host of the name 'no-such-host.invalid'"):
        answers(engine("http://no-such-host.invalid/v1", tmp_path).complete(requests(1)))
    with endpoint(echo) as e, pytest.raises(InputError, match=r"no TLS there .*; is it http://\?"):
        answers(engine(e.url.replace("http://", "https://"), tmp_path).complete(requests(1)))


def test_a_model_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    def script(asked: Asked) -> Say:
        return Say(error("model 'tiny' not found", "model_not_found"), 404)

    with endpoint(script, models=("tiny-1b", "large")) as e, pytest.raises(InputError) as caught:
        answers(engine(e.url, tmp_path).complete(requests(1)))
    assert caught.value.what == "no model 'tiny' there"
    assert caught.value.todo == "did you mean 'tiny-1b'? it has: tiny-1b, large"
    assert "most end in /v1" in failing(lambda a: Say(b"404 page not found", 404), tmp_path)


def test_what_was_answered_before_and_beside_a_fault_is_kept(tmp_path: Path) -> None:
    broken = threading.Event()

    def script(asked: Asked) -> bytes | Say:
        if asked.text == "task 3" and not broken.is_set():
            return Say(error("no"), 400)
        return echo(asked)

    with endpoint(script) as e:
        found: dict[int, str] = {}
        with pytest.raises(InputError, match="t/3"):
            collect(engine(e.url, tmp_path, concurrency=2).complete(requests(20)), found)
        asked = len(e.asked)
        assert len(found) == asked - 1  # every answer that came was yielded
        broken.set()
        assert len(answers(engine(e.url, tmp_path).complete(requests(20)))) == 20
        assert len(e.asked) == asked + 20 - len(found)


def test_new_requests_can_be_forbidden(tmp_path: Path) -> None:
    with endpoint(echo) as e:
        answers(engine(e.url, tmp_path).complete(requests(2)))
        assert len(answers(engine(e.url, tmp_path, replay_only=True).complete(requests(2)))) == 2
        with pytest.raises(InputError, match="3 of 5 answers are not in the replay store"):
            answers(engine(e.url, tmp_path, replay_only=True).complete(requests(5)))
        assert len(e.asked) == 2


def test_an_endpoint_that_refuses_settings_no_text_depends_on_is_asked_without_them(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes | Say:
        for name in ("logprobs", "max_tokens"):
            if name in asked.body:
                other = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return Say(error(f"Unsupported parameter: '{name}'.{other}"), 400)
        return completion(f"{asked.body['max_completion_tokens']}")

    notices: list[str] = []
    with endpoint(script) as e:
        assert answers(engine(e.url, tmp_path, notices=notices).complete(requests(8))) == dict.fromkeys(
            range(8), "64"
        )
    assert sorted(n.split("'")[1] for n in notices) == ["logprobs", "max_tokens"]


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(tmp_path: Path) -> None:
    secret = "sk-very-secret-0123456789"

    def script(asked: Asked) -> bytes | Say:
        assert asked.headers["authorization"] == f"Bearer {secret}"
        return Say(error(f"bad key {secret}"), 401) if asked.text == "task 1" else echo(asked)

    with endpoint(script) as e, pytest.raises(InputError) as caught:
        answers(
            engine(e.url, tmp_path, environ={KEY: secret}, api_key_env=KEY, concurrency=1).complete(
                requests(2)
            )
        )
    assert secret not in caught.value.line()
    assert KEY in caught.value.line()
    assert not any(secret.encode() in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    wanted = EndpointSettings(base_url=e.url, model="m", api_key_env=KEY)
    with pytest.raises(MissingPrerequisite, match=f"{KEY} holds no key"):
        endpoint_of(wanted, {})


def test_base_models_are_asked_for_plain_completions(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        assert asked.path == "/v1/completions"
        assert asked.body["stop"] == ["[DONE]"]
        reply = {"choices": [{"text": asked.body["prompt"] + "!", "finish_reason": "stop",
                              "logprobs": {"token_logprobs": [-1.0, -3.0]}}]}  # fmt: skip
        return json.dumps(reply).encode()

    with endpoint(script) as e:
        asked = engine(e.url, tmp_path, api="completions", stops=("[DONE]",)).complete(requests(1))
        (found,) = [a for batch in asked for a in batch]
    assert (found.text, found.tokens, found.mean_logprob, found.min_logprob) == ("task 0!", 2, -2.0, -3.0)


def test_a_proxy_from_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(echo) as e:
        monkeypatch.setenv("http_proxy", e.url.removesuffix("/v1"))
        answers(engine("http://api.invalid/v1", tmp_path).complete(requests(1)))
        assert e.asked[0].path == "http://api.invalid/v1/chat/completions"
        assert e.asked[0].headers["host"] == "api.invalid"
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        answers(engine(e.url, tmp_path).complete(requests(1)))  # no proxy stands before this machine


def test_an_https_endpoint_needs_a_trusted_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)  # fmt: skip
    with endpoint(echo, tls=(cert, key)) as e:
        url = e.url.replace("127.0.0.1", "localhost")
        with pytest.raises(InputError, match=r"certificate is not trusted \(self.signed certificate\)$"):
            answers(engine(url, tmp_path / "a").complete(requests(1)))
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert answers(engine(url, tmp_path / "a").complete(requests(1))) == {0: "answer to task 0"}


def test_several_processes_may_keep_answers_at_once(tmp_path: Path) -> None:
    stores = [Replay(tmp_path, "e", "m") for _ in range(4)]

    def keep(number: int) -> None:
        for n in range(50):
            answer = Answer(0, "x" * 3000, 1, None, None, "stop")
            stores[number].put(f"{number} {n}", answer, {"seconds": 0.5}, {}, {})

    threads = [threading.Thread(target=keep, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    found = Replay(tmp_path, "e", "m")
    assert all(found.get(f"{number} {n}", 0) for number in range(4) for n in range(50))


WORKER = """
import sys
from pathlib import Path
from tests.generate.test_openai import engine, requests
for batch in engine(sys.argv[1], Path(sys.argv[2]), concurrency=2).complete(requests(200)):
    print(len(batch), flush=True)
"""


def test_kill_9_loses_only_what_was_under_way(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        time.sleep(0.01)
        return echo(asked)

    with endpoint(script) as e:
        work = subprocess.Popen([sys.executable, "-c", WORKER, e.url, str(tmp_path)], stdout=subprocess.PIPE,
                                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
        assert work.stdout
        for _ in range(20):
            work.stdout.readline()
        work.kill()
        work.wait()
        (store,) = tmp_path.iterdir()
        with store.open("ab") as f:
            f.write(b'{"key": "half a li')  # as a writer leaves it that is killed within a write
        before = len(e.asked)
        assert len(answers(engine(e.url, tmp_path).complete(requests(200)))) == 200
        assert 18 <= 200 - (len(e.asked) - before) <= before
        after = len(e.asked)
        assert len(answers(engine(e.url, tmp_path).complete(requests(200)))) == 200
        assert len(e.asked) == after


@given(st.binary(max_size=400) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "message", "content", "finish_reason", "logprobs", "logprob", "usage",
                         "completion_tokens", "text", "model", "token_logprobs"]), inner, max_size=4),
    max_leaves=25).map(lambda v: json.dumps(v).encode()), st.sampled_from(["chat", "completions"]))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_no_body_at_all_breaks_the_reader(body: bytes, api: str) -> None:
    try:
        said = read_completion(body, api)
    except Unusable:
        return
    assert isinstance(said.text, str)
    assert said.tokens is None or said.tokens >= 0
    for value in (said.mean_logprob, said.min_logprob):
        assert value is None or math.isfinite(value)
    json.dumps(said.text).encode()  # no lone surrogates


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7), ({"retry-after-ms": "1500"}, 1.5), ({"retry-after": "soon"}, None), ({}, None),
     ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0), ({"retry-after": "9" * 400}, None)],
)  # fmt: skip
def test_what_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait_s(headers) == seconds


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "localhost:8000", "http://user:key@host/v1", "http://", "http://h?x=1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        EndpointSettings(base_url=url, model="m")


def test_a_bare_host_gets_v1_and_an_operation_is_cut_off() -> None:
    for url in ("http://h:1", "http://h:1/", "http://h:1/v1/", "http://h:1/v1/chat/completions"):
        assert EndpointSettings(base_url=url, model="m").base_url == "http://h:1/v1"
