"""Environments: made from a lock, complete or not there, seen by programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError, MissingPrerequisite
from codefit.sandbox import Program, Sandbox
from codefit.suites import environment

LOCK = "# a lock of one library\nsix==1.17.0\n"


def codefit(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codefit", *arguments], capture_output=True, text=True, **options
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One small library in the place of BigCodeBench's."""
    settings = {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "preload": ["unittest", "unittest.mock", "six"],
        "environment": {"GREETING": "hello"},
        "nltk_data": ["words"],
    }
    monkeypatch.setattr(environment, "spec", lambda name: settings)
    monkeypatch.setattr(environment, "lock", lambda name: LOCK)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that programs can see: theirs hides /tmp."""
    folder = Path(sys.prefix) / "codefit-test-environment"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_an_environment_is_made_once_and_programs_find_its_libraries(
    small: None, place: Path, tmp_path: Path
) -> None:
    data = tmp_path / "nltk"
    (data / "corpora" / "words").mkdir(parents=True)
    (data / "corpora" / "words" / "en").write_text("hello\n")
    said: list[str] = []
    try:
        found = environment.create("bigcodebench", place, said.append, nltk_data=data)
    except environment.EnvironmentFailure as e:
        pytest.skip(f"no package index: {e.line()}")
    marker = json.loads((place / environment.MARKER).read_text())
    assert marker["nltk_data"] == ["words"]
    assert environment.create("bigcodebench", place, said.append).fingerprint == found.fingerprint
    assert said[-1] == "is complete already"
    source = (
        "import os, six\ndef f():\n    words = open(os.environ['NLTK_DATA'] + '/corpora/words/en').read()\n"
    )
    source += "    return [six.__version__, os.environ['GREETING'], words]\n"
    with Sandbox(jobs=1, runtime=found.runtime()) as box:
        frame = box.run(Program(source, "calls", ((),), "f")).frames[0]
    assert frame.value == ["1.17.0", "hello", "hello\n"], frame


def test_a_library_more_changes_the_fingerprint(tmp_path: Path) -> None:
    library = tmp_path / "lib" / "python3.11" / "site-packages"
    (library / "six-1.17.0.dist-info").mkdir(parents=True)
    marker = {"python": "3.11.1", "nltk_data": []}
    before = environment._fingerprint(tmp_path, marker)
    (library / "seven-7.dist-info").mkdir()
    after = environment._fingerprint(tmp_path, marker)
    assert before != after
    assert before.startswith("python 3.11.1; libraries ")


def test_one_that_was_broken_off_is_not_there(place: Path, tmp_path: Path) -> None:
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    with pytest.raises(MissingPrerequisite, match="codefit env create bigcodebench --path"):
        environment.find("bigcodebench", str(place), tmp_path)


def test_a_failed_installation_is_one_line_and_leaves_no_marker(
    small: None, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "lock", lambda name: "no-such-library-anywhere==0.0.0\n")
    with pytest.raises(environment.EnvironmentFailure) as caught:
        environment.create("bigcodebench", place, lambda text: None)
    assert "\n" not in caught.value.line()
    assert caught.value.exit_code == 3
    assert not (place / environment.MARKER).exists()


def test_a_folder_with_something_else_and_another_python_are_refused(small: None, place: Path) -> None:
    place.mkdir()
    (place / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="holds something else"):
        environment.create("bigcodebench", place, lambda text: None)
    assert (place / "mine.txt").read_text() == "keep"
    with pytest.raises(MissingPrerequisite):
        environment.create("bigcodebench", place / "new", lambda text: None, python="/nonexistent")


def test_the_font_cache_names_no_font_outside_the_environment(tmp_path: Path) -> None:
    cache = tmp_path / "fontlist-v1.json"
    fonts = [{"fname": "fonts/ttf/DejaVuSans.ttf"}, {"fname": "/usr/share/fonts/x.ttf"}]
    cache.write_text(json.dumps({"ttflist": fonts, "afmlist": fonts}))
    environment._font_cache("/bin/true", tmp_path)
    kept = json.loads(cache.read_text())
    assert kept["ttflist"] == kept["afmlist"] == fonts[:1]


def test_the_command_line_lists_prints_and_refuses(tmp_path: Path) -> None:
    listed = codefit("env", "list", "--json", env={**os.environ, "CODEFIT_CACHE": str(tmp_path)})
    assert json.loads(listed.stdout) == [
        {
            "name": "bigcodebench",
            "folder": str(tmp_path / "environments" / "bigcodebench"),
            "fingerprint": None,
        }
    ]
    lock = codefit("env", "lock", "bigcodebench").stdout
    names = [line.partition("==")[0].lower() for line in lock.splitlines() if "==" in line]
    assert {"numpy", "pandas", "matplotlib", "scikit-learn", "django"} <= set(names)
    assert len(names) == len(set(names)) > 100
    unknown = codefit("env", "create", "bigcodebenches")
    assert unknown.returncode == 2
    assert "did you mean 'bigcodebench'" in unknown.stderr
