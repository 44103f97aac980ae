"""Downloads over real sockets from a hub on loopback: resumed, verified, offline, mirrored, each failure one line."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.hub import Hub, fetch, look
from codefit.hub.doctor import answers, kept
from tests.hub_server import Repo, Server, serving

WEIGHTS = random.Random(1).randbytes(300_000)
FILES = {
    "config.json": b'{"model_type": "qwen2"}',
    "model.safetensors": WEIGHTS,
    "README.md": b"---\nlicense: mit\n---\n",
    "deep/er/notes[1].txt": b"hello",
}
NAME = "models/owner/name"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({NAME: Repo.of(FILES)}) as found:
        yield found


@pytest.fixture
def hub(server: Server, tmp_path: Path) -> Hub:
    return Hub(server.url, tmp_path / "cache", offline=False)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client write every 64 KiB, not every 10 MiB, so that small files can break in the middle."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)


def refusal(hub: Hub, repo: str, revision: str | None = None, path: str = "config.json") -> CodefitError:
    with pytest.raises(CodefitError) as caught:
        fetch(hub, look(hub, repo, revision), [path])
    assert "\n" not in caught.value.line()
    return caught.value


def test_a_folder_holds_the_wanted_files_and_no_others(hub: Hub, server: Server) -> None:
    folder = fetch(hub, look(hub, "owner/name"), ["config.json", "deep/er/notes[1].txt", "model.safetensors"])
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {k: v for k, v in FILES.items() if k != "README.md"}
    assert not server.asked("README.md")


def test_what_the_cache_holds_is_asked_for_once(hub: Hub, server: Server) -> None:
    first = look(hub, "owner/name")
    folder = fetch(hub, first, ["config.json"])
    server.log.clear()
    assert fetch(hub, look(hub, "owner/name", first.commit), ["config.json"]) == folder
    assert server.log == []


@pytest.mark.usefixtures("small_chunks")
def test_a_cut_connection_goes_on_where_it_broke(hub: Hub, server: Server) -> None:
    server.cut_after, server.cuts = 150_000, 1
    folder = fetch(hub, look(hub, "owner/name"), ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [r.range for r in server.asked("/storage/") if r.method == "GET"]
    assert ranges == [None, f"bytes={2 * (1 << 16)}-"]


@pytest.mark.usefixtures("small_chunks")
def test_a_hub_that_goes_away_leaves_a_part_that_the_next_command_takes_up(
    hub: Hub, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    snapshot = look(hub, "owner/name")
    server.cut_after, server.cuts, server.gone_after_cut = 100_000, 1, True
    with pytest.raises(MissingPrerequisite, match="answers with error 503; run the same command again"):
        fetch(hub, snapshot, ["model.safetensors"])
    server.log, server.status = [], None
    folder = fetch(hub, snapshot, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert next(r.range for r in server.asked("/storage/")) == f"bytes={1 << 16}-"


SCRIPT = """
from codefit.hub import Hub, fetch, look
hub = Hub.from_environment()
print(fetch(hub, look(hub, "owner/large"), ["model.safetensors"]))
"""


def test_kill_9_in_the_middle_loses_at_most_a_chunk(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(24_000_000)
    with serving({"models/owner/large": Repo.of({"model.safetensors": data})}) as server:
        server.stall_after = 21_500_000
        env = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        process = subprocess.Popen([sys.executable, "-c", SCRIPT], env=env)
        try:
            assert server.stalled.wait(60)
            part = tmp_path / "hub" / "models--owner--large" / "blobs"
            while not any(p.stat().st_size >= 20 << 20 for p in part.glob("*.part")):
                assert process.poll() is None
        finally:
            process.kill()
            process.wait()
        server.stall_after = None
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        assert (Path(done.stdout.strip()) / "model.safetensors").read_bytes() == data
        assert [r.range for r in server.asked("/storage/") if r.method == "GET"] == [
            None,
            f"bytes={20 << 20}-",
        ]
        assert not list(part.glob("*.part"))


def test_a_branch_without_network_is_what_it_was(hub: Hub, server: Server, tmp_path: Path) -> None:
    old = look(hub, "owner/name")
    fetch(hub, old, ["config.json"])
    server.repos[NAME].push({**FILES, "config.json": b"{}"})
    for other in (
        Hub(hub.endpoint, hub.cache, offline=True),
        Hub("http://127.0.0.1:9", hub.cache, offline=False),
    ):
        found = look(other, "owner/name")
        assert (found.commit, found.stale) == (old.commit, True)
        assert (fetch(other, found, ["config.json"]) / "config.json").read_bytes() == FILES["config.json"]
        assert not look(other, "owner/name", old.commit).stale
    assert look(hub, "owner/name").commit != old.commit


def test_offline_takes_what_other_programs_downloaded(
    hub: Hub, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi, constants

    # Whoever loaded a model in this process before switched the network off for good.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    HfApi(endpoint=server.url, token=False).snapshot_download("owner/name", cache_dir=hub.cache)
    offline = Hub(server.url, hub.cache, offline=True)
    snapshot = look(offline, "owner/name")
    assert {f.path: (f.size, f.large) for f in snapshot.files} == {
        path: (len(data), path.endswith(".safetensors")) for path, data in FILES.items()
    }
    assert (fetch(offline, snapshot, ["model.safetensors"]) / "model.safetensors").read_bytes() == WEIGHTS


def test_offline_names_what_is_missing(hub: Hub) -> None:
    offline = Hub(hub.endpoint, hub.cache, offline=True)
    assert "owner/name: this revision is not in the cache" in refusal(offline, "owner/name").line()
    fetch(hub, look(hub, "owner/name"), ["README.md"])
    error = refusal(offline, "owner/name")
    assert isinstance(error, MissingPrerequisite)
    assert "config.json is not in the cache" in error.line()
    assert "HF_HUB_OFFLINE" in error.line()


def test_no_network_is_one_line_that_names_the_address(tmp_path: Path) -> None:
    error = refusal(Hub("http://127.0.0.1:9", tmp_path, offline=False), "owner/name")
    assert isinstance(error, MissingPrerequisite)
    assert "cannot reach http://127.0.0.1:9" in error.line()
    assert "HF_ENDPOINT" in error.line()


@pytest.mark.parametrize(
    ("repo", "revision", "message"),
    [
        ("owner/nothing", None, "no such repository"),
        ("owner/name", "v9", "owner/name@v9: no such revision"),
        ("owner/name", "0" * 40, "no such revision"),
        ("owner/private", None, "if it is private, set HF_TOKEN"),
        ("owner/gated", None, "/owner/gated and set HF_TOKEN"),
        ("no name at all", None, "not the name of a repository"),
    ],
)
def test_a_refusal_says_what_to_do(
    hub: Hub, server: Server, repo: str, revision: str | None, message: str
) -> None:
    server.repos["models/owner/private"] = Repo.of(FILES, private=True)
    server.repos["models/owner/gated"] = Repo.of(FILES, gated=True)
    error = refusal(hub, repo, revision)
    assert isinstance(error, InputError)
    assert message in error.line()


def test_a_token_opens_what_is_gated_and_is_told_to_nobody_else(server: Server, tmp_path: Path) -> None:
    server.repos[NAME].gated = server.repos[NAME].private = True
    hub = Hub(server.url, tmp_path, offline=False, token=server.token)
    folder = fetch(hub, look(hub, "owner/name"), ["model.safetensors", "config.json"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert {r.token for r in server.asked("/resolve/")} == {server.token}
    assert {r.token for r in server.asked("/storage/")} == {None}  # another host
    assert server.token not in repr(hub)
    assert not any(server.token.encode() in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    wrong = refusal(Hub(server.url, tmp_path / "b", offline=False, token="hf_wrong"), "owner/name")
    assert isinstance(wrong, InputError)


def test_a_token_in_a_file_is_left_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hf_from_a_file")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    hub = Hub(server.url, tmp_path / "cache", offline=False)
    fetch(hub, look(hub, "owner/name"), ["config.json", "model.safetensors"])
    assert {r.token for r in server.log} == {None}


def test_a_mirror_may_send_on_to_the_hub(server: Server, tmp_path: Path) -> None:
    with serving({NAME: Repo.of(FILES)}) as mirror:
        mirror.elsewhere = server.url
        hub = Hub(mirror.url, tmp_path, offline=False)
        folder = fetch(hub, look(hub, "owner/name"), ["model.safetensors", "config.json"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert mirror.asked("/api/models/owner/name")
    assert server.asked("/resolve/")
    assert not server.asked("/api/")


def test_what_arrives_damaged_is_refused_and_not_kept(hub: Hub, server: Server) -> None:
    server.damaged = True
    error = refusal(hub, "owner/name", path="model.safetensors")
    assert "SHA-256 is not the one that is listed" in error.line()
    server.damaged = False
    folder = fetch(hub, look(hub, "owner/name"), ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_file_that_is_cut_off_in_the_cache_is_downloaded_again(hub: Hub, path: str) -> None:
    snapshot = look(hub, "owner/name")
    kept_file = (fetch(hub, snapshot, [path]) / path).resolve()
    kept_file.write_bytes(FILES[path][:10])
    assert refusal(Hub(hub.endpoint, hub.cache, offline=True), "owner/name", path=path)
    assert (fetch(hub, snapshot, [path]) / path).read_bytes() == FILES[path]


@pytest.mark.parametrize(
    ("status", "message"), [(500, "error 500"), (503, "error 503"), (429, "no more requests")]
)
def test_a_hub_in_trouble_is_said_to_be(
    hub: Hub, server: Server, status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    server.status = status
    error = refusal(hub, "owner/name")
    assert isinstance(error, MissingPrerequisite)
    assert message in error.line()


def test_a_page_that_is_no_hub_is_said_to_be_none(hub: Hub, server: Server) -> None:
    server.status = 200  # such as the log-in page of a hotel
    assert "does not answer like a hub" in refusal(hub, "owner/name").line()


@pytest.mark.parametrize("path", ["../../evil.txt", "/etc/evil", "a//b", "a/./b"])
def test_names_that_lead_out_of_the_cache_are_refused(hub: Hub, server: Server, path: str) -> None:
    server.repos[NAME] = Repo.of({"config.json": b"{}", path: b"x"})
    assert "impossible names" in refusal(hub, "owner/name").line()


def test_two_processes_that_want_one_file_both_get_it(server: Server, tmp_path: Path) -> None:
    server.repos["models/owner/large"] = server.repos[NAME]
    env = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", SCRIPT]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert (Path(folders.pop()) / "model.safetensors").read_bytes() == WEIGHTS
    assert not folders


def test_a_full_disk_stays_a_full_disk(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("codefit.hub.blobs.os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(hub, look(hub, "owner/name"), ["model.safetensors"])
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("env", "endpoint", "cache", "offline"),
    [
        ({}, "https://huggingface.co", ".cache/huggingface/hub", False),
        ({"HF_ENDPOINT": "https://hf-mirror.com/"}, "https://hf-mirror.com", ".cache/huggingface/hub", False),
        ({"HF_HOME": "/a", "TRANSFORMERS_OFFLINE": "true"}, "https://huggingface.co", "/a/hub", True),
        (
            {"HF_HOME": "/a", "HF_HUB_CACHE": "/b", "HF_HUB_OFFLINE": "0"},
            "https://huggingface.co",
            "/b",
            False,
        ),
    ],
)
def test_the_environment_says_where_and_how(
    env: dict[str, str], endpoint: str, cache: str, offline: bool
) -> None:
    hub = Hub.from_environment(env)
    assert (hub.endpoint, hub.offline) == (endpoint, offline)
    assert hub.cache == (Path(cache) if cache.startswith("/") else Path.home() / cache)


def test_an_endpoint_without_https_is_refused_with_the_right_one() -> None:
    with pytest.raises(InputError, match=r"write https://hf-mirror\.com"):
        Hub.from_environment({"HF_ENDPOINT": "hf-mirror.com"})


def test_doctor_asks_the_hub(hub: Hub, server: Server) -> None:
    fetch(hub, look(hub, "owner/name"), ["README.md"])
    assert answers(hub)[0] is None
    assert kept(hub) == "1 models and 0 datasets"
    server.status = 200
    assert "not like a hub" in str(answers(hub)[0])
    server.status = 502
    assert "error 502" in str(answers(hub)[0])
    assert "cannot be reached" in str(answers(Hub("http://127.0.0.1:9", hub.cache, offline=False))[0])
