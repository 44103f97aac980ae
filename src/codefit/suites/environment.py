"""Environments with the libraries that a benchmark's programs need, apart from codefit's own.

An environment is a virtual environment with exact versions from a lock, language data where they can be
had, and a font cache, so that no program spends a second on building one. `environment.json`, written
last, marks it as complete.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError, MissingPrerequisite, did_you_mean
from codefit.core.files import digest, read_json, write_json
from codefit.sandbox.types import Runtime

NAMES = ("bigcodebench",)
CURRENT = "current"
MARKER = "environment.json"
_HOME = "/tmp/home"  # a program's own, in the sandbox
_FONTS = f"{_HOME}/.config/matplotlib"
_OWN = "lib/codefit"
_HIDDEN = ("/tmp", "/dev", "/proc", "/var/tmp")
_NLTK = "lib/nltk_data"
_ERROR_CHARS = 300
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """A complete environment: where it is, its interpreter, and what decides verdicts in it."""

    name: str
    folder: Path | None
    python: str | None
    fingerprint: str

    def runtime(self) -> Runtime:
        """Return what its programs find in the sandbox."""
        settings = spec(self.name)
        variables = {**settings["environment"], "MPLCONFIGDIR": _FONTS}
        copies: list[tuple[str, str]] = []
        if self.folder is not None:
            variables["PATH"] = f"{self.folder}/bin:/usr/bin:/bin"
            variables["NLTK_DATA"] = str(self.folder / _NLTK)
            fonts = sorted((self.folder / _OWN / "matplotlib").glob("fontlist*.json"))
            copies = [(str(f), f"{_FONTS}/{f.name}") for f in fonts]
        return Runtime(
            python=self.python,
            preload=tuple(settings["preload"]) if self.folder is not None else ("unittest", "unittest.mock"),
            userland=True,
            loopback=True,
            environment=tuple(variables.items()),
            copies=tuple(copies),
        )


@cache
def spec(name: str) -> dict[str, Any]:
    """Return the settings of an environment; raises `InputError` for an unknown name."""
    if name not in NAMES:
        hint = did_you_mean(name, NAMES)
        raise InputError(f"unknown environment '{name}'", todo=hint or f"known: {', '.join(NAMES)}")
    text = files("codefit.suites").joinpath(f"data/{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def lock(name: str) -> str:
    """Return the lock of an environment: one `name==version` a line."""
    spec(name)
    return files("codefit.suites").joinpath(f"data/{name}.lock").read_text(encoding="utf-8")


def default_folder(name: str, cache_folder: Path) -> Path:
    """Return where an environment lies when nothing else is said."""
    return cache_folder / "environments" / name


def find(name: str, where: str | None, cache_folder: Path) -> Environment:
    """Return an environment: in the folder `where`, `current` (the interpreter that runs us), or the usual place.

    Raises `MissingPrerequisite` where it was not created or not to its end.
    """
    if where == CURRENT:
        return Environment(name, None, None, _fingerprint(None, None))
    folder = Path(where).expanduser().absolute() if where else default_folder(name, cache_folder)
    python = folder / "bin" / "python"
    _visible(folder)
    if not (folder / MARKER).exists() or not python.exists():
        raise MissingPrerequisite(
            f"the libraries of {name}'s tests are not there",
            where=str(folder),
            todo=f"run `codefit env create {name}{f' --path {where}' if where else ''}`",
        )
    return Environment(name, folder, str(python), _fingerprint(folder, read_json(folder / MARKER)))


def _fingerprint(folder: Path | None, marker: Any) -> str:
    """Return the interpreter's version and a hash of the names and versions of all libraries."""
    if folder is None:
        version, data = platform.python_version(), []
        places = [Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))]
    else:
        version, data = str(marker["python"]), list(marker["nltk_data"])
        places = [*folder.glob("lib/python3*/site-packages")]
    libraries = sorted({p.stem.lower() for place in places for p in place.glob("*.dist-info")})
    return f"python {version}; libraries {digest(*libraries, *data)}"


def create(
    name: str, folder: Path, tell: Tell, *, python: str | None = None, nltk_data: Path | None = None
) -> Environment:
    """Create an environment and return it; one that is complete and to the same lock is left as it is.

    `nltk_data` is a folder with language data to copy instead of downloading them. Raises
    `MissingPrerequisite` for an interpreter of another version, `InputError` for a folder that holds
    something else, `EnvironmentFailure` where pip fails.
    """
    settings = spec(name)
    folder = folder.expanduser().absolute()
    _visible(folder)
    wanted = digest(lock(name))
    if (folder / MARKER).exists() and read_json(folder / MARKER).get("lock") == wanted:
        tell("is complete already")
        return find(name, str(folder), folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise InputError("holds something else", where=str(folder), todo="choose another --path")
    interpreter = _interpreter(python, settings["python"])
    (folder / MARKER).unlink(missing_ok=True)
    tell(f"new virtual environment in {folder}")
    _run([interpreter, "-m", "venv", "--clear", str(folder)])
    own = str(folder / "bin" / "python")
    tell("libraries (about 2.5 GB on disk)")
    text = folder / "lock.txt"
    text.write_text(lock(name), encoding="utf-8")
    _run([own, "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r", str(text)])
    tell("font cache")
    _font_cache(own, folder / _OWN / "matplotlib")
    have = _language_data(own, folder / _NLTK, settings["nltk_data"], nltk_data, tell)
    version = _said(own, "import platform; print(platform.python_version())")
    write_json(folder / MARKER, {"name": name, "lock": wanted, "python": version, "nltk_data": have})
    return find(name, str(folder), folder)


def _visible(folder: Path) -> None:
    """Refuse a folder that the sandbox hides from programs; raises `InputError`."""
    for hidden in _HIDDEN:
        if folder.resolve().is_relative_to(hidden):
            raise InputError(
                f"programs have a {hidden} of their own", where=str(folder), todo="choose another folder"
            )


class EnvironmentFailure(MissingPrerequisite):
    """An environment could not be made."""


def _interpreter(python: str | None, version: str) -> str:
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    chosen = python or (sys.executable if ours == version else shutil.which(f"python{version}"))
    if chosen is None:
        raise MissingPrerequisite(
            f"the libraries are locked for Python {version}, this is {ours}",
            todo=f"install Python {version} and name it with --python",
        )
    found = _said(chosen, "import sys; print('%d.%d' % sys.version_info[:2])")
    if found != version:
        raise InputError(
            f"is Python {found}, the libraries are locked for {version}", where=f"--python {chosen}"
        )
    return chosen


def _said(python: str, code: str) -> str:
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise MissingPrerequisite("does not run", where=python) from e
    return done.stdout.strip()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "")
        step = " ".join(command[1:4])
        raise EnvironmentFailure(
            f"{step} failed: {said[:_ERROR_CHARS]}", todo="see to it and run the same command again"
        )


def _font_cache(python: str, folder: Path) -> None:
    """Build matplotlib's font cache, of its own fonts only: the machine's are not in the sandbox."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [python, "-I", "-c", "import matplotlib.font_manager"],
        env={**os.environ, "MPLCONFIGDIR": str(folder), "MPLBACKEND": "Agg"},
        capture_output=True,
        check=False,  # without a cache programs build one
    )
    for path in folder.glob("fontlist*.json"):
        fonts = read_json(path)
        for kind in ("afmlist", "ttflist"):
            fonts[kind] = [f for f in fonts.get(kind, []) if not os.path.isabs(f.get("fname", "/"))]
        write_json(path, fonts)


def _language_data(python: str, folder: Path, wanted: list[str], given: Path | None, tell: Tell) -> list[str]:
    """Copy or download NLTK's data; what cannot be had is named, and its tasks are not judged."""
    if given is not None:
        if not given.is_dir():
            raise InputError("no such folder", where=f"--nltk-data {given}")
        tell(f"language data from {given}")
        shutil.copytree(given, folder, dirs_exist_ok=True)
    else:
        tell("language data")
        folder.mkdir(parents=True, exist_ok=True)
        command = [python, "-m", "nltk.downloader", "-q", "-d", str(folder), *wanted]
        subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    have = sorted(n for n in wanted if any(folder.glob(f"*/{n}*")))
    missing = [n for n in wanted if n not in have]
    if missing:
        tell(f"not to be had: language data {', '.join(missing)}; tasks that need them are not judged")
    return have
